//! What happens in a session, in order.

use std::time::Duration;

use inferd_proto::{ToolCall, Usage};

use super::result::AgentResult;
use crate::tools::Report;

/// See the module. New fields may be added to a variant; match with `..`.
#[derive(Debug, Clone, PartialEq)]
pub enum AgentEvent {
    /// A turn of the model begins.
    Step {
        /// Which, from 1.
        step: u32,
    },
    /// The next piece of what it says.
    Token(String),
    /// The next piece of the reasoning behind it.
    Thinking(String),
    /// The model's turn is complete.
    Turned {
        /// Which, from 1.
        step: u32,
        /// Its tokens.
        usage: Usage,
    },
    /// A tool is called.
    Calling {
        /// By which turn.
        step: u32,
        /// The tool's full name, or what the model made up.
        tool: String,
        /// The call as the model made it.
        call: ToolCall,
    },
    /// A tool says how far it has come. Only the latest word is passed on, and none to a reader that is behind.
    Progress {
        /// Of which turn.
        step: u32,
        /// The tool's full name.
        tool: String,
        /// The id of the call.
        call_id: String,
        /// What it says.
        report: Report,
    },
    /// A tool has returned, or not: what the model will read of it is an error then.
    Called {
        /// Of which turn.
        step: u32,
        /// The tool's full name, or what the model made up.
        tool: String,
        /// The id of the call.
        call_id: String,
        /// Whether it failed, was unknown, or took too long.
        is_error: bool,
        /// How long it took.
        took: Duration,
    },
    /// The session is over. Nothing follows.
    Ended(AgentResult),
}
