//! Static files: compiled in, served under a path that names their content, so that a browser may keep them for good.

use std::sync::LazyLock;

use axum::extract::Path;
use axum::response::{IntoResponse, Response};
use http::HeaderValue;
use http::header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE};
use mb_api::problem::ApiError;

/// The route of them all.
pub(crate) const ROUTE: &str = "/static/{hash}/{file}";

struct Asset {
    file: &'static str,
    kind: &'static str,
    content: &'static str,
}

const STYLE: Asset =
    Asset { file: "style.css", kind: "text/css; charset=utf-8", content: include_str!("../assets/style.css") };
const ICON: Asset = Asset { file: "icon.svg", kind: "image/svg+xml", content: include_str!("../assets/icon.svg") };
const ALL: [Asset; 2] = [STYLE, ICON];

/// Where the stylesheet is.
pub(crate) fn style_path() -> &'static str {
    static PATH: LazyLock<String> = LazyLock::new(|| STYLE.path());
    &PATH
}

/// Where the icon is.
pub(crate) fn icon_path() -> &'static str {
    static PATH: LazyLock<String> = LazyLock::new(|| ICON.path());
    &PATH
}

impl Asset {
    fn path(&self) -> String {
        format!("/static/{}/{}", self.hash(), self.file)
    }

    /// FNV-1a, 64 bits (draft-eastlake-fnv, section 5): tells contents of our own making apart, which is no secret.
    fn hash(&self) -> String {
        let step = |hash: u64, byte: u8| (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
        format!("{:016x}", self.content.bytes().fold(0xcbf2_9ce4_8422_2325, step))
    }
}

/// A file. Of another content than asked for, for instance after an update, it may not be kept.
pub(crate) async fn get(Path((hash, file)): Path<(String, String)>) -> Response {
    let Some(asset) = ALL.iter().find(|asset| asset.file == file) else {
        return ApiError::not_found().into_response();
    };
    let keep = if asset.hash() == hash { "public, max-age=31536000, immutable" } else { "no-store" };
    let headers = [
        (CONTENT_TYPE, HeaderValue::from_static(asset.kind)),
        (CACHE_CONTROL, HeaderValue::from_static(keep)),
        (CONTENT_SECURITY_POLICY, HeaderValue::from_static("default-src 'none'; style-src 'unsafe-inline'")),
    ];
    (headers, asset.content).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn only_the_content_asked_for_may_be_kept() {
        let kept = |hash: String| async {
            let response = get(Path((hash, "style.css".into()))).await;
            response.headers()[CACHE_CONTROL].to_str().expect("text").to_owned()
        };
        assert!(kept(STYLE.hash()).await.contains("immutable"));
        assert_eq!(kept("0".repeat(16)).await, "no-store");
        assert_eq!(get(Path(("x".into(), "../lib.rs".into()))).await.status(), 404);
    }

    #[test]
    fn the_stylesheet_stays_small_and_asks_nobody_else() {
        assert!(STYLE.content.len() < 24 * 1024, "{}", STYLE.content.len());
        assert!(!STYLE.content.contains("url(") && !STYLE.content.contains("@import"));
        assert_ne!(STYLE.hash(), ICON.hash());
    }
}
