//! Agent turns: a request whose tools run in the daemon, step by step, until the model answers.

use serde::{Deserialize, Serialize};

use crate::ProtoError;

/// The most steps that a request may allow an agent turn.
pub const AGENT_STEPS_MAX: u32 = 100;

/// The longest a server's id may be, in bytes.
pub const SERVER_ID_BYTES_MAX: usize = 32;

/// The longest the name of a room or a thread may be, in characters.
pub const NAME_CHARS_MAX: usize = 128;

/// The `agent` of a [`crate::Request`], as a client sends it; `{}` is the daemon's own lanes and every tool.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default, expecting = "an object")]
pub struct AgentRequest {
    /// The server to run on; without it the daemon's own lanes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub server: Option<String>,
    /// The room: instructions, model and tools as they are configured under this name. Without it the server's
    /// default: no instructions, its own model, all of its tools.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub room: Option<String>,
    /// The conversation that this turn belongs to, as `done` named it; without it a new one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub thread: Option<String>,
    /// The most model turns, 1 to [`AGENT_STEPS_MAX`]; without it the daemon's own limit.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_steps: Option<u32>,
}

/// A valid [`AgentRequest`]. Whether there is such a server or room, the daemon knows.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct AgentTurn {
    /// Of the shape that [`is_server_id`] asks for.
    pub server: Option<String>,
    /// 1 to [`NAME_CHARS_MAX`] characters, none of them a control character.
    pub room: Option<String>,
    /// As `room`.
    pub thread: Option<String>,
    /// 1 to [`AGENT_STEPS_MAX`].
    pub max_steps: Option<u32>,
}

impl AgentRequest {
    /// Checks every rule and names the field that breaks one.
    ///
    /// # Errors
    /// [`ProtoError::InvalidRequest`] naming the field and what was expected.
    pub fn resolve(self) -> Result<AgentTurn, ProtoError> {
        check_server("agent.server", self.server.as_deref())?;
        check_name("agent.room", self.room.as_deref())?;
        check_name("agent.thread", self.thread.as_deref())?;
        if let Some(steps) = self.max_steps
            && !(1..=AGENT_STEPS_MAX).contains(&steps)
        {
            return Err(ProtoError::InvalidRequest(format!(
                "agent.max_steps: expected 1 to {AGENT_STEPS_MAX}, got {steps}"
            )));
        }
        let Self { server, room, thread, max_steps } = self;
        Ok(AgentTurn { server, room, thread, max_steps })
    }
}

/// Whether `id` can name a server: a lower-case letter or digit, then those, `_` and `-`, at most
/// [`SERVER_ID_BYTES_MAX`], without `__`, which parts a server from its tool where `::` may not stand.
#[must_use]
pub fn is_server_id(id: &str) -> bool {
    let plain = |byte: &u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    id.len() <= SERVER_ID_BYTES_MAX
        && id.as_bytes().first().is_some_and(plain)
        && id.bytes().all(|byte| plain(&byte) || matches!(byte, b'_' | b'-'))
        && !id.contains("__")
}

/// Refuses what can be no server's id. The value is not quoted: it may be as long as a frame.
pub(crate) fn check_server(field: &str, id: Option<&str>) -> Result<(), ProtoError> {
    if id.is_none_or(is_server_id) {
        return Ok(());
    }
    Err(ProtoError::InvalidRequest(format!(
        "{field}: expected a server's id: 1 to {SERVER_ID_BYTES_MAX} of a-z, 0-9, `-` and single `_`, a letter or digit first"
    )))
}

fn check_name(field: &str, name: Option<&str>) -> Result<(), ProtoError> {
    let fits = |name: &str| {
        // One past the limit is enough to know: a name may be as long as a frame.
        let chars = name.chars().take(NAME_CHARS_MAX + 1).count();
        (1..=NAME_CHARS_MAX).contains(&chars) && !name.chars().any(char::is_control)
    };
    if name.is_none_or(fits) {
        return Ok(());
    }
    Err(ProtoError::InvalidRequest(format!("{field}: expected 1 to {NAME_CHARS_MAX} characters of text")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_is_named_in_what_every_wire_can_carry() {
        let longest = "a".repeat(SERVER_ID_BYTES_MAX);
        for id in ["a", "0", "gpu-box", "a_b-c_", "prod2", &longest] {
            assert!(is_server_id(id), "{id}");
        }
        let too_long = "a".repeat(SERVER_ID_BYTES_MAX + 1);
        for id in ["", "-a", "_a", "A", "a b", "a::b", "a__b", "ä", "a\n", &too_long] {
            assert!(!is_server_id(id), "{id}");
        }
    }
}
