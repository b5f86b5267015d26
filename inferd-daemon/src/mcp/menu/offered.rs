//! One thing that is offered: what is said of it, and what runs it.

use std::fmt;
use std::future::Future;
use std::sync::Arc;

use futures_util::future::BoxFuture;
use rmcp::ErrorData;
use rmcp::model::{
    CallToolResponse, GetPromptResponse, InputResponses, JsonObject, Prompt, ReadResourceResponse, Resource,
    ResourceTemplate, Tool,
};
use serde::Serialize;

use crate::mcp::handler::Caller;

/// What clients are told of something that is offered.
pub(crate) trait Described: Clone + PartialEq + fmt::Debug + Serialize {
    /// What asking for it leads to.
    type Answer;

    /// What it is listed under.
    fn key(&self) -> &str;
}

impl Described for Tool {
    type Answer = CallToolResponse;

    fn key(&self) -> &str {
        &self.name
    }
}

impl Described for Resource {
    type Answer = ReadResourceResponse;

    fn key(&self) -> &str {
        &self.uri
    }
}

impl Described for ResourceTemplate {
    type Answer = ReadResourceResponse;

    fn key(&self) -> &str {
        &self.uri_template
    }
}

impl Described for Prompt {
    type Answer = GetPromptResponse;

    fn key(&self) -> &str {
        &self.name
    }
}

/// One use of what is offered.
#[derive(Debug)]
pub(crate) struct Call {
    /// By which name or URI it was asked for.
    pub(crate) name: String,
    /// The arguments, as they came. A resource has none.
    pub(crate) arguments: JsonObject,
    /// What was asked of the client when it made this call before, answered.
    pub(crate) answers: Option<InputResponses>,
    /// What it was given then to come back with.
    pub(crate) state: Option<String>,
    /// Whose call it is, and how they are reached while it runs.
    pub(crate) caller: Caller,
}

type Run<D> = dyn Fn(Call) -> BoxFuture<'static, Result<<D as Described>::Answer, ErrorData>> + Send + Sync;

/// Something that is offered. Copies share what runs it.
pub(crate) struct Offered<D: Described> {
    described: D,
    other_names: Vec<String>,
    run: Arc<Run<D>>,
}

impl<D: Described> Offered<D> {
    /// What `described` says, done by `run`, which is dropped where the call is cancelled.
    pub(crate) fn new<R>(described: D, run: impl Fn(Call) -> R + Send + Sync + 'static) -> Self
    where
        R: Future<Output = Result<D::Answer, ErrorData>> + Send + 'static,
    {
        Self { described, other_names: Vec::new(), run: Arc::new(move |call| Box::pin(run(call))) }
    }

    /// The same, found by another name too. It is not listed under it.
    pub(crate) fn also_called(mut self, name: impl Into<String>) -> Self {
        self.other_names.push(name.into());
        self
    }

    /// What clients are told of it.
    pub(crate) fn described(&self) -> &D {
        &self.described
    }

    /// Every name it is found by; the first is the one it is listed under.
    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        std::iter::once(self.described.key()).chain(self.other_names.iter().map(String::as_str))
    }

    /// Runs a call to its answer.
    pub(crate) async fn call(&self, call: Call) -> Result<D::Answer, ErrorData> {
        (self.run)(call).await
    }
}

impl<D: Described> Clone for Offered<D> {
    fn clone(&self) -> Self {
        Self {
            described: self.described.clone(),
            other_names: self.other_names.clone(),
            run: Arc::clone(&self.run),
        }
    }
}

impl<D: Described> fmt::Debug for Offered<D> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Offered").field("described", &self.described).finish_non_exhaustive()
    }
}
