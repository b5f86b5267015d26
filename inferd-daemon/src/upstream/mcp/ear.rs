//! What a server says, message by message: bytes enter, and leave as what rmcp waits for, as progress of a call, or as the
//! news that a list has changed.
//!
//! Results stay the JSON they are: what a list or a result holds is for those to judge who asked for it.

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use rmcp::model::{
    ClientJsonRpcMessage, ClientRequest, CustomResult, ErrorCode, ErrorData, GetExtensions, GetMeta,
    ProgressToken, RequestId, ServerJsonRpcMessage, ServerResult,
};
use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;
use tokio::sync::{mpsc, watch};

use super::super::session::Progress;
use super::MESSAGE_BYTES_MAX;

/// The most characters of an error of a server that are kept.
const REASON_CHARS_MAX: usize = 500;

/// Where what is said of a request's progress is put; travels with the request as one of its extensions.
#[derive(Clone)]
pub(super) struct Told(pub(super) mpsc::Sender<Progress>);

/// The hearing end of one session.
#[derive(Debug)]
pub(super) struct Ear {
    pub(super) server: String,
    said: Mutex<Said>,
    changes: watch::Sender<u64>,
    /// Why the connection is of no more use, once it is.
    over: watch::Sender<Option<String>>,
}

#[derive(Debug, Default)]
struct Said {
    /// The request whose result rmcp reads itself.
    handshake: Option<RequestId>,
    told: HashMap<ProgressToken, mpsc::Sender<Progress>>,
}

/// A message as far as it has to be known to be passed on.
#[derive(Deserialize)]
struct Heard<'a> {
    id: Option<Value>,
    #[serde(borrow)]
    method: Option<Cow<'a, str>>,
    #[serde(borrow)]
    params: Option<&'a RawValue>,
    #[serde(borrow)]
    result: Option<&'a RawValue>,
    error: Option<Value>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Step {
    progress_token: ProgressToken,
    progress: f64,
    total: Option<f64>,
    message: Option<String>,
}

impl Ear {
    pub(super) fn new(server: &str) -> Self {
        let (changes, over) = (watch::Sender::new(0), watch::Sender::new(None));
        Self { server: server.to_owned(), said: Mutex::default(), changes, over }
    }

    pub(super) fn changes(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }

    /// Says that the connection is of no more use; the first reason counts.
    pub(super) fn end(&self, reason: impl Into<String>) {
        self.over.send_if_modified(|over| {
            let first = over.is_none();
            if first {
                *over = Some(reason.into());
            }
            first
        });
    }

    /// Why the connection is of no more use, when it is.
    pub(super) async fn ended(&self) -> String {
        let mut over = self.over.subscribe();
        match over.wait_for(Option::is_some).await {
            Ok(reason) => reason.clone().unwrap_or_default(),
            Err(_) => "its connection has ended".to_owned(),
        }
    }

    /// Why the connection is of no more use, if it is.
    pub(super) fn reason(&self) -> Option<String> {
        self.over.borrow().clone()
    }

    /// Takes note of a message on its way to the server.
    pub(super) fn note(&self, message: &ClientJsonRpcMessage) {
        let ClientJsonRpcMessage::Request(request) = message else { return };
        match &request.request {
            ClientRequest::InitializeRequest(_) => self.lock().handshake = Some(request.id.clone()),
            other => {
                let token = other.get_meta().get_progress_token();
                if let (Some(token), Some(Told(told))) = (token, other.extensions().get::<Told>()) {
                    self.lock().told.insert(token, told.clone());
                }
            }
        }
    }

    /// Forgets a request whose progress nobody waits for any more.
    pub(super) fn forget(&self, token: &ProgressToken) {
        self.lock().told.remove(token);
    }

