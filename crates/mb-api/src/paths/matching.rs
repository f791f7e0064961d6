//! Which route a path is of, and the path of a route for an id.

use std::fmt;

/// Whether `path` is one of `route`'s: equal segment by segment, where `{name}` stands for any one segment and a last
/// `{*name}` for any rest.
pub fn matches(route: &str, path: &str) -> bool {
    if !route.contains('{') {
        return route == path;
    }
    let mut actual = path.split('/');
    for expected in route.split('/') {
        if expected.starts_with("{*") {
            return actual.next().is_some_and(|rest| !rest.is_empty());
        }
        match actual.next() {
            Some(segment) if expected == segment || (expected.starts_with('{') && !segment.is_empty()) => {}
            _ => return false,
        }
    }
    actual.next().is_none()
}

/// The path of `route` with `id` for its placeholder. Ids, names and session ids need no escaping.
pub fn with_id(route: &str, id: &impl fmt::Display) -> String {
    match (route.find('{'), route.find('}')) {
        (Some(open), Some(close)) => format!("{}{id}{}", &route[..open], &route[close + 1..]),
        _ => route.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::paths::{MESSAGE, MESSAGES, MESSAGES_BATCH, MESSAGES_STATUS, PROXY, SERVER, USER_ROLE};

    #[test]
    fn placeholders_stand_for_exactly_one_segment() {
        assert!(matches(MESSAGES, "/api/v1/messages"));
        assert!(!matches(MESSAGES, "/api/v1/messages/"));
        assert!(matches(MESSAGE, "/api/v1/messages/018f"));
        assert!(!matches(MESSAGE, "/api/v1/messages/"));
        assert!(!matches(MESSAGE, "/api/v1/messages/018f/more"));
        assert!(matches("/static/{*file}", "/static/css/site.css"));
        assert!(!matches("/static/{*file}", "/static/"));
    }

    #[test]
    fn the_proxys_submit_routes_are_found_before_their_lookalike() {
        let first = |path| PROXY.iter().find(|route| matches(route, path)).copied();
        assert_eq!(first("/api/v1/messages/batch"), Some(MESSAGES_BATCH));
        assert_eq!(first("/api/v1/messages/status"), Some(MESSAGES_STATUS));
        assert_eq!(first("/api/v1/messages/x"), Some(MESSAGE));
    }

    #[test]
    fn every_route_of_the_main_server_is_found_by_a_path_of_its_own() {
        assert_eq!(SERVER.iter().collect::<BTreeSet<_>>().len(), SERVER.len());
        for route in SERVER {
            let path = with_id(route, &"x-1");
            assert!(!path.contains('{'), "{path}");
            let first = SERVER.iter().find(|other| matches(other, &path));
            assert_eq!(first, Some(route), "{path}");
        }
        assert_eq!(with_id(USER_ROLE, &7), "/admin/users/7/role");
    }
}
