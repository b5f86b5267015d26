//! The inferd wire, protocol v1: every frame that travels, and what makes one valid.
//!
//! One JSON object per line, UTF-8, ended by `\n`. Bytes come in through [`Lines`] (or the blocking [`read_frame`]),
//! become a [`ClientFrame`], and a request among them becomes a [`Resolved`] by [`Request::resolve`]; answers leave
//! as a [`Response`], or through [`Answer`], which writes the same bytes without building one. `docs/PROTOCOL.md`
//! is the specification.
//!
//! Invariants:
//! - No runtime and no I/O beyond `std::io` traits.
//! - Memory held for one frame never exceeds [`MAX_FRAME_BYTES`] plus one read buffer.
//! - What `+` marks in the specification is only written when it was asked for, so v1 readers never meet it.

mod admin;
mod agent;
mod answer;
mod call;
mod caller;
mod client_frame;
mod daemon_frame;
mod embed;
mod error;
mod frame;
mod head;
mod lines;
mod message;
mod request;
mod resolved;
mod response;
mod servers;
#[cfg(feature = "testing")]
pub mod testing;
mod tool;
mod tools;

pub use admin::{AdminCommand, AdminStatus, LoadPhase, Reloaded};
pub use agent::{
    AGENT_STEPS_MAX, AgentRequest, AgentTurn, NAME_CHARS_MAX, SERVER_ID_BYTES_MAX, is_server_id,
};
pub use answer::{Answer, Ending};
pub use call::{CallRequest, Called, TOOL_NAME_BYTES_MAX};
pub use caller::Caller;
pub use client_frame::{Auth, ClientFrame, Rejected};
pub use daemon_frame::{DaemonFrame, Hello, Limits, Model};
pub use embed::{EmbedRequest, EmbedUsage, Embeddings, TEXTS_MAX};
pub use error::{ErrorCode, ProtoError};
pub use frame::{MAX_FRAME_BYTES, read_frame, write_frame};
pub use lines::{FrameTooLarge, Lines};
pub use message::{Block, Body, Content, Message, Role};
pub use request::{Priority, Request, ResponseFormat};
pub use resolved::{IMAGE_TOKEN_BUDGETS, ImageTokenBudget, Resolved, STOP_MAX};
pub use response::{Progress, QueueState, Response, StopReason, Timings, TokenKind, Usage};
pub use servers::{ServerInfo, ServerState, Servers, ServersRequest};
pub use tool::{Function, FunctionCall, FunctionName, FunctionTag, Tool, ToolCall, ToolChoice, ToolMode};
pub use tools::{ServerTool, Tools, ToolsRequest, Warning};

/// The version of the protocol spoken here, as `hello` reports it.
pub const PROTOCOL_VERSION: u32 = 1;
