//! What a model may call, of one server or of many.
//!
//! Tools enter with what runs them; a [`ToolRegistry`] leaves, and out of several servers' registries a
//! [`FederatedToolRegistry`], in which every tool is `server::tool`. An [`Offer`] is a registry as a model sees it. Where
//! tools come from is a resolver's business; when they are called, a session's ([`servers`](crate::servers)).
//!
//! Invariants:
//! - A registry never changes. Its names are unique, and lists of them are sorted.
//! - A tool runs on its owner and nowhere else, whatever it is called by.
//! - Names are resolved by looking them up; none is ever taken apart.
//! - Dropping the future of a call is how it is cancelled.

mod error;
mod executor;
mod federated;
mod federating;
mod names;
mod offer;
mod progress;
mod registry;
mod resolver;
mod tool;

pub use error::ToolError;
pub use executor::{ToolExecutor, ToolInvocation, ToolOutput};
pub use federated::{FederatedToolRegistry, SEPARATOR, federated_name};
pub use federating::{Federated, FederatedToolRegistryResolver, SERVER_TIMEOUT, Skipped};
pub use names::{PORTABLE_CHARS_MAX, portable_name};
pub use offer::Offer;
pub use progress::{Progress, Report, Watched};
pub use registry::ToolRegistry;
pub use resolver::{ServerScopedToolResolver, ToolResolver};
pub use tool::ClientTool;
