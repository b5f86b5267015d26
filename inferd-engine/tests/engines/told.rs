//! What a backend tells its caller: events, or an error in their place.

use inferd_engine::testing::contract::rest;
use inferd_engine::{Backend, GenerateError, TokenEvent};
use inferd_proto::{FunctionCall, FunctionTag, Resolved, StopReason, ToolCall, Usage};

/// All events of the answer to `request`, or what came in their place.
pub(crate) async fn outcome(
    backend: &dyn Backend,
    request: Resolved,
) -> Result<Vec<TokenEvent>, GenerateError> {
    Ok(rest(backend.generate(request).await?).await)
}

/// All events of the answer to `request`.
pub(crate) async fn answered(backend: &dyn Backend, request: Resolved) -> Vec<TokenEvent> {
    outcome(backend, request).await.expect("an answer begins")
}

/// The error in the place of an answer to `request`.
pub(crate) async fn refusal(backend: &dyn Backend, request: Resolved) -> GenerateError {
    backend.generate(request).await.err().expect("no answer begins")
}

/// What the answer failed with.
#[track_caller]
pub(crate) fn failure(events: &[TokenEvent]) -> &GenerateError {
    match events.last() {
        Some(TokenEvent::Failed(error)) => error,
        other => panic!("expected a failure, got {other:?}"),
    }
}

pub(crate) fn token(text: &str) -> TokenEvent {
    TokenEvent::Token(text.into())
}

pub(crate) fn thinking(text: &str) -> TokenEvent {
    TokenEvent::Thinking(text.into())
}

/// The end of an answer of the model `m-1` that calls nothing.
pub(crate) fn done(stop_reason: StopReason, prompt_tokens: u32, completion_tokens: u32) -> TokenEvent {
    done_calling(stop_reason, prompt_tokens, completion_tokens, Vec::new())
}

/// The end of an answer of the model `m-1`.
pub(crate) fn done_calling(
    stop_reason: StopReason,
    prompt_tokens: u32,
    completion_tokens: u32,
    tool_calls: Vec<ToolCall>,
) -> TokenEvent {
    let usage = Usage { prompt_tokens, completion_tokens };
    TokenEvent::Done { stop_reason, usage, tool_calls, model: Some("m-1".into()) }
}

pub(crate) fn call(id: &str, name: &str, arguments: &str) -> ToolCall {
    let function = FunctionCall { name: name.into(), arguments: arguments.into() };
    ToolCall { id: id.into(), r#type: FunctionTag::Function, function }
}
