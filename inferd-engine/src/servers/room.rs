//! A named profile on a server.

/// See the module.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Room {
    /// Its name, unique on the server.
    pub id: String,
    /// Instructions that stand before every conversation in it.
    pub system: Option<String>,
    /// The model or alias that answers, where the request names none.
    pub model: Option<String>,
    /// The tools that may be called in it, as patterns of their full names (`prod::*`, `files::read_*`) in which `*` is
    /// any text. `None`: all of them.
    pub tools: Option<Vec<String>>,
}

impl Room {
    /// A room that restricts nothing.
    #[must_use]
    pub fn new(id: impl Into<String>) -> Self {
        Self { id: id.into(), ..Self::default() }
    }

    /// Whether the tool of this full name may be called in it.
    #[must_use]
    pub fn allows(&self, tool: &str) -> bool {
        self.tools.as_ref().is_none_or(|patterns| patterns.iter().any(|pattern| matches(pattern, tool)))
    }
}

/// Whether `text` is as `pattern` says. The parts between stars are found leftmost first, which finds them if any
/// way does.
fn matches(pattern: &str, text: &str) -> bool {
    let Some((head, rest)) = pattern.split_once('*') else { return pattern == text };
    let Some(mut text) = text.strip_prefix(head) else { return false };
    let (middle, tail) = rest.rsplit_once('*').unwrap_or(("", rest));
    for part in middle.split('*') {
        let Some(at) = text.find(part) else { return false };
        text = &text[at + part.len()..];
    }
    text.ends_with(tail)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_stands_for_any_text() {
        for (pattern, text, holds) in [
            ("prod::*", "prod::weather", true),
            ("prod::*", "prod::", true),
            ("prod::*", "production::x", false),
            ("files::read_*", "files::write", false),
            ("weather", "weather", true),
            ("weather", "weathers", false),
            ("*", "", true),
            ("**", "a::b", true),
            ("*::read_*_all", "files::read_x_all", true),
            ("*::read_*_all", "files::read_all", false),
            ("a*b*b", "ab", false),
            ("a*b*b", "abb", true),
            ("a*a", "a", false),
            ("", "", true),
            ("", "a", false),
            ("ä*ö", "äöö", true),
        ] {
            assert_eq!(matches(pattern, text), holds, "{pattern} {text}");
        }
    }

    #[test]
    fn a_room_without_a_list_allows_everything_and_one_with_an_empty_list_nothing() {
        assert!(Room::new("r").allows("a::b"));
        assert!(!Room { tools: Some(Vec::new()), ..Room::new("r") }.allows("a::b"));
    }
}
