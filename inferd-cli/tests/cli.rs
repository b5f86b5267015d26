//! The built program, against a daemon that follows a script: what a person or a shell script gets to see.
#![cfg(unix)]
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

#[path = "cli/ask.rs"]
mod ask;
#[path = "cli/chat.rs"]
mod chat;
#[path = "cli/embed.rs"]
mod embed;
#[path = "cli/embedded.rs"]
mod embedded;
#[path = "cli/log.rs"]
mod log;
#[path = "cli/models.rs"]
mod models;
#[path = "cli/reload.rs"]
mod reload;
#[path = "cli/scripted.rs"]
mod scripted;
#[path = "cli/status.rs"]
mod status;
#[path = "cli/terminal.rs"]
mod terminal;
