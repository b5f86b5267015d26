//! One list of what is offered, and where each name leads.

use std::collections::HashMap;

use rmcp::ErrorData;
use rmcp::model::PaginatedRequestParams;

use super::{Described, Offered};
use crate::mcp::size::json_bytes;

/// How many are listed at once.
const PAGE: usize = 1000;

/// How much JSON they may be together, in bytes. One that is more is a page of its own.
const PAGE_BYTES: usize = 1024 * 1024;

/// A list. It never changes: another takes its place.
#[derive(Debug)]
pub(crate) struct Table<D: Described> {
    listed: Vec<Offered<D>>,
    /// What each takes as JSON, in bytes.
    sizes: Vec<usize>,
    by_name: HashMap<String, usize>,
    edition: u64,
}

impl<D: Described> Table<D> {
    /// One of `offered`, in this order. Whose name is given already is left out.
    pub(super) fn of(offered: impl Iterator<Item = Offered<D>>) -> Self {
        let mut table = Self { listed: Vec::new(), sizes: Vec::new(), by_name: HashMap::new(), edition: 0 };
        for offered in offered {
            if let Some(name) = offered.names().find(|name| table.by_name.contains_key(*name)) {
                tracing::warn!(name, "left out of what MCP clients are offered: the name is taken");
                continue;
            }
            let at = table.listed.len();
            table.by_name.extend(offered.names().map(|name| (name.to_owned(), at)));
            table.sizes.push(json_bytes(offered.described()));
            table.listed.push(offered);
        }
        table
    }

    /// The same as what follows `before`: of the next edition, or of the same one if it reads the same.
    pub(super) fn after(self, before: &Self) -> Self {
        let same = self.described().eq(before.described());
        Self { edition: before.edition + u64::from(!same), ..self }
    }

    /// Counts the times that the list has come to read otherwise.
    pub(crate) fn edition(&self) -> u64 {
        self.edition
    }

    /// What goes by this name.
    pub(crate) fn find(&self, name: &str) -> Option<&Offered<D>> {
        self.by_name.get(name).map(|&at| &self.listed[at])
    }

    /// One page of the list, and the cursor of the next. A cursor is the name that its page begins with, so that a list
    /// which is replaced meanwhile is read on at the right place.
    ///
    /// # Errors
    /// The cursor is none, or what it names is not offered any more.
    pub(crate) fn page(
        &self,
        asked: Option<&PaginatedRequestParams>,
    ) -> Result<(Vec<D>, Option<String>), ErrorData> {
        let start = match asked.and_then(|asked| asked.cursor.as_ref()) {
            None => 0,
            Some(cursor) => *self.by_name.get(cursor).ok_or_else(|| {
                ErrorData::invalid_params("the list has no such page: begin with the first", None)
            })?,
        };
        let end = self.end_of_page(start);
        let page = self.listed[start..end].iter().map(|offered| offered.described().clone()).collect();
        Ok((page, self.listed.get(end).map(|next| next.described().key().to_owned())))
    }

    fn end_of_page(&self, start: usize) -> usize {
        let mut bytes = 0;
        let fits = self.sizes[start..].iter().take(PAGE).take_while(|&&size| {
            let is_first = bytes == 0;
            bytes += size;
            is_first || bytes <= PAGE_BYTES
        });
        start + fits.count()
    }

    fn described(&self) -> impl Iterator<Item = &D> {
        self.listed.iter().map(Offered::described)
    }
}
