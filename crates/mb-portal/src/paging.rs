//! Lists by cursor: the way on is the main server's cursor, the way back the cursors of the pages before, kept in the
//! address, so that every page of a list is an address that can be kept and sent.

/// The most pages that one goes back without beginning anew.
const MAX_TRAIL: usize = 20;
/// Between cursors; base64url has no such character.
const SEPARATOR: char = '~';

/// Where in a list one is.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(crate) struct Place {
    /// The cursor of this page; `None` on the first.
    pub(crate) cursor: Option<String>,
    /// Those of the pages before, but for the first page, which has none.
    trail: Vec<String>,
}

impl Place {
    /// From an address's parameters `cursor` and `back`.
    pub(crate) fn new(cursor: &str, back: &str) -> Self {
        let cursor = (!cursor.is_empty()).then(|| cursor.to_owned());
        let trail = back.split(SEPARATOR).filter(|cursor| !cursor.is_empty()).map(str::to_owned);
        Self { cursor, trail: trail.collect() }
    }

    fn after(&self, next: &str) -> Self {
        let mut trail = self.trail.clone();
        trail.extend(self.cursor.clone());
        trail.drain(..trail.len().saturating_sub(MAX_TRAIL));
        Self { cursor: Some(next.to_owned()), trail }
    }

    fn before(&self) -> Option<Self> {
        self.cursor.as_ref()?;
        let mut trail = self.trail.clone();
        let cursor = trail.pop();
        Some(Self { cursor, trail })
    }
}

/// The links below a list.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Paging {
    /// The page before.
    pub(crate) back: Option<String>,
    /// The page after.
    pub(crate) next: Option<String>,
}

impl Paging {
    /// The links of the list at `path` with these filters; `next` is the main server's cursor.
    pub(crate) fn new(path: &str, filters: &[(&str, &str)], place: &Place, next: Option<&str>) -> Self {
        let link = |place: &Place| address(path, filters, place);
        Self { back: place.before().as_ref().map(link), next: next.map(|next| link(&place.after(next))) }
    }

    /// The first page of the list at `path` with these filters.
    pub(crate) fn address(path: &str, filters: &[(&str, &str)]) -> String {
        address(path, filters, &Place::default())
    }
}

fn address(path: &str, filters: &[(&str, &str)], place: &Place) -> String {
    let mut query = form_urlencoded::Serializer::new(String::new());
    query.extend_pairs(filters.iter().filter(|(_, value)| !value.is_empty()));
    query.extend_pairs(place.cursor.iter().map(|cursor| ("cursor", cursor)));
    if !place.trail.is_empty() {
        query.append_pair("back", &place.trail.join(&SEPARATOR.to_string()));
    }
    let query = query.finish();
    if query.is_empty() { path.to_owned() } else { format!("{path}?{query}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(address: &str) -> Place {
        let query = address.split_once('?').map(|(_, query)| query).unwrap_or_default();
        let of = |name: &str| {
            let found = form_urlencoded::parse(query.as_bytes()).find(|(key, _)| key == name);
            found.map(|(_, value)| value.into_owned()).unwrap_or_default()
        };
        Place::new(&of("cursor"), &of("back"))
    }

    #[test]
    fn the_way_back_leads_through_the_same_pages() {
        let filters = [("status", "failed"), ("topic", "")];
        let page = |place: &Place, next| Paging::new("/messages", &filters, place, next);
        let first = Place::default();
        assert_eq!(page(&first, None), Paging { back: None, next: None });
        let second = place(&page(&first, Some("c1")).next.expect("a next page"));
        let third_address = page(&second, Some("c2")).next.expect("a next page");
        assert_eq!(third_address, "/messages?status=failed&cursor=c2&back=c1");
        let third = place(&third_address);
        assert_eq!(place(&page(&third, None).back.expect("a page before")), second);
        assert_eq!(page(&second, None).back.as_deref(), Some("/messages?status=failed"));
    }

    #[test]
    fn the_trail_is_bounded() {
        let mut at = Place::default();
        for page in 0..100 {
            at = at.after(&format!("c{page}"));
        }
        assert_eq!((at.trail.len(), at.cursor.as_deref()), (MAX_TRAIL, Some("c99")));
    }
}
