//! Where connected clients lend their models to the daemon: peers enter, one lane of kind `sampling` leaves.
//!
//! A peer is a [`SamplingClient`](inferd_engine::sampling::SamplingClient): how a call travels to it is its own matter.
//! The pool chooses among the peers, and is a `SamplingClient` itself, which the lane's backend asks.
//!
//! Invariants:
//! - A peer answers its own principal's callers, unless it lends to all; never what came from its own session.
//! - A peer that leaves takes no call with it: what it has not answered goes to another one, or fails by name.

#![expect(
    deprecated,
    reason = "sampling is deprecated in 2026-07-28, and in use before and until it is removed"
)]

mod lender;
mod mailbox;
mod pool;
mod requests;
mod rounds;
mod seal;

pub(crate) use lender::{Lender, Lending, Willing};
#[cfg(test)]
pub(crate) use pool::Lease;
pub(crate) use pool::{Pool, Scope, Terms};
