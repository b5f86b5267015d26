//! The file, section by section.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;

use inferd_proto::MAX_FRAME_BYTES;
use toml::de::DeTable;

use super::error::ConfigError;
use super::rooms::rooms;
use super::section::{Section, line_of};
use super::servers::servers;
use super::{
    AdmissionConfig, BackendConfig, Config, KeySource, LimitsConfig, ListenConfig, McpConfig, StateConfig,
    shape,
};
use crate::lifecycle::Identity;
use crate::router::BreakerConfig;

/// The most that anything is counted to.
pub(super) const COUNT_MAX: i64 = 1_000_000;

/// Ten years.
const AUDIT_DAYS_MAX: i64 = 3650;

/// A frame limit below this would refuse ordinary requests.
const FRAME_BYTES_MIN: i64 = 1024;

pub(super) fn config(text: &str) -> Result<Config, ConfigError> {
    let table = DeTable::parse(text).map_err(|error| ConfigError::Syntax {
        line: line_of(text, error.span().map_or(0, |span| span.start)),
        reason: error.message().to_owned(),
    })?;
    let top = Section::top(&shape::TOP, text, table.get_ref())?;
    let defaults = Config::default();
    let listen = read(&top, "listen", &shape::LISTEN, listen)?;
    let mcp = read(&top, "mcp", &shape::MCP, mcp)?;
    let servers = servers(top.children("servers", &shape::SERVERS)?, listen.tcp, mcp.listen)?;
    Ok(Config {
        file: None,
        drain_timeout: top.seconds_or_none("drain_timeout_s")?.unwrap_or(defaults.drain_timeout),
        limits: read(&top, "limits", &shape::LIMITS, limits)?,
        mcp,
        admission: read(&top, "admission", &shape::ADMISSION, admission)?,
        breaker: read(&top, "breaker", &shape::BREAKER, breaker)?,
        state: read(&top, "state", &shape::STATE, state)?,
        backends: backends(&top, &listen)?,
        rooms: rooms(top.children("rooms", &shape::ROOMS)?, &servers)?,
        servers,
        listen,
    })
}

fn read<T: Default>(
    top: &Section<'_>,
    key: &str,
    shape: &'static shape::Shape,
    read: impl FnOnce(&Section<'_>) -> Result<T, ConfigError>,
) -> Result<T, ConfigError> {
    top.child(key, shape)?.as_ref().map_or_else(|| Ok(T::default()), read)
}

fn listen(section: &Section<'_>) -> Result<ListenConfig, ConfigError> {
    let listen = ListenConfig {
        local: section.text("local")?.filter(|local| local != "default").map(PathBuf::from),
        group: section.text("group")?,
        tcp: section
            .text("tcp")?
            .map(|address| tcp_address(&address).map_err(|reason| section.wrong("tcp", reason)))
            .transpose()?,
        keys: key_source(section, "api_keys_file")?,
    };
    listen.check_exposure().map_err(|reason| section.wrong("tcp", reason))?;
    Ok(listen)
}

fn mcp(section: &Section<'_>) -> Result<McpConfig, ConfigError> {
    let mcp = McpConfig {
        listen: section
            .text("listen")?
            .map(|address| tcp_address(&address).map_err(|reason| section.wrong("listen", reason)))
            .transpose()?,
        allowed_origins: section.texts("allowed_origins")?.unwrap_or_default(),
        keys: key_source(section, "api_keys_file")?,
        persist: section.flag("persist")?.unwrap_or(true),
        standalone: section.flag("standalone")?.unwrap_or(true),
    };
    if !mcp.allowed_origins.iter().all(|origin| is_origin(origin)) {
        let expected = "expected the scheme, host and port of each, as in \"https://app.example.com\"";
        return Err(section.wrong("allowed_origins", expected));
    }
    mcp.check_exposure().map_err(|reason| section.wrong("listen", reason))?;
    Ok(mcp)
}

/// A scheme, a host and perhaps a port, as a browser says in `Origin`.
fn is_origin(text: &str) -> bool {
    let parts = text.parse::<hyper::Uri>().ok().map(hyper::Uri::into_parts);
    parts.is_some_and(|parts| {
        let path = parts.path_and_query.is_none_or(|path| path.as_str() == "/");
        parts.scheme.is_some() && parts.authority.is_some() && path && !text.ends_with('/')
    })
}

/// An address and port; `localhost` is the only name, so that nothing depends on a resolver.
pub(super) fn tcp_address(text: &str) -> Result<SocketAddr, &'static str> {
    let port = text.strip_prefix("localhost:").and_then(|port| port.parse().ok());
    port.map(|port| SocketAddr::from((Ipv4Addr::LOCALHOST, port)))
        .or_else(|| text.parse().ok())
        .ok_or("expected an address and a port, as in \"127.0.0.1:47321\"")
}

impl ListenConfig {
    /// TCP beyond loopback needs a key.
    pub(super) fn check_exposure(&self) -> Result<(), &'static str> {
        check_exposure(self.tcp, self.keys.as_ref())
    }
}

impl McpConfig {
    /// What is open beyond loopback needs a key.
    pub(super) fn check_exposure(&self) -> Result<(), &'static str> {
        check_exposure(self.listen, self.keys.as_ref())
    }
}

