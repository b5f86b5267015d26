//! Names under one roof: a server's id and its own name for something enter, a name that is unique leaves.
//!
//! Invariants:
//! - A name is looked up and never taken apart; only the URIs of resources, which a template may make, say whose they are.
//! - The spelling for MCP clients and models matches `[A-Za-z0-9_-]{1,64}`. Where two could be spelt alike, each carries a
//!   hash of its canonical name.

use inferd_engine::tools::portable_name;

const SCHEME: &str = "inferd+server://";

/// The name of a server's tool or prompt in the library, on the wire of the daemon, and for people.
pub(super) fn canonical(server: &str, own: &str) -> String {
    format!("{server}::{own}")
}

/// The name of a server's tool or prompt for MCP clients and models, the same as the library gives it.
pub(super) fn spelling(server: &str, own: &str) -> String {
    portable_name(&canonical(server, own))
}

/// The URI of a server's resource, or of a template of such.
pub(crate) fn resource(server: &str, own: &str) -> String {
    format!("{SCHEME}{server}/{own}")
}

/// Whose resource `uri` is, and its own URI there.
pub(super) fn parse_resource(uri: &str) -> Option<(&str, &str)> {
    uri.strip_prefix(SCHEME)?.split_once('/')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_name_that_is_valid_and_clear_is_spelt_as_it_is() {
        assert_eq!(canonical("files", "read_file"), "files::read_file");
        assert_eq!(spelling("files", "read_file"), "files__read_file");
        assert_eq!(spelling("a-b_c", "x-1"), "a-b_c__x-1");
        assert_eq!(spelling("a", &"b".repeat(61)).len(), 64);
    }

    #[test]
    fn any_other_name_is_made_valid_and_tells_itself_apart_by_a_hash() {
        let name = spelling("files", "read file");
        assert!(name.starts_with("files__read_file_") && name.len() > "files__read_file_".len(), "{name}");
        assert_eq!(spelling("a", &"b".repeat(62)).len(), 64);
        assert_ne!(spelling("files", "read file"), spelling("files", "read/file"));
        assert_ne!(spelling("a", "_b"), spelling("a_", "b"));
    }

    #[test]
    fn a_resource_says_whose_it_is() {
        let uri = resource("files", "file:///home/me/a b?x#y");
        assert_eq!(uri, "inferd+server://files/file:///home/me/a b?x#y");
        assert_eq!(parse_resource(&uri), Some(("files", "file:///home/me/a b?x#y")));
        assert_eq!(parse_resource("file:///etc/passwd"), None);
        assert_eq!(parse_resource("inferd+server://files"), None);
    }

    fn id() -> impl Strategy<Value = String> {
        "[a-z0-9][a-z0-9_-]{0,31}".prop_filter("no `__`", |id| !id.contains("__"))
    }

    proptest! {
        #[test]
        fn every_spelling_is_valid(server in id(), own in ".{1,100}") {
            let name = spelling(&server, &own);
            prop_assert!(name.len() <= 64, "{name}");
            prop_assert!(name.chars().all(|c| c.is_ascii_alphanumeric() || "_-".contains(c)), "{name}");
        }

        #[test]
        fn no_two_tools_are_spelt_alike(a in id(), x in "[ab_ /-]{1,6}", b in id(), y in "[ab_ /-]{1,6}") {
            prop_assume!((&a, &x) != (&b, &y));
            prop_assert_ne!(spelling(&a, &x), spelling(&b, &y));
        }
    }
}
