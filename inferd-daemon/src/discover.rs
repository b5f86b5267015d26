//! What to serve when nothing is configured: places on loopback enter, backends for the model servers that answer
//! there leave.
//!
//! Invariants:
//! - Nothing is sent beyond loopback, and no name is resolved.
//! - It takes no longer than [`PROBE_TIME`], however many places there are.

use std::ffi::OsString;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use futures_util::future::join_all;
use tokio::time::timeout;

use crate::backends::build;
use crate::config::{BackendConfig, EngineConfig, HttpConfig, HttpKind};
use crate::secrets::Secrets;

/// How long a server may take to name its models.
pub const PROBE_TIME: Duration = Duration::from_millis(300);

const OLLAMA_PORT: u16 = 11434;

/// A place where a model server may be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Candidate {
    /// What its backend is to be called.
    pub name: &'static str,
    /// Where it is.
    pub address: SocketAddr,
    /// What it speaks there.
    pub kind: HttpKind,
}

impl Candidate {
    /// The usual places, the preferred first.
    #[must_use]
    pub fn usual() -> Vec<Self> {
        let ollama = std::env::var_os("OLLAMA_HOST").and_then(loopback).unwrap_or(at(OLLAMA_PORT));
        vec![
            Self { name: "ollama", address: ollama, kind: HttpKind::Ollama },
            Self { name: "lmstudio", address: at(1234), kind: HttpKind::OpenAi },
            Self { name: "llama-server", address: at(8080), kind: HttpKind::OpenAi },
            Self { name: "vllm", address: at(8000), kind: HttpKind::OpenAi },
        ]
    }
}

fn at(port: u16) -> SocketAddr {
    (Ipv4Addr::LOCALHOST, port).into()
}

/// The address that `OLLAMA_HOST` names, if it is on loopback. An unspecified one (`0.0.0.0`, as servers set it to
/// listen everywhere) is there too.
fn loopback(host: OsString) -> Option<SocketAddr> {
    let host = host.into_string().ok()?;
    let (host, port) = match host.trim().strip_prefix("http://") {
        Some(rest) => (rest, 80),
        None => (host.trim(), OLLAMA_PORT),
    };
    let host = host.trim_end_matches('/').replacen("localhost", "127.0.0.1", 1);
    let address = host.parse().or_else(|_| {
        let ip = host.trim_start_matches('[').trim_end_matches(']');
        ip.parse::<IpAddr>().map(|ip| SocketAddr::from((ip, port)))
    });
    let mut address = address.ok()?;
    match address.ip() {
        ip if ip.is_unspecified() => address.set_ip(Ipv4Addr::LOCALHOST.into()),
        ip if ip.is_loopback() => {}
        _ => return None,
    }
    Some(address)
}

/// Backends for the candidates that answer, in their order, each with the models it serves.
pub async fn find(candidates: &[Candidate]) -> Vec<BackendConfig> {
    let found = join_all(candidates.iter().map(probe)).await;
    (0..)
        .zip(found.into_iter().flatten())
        .map(|(priority, backend)| BackendConfig { priority, ..backend })
        .collect()
}

async fn probe(candidate: &Candidate) -> Option<BackendConfig> {
    let Candidate { name, address, kind } = candidate;
    let engine = EngineConfig::Http(HttpConfig::new(*kind, format!("http://{address}")));
    let found = BackendConfig::new(*name, engine);
    let server = match build(&found, &Secrets::default()) {
        Ok(server) => server,
        Err(error) => {
            tracing::warn!(name, %address, %error, "cannot look for a model server");
            return None;
        }
    };
    match timeout(PROBE_TIME, server.models()).await {
        Ok(Ok(models)) if models.is_empty() => {
            tracing::warn!(name, %address, "a model server answers but has no model");
            None
        }
        Ok(Ok(mut models)) => {
            models.sort_by_key(|model| embeds(model));
            Some(BackendConfig { models, ..found })
        }
        Ok(Err(error)) => {
            tracing::debug!(name, %address, %error, "no model server");
            None
        }
        Err(_) => {
            tracing::debug!(name, %address, "no model server: no answer in time");
            None
        }
    }
}

/// Whether a model seems to make embeddings: the first model is the default, and that one should be able to chat.
fn embeds(model: &str) -> bool {
    ["embed", "minilm", "bge-"].iter().any(|part| model.contains(part))
}

/// What is served when no server answers: the mock, saying that it is one.
#[must_use]
pub fn fallback_mock() -> BackendConfig {
    let text = "This is inferd's built-in mock, not a language model: no model server was found on this machine, so \
                every question gets this answer. Start one (Ollama, LM Studio, llama-server or vLLM) or name one in \
                the configuration, then start inferd again.";
    let engine = EngineConfig::Mock {
        tokens: text.split_inclusive(' ').map(str::to_owned).collect(),
        token_delay_ms: Some(15),
        mid_stream_drop_after: None,
    };
    BackendConfig { models: vec!["mock".to_owned()], ..BackendConfig::new("mock", engine) }
}

#[cfg(test)]
mod tests;
