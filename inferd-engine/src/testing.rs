//! What backends are tested with: the [`contract`] that all of them keep, and a scripted [`upstream`] server;
//! and [`sse`], which any bytes can be put to.
//!
//! Compiled with the feature `testing` only.

pub mod contract;
mod converse;
mod reply;
mod sse;
pub mod upstream;

pub use sse::sse;
