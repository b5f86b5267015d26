//! Names under one roof: a server's id and its own name for something enter, a name that is unique leaves.
//!
//! Invariants:
//! - A name is looked up and never taken apart; only the URIs of resources, which a template may make, say whose they are.
//! - The spelling for MCP clients and models matches `[A-Za-z0-9_-]{1,64}`. Where two could be spelt alike, each carries a
//!   hash of its canonical name.

use sha2::{Digest, Sha256};

/// The longest name that MCP clients and model APIs take, in bytes.
const SPELLING_BYTES_MAX: usize = 64;

/// Bytes of the hash of a name, each written as two hex digits.
const HASH_BYTES: usize = 6;

const SCHEME: &str = "inferd+server://";

/// The name of a server's tool or prompt in the library, on the wire of the daemon, and for people.
pub(super) fn canonical(server: &str, own: &str) -> String {
    format!("{server}::{own}")
}

/// The name of a server's tool or prompt for MCP clients and models.
pub(super) fn spelling(server: &str, own: &str) -> String {
    let is_valid = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    // With an underscore at the joint, another server and another name could make the same.
    let is_plain = own.chars().all(is_valid)
        && !own.starts_with('_')
        && !server.ends_with('_')
        && server.len() + 2 + own.len() <= SPELLING_BYTES_MAX;
    if is_plain {
        return format!("{server}__{own}");
    }
    let digest = Sha256::digest(canonical(server, own));
    let hash: String = digest[..HASH_BYTES].iter().map(|byte| format!("{byte:02x}")).collect();
    let mut name: String =
        format!("{server}__{own}").chars().map(|c| if is_valid(c) { c } else { '_' }).collect();
    name.truncate(SPELLING_BYTES_MAX - 1 - hash.len());
    format!("{name}_{hash}")
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
        insta::assert_snapshot!(spelling("files", "read file"), @"files__read_file_8be139393700");
        insta::assert_snapshot!(spelling("a", &"b".repeat(62)), @"a__bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb_e317d737040e");
        insta::assert_snapshot!(spelling("world", "grüße"), @"world__gr__e_b8f8d1116859");
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
