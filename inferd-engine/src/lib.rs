//! What generates for inferd.
//!
//! A [`Resolved`](inferd_proto::Resolved) request enters a [`Backend`]; a [`TokenStream`] leaves it. Who may ask,
//! which backend is asked and what happens when it fails is not decided here. [`servers`] and [`tools`] stand above that:
//! conversations of many turns, on any of many servers, with the tools of all of them.
//!
//! Invariants:
//! - A stream ends with exactly one `Done` or `Failed`; one that just ends was cut short.
//! - Dropping a stream ends its generation and closes its connection.
//! - No backend retries: whoever holds the request decides that. A request that found its kept connection dead, before
//!   one byte of an answer, was never taken and is sent on a fresh one.

pub mod anthropic;
mod backend;
mod clock;
mod http;
mod idle;
pub mod inferd;
pub mod mock;
pub mod ollama;
pub mod openai;
mod remote;
pub mod sampling;
pub mod servers;
pub mod site;
#[cfg(feature = "testing")]
pub mod testing;
pub mod tools;

pub use self::http::BadUrl;
pub use backend::{Backend, Blame, Capabilities, Embedded, GenerateError, TokenEvent, TokenStream};
pub use remote::{RemoteConfig, RemoteError};