fn check_exposure(listens: Option<SocketAddr>, keys: Option<&KeySource>) -> Result<(), &'static str> {
    match listens {
        Some(addr) if !addr.ip().to_canonical().is_loopback() && keys.is_none() => {
            Err("beyond loopback a key is needed: set `api_key_env` or `api_keys_file`")
        }
        _ => Ok(()),
    }
}

/// `api_key_env`, or the file under `file_key`, but not both.
pub(super) fn key_source(section: &Section<'_>, file_key: &str) -> Result<Option<KeySource>, ConfigError> {
    match (section.text("api_key_env")?, section.text(file_key)?) {
        (Some(_), Some(_)) => {
            Err(section.wrong(file_key, "there is `api_key_env` already: a key comes from one place"))
        }
        (Some(name), None) if is_variable(&name) => Ok(Some(KeySource::Variable(name))),
        (Some(_), None) => Err(section.wrong(
            "api_key_env",
            "expected the name of an environment variable (letters, digits and underscores), not a key",
        )),
        (None, file) => Ok(file.map(|path| KeySource::File(path.into()))),
    }
}

/// Whether this can be a variable's name; most keys cannot, and are not to be looked up or printed.
pub(super) fn is_variable(name: &str) -> bool {
    !name.starts_with(|c: char| c.is_ascii_digit())
        && name.bytes().all(|byte| byte == b'_' || byte.is_ascii_alphanumeric())
}

fn limits(section: &Section<'_>) -> Result<LimitsConfig, ConfigError> {
    let defaults = LimitsConfig::default();
    let frame_bytes = FRAME_BYTES_MIN..=i64::try_from(MAX_FRAME_BYTES).unwrap_or(i64::MAX);
    Ok(LimitsConfig {
        frame_bytes_max: section.whole("frame_bytes_max", frame_bytes)?.unwrap_or(defaults.frame_bytes_max),
        connections_max: section.whole("connections_max", 1..=COUNT_MAX)?.unwrap_or(defaults.connections_max),
        open_requests_max: section
            .whole("open_requests_max", 1..=COUNT_MAX)?
            .unwrap_or(defaults.open_requests_max),
        idle_timeout: section.seconds("idle_timeout_s")?.unwrap_or(defaults.idle_timeout),
    })
}

fn admission(section: &Section<'_>) -> Result<AdmissionConfig, ConfigError> {
    let defaults = AdmissionConfig::default();
    Ok(AdmissionConfig {
        active: section.whole("active", 0..=COUNT_MAX)?.unwrap_or(defaults.active).max(1),
        queue_depth: section.whole("queue_depth", 0..=COUNT_MAX)?.unwrap_or(defaults.queue_depth),
        per_client_queue: section.whole("per_client_queue", 1..=COUNT_MAX)?,
        ageing: section.seconds("ageing_s")?.unwrap_or(defaults.ageing),
        client: match section.text("client")?.as_deref() {
            None => defaults.client,
            Some("process") => Identity::Process,
            Some("user") => Identity::User,
            Some("connection") => Identity::Connection,
            Some(_) => return Err(section.wrong("client", "expected `process`, `user` or `connection`")),
        },
    })
}

fn breaker(section: &Section<'_>) -> Result<BreakerConfig, ConfigError> {
    let defaults = BreakerConfig::default();
    let cooldown = section.seconds("cooldown_s")?.unwrap_or(defaults.cooldown);
    let cooldown_max = section.seconds("cooldown_max_s")?;
    if cooldown_max.is_some_and(|max| max < cooldown) {
        return Err(section.wrong("cooldown_max_s", "expected at least `cooldown_s`"));
    }
    Ok(BreakerConfig {
        failures: section.whole("failures", 1..=COUNT_MAX)?.unwrap_or(defaults.failures),
        window: section.seconds("window_s")?.unwrap_or(defaults.window),
        cooldown,
        cooldown_max: cooldown_max.unwrap_or(defaults.cooldown_max.max(cooldown)),
    })
}

fn state(section: &Section<'_>) -> Result<StateConfig, ConfigError> {
    Ok(StateConfig {
        path: section.text("path")?.filter(|path| path != "default").map(PathBuf::from),
        audit_days: section
            .whole("audit_days", 0..=AUDIT_DAYS_MAX)?
            .unwrap_or(StateConfig::default().audit_days),
    })
}

fn backends(top: &Section<'_>, listen: &ListenConfig) -> Result<Vec<BackendConfig>, ConfigError> {
    let mut backends: Vec<BackendConfig> = Vec::new();
    for section in top.children("backends", &shape::BACKENDS)? {
        let backend = BackendConfig::read(&section)?;
        if backends.iter().any(|other| other.name == backend.name) {
            return Err(section.wrong("name", format!("there is a backend `{}` already", backend.name)));
        }
        if let Some(key) = backend.engine.leads_to(listen) {
            return Err(section.wrong(key, "this daemon itself is there: it would call itself"));
        }
        backends.push(backend);
    }
    Ok(backends)
}

#[cfg(test)]
mod tests;