    /// A message in full. `None`: it has been dealt with, or is none.
    pub(super) fn hear(&self, bytes: &[u8]) -> Option<ServerJsonRpcMessage> {
        let heard: Heard<'_> = match serde_json::from_slice(bytes) {
            Ok(heard) => heard,
            Err(error) => {
                // Programs print all sorts of things where only messages belong.
                tracing::debug!(server = self.server, %error, bytes = bytes.len(), "not a message");
                return None;
            }
        };
        match (heard.method.as_deref(), heard.id.as_ref().and_then(id_of)) {
            (Some(method), None) => {
                self.notice(method, heard.params);
                None
            }
            // What it asks is for rmcp to answer, which asks nobody.
            (Some(_), Some(_)) => serde_json::from_slice(bytes).ok(),
            (None, Some(id)) => match (heard.result, heard.error) {
                (_, Some(error)) => Some(refusal(id, &error)),
                (Some(result), None) => Some(self.result(id, result)),
                (None, None) => Some(failure(id, "it answered with neither result nor error")),
            },
            (None, None) => None,
        }
    }

    /// A message that is too long to be held, of which only the two ends are known: the answer that its call gets.
    /// `None`: whose it was cannot be told.
    pub(super) fn too_long(&self, beginning: &[u8], end: &[u8]) -> Option<ServerJsonRpcMessage> {
        let id = id_at_beginning(beginning).or_else(|| id_at_end(end));
        tracing::warn!(
            server = self.server,
            known = id.is_some(),
            "an answer exceeds {MESSAGE_BYTES_MAX} bytes"
        );
        Some(too_long(id?))
    }

    fn result(&self, id: RequestId, result: &RawValue) -> ServerJsonRpcMessage {
        let shakes_hands = self.lock().handshake.as_ref() == Some(&id);
        let result = if shakes_hands {
            self.lock().handshake = None;
            serde_json::from_str::<rmcp::model::InitializeResult>(result.get())
                .map(ServerResult::InitializeResult)
        } else {
            serde_json::from_str(result.get()).map(|value| ServerResult::CustomResult(CustomResult(value)))
        };
        match result {
            Ok(result) => ServerJsonRpcMessage::response(result, id),
            Err(error) => failure(id, &format!("it answered with no result: {error}")),
        }
    }

    fn notice(&self, method: &str, params: Option<&RawValue>) {
        match method {
            "notifications/progress" => {
                let step = params.and_then(|params| serde_json::from_str::<Step>(params.get()).ok());
                if let Some(Step { progress_token, progress, total, message }) = step {
                    self.progress(&progress_token, Progress { progress, total, message });
                }
            }
            "notifications/tools/list_changed"
            | "notifications/resources/list_changed"
            | "notifications/prompts/list_changed" => {
                self.changes.send_modify(|count| *count = count.wrapping_add(1));
            }
            _ => tracing::trace!(server = self.server, method, "a notification that nobody waits for"),
        }
    }

    fn progress(&self, token: &ProgressToken, progress: Progress) {
        let mut said = self.lock();
        if let Some(told) = said.told.get(token)
            && let Err(mpsc::error::TrySendError::Closed(_)) = told.try_send(progress)
        {
            said.told.remove(token);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Said> {
        // No code that can panic runs under this lock.
        self.said.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The id of a request of ours: a number, which some servers give back as text.
fn id_of(value: &Value) -> Option<RequestId> {
    match value {
        Value::Number(number) => number.as_i64().map(RequestId::Number),
        Value::String(text) => Some(match text.parse() {
            Ok(number) => RequestId::Number(number),
            Err(_) => RequestId::String(text.as_str().into()),
        }),
        _ => None,
    }
}

fn refusal(id: RequestId, error: &Value) -> ServerJsonRpcMessage {
    let code = error["code"].as_i64().and_then(|code| i32::try_from(code).ok()).unwrap_or(-32603);
    let message = error["message"].as_str().unwrap_or("it gave no reason");
    let message: String = message.chars().take(REASON_CHARS_MAX).collect();
    ServerJsonRpcMessage::error(ErrorData::new(ErrorCode(code), message, None), Some(id))
}

/// What a call gets in place of an answer that cannot be used.
pub(super) fn failure(id: RequestId, reason: &str) -> ServerJsonRpcMessage {
    ServerJsonRpcMessage::error(ErrorData::internal_error(reason.to_owned(), None), Some(id))
}

/// What a call gets in place of an answer that is too long to be held.
pub(super) fn too_long(id: RequestId) -> ServerJsonRpcMessage {
    failure(id, &format!("its answer exceeds {MESSAGE_BYTES_MAX} bytes"))
}

/// The id in `{"jsonrpc":"2.0","id":7,…`, or with the two the other way round.
fn id_at_beginning(bytes: &[u8]) -> Option<RequestId> {
    let text = String::from_utf8_lossy(bytes);
    let rest = text.trim_start().strip_prefix('{')?.trim_start();
    let rest = match rest.strip_prefix("\"jsonrpc\"") {
        Some(rest) => rest.trim_start().strip_prefix(':')?.trim_start().strip_prefix("\"2.0\"")?,
        None => rest,
    };
    let rest = rest.trim_start().trim_start_matches(',').trim_start().strip_prefix("\"id\"")?;
    let rest = rest.trim_start().strip_prefix(':')?.trim_start();
    let end = rest.find([',', '}'])?;
    id_of(&serde_json::from_str(rest[..end].trim()).ok()?)
}

/// The id in `…,"id":7}`, which can be that of the message and of nothing in it: the last bracket is the message's own.
fn id_at_end(bytes: &[u8]) -> Option<RequestId> {
    let text = String::from_utf8_lossy(bytes);
    let rest = text.trim_end().strip_suffix('}')?.trim_end();
    let (before, id) = rest.rsplit_once("\"id\"")?;
    let id = id.trim_start().strip_prefix(':')?.trim();
    let is_member = before.trim_end().ends_with(',');
    if is_member { id_of(&serde_json::from_str(id).ok()?) } else { None }
}

#[cfg(test)]
mod tests;
