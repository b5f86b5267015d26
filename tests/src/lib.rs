//! What the black-box tests share: a [`Daemon`] that is the built binary in a machine of its own, a
//! [`LineClient`] that speaks its wire without any client library, and an [`Upstream`] that answers as a model
//! server would and tells what it saw.
//!
//! Invariants: nothing here waits for a time where it could wait for the thing; every wait ends; a process or task
//! started here ends with the value that owns it.
#![cfg(unix)]

mod bridge;
mod daemon;
mod home;
mod http;
mod line;
mod post;
mod stamp;
mod upstream;

use std::time::Duration;

pub use bridge::Bridge;
pub use daemon::Daemon;
pub use home::{Home, free_address};
pub use line::{LineClient, request};
pub use post::{McpClient, Reply};
pub use rustix::process::Signal;
pub use stamp::{http_date, log_time};
pub use upstream::{Answer, Ending, Gate, Seen, Upstream, Visit};

/// How long a test waits for something that is due at once, before it says that it did not come.
pub const PATIENCE: Duration = Duration::from_secs(20);
