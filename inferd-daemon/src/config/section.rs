//! One table of the file, read key by key: a TOML table enters, values of the right type and range leave.
//!
//! Invariants:
//! - Every error names its line, section and key.
//! - Unknown keys are found before anything else is said of a section.

use std::collections::BTreeMap;
use std::ops::{Range, RangeInclusive};
use std::time::Duration;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::error::{ConfigError, Hint, Place};
use super::shape::{ALL, Shape};

/// The longest span of time a key may ask for, in seconds: a year, far below what a clock overflows at.
pub(super) const SECONDS_MAX: f64 = 31_536_000.0;

/// A table of the file and where it stands.
#[derive(Clone, Copy)]
pub(super) struct Section<'a> {
    shape: &'static Shape,
    text: &'a str,
    start: usize,
    table: &'a DeTable<'a>,
}

impl<'a> Section<'a> {
    /// The file itself. Refuses keys it does not know.
    pub(super) fn top(
        shape: &'static Shape,
        text: &'a str,
        table: &'a DeTable<'a>,
    ) -> Result<Self, ConfigError> {
        Self { shape, text, start: 0, table }.checked()
    }

    fn checked(self) -> Result<Self, ConfigError> {
        let unknown = self.table.keys().filter(|key| !self.shape.keys.contains(&key.get_ref().as_ref()));
        match unknown.min_by_key(|key| key.span().start) {
            None => Ok(self),
            Some(key) => Err(self.unknown(key.get_ref(), key.span())),
        }
    }

    fn unknown(&self, key: &str, span: Range<usize>) -> ConfigError {
        let line = line_of(self.text, span.start);
        let place = Place { section: self.shape.heading, key: key.to_owned() };
        if key == "api_key" {
            let reason = "a key never stands in this file: name the variable that holds it with `api_key_env`, \
                          or the file with `api_key_file` (in [listen]: `api_keys_file`)";
            return ConfigError::Value { line, place, reason: reason.to_owned() };
        }
        ConfigError::UnknownKey { line, place, hint: hint(key, self.shape) }
    }

    /// What is wrong with the value of `key`, or with the section for not having it.
    pub(super) fn wrong(&self, key: &str, reason: impl Into<String>) -> ConfigError {
        let start = self.table.get_key_value(key).map_or(self.start, |(key, _)| key.span().start);
        let place = Place { section: self.shape.heading, key: key.to_owned() };
        ConfigError::Value { line: line_of(self.text, start), place, reason: reason.into() }
    }

    pub(super) fn has(&self, key: &str) -> bool {
        self.table.contains_key(key)
    }

    /// The table under `key`.
    pub(super) fn child(&self, key: &str, shape: &'static Shape) -> Result<Option<Self>, ConfigError> {
        let Some(value) = self.table.get(key) else { return Ok(None) };
        self.section_of(key, value, shape).map(Some)
    }

    /// The list of tables under `key`.
    pub(super) fn children(&self, key: &str, shape: &'static Shape) -> Result<Vec<Self>, ConfigError> {
        let Some(value) = self.table.get(key) else { return Ok(Vec::new()) };
        match value.get_ref() {
            DeValue::Array(items) => items.iter().map(|item| self.section_of(key, item, shape)).collect(),
            _ => Err(self.wrong(key, format!("expected a list of tables, each headed {}", shape.heading))),
        }
    }

    fn section_of(
        &self,
        key: &str,
        value: &'a Spanned<DeValue<'a>>,
        shape: &'static Shape,
    ) -> Result<Self, ConfigError> {
        match value.get_ref() {
            DeValue::Table(table) => {
                Self { shape, text: self.text, start: value.span().start, table }.checked()
            }
            other => Err(self.wrong(key, expected("a table", other))),
        }
    }

    /// The names and texts of the table under `key`.
    pub(super) fn names(&self, key: &str) -> Result<Option<BTreeMap<String, String>>, ConfigError> {
        match self.table.get(key).map(Spanned::get_ref) {
            None => Ok(None),
            Some(DeValue::Table(table)) => table
                .iter()
                .map(|(name, value)| match value.get_ref() {
                    DeValue::String(text) => Ok((name.get_ref().to_string(), text.to_string())),
                    other => Err(self.wrong(key, expected("names and strings", other))),
                })
                .collect::<Result<_, _>>()
                .map(Some),
            Some(other) => Err(self.wrong(key, expected("a table", other))),
        }
    }

    /// The text under `key`, never empty.
    pub(super) fn text(&self, key: &str) -> Result<Option<String>, ConfigError> {
        match self.table.get(key).map(Spanned::get_ref) {
            None => Ok(None),
            Some(DeValue::String(text)) if text.trim().is_empty() => {
                Err(self.wrong(key, "expected a string that is not empty"))
            }
            Some(DeValue::String(text)) => Ok(Some(text.to_string())),
            Some(other) => Err(self.wrong(key, expected("a string", other))),
        }
    }

