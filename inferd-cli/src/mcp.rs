//! `mcp`: the daemon's MCP listener on standard input and output, for clients that only launch programs.
//!
//! ```text
//! standard input ─▶ bridge ─▶ relay ─▶ http ─▶ the daemon's listener
//! standard output ◀─ one message a line ◀─ events ◀─┘
//! ```
//!
//! Invariants:
//! - A message is passed on as it came: what the client or the daemon says is not understood here, only where it goes.
//! - Nothing is started: where no listener is on, it is said how to turn it on.

mod bridge;
mod events;
mod http;
mod message;
mod relay;

use std::time::Duration;

use tokio::time::{Instant, sleep};

use crate::admin::AdminError;
use crate::args::Reach;
use crate::client::Address;
use crate::console::with_admin;
use crate::exit::Exit;
use bridge::Bridge;
use http::Place;
use relay::Relay;

/// How long a daemon that starts is waited for, and how often it is looked at.
const START_UP: Duration = Duration::from_secs(10);
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// Bridges until standard input ends or nobody reads what is said.
pub(crate) async fn run(reach: &Reach) -> anyhow::Result<Exit> {
    let key = match &reach.api_key_env {
        None => None,
        Some(name) => match std::env::var(name) {
            Ok(key) => Some(key),
            Err(_) => {
                eprintln!("inferd-cli: {name} is not set: the key is taken from it");
                return Ok(Exit::Usage);
            }
        },
    };
    let host = match listener(reach).await {
        Ok(host) => host,
        Err(exit) => return Ok(exit),
    };
    let Ok(place) = Place::new(&host, key.as_deref()) else {
        eprintln!("inferd-cli: the key, or {host}, cannot stand in a request");
        return Ok(Exit::Usage);
    };
    let (relay, said) = Relay::new(place);
    Bridge::new(relay, tokio::io::stdin(), tokio::io::stdout(), said).run().await?;
    Ok(Exit::Ok)
}

/// The host and port of the listener: the one that was named, else what the daemon says.
async fn listener(reach: &Reach) -> Result<String, Exit> {
    if let Some(Address::Tcp(host)) = &reach.connect {
        return Ok(host.clone());
    }
    let snapshot = with_admin(reach, "mcp", async |admin| {
        let until = Instant::now() + START_UP;
        loop {
            match admin.snapshot().await {
                // It is there, and still starting.
                Err(AdminError::Refused { .. }) if Instant::now() < until => sleep(LOOK_EVERY).await,
                snapshot => return snapshot,
            }
        }
    })
    .await?;
    snapshot["sockets"]["mcp"].as_str().map(str::to_owned).ok_or_else(|| {
        eprintln!(
            "inferd-cli: the daemon takes no MCP clients: start it with --mcp, or set `listen` under [mcp] in its \
             configuration"
        );
        Exit::CannotConnect
    })
}
