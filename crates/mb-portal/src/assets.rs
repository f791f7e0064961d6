//! Static files: compiled in, served under a path that names their content, so that a browser may keep them for good.
//!
//! They alone are compressed. A page is not: it holds tokens beside what its address says, and the length of both
//! compressed together would tell about the one who guesses at the other (BREACH, CVE-2013-3587).

use std::io::Write;
use std::sync::LazyLock;

use axum::body::Body;
use axum::extract::Path;
use axum::response::{IntoResponse, Response};
use flate2::Compression;
use flate2::write::GzEncoder;
use http::header::{ACCEPT_ENCODING, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_SECURITY_POLICY, CONTENT_TYPE, VARY};
use http::{HeaderMap, HeaderValue};
use mb_api::problem::ApiError;

/// The route of them all.
pub(crate) const ROUTE: &str = "/static/{hash}/{file}";

/// Whether files, and no pages, are looked for there.
pub(crate) fn is_place(path: &str) -> bool {
    ["/static/", "/assets/"].into_iter().any(|place| path.starts_with(place))
}

/// What is written in the repository about a file.
struct Source {
    file: &'static str,
    kind: &'static str,
    content: &'static str,
}

/// A file as it is served.
struct Asset {
    source: &'static Source,
    path: String,
    hash: String,
    compressed: Vec<u8>,
}

const STYLE: Source =
    Source { file: "style.css", kind: "text/css; charset=utf-8", content: include_str!("../assets/style.css") };
const ICON: Source = Source { file: "icon.svg", kind: "image/svg+xml", content: include_str!("../assets/icon.svg") };
/// htmx with the extension for server-sent events, as their makers publish them; see the README beside them.
const SCRIPT: Source = Source {
    file: "htmx.js",
    kind: "text/javascript; charset=utf-8",
    content: concat!(
        include_str!("../assets/vendor/htmx.min.js"),
        "\n",
        include_str!("../assets/vendor/hx-sse.min.js")
    ),
};

static ALL: LazyLock<[Asset; 3]> = LazyLock::new(|| [&STYLE, &ICON, &SCRIPT].map(Asset::new));

/// Where the stylesheet is.
pub(crate) fn style_path() -> &'static str {
    &ALL[0].path
}

/// Where the icon is.
pub(crate) fn icon_path() -> &'static str {
    &ALL[1].path
}

/// Where the script is.
pub(crate) fn script_path() -> &'static str {
    &ALL[2].path
}

impl Asset {
    fn new(source: &'static Source) -> Self {
        let hash = hash(source.content);
        let path = format!("/static/{hash}/{}", source.file);
        Self { source, path, hash, compressed: compress(source.content).unwrap_or_default() }
    }
}

/// FNV-1a, 64 bits (draft-eastlake-fnv, section 5): tells contents of our own making apart, which is no secret.
fn hash(content: &str) -> String {
    let step = |hash: u64, byte: u8| (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
    format!("{:016x}", content.bytes().fold(0xcbf2_9ce4_8422_2325, step))
}

fn compress(content: &str) -> std::io::Result<Vec<u8>> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(content.as_bytes())?;
    encoder.finish()
}

/// Whether the browser takes gzip (RFC 9110, section 12.5.3); one that refuses it by `q=0` is believed.
fn takes_gzip(headers: &HeaderMap) -> bool {
    let named = headers.get_all(ACCEPT_ENCODING).iter().filter_map(|value| value.to_str().ok());
    named.flat_map(|value| value.split(',')).any(|coding| {
        let mut parts = coding.split(';').map(str::trim);
        let zero = |part: &str| part.strip_prefix("q=").is_some_and(|q| q.trim_matches(['0', '.']).is_empty());
        parts.next() == Some("gzip") && !parts.any(zero)
    })
}

/// A file. Of another content than asked for, for instance after an update, it may not be kept.
pub(crate) async fn get(Path((hash, file)): Path<(String, String)>, headers: HeaderMap) -> Response {
    let Some(asset) = ALL.iter().find(|asset| asset.source.file == file) else {
        return ApiError::not_found().into_response();
    };
    let keep = if asset.hash == hash { "public, max-age=31536000, immutable" } else { "no-store" };
    let about = [
        (CONTENT_TYPE, HeaderValue::from_static(asset.source.kind)),
        (CACHE_CONTROL, HeaderValue::from_static(keep)),
        (VARY, HeaderValue::from_static("accept-encoding")),
        (CONTENT_SECURITY_POLICY, HeaderValue::from_static("default-src 'none'; style-src 'unsafe-inline'")),
    ];
    if takes_gzip(&headers) && !asset.compressed.is_empty() {
        let encoding = [(CONTENT_ENCODING, HeaderValue::from_static("gzip"))];
        return (about, encoding, Body::from(asset.compressed.as_slice())).into_response();
    }
    (about, asset.source.content).into_response()
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use flate2::read::GzDecoder;
    use http_body_util::BodyExt;

    use super::*;

    async fn served(hash: &str, file: &str, encoding: &'static str) -> (HeaderMap, Vec<u8>) {
        let headers = HeaderMap::from_iter([(ACCEPT_ENCODING, HeaderValue::from_static(encoding))]);
        let (parts, body) = get(Path((hash.into(), file.into())), headers).await.into_parts();
        (parts.headers, body.collect().await.expect("whole").to_bytes().to_vec())
    }

    #[tokio::test]
    async fn only_the_content_asked_for_may_be_kept() {
        let kept = async |hash: &str| {
            let (headers, _) = served(hash, "style.css", "").await;
            headers[CACHE_CONTROL].to_str().expect("text").to_owned()
        };
        assert!(kept(&hash(STYLE.content)).await.contains("immutable"));
        assert_eq!(kept(&"0".repeat(16)).await, "no-store");
        assert_eq!(get(Path(("x".into(), "../lib.rs".into())), HeaderMap::new()).await.status(), 404);
    }

    #[tokio::test]
    async fn a_browser_that_takes_gzip_gets_the_same_content_by_fewer_bytes() {
        for taken in ["gzip", "br, gzip", "gzip;q=0.5", "deflate, gzip;q=1.0, *;q=0.5"] {
            let (headers, body) = served("x", "htmx.js", taken).await;
            assert_eq!(
                (headers[CONTENT_ENCODING].as_bytes(), headers[VARY].as_bytes()),
                (&b"gzip"[..], &b"accept-encoding"[..])
            );
            let mut plain = String::new();
            GzDecoder::new(body.as_slice()).read_to_string(&mut plain).expect("gzip");
            assert!(plain == SCRIPT.content && body.len() < plain.len() / 2, "{taken}");
        }
        for refused in ["", "br", "gzip;q=0", "gzip; q=0.0"] {
            let (headers, body) = served("x", "htmx.js", refused).await;
            assert!(!headers.contains_key(CONTENT_ENCODING) && body == SCRIPT.content.as_bytes(), "{refused}");
        }
    }

    #[test]
    fn what_a_browser_loads_at_first_stays_small_and_asks_nobody_else() {
        let weight: usize = ALL.iter().map(|asset| asset.compressed.len()).sum();
        assert!(weight < 28 * 1024, "{weight}");
        assert!(!STYLE.content.contains("url(") && !STYLE.content.contains("@import"));
        assert_ne!(hash(STYLE.content), hash(ICON.content));
    }
}
