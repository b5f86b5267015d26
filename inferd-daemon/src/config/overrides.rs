//! What flags and environment variables say over the file.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::error::ConfigError;
use super::read::{COUNT_MAX, is_variable, tcp_address};
use super::{Config, KeySource, McpConfig};

/// What flags and environment say; `None` leaves the file's word.
#[derive(Debug, Clone, Default, PartialEq, clap::Args)]
pub struct Overrides {
    /// Local socket (on Windows, pipe) to take requests on, or `default`
    #[arg(long, env = "INFERD_LISTEN", value_name = "PATH")]
    pub listen: Option<PathBuf>,

    /// TCP address to take requests on as well; beyond loopback it needs a key
    #[arg(long, env = "INFERD_TCP", value_name = "ADDRESS:PORT", value_parser = tcp_address)]
    pub tcp: Option<SocketAddr>,

    /// Name of the environment variable that holds the key TCP clients present
    #[arg(long, env = "INFERD_API_KEY_ENV", value_name = "NAME")]
    pub api_key_env: Option<String>,

    /// Take MCP clients as well, on 127.0.0.1:47324 where nothing else is configured
    #[arg(long, env = "INFERD_MCP")]
    pub mcp: bool,

    /// Requests running at a time
    #[arg(long, env = "INFERD_ACTIVE", value_name = "COUNT", value_parser = count)]
    pub active: Option<usize>,

    /// Requests waiting at a time; the next is refused
    #[arg(long, env = "INFERD_QUEUE_DEPTH", value_name = "COUNT", value_parser = count)]
    pub queue_depth: Option<usize>,

    /// Seconds that requests may go on once the daemon is told to stop
    #[arg(long, env = "INFERD_DRAIN_TIMEOUT_S", value_name = "SECONDS", value_parser = seconds)]
    pub drain_timeout_s: Option<Duration>,
}

impl Overrides {
    pub(super) fn onto(&self, mut config: Config) -> Result<Config, ConfigError> {
        if let Some(listen) = &self.listen {
            config.listen.local = (listen != Path::new("default")).then(|| listen.clone());
        }
        if let Some(name) = &self.api_key_env {
            if !is_variable(name) {
                let reason = "expected the name of an environment variable, not a key".to_owned();
                return Err(ConfigError::Flag { flag: "--api-key-env", reason });
            }
            config.listen.keys = Some(KeySource::Variable(name.clone()));
        }
        config.listen.tcp = self.tcp.or(config.listen.tcp);
        if self.mcp {
            config.mcp.listen.get_or_insert(McpConfig::USUAL);
        }
        config.admission.active = self.active.unwrap_or(config.admission.active).max(1);
        config.admission.queue_depth = self.queue_depth.unwrap_or(config.admission.queue_depth);
        config.drain_timeout = self.drain_timeout_s.unwrap_or(config.drain_timeout);
        if let Err(reason) = config.listen.check_exposure() {
            return Err(ConfigError::Flag { flag: "--tcp", reason: reason.to_owned() });
        }
        config.check_loops()?;
        Ok(config)
    }
}

fn count(text: &str) -> Result<usize, String> {
    let counted = text.parse().ok().filter(|count| (0..=COUNT_MAX).contains(count));
    counted
        .and_then(|count| usize::try_from(count).ok())
        .ok_or_else(|| format!("expected a whole number from 0 to {COUNT_MAX}"))
}

fn seconds(text: &str) -> Result<Duration, String> {
    use super::section::SECONDS_MAX;
    let seconds = text.parse().ok().filter(|seconds| (0.0..=SECONDS_MAX).contains(seconds));
    seconds.map(Duration::from_secs_f64).ok_or_else(|| format!("expected 0 to {SECONDS_MAX} seconds"))
}

#[cfg(test)]
mod tests;
