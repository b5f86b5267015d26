//! The requests that one frame answers: vectors, and what there is to be had.

use inferd_proto::Embeddings;
use serde::Deserialize;

use super::exchange::{Heard, Talk};
use super::frame::{Frame, Kind};
use super::link::Broken;
use crate::Embedded;
use crate::remote::{checked, each_once};

/// Waits for vectors, one for each of so many texts.
pub(super) struct Vectors {
    pub(super) texts: usize,
}

impl Talk for Vectors {
    type Said = Embedded;

    fn hear(&mut self, frame: Frame<'_>, line: &[u8]) -> Result<Heard<Embedded>, Broken> {
        if frame.kind() != Kind::Embeddings {
            return Err(frame.misplaced());
        }
        let Embeddings { embeddings, model, usage, .. } = serde_json::from_slice(line)?;
        let vectors = checked(embeddings, self.texts);
        Ok(Heard::Last(vectors.map(|embeddings| Embedded { embeddings, model, usage })))
    }
}

/// What matters of a `hello`.
#[derive(Deserialize)]
struct Served {
    models: Vec<Model>,
}

#[derive(Deserialize)]
struct Model {
    name: String,
}

/// Waits for the names of models.
pub(super) struct Models;

impl Talk for Models {
    type Said = Vec<String>;

    fn hear(&mut self, frame: Frame<'_>, line: &[u8]) -> Result<Heard<Vec<String>>, Broken> {
        if frame.kind() != Kind::Hello {
            return Err(frame.misplaced());
        }
        let Served { models } = serde_json::from_slice(line)?;
        Ok(Heard::Last(Ok(each_once(models.into_iter().map(|model| model.name)))))
    }
}
