//! A client's line, told apart by its `type`.
//!
//! A line becomes a [`ClientFrame`] or a [`Rejected`] that still carries the id, so that whoever sent it can be told.

use std::fmt;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::head::Head;
use crate::{CallRequest, EmbedRequest, ProtoError, Request, ServersRequest, ToolsRequest};

/// The longest reason a rejected line is given, in characters: it may quote what the client sent.
const REASON_CHARS_MAX: usize = 500;

/// The types that a line may have, as whoever sent another is told.
const KINDS: &str = "`request`, `cancel`, `hello`, `embed`, `servers`, `tools`, `call` or `auth`";

/// What a client may say.
#[derive(Debug, Clone, PartialEq)]
pub enum ClientFrame {
    /// Answer this conversation.
    Request(Box<Request>),
    /// End the request with this id.
    Cancel {
        /// The id of an open request.
        id: String,
    },
    /// Say what you can do.
    Hello,
    /// Embed these texts.
    Embed(EmbedRequest),
    /// List the servers.
    Servers(ServersRequest),
    /// List their tools.
    Tools(ToolsRequest),
    /// Call one of these.
    Call(CallRequest),
    /// A key, where none is needed or it was given already.
    Auth(Auth),
}

/// The first line on TCP where a key is configured.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename = "auth", rename_all = "lowercase")]
pub struct Auth {
    /// The key itself.
    pub key: String,
}

impl fmt::Debug for Auth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Auth { .. }")
    }
}

/// A line that is no frame.
#[derive(Debug)]
pub struct Rejected {
    /// The id of the request, as far as it could be read.
    pub id: String,
    /// What is wrong.
    pub error: ProtoError,
}

impl ClientFrame {
    /// Reads a line.
    ///
    /// # Errors
    /// [`Rejected`] for what is not JSON, not UTF-8, of an unknown type, or has a field of the wrong type; the
    /// message names the field.
    pub fn parse(line: &[u8]) -> Result<Self, Rejected> {
        if line.iter().find(|byte| !byte.is_ascii_whitespace()) != Some(&b'{') {
            let error = ProtoError::InvalidRequest("expected a JSON object on each line".to_owned());
            return Err(Rejected { id: String::new(), error });
        }
        // Only a line that spells the key can be of another kind: plain requests are read once.
        if memchr::memmem::find(line, br#""type""#).is_none() {
            return read(line).map(Self::Request);
        }
        let head = Head::of(line);
        match head.kind.as_deref() {
            None | Some("request") => read(line).map(Self::Request),
            Some("cancel") => read(line).map(|Cancel { id }| Self::Cancel { id }),
            Some("hello") => read(line).map(|Hello {}| Self::Hello),
            Some("embed") => read(line).map(Self::Embed),
            Some("servers") => read(line).map(Self::Servers),
            Some("tools") => read(line).map(Self::Tools),
            Some("call") => read(line).map(Self::Call),
            Some("auth") => read(line).map(Self::Auth),
            Some(other) => Err(Rejected {
                id: head.id.unwrap_or_default().into_owned(),
                error: ProtoError::InvalidRequest(cut(format!("type: expected {KINDS}, got `{other}`"))),
            }),
        }
    }
}

#[derive(Deserialize)]
struct Cancel {
    id: String,
}

#[derive(Deserialize)]
struct Hello {}

fn read<T: DeserializeOwned>(line: &[u8]) -> Result<T, Rejected> {
    serde_json::from_slice(line).map_err(|_| explain::<T>(line))
}

/// The slow road: reads again to learn which field was wrong and whose request it was.
#[cold]
fn explain<T: DeserializeOwned>(line: &[u8]) -> Rejected {
    let mut json = serde_json::Deserializer::from_slice(line);
    let reason = match serde_path_to_error::deserialize::<_, T>(&mut json) {
        Ok(_) => "unexpected text after the object".to_owned(),
        Err(error) => {
            let path = error.path().to_string();
            let error = error.into_inner();
            match (error.classify(), path.as_str()) {
                (serde_json::error::Category::Data, ".") => error.to_string(),
                (serde_json::error::Category::Data, path) => format!("{path}: {error}"),
                _ => format!("not valid JSON: {error}"),
            }
        }
    };
    let id = Head::of(line).id.unwrap_or_default().into_owned();
    Rejected { id, error: ProtoError::InvalidRequest(cut(reason)) }
}

fn cut(mut reason: String) -> String {
    if let Some((end, _)) = reason.char_indices().nth(REASON_CHARS_MAX) {
        reason.truncate(end);
        reason.push('…');
    }
    reason
}

#[cfg(test)]
mod tests;
