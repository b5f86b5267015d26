//! The built program, against a daemon that follows a script: what a person or a shell script gets to see.
#![cfg(unix)]
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

#[path = "cli/agent.rs"]
mod agent;
#[path = "cli/ask.rs"]
mod ask;
#[path = "cli/call.rs"]
mod call;
#[path = "cli/chat.rs"]
mod chat;
#[path = "cli/embed.rs"]
mod embed;
#[path = "cli/embedded.rs"]
mod embedded;
#[path = "cli/log.rs"]
mod log;
#[path = "cli/many.rs"]
mod many;
#[path = "cli/models.rs"]
mod models;
#[path = "cli/reload.rs"]
mod reload;
#[path = "cli/scripted.rs"]
mod scripted;
#[path = "cli/servers.rs"]
mod servers;
#[path = "cli/status.rs"]
mod status;
#[path = "cli/terminal.rs"]
mod terminal;
