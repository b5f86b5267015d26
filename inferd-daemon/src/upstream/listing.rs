//! What one server offers: pages enter as they come, a list within limits leaves. A value; who fetches pages is elsewhere.
//!
//! Invariants:
//! - No list is longer than [`ENTRIES_MAX`], comes in more than [`PAGES_MAX`] pages or holds more than [`LIST_BYTES_MAX`].
//! - What cannot be offered is left out and said to be; the rest is offered.

use std::collections::HashSet;
use std::sync::Arc;

use serde_json::{Map, Value, json};

use super::session::{Fault, List, Session};

/// The most pages of one list.
pub(super) const PAGES_MAX: usize = 64;
/// The most entries of one list.
pub(super) const ENTRIES_MAX: usize = 1024;
/// The most bytes of one list, as JSON.
const LIST_BYTES_MAX: usize = 16 * 1024 * 1024;
/// The longest name or URI, in bytes.
const NAME_BYTES_MAX: usize = 1024;
/// The most things that are said of one list.
const REMARKS_MAX: usize = 8;
/// The most characters of a name that are shown in one.
const SHOWN_CHARS_MAX: usize = 80;

/// An entry of a list as its server gave it; see [`key_of`].
pub(super) type Entry = Arc<Map<String, Value>>;

/// What a server offers.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Listing {
    pub(super) tools: Vec<Entry>,
    pub(super) resources: Vec<Entry>,
    pub(super) templates: Vec<Entry>,
    pub(super) prompts: Vec<Entry>,
    /// What was left out, and why.
    pub(super) remarks: Vec<String>,
}

impl Listing {
    /// All that `session` offers.
    pub(super) async fn fetch(session: &dyn Session) -> Result<Self, Fault> {
        let mut listing = Self::default();
        for list in List::ALL {
            if !session.has(list) {
                continue;
            }
            let mut gathered = Gathered::new(list);
            let mut cursor = None;
            loop {
                let page = match session.page(list, cursor.take()).await {
                    Ok(page) => page,
                    // Many offer resources and know of no templates.
                    Err(Fault::Refused { .. }) if list == List::Templates => break,
                    Err(Fault::Refused { message, .. }) => {
                        gathered.remarks.add(format!("{}: it refused to list them: {message}", list.key()));
                        break;
                    }
                    Err(fault @ Fault::Lost(_)) => return Err(fault),
                };
                match gathered.page(page) {
                    Some(next) => cursor = Some(next),
                    None => break,
                }
            }
            listing.take(gathered);
        }
        Ok(listing)
    }

    fn take(&mut self, gathered: Gathered) {
        let Gathered { list, mut entries, remarks, .. } = gathered;
        entries.sort_by(|a, b| key_of(list, a).cmp(&key_of(list, b)));
        self.remarks.extend(remarks.shown);
        *match list {
            List::Tools => &mut self.tools,
            List::Resources => &mut self.resources,
            List::Templates => &mut self.templates,
            List::Prompts => &mut self.prompts,
        } = entries;
    }
}

/// What an entry of a list is known by at its server.
pub(super) fn key_of(list: List, entry: &Map<String, Value>) -> Option<&str> {
    let key = match list {
        List::Tools | List::Prompts => "name",
        List::Resources => "uri",
        List::Templates => "uriTemplate",
    };
    entry.get(key)?.as_str()
}

/// The pages of one list so far.
struct Gathered {
    list: List,
    entries: Vec<Entry>,
    names: HashSet<String>,
    pages: usize,
    bytes: usize,
    cursor: Option<String>,
    remarks: Remarks,
}

impl Gathered {
    fn new(list: List) -> Self {
        let (entries, names, remarks) = (Vec::new(), HashSet::new(), Remarks::default());
        Self { list, entries, names, pages: 0, bytes: 0, cursor: None, remarks }
    }

    /// Takes a page; where the next one is, if it is wanted.
    fn page(&mut self, mut page: Value) -> Option<String> {
        self.pages += 1;
        let what = self.list.key();
        let Some(Value::Array(entries)) = page.get_mut(what).map(Value::take) else {
            self.remarks.add(format!("{what}: a page without a list"));
            return None;
        };
        for entry in entries {
            if self.entries.len() == ENTRIES_MAX {
                self.remarks.add(format!("{what}: only the first {ENTRIES_MAX} are offered"));
                return None;
            }
            if self.bytes > LIST_BYTES_MAX {
                self.remarks.add(format!("{what}: only the first {LIST_BYTES_MAX} bytes are offered"));
                return None;
            }
            if let Err(remark) = self.entry(entry) {
                self.remarks.add(format!("{what}: {remark}"));
            }
        }
        let next = page.get("nextCursor")?.as_str()?.to_owned();
        if self.pages == PAGES_MAX {
            self.remarks.add(format!("{what}: only the first {PAGES_MAX} pages are offered"));
            return None;
        }
        if self.cursor.as_ref() == Some(&next) {
            self.remarks.add(format!("{what}: a page that leads back to itself"));
            return None;
        }
        self.cursor = Some(next.clone());
        Some(next)
    }

    fn entry(&mut self, entry: Value) -> Result<(), String> {
        let Value::Object(mut entry) = entry else { return Err("an entry that is no object".to_owned()) };
        let name = key_of(self.list, &entry).filter(|name| !name.is_empty()).map(str::to_owned);
        let Some(name) = name else { return Err("an entry without a name".to_owned()) };
        let shown = shown(&name);
        if name.len() > NAME_BYTES_MAX {
            return Err(format!("{shown}: its name exceeds {NAME_BYTES_MAX} bytes"));
        }
        if self.names.contains(&name) {
            return Err(format!("{shown}: named twice"));
        }
        if self.list == List::Tools {
            check_schema(&mut entry).map_err(|reason| format!("{shown}: {reason}"))?;
        }
        self.bytes += serde_json::to_vec(&entry).map_or(0, |json| json.len());
        self.names.insert(name);
        self.entries.push(Arc::new(entry));
        Ok(())
    }
}

/// A schema of arguments is one of an object; where it does not say of what it is one, it is made to.
fn check_schema(tool: &mut Map<String, Value>) -> Result<(), &'static str> {
    match tool.get_mut("inputSchema") {
        Some(Value::Object(schema)) => match schema.get("type") {
            None => {
                schema.insert("type".to_owned(), json!("object"));
                Ok(())
            }
            Some(Value::String(kind)) if kind == "object" => Ok(()),
            Some(_) => Err("its input schema is not that of an object"),
        },
        Some(_) => Err("its input schema is not an object"),
        None => Err("it has no input schema"),
    }
}

/// A name as it may stand in a message.
fn shown(name: &str) -> String {
    let cut: String = name.chars().take(SHOWN_CHARS_MAX).collect();
    format!("{cut:?}")
}

/// What there is to say, up to a limit.
#[derive(Default)]
struct Remarks {
    shown: Vec<String>,
}

impl Remarks {
    fn add(&mut self, remark: String) {
        match self.shown.len() {
            ..REMARKS_MAX => self.shown.push(remark),
            REMARKS_MAX => self.shown.push("and more".to_owned()),
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests;
