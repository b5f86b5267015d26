//! The room of clients that lend their model.
#![expect(
    deprecated,
    reason = "sampling is deprecated in 2026-07-28, and in use before and until it is removed"
)]
#![allow(dead_code, reason = "not called yet")]

mod mailbox;
mod seal;
