//! Peers that generate for us: MCP clients whose user approves a `sampling/createMessage` and whose model answers it.
//!
//! A request becomes a [`Call`]; a [`SamplingClient`] takes it to a peer and brings the answer back. Each call may
//! raise a prompt in front of a person, so a [`SamplingCoordinator`] stands before a peer's client and sends calls that
//! arrive together as one. A [`SamplingBackend`] makes a client, or a coordinator, a backend like any other. How calls
//! travel to a peer is not decided here.
//!
//! Invariants:
//! - Dropping a call takes it back: before it was sent the peer never hears of it, after that its client is dropped
//!   too, which is how the peer is told.
//! - Every call to a peer has a time-out, and only the peer's own time counts towards it.
//! - Calls of different callers are not merged unless that is configured, and no call ever sees another's text as
//!   anything but data.
//! - What came from a peer is never sent to that peer.
//! - Whatever waits is bounded: what was submitted, what is gathered, what is under way.

#![expect(
    deprecated,
    reason = "sampling is deprecated in 2026-07-28, and in use before and until it is removed"
)]

mod backend;
mod call;
mod client;
mod config;
mod coordinator;
mod error;
#[cfg(feature = "testing")]
mod fake;
mod patience;
mod signs;
mod standoff;
mod text;

pub use backend::SamplingBackend;
pub use call::Call;
pub use client::{Offer, SamplingClient};
pub use config::{CoordinatorConfig, Gathering, SamplingConfig};
pub use coordinator::{BatchKey, SamplingCoordinator};
pub use error::{SamplingError, TaskFault};
#[cfg(feature = "testing")]
pub use fake::{FakeAnswer, FakeSamplingClient};
pub use patience::Patience;
pub use rmcp::model::{CreateMessageRequestParams, CreateMessageResult};
pub use signs::Signs;
pub use standoff::{Asked, Standoff, Waiting};
