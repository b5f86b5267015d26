//! What backends are tested with: the [`contract`] that all of them keep, and a scripted [`upstream`] server;
//! and [`http`] and [`sse`](fn@sse), which any bytes can be put to.
//!
//! Compiled with the feature `testing` only.

pub mod contract;
mod converse;
mod http;
mod reply;
mod sse;
pub mod upstream;

pub use http::http;
pub use sse::sse;
