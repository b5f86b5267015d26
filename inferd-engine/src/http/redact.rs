//! Makes text from a server fit to be shown: short, and without anything that looks like a key.

use secrecy::{ExposeSecret, SecretString};

/// The most characters of such a text.
const SHOWN_CHARS_MAX: usize = 500;
/// From this length on a run of letters and digits is taken for a secret.
const SECRET_CHARS_MIN: usize = 32;

/// Knows the key of one backend, so as not to show it.
#[derive(Default)]
pub(crate) struct Redactor {
    key: Option<SecretString>,
}

impl Redactor {
    pub(crate) fn new(key: Option<SecretString>) -> Self {
        Self { key }
    }

    /// `text` on one line, with `…` for the configured key, `sk-…` keys, what follows `Bearer`, and runs of 32 or
    /// more characters as base64 and hex have them, cut to 500 characters.
    pub(crate) fn shown(&self, text: &str) -> String {
        match self.key.as_ref().map(ExposeSecret::expose_secret) {
            Some(key) if !key.is_empty() => shown(&text.replace(key, "…")),
            Some(_) | None => shown(text),
        }
    }
}

fn shown(text: &str) -> String {
    let mut shown = String::new();
    let mut rest = text.trim();
    let mut after_bearer = false;
    while let Some(first) = rest.chars().next() {
        let is_word = is_key_char(first);
        let end = if after_bearer && is_word {
            rest.find(|c: char| c.is_whitespace() || matches!(c, '"' | '\'' | ','))
        } else {
            rest.find(|c| is_key_char(c) != is_word)
        };
        let (run, after) = rest.split_at(end.unwrap_or(rest.len()));
        rest = after;
        if !is_word {
            after_bearer &= run.trim().is_empty();
            shown.extend(run.chars().map(|c| if c.is_control() { ' ' } else { c }));
        } else if after_bearer || is_secret(run) {
            after_bearer = false;
            shown.push('…');
        } else {
            after_bearer = run.eq_ignore_ascii_case("bearer");
            shown.push_str(run);
        }
    }
    if let Some((end, _)) = shown.char_indices().nth(SHOWN_CHARS_MAX) {
        shown.truncate(end);
    }
    shown
}

fn is_key_char(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '+' | '/' | '=' | '_' | '-')
}

fn is_secret(run: &str) -> bool {
    run.len() >= SECRET_CHARS_MIN || run.starts_with("sk-")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, shown: &str) {
        assert_eq!(Redactor::new(Some("my.own key".into())).shown(text), shown);
    }

    #[test]
    fn what_looks_like_a_key_is_not_shown() {
        check("bad key sk-abc123", "bad key …");
        check("\"sk-proj-Aa_9\" is wrong", "\"…\" is wrong");
        check("Authorization: bearer abc.def~x was", "Authorization: bearer … was");
        check("got my.own key here", "got … here");
        check("hash 0123456789abcdef0123456789abcdef!", "hash …!");
        check("jwt eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJzdWIiOiIxMjM0NTY3ODkwIiwibmFtZSI6Ikp", "jwt ….…");
    }

    #[test]
    fn everything_else_is_shown_on_one_line() {
        check(" max_tokens: expected ≤ 4096,\n\tgot\u{7}5000 ", "max_tokens: expected ≤ 4096,  got 5000");
        check("the bearer of bad news", "the bearer … bad news");
    }

    #[test]
    fn a_long_text_is_cut_between_characters() {
        let shown = shown(&"é ".repeat(5 << 20));
        assert_eq!(shown.chars().count(), 500);
    }
}
