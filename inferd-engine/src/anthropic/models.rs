//! `/v1/models`: the names an engine answers to, page by page.

use std::fmt::Write as _;

use serde::Deserialize;

use super::Anthropic;
use crate::GenerateError;
use crate::remote::{LIST_BYTES_MAX, each_once};

/// The most pages that are asked for, of as many models as the API gives at once.
const PAGES_MAX: usize = 10;
const FIRST_PAGE: &str = "/models?limit=1000";

#[derive(Deserialize)]
struct Page {
    data: Vec<Model>,
    has_more: Option<bool>,
    last_id: Option<String>,
}

#[derive(Deserialize)]
struct Model {
    id: String,
}

impl Anthropic {
    /// The names, in the server's order, each once.
    pub(super) async fn list_models(&self) -> Result<Vec<String>, GenerateError> {
        let mut models = Vec::new();
        let mut last = None;
        for _ in 0..PAGES_MAX {
            let path = last.as_deref().map_or_else(|| FIRST_PAGE.to_owned(), page_after);
            let target =
                self.remote.target(&path).map_err(|error| GenerateError::Internal(error.to_string()))?;
            let page: Page = self.remote.get(&target, LIST_BYTES_MAX, "the list of models is").await?;
            models.extend(page.data.into_iter().map(|model| model.id));
            match page.last_id {
                // A page that leads to itself would lead there for ever.
                Some(id) if page.has_more == Some(true) && last.as_ref() != Some(&id) => last = Some(id),
                Some(_) | None => break,
            }
        }
        Ok(each_once(models))
    }
}

/// The path of the page that follows the model `id`.
fn page_after(id: &str) -> String {
    let mut path = format!("{FIRST_PAGE}&after_id=");
    for byte in id.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            path.push(char::from(byte));
        } else {
            // Writing to a string cannot fail.
            write!(path, "%{byte:02X}").ok();
        }
    }
    path
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_of_any_characters_can_be_asked_after() {
        assert_eq!(page_after("claude-x.5"), "/models?limit=1000&after_id=claude-x.5");
        assert_eq!(page_after("a/b:c&d é"), "/models?limit=1000&after_id=a%2Fb%3Ac%26d%20%C3%A9");
    }
}
