//! Lists of models, whichever way a server writes them.

use std::collections::HashSet;

/// The most bytes of a list, or of one page of it.
pub(crate) const LIST_BYTES_MAX: usize = 8 * 1024 * 1024;

/// The names in their order, each once.
pub(crate) fn each_once(models: impl IntoIterator<Item = String>) -> Vec<String> {
    let mut seen = HashSet::new();
    models.into_iter().filter(|model| seen.insert(model.clone())).collect()
}
