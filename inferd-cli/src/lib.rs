//! inferd-cli
pub mod admin;
pub mod client;
