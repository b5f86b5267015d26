//! What backends are tested with: the [`contract`] that all of them keep, and a scripted [`upstream`] server; what
//! [`mod@servers`] are tested with: a model and a server that do as they are told; and [`http`] and [`sse`](fn@sse), which
//! any bytes can be put to.
//!
//! Compiled with the feature `testing` only.

pub mod contract;
mod converse;
mod http;
mod reply;
pub mod servers;
mod sse;
pub mod upstream;

pub use http::http;
pub use sse::sse;
