//! Names as models and MCP clients take them: `[A-Za-z0-9_-]{1,64}`.

use super::federated::SEPARATOR;

/// The longest name that models and MCP clients take.
pub const PORTABLE_CHARS_MAX: usize = 64;
/// A hash of 40 bits.
const HASH_CHARS: usize = 10;
const HASH_MASK: u64 = (1 << (4 * HASH_CHARS)) - 1;

/// `name` as a model may have it: `server__tool` for `server::tool`. Where more than that has to change, or it is too
/// long, what is left of it ends in `_` and a hash of all of it. It is the same on every machine and in every version;
/// it is never taken apart again, only looked up.
#[must_use]
pub fn portable_name(name: &str) -> String {
    let joined = name.replacen(SEPARATOR, "__", 1);
    // With an underscore at the joint, another server and another tool could make the same.
    let is_clear = name
        .split_once(SEPARATOR)
        .is_none_or(|(server, tool)| !server.ends_with('_') && !tool.starts_with('_'));
    if is_clear && is_portable(&joined) {
        return joined;
    }
    let plain = joined.chars().map(|c| if is_portable_char(c) { c } else { '_' });
    let short: String = plain.take(PORTABLE_CHARS_MAX - HASH_CHARS - 1).collect();
    format!("{short}_{:0HASH_CHARS$x}", hash(name) & HASH_MASK)
}

fn is_portable(name: &str) -> bool {
    (1..=PORTABLE_CHARS_MAX).contains(&name.len()) && name.chars().all(is_portable_char)
}

fn is_portable_char(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '_' | '-')
}

/// FNV-1a of 64 bits, folded so that its best bits are the ones kept.
fn hash(name: &str) -> u64 {
    let hash = name.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    });
    hash ^ (hash >> 40)
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_plain_name_only_loses_its_colons() {
        assert_eq!(portable_name("prod::get_weather"), "prod__get_weather");
        assert_eq!(portable_name("weather"), "weather");
        let longest = format!("p::{}", "x".repeat(61));
        assert_eq!(portable_name(&longest), longest.replace("::", "__"));
    }

    #[test]
    fn other_names_are_told_apart_by_their_hash() {
        assert_ne!(portable_name("p::_a"), portable_name("p_::a"));
        assert_ne!(portable_name("p::_a"), "p___a");
        let names = ["p::a.b", "p::a b", "p::a/b", "p::a::b", "p::ä", "p::", ""];
        let portable: HashSet<_> = names.iter().map(|name| portable_name(name)).collect();
        assert_eq!(portable.len(), names.len(), "{portable:?}");
        let [one, other] = ["x", "y"].map(|end| portable_name(&format!("p::{}{end}", "a".repeat(300))));
        assert_ne!(one, other);
        assert_eq!(one.len(), PORTABLE_CHARS_MAX);
    }

    #[test]
    fn a_name_stays_the_same_from_version_to_version() {
        assert_eq!(portable_name("p::a.b"), "p__a_b_5b6fad6554");
    }

    proptest! {
        #[test]
        fn every_name_becomes_one_that_models_take(name in ".{0,200}") {
            prop_assert!(is_portable(&portable_name(&name)), "{}", portable_name(&name));
        }
    }
}