    /// The list of texts under `key`.
    pub(super) fn texts(&self, key: &str) -> Result<Option<Vec<String>>, ConfigError> {
        match self.table.get(key).map(Spanned::get_ref) {
            None => Ok(None),
            Some(DeValue::Array(items)) => items
                .iter()
                .map(|item| match item.get_ref() {
                    DeValue::String(text) => Ok(text.to_string()),
                    other => Err(self.wrong(key, expected("a list of strings", other))),
                })
                .collect::<Result<_, _>>()
                .map(Some),
            Some(other) => Err(self.wrong(key, expected("a list of strings", other))),
        }
    }

    /// Yes or no, under `key`.
    pub(super) fn flag(&self, key: &str) -> Result<Option<bool>, ConfigError> {
        match self.table.get(key).map(Spanned::get_ref) {
            None => Ok(None),
            Some(DeValue::Boolean(flag)) => Ok(Some(*flag)),
            Some(other) => Err(self.wrong(key, expected("true or false", other))),
        }
    }

    /// Whether there is a whole number under `key`.
    pub(super) fn holds_whole(&self, key: &str) -> bool {
        matches!(self.table.get(key).map(Spanned::get_ref), Some(DeValue::Integer(_)))
    }

    /// The whole number under `key`.
    pub(super) fn whole<T: TryFrom<i64>>(
        &self,
        key: &str,
        range: RangeInclusive<i64>,
    ) -> Result<Option<T>, ConfigError> {
        let Some(value) = self.table.get(key).map(Spanned::get_ref) else { return Ok(None) };
        let span = format!("a whole number from {} to {}", range.start(), range.end());
        let DeValue::Integer(digits) = value else { return Err(self.wrong(key, expected(&span, value))) };
        i64::from_str_radix(digits.as_str(), digits.radix())
            .ok()
            .filter(|number| range.contains(number))
            .and_then(|number| T::try_from(number).ok())
            .map(Some)
            .ok_or_else(|| self.wrong(key, format!("expected {span}, got {digits}")))
    }

    /// The number under `key`.
    pub(super) fn number(&self, key: &str) -> Result<Option<f64>, ConfigError> {
        let Some(value) = self.table.get(key).map(Spanned::get_ref) else { return Ok(None) };
        let digits = match value {
            DeValue::Integer(number) if number.radix() == 10 => number.as_str(),
            DeValue::Float(number) => number.as_str(),
            other => return Err(self.wrong(key, expected("a number", other))),
        };
        let number =
            digits.parse().map_err(|_| self.wrong(key, format!("expected a number, got {digits}")))?;
        Ok(Some(number))
    }

    /// The seconds under `key`, more than none.
    pub(super) fn seconds(&self, key: &str) -> Result<Option<Duration>, ConfigError> {
        match self.seconds_or_none(key)? {
            Some(Duration::ZERO) => Err(self.wrong(key, "expected more than 0 seconds")),
            seconds => Ok(seconds),
        }
    }

    /// The seconds under `key`, where 0 makes sense too.
    pub(super) fn seconds_or_none(&self, key: &str) -> Result<Option<Duration>, ConfigError> {
        let Some(value) = self.table.get(key).map(Spanned::get_ref) else { return Ok(None) };
        let digits = match value {
            DeValue::Integer(number) if number.radix() == 10 => number.as_str(),
            DeValue::Float(number) => number.as_str(),
            other => return Err(self.wrong(key, expected("a number of seconds", other))),
        };
        digits
            .parse()
            .ok()
            .filter(|seconds| (0.0..=SECONDS_MAX).contains(seconds))
            .map(|seconds| Some(Duration::from_secs_f64(seconds)))
            .ok_or_else(|| self.wrong(key, format!("expected 0 to {SECONDS_MAX} seconds, got {digits}")))
    }
}

/// The line `offset` is on, counted from 1.
pub(crate) fn line_of(text: &str, offset: usize) -> usize {
    text.bytes().take(offset).filter(|&byte| byte == b'\n').count() + 1
}

fn expected(what: &str, got: &DeValue<'_>) -> String {
    format!("expected {what}, got {}", got.type_str())
}

fn hint(key: &str, shape: &Shape) -> Hint {
    if let Some(other) = ALL.iter().find(|other| other.keys.contains(&key)) {
        return Hint::Section(other.heading);
    }
    let nearest = shape.keys.iter().map(|&known| (distance(key, known), known)).min();
    match nearest {
        Some((distance, known)) if distance < key.len() && distance <= 2.max(known.len() / 3) => {
            Hint::Nearest(known)
        }
        _ => Hint::OneOf(shape.keys),
    }
}

/// Letters to add, drop or change to make `b` of `a` (Levenshtein).
fn distance(a: &str, b: &str) -> usize {
    let mut row: Vec<usize> = (0..=b.chars().count()).collect();
    for (i, x) in a.chars().enumerate() {
        let mut diagonal = std::mem::replace(&mut row[0], i + 1);
        for (j, y) in b.chars().enumerate() {
            let changed = diagonal + usize::from(x != y);
            diagonal = row[j + 1];
            row[j + 1] = changed.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[b.chars().count()]
}
