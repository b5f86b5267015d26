//! The inferd process: lock, listeners, admission, routing.
//!
//! ```text
//! endpoint ─▶ lifecycle ─▶ connection ─▶ answer ─▶ queue ─▶ router ─▶ engine
//! ```
//!
//! Read [`answer`] first: it is the life of a request on one page.

mod admin;
mod agent;
pub mod answer;
pub mod audit;
pub mod backends;
pub mod config;
mod connection;
pub mod discover;
pub mod endpoint;
pub mod lifecycle;
pub mod lock;
pub mod mcp;
pub mod paths;
mod platform;
pub mod process;
pub mod queue;
pub mod router;
#[cfg(test)]
mod scripted;
pub mod secrets;
mod service;
mod service_manager;
pub mod signals;
pub mod state;
pub mod upstream;
