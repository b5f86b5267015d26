//! What backends are tested with: the [`contract`] that all of them keep, and a scripted [`upstream`] server.
//!
//! Compiled with the feature `testing` only.

pub mod contract;
mod reply;
pub mod upstream;
