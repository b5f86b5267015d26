//! The inferd process: lock, listeners, admission, routing.

pub mod backends;
pub mod config;
pub mod discover;
pub mod lock;
pub mod paths;
pub mod secrets;
