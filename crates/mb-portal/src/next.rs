//! Where somebody goes on after signing in: a path of this portal and nothing else.

use std::fmt;

/// The longest path that is kept.
const MAX: usize = 2048;

/// A path with its query that leads to a page of this portal, whoever wrote it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct LocalPath(Box<str>);

impl LocalPath {
    /// Takes a path. `None` if a browser might read it as another host's address, or if it is a page of signing in, which
    /// would lead back here.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        // Browsers read a backslash as a slash and leave tabs and line ends out.
        let plain = text.bytes().all(|b| b.is_ascii_graphic() && !matches!(b, b'\\' | b'"' | b'<' | b'>' | b'#'));
        let local = text.starts_with('/') && !text.starts_with("//") && text.len() <= MAX && plain;
        let page = text.split('?').next().unwrap_or_default();
        let door = ["/login", "/logout", "/forgot-password", "/reset-password"];
        let at_the_door = door.iter().any(|door| page == *door || page.starts_with(&format!("{door}/")));
        (local && !at_the_door).then(|| Self(text.into()))
    }

    /// The overview.
    pub(crate) fn home() -> Self {
        Self("/".into())
    }

    /// Whether it is the overview, which needs no mention.
    pub(crate) fn is_home(&self) -> bool {
        &*self.0 == "/"
    }

    /// The text.
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }

    /// `page` with this path as its parameter `next`.
    pub(crate) fn behind(&self, page: &str) -> String {
        if self.is_home() {
            return page.to_owned();
        }
        let next: String = form_urlencoded::byte_serialize(self.0.as_bytes()).collect();
        format!("{page}?next={next}")
    }
}

impl fmt::Display for LocalPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The query of the pages at the door.
#[derive(Clone, Debug, Default, serde::Deserialize)]
pub(crate) struct NextQuery {
    #[serde(default)]
    next: String,
}

impl NextQuery {
    /// Where to go on; the overview if that is nowhere.
    pub(crate) fn path(&self) -> LocalPath {
        LocalPath::parse(&self.next).unwrap_or_else(LocalPath::home)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_of_other_hosts_are_no_local_paths() {
        for bad in [
            "",
            "https://evil.example",
            "//evil.example",
            "/\\evil.example",
            "\\\\evil.example",
            "/\t/evil.example",
            "/a\r\nLocation: x",
            "evil.example",
            "javascript:alert(1)",
            " /messages",
            "/login",
            "/login?next=/",
            "/login/code",
            "/logout",
            "/\u{e9}",
        ] {
            assert_eq!(LocalPath::parse(bad), None, "{bad:?}");
        }
        assert_eq!(LocalPath::parse(&format!("/{}", "a".repeat(MAX))), None);
    }

    #[test]
    fn a_path_with_its_query_survives_the_way_through_the_sign_in() {
        let path = LocalPath::parse("/messages?status=failed&topic=a.b").expect("local");
        let there = path.behind("/login");
        assert_eq!(there, "/login?next=%2Fmessages%3Fstatus%3Dfailed%26topic%3Da.b");
        let query: NextQuery = serde_urlencoded::from_str(there.split_once('?').expect("a query").1).expect("read");
        assert_eq!(query.path(), path);
        assert_eq!(LocalPath::home().behind("/login"), "/login");
        assert_eq!(NextQuery { next: "//evil.example".into() }.path(), LocalPath::home());
    }
}
