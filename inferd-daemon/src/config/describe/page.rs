//! Lines of TOML, and what they set.

use std::collections::BTreeMap;
use std::time::Duration;

use toml::Value;

/// A page being written.
#[derive(Default)]
pub(super) struct Page {
    pub(super) text: String,
    /// What each key was set to, under its section's heading. Of a list of tables only the last is known.
    pub(super) settings: BTreeMap<String, String>,
    heading: String,
}

impl Page {
    pub(super) fn line(&mut self, key: &str, value: impl Into<Value>) {
        self.set(key, value.into().to_string());
    }

    pub(super) fn text(&mut self, key: &str, value: impl AsRef<str>) {
        self.line(key, value.as_ref());
    }

    pub(super) fn whole(&mut self, key: &str, value: impl TryInto<i64>) {
        self.line(key, value.try_into().unwrap_or(i64::MAX));
    }

    pub(super) fn seconds(&mut self, key: &str, span: Duration) {
        self.set(key, span.as_secs_f64().to_string());
    }

    pub(super) fn heading(&mut self, heading: &str) {
        self.blank();
        self.push(heading);
        heading.clone_into(&mut self.heading);
    }

    pub(super) fn note(&mut self, note: &str) {
        self.push(&format!("# {note}"));
    }

    pub(super) fn blank(&mut self) {
        self.push("");
    }

    fn set(&mut self, key: &str, value: String) {
        self.push(&format!("{key} = {value}"));
        let place = if self.heading.is_empty() { key.to_owned() } else { format!("{} {key}", self.heading) };
        self.settings.insert(place, value);
    }

    fn push(&mut self, line: &str) {
        self.text.push_str(line);
        self.text.push('\n');
    }
}
