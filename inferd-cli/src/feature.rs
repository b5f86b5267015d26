//! What not every daemon has: asked of its `hello` before anything else is.

use crate::args::Reach;
use crate::exit::Exit;
use crate::link::Link;
use crate::words;

/// An additive feature, as `hello` lists it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Feature {
    /// Upstream servers and their tools.
    Servers,
    /// Agent turns.
    Agent,
}

impl Feature {
    fn name(self) -> &'static str {
        match self {
            Self::Servers => "servers",
            Self::Agent => "agent",
        }
    }

    /// What there is to say about a daemon that lacks it.
    fn absence(self) -> &'static str {
        match self {
            Self::Servers => {
                "this daemon has no servers: its configuration names none, or it is older than they are"
            }
            Self::Agent => "this daemon runs no agent turns",
        }
    }
}

/// The way to a daemon that has all of `wanted`. Where there is none it has been said why, and the exit is what is left
/// to do.
pub(crate) async fn open(reach: &Reach, model: Option<&str>, wanted: &[Feature]) -> Result<Link, Exit> {
    let link = Link::open(reach, model, false).await.map_err(|error| {
        eprintln!("inferd-cli: {}", words::chain(&error));
        error.exit()
    })?;
    let why = match link.hello().await {
        Ok(hello) => {
            let lacks = |feature: &&Feature| !hello.features.iter().any(|has| has == feature.name());
            match wanted.iter().find(lacks) {
                None => return Ok(link),
                Some(lacking) => (lacking.absence().to_owned(), Exit::InvalidRequest),
            }
        }
        Err(error) => (words::failure(&error), Exit::from(&error)),
    };
    let (message, exit) = why;
    eprintln!("inferd-cli: {message}");
    link.close().await;
    Err(exit)
}
