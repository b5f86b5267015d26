//! One `[[servers]]`: an upstream server, whose tools are offered beside those of all others.
//!
//! Invariants:
//! - A server is in one place: `command`, `url` or `inferd`, and a key of another place is refused, never skipped.
//! - An id can stand before a tool's name in both spellings: it holds neither `::` nor `__`.

use std::net::SocketAddr;
use std::path::PathBuf;

use super::KeySource;
use super::engine::{http_url, is_host_and_port, is_same};
use super::error::ConfigError;
use super::read::{is_variable, key_source};
use super::section::Section;

/// What the daemon itself is called where a server's id is asked for.
pub const OWN_SERVER_ID: &str = "inferd";

/// The longest id of a server or a room, in bytes.
const ID_BYTES_MAX: usize = 32;

/// A server as it is configured.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerConfig {
    /// Unique; matches `[a-z0-9][a-z0-9_-]{0,31}` and holds no `__`.
    pub id: String,
    /// Where it is and what it speaks.
    pub reach: Reach,
}

/// Where an upstream server is and what it speaks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reach {
    /// A program of this machine that speaks MCP on its standard input and output.
    Command {
        /// The program and its arguments; never empty.
        command: Vec<String>,
        /// The variables of the daemon's environment that it gets; it gets no others.
        env: Vec<String>,
    },
    /// An MCP server on streamable HTTP.
    Url {
        /// `http://` or `https://`, with a host and without a user or a query.
        url: String,
        /// The variable that holds the token shown to it.
        bearer_env: Option<String>,
    },
    /// Another daemon like this one.
    Inferd {
        /// A host, a colon and a port.
        address: String,
        /// Where the key is that it asks for.
        key: Option<KeySource>,
    },
}

/// Where a server can be, and the keys that only such a server has.
const PLACES: [(&str, &[&str]); 3] =
    [("command", &["env"]), ("url", &["bearer_env"]), ("inferd", &["api_key_env", "api_key_file"])];

impl ServerConfig {
    pub(super) fn read(section: &Section<'_>) -> Result<Self, ConfigError> {
        let id = id(section, "every server needs one")?;
        let mut places = PLACES.iter().filter(|(place, _)| section.has(place));
        let place = match (places.next(), places.next()) {
            (Some((place, _)), None) => *place,
            (Some((first, _)), Some((second, _))) => {
                let reason = format!("there is `{first}` already: a server is in one place");
                return Err(section.wrong(second, reason));
            }
            (None, _) => {
                return Err(section.wrong("id", "a server needs `command`, `url` or `inferd`: where it is"));
            }
        };
        for (other, keys) in PLACES.iter().filter(|(other, _)| *other != place) {
            if let Some(key) = keys.iter().find(|key| section.has(key)) {
                return Err(section.wrong(key, format!("only servers with `{other}` have this")));
            }
        }
        let reach = match place {
            "command" => command(section)?,
            "url" => url(section)?,
            _ => inferd(section)?,
        };
        Ok(Self { id, reach })
    }

    /// The key that leads back to a daemon that listens at these addresses, as far as can be told without asking anybody.
    pub(super) fn leads_to(&self, tcp: Option<SocketAddr>, mcp: Option<SocketAddr>) -> Option<&'static str> {
        match &self.reach {
            Reach::Command { .. } => None,
            Reach::Url { url, .. } => is_at(url, mcp).then_some("url"),
            Reach::Inferd { address, .. } => tcp.is_some_and(|own| is_same(address, own)).then_some("inferd"),
        }
    }

    /// Where the key or token is that it is shown, if it asks for one.
    #[must_use]
    pub fn key(&self) -> Option<KeySource> {
        match &self.reach {
            Reach::Command { .. } => None,
            Reach::Url { bearer_env, .. } => bearer_env.clone().map(KeySource::Variable),
            Reach::Inferd { key, .. } => key.clone(),
        }
    }

    /// What it speaks and how it is reached, in a word or two.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match &self.reach {
            Reach::Command { .. } => "stdio",
            Reach::Url { .. } => "http",
            Reach::Inferd { .. } => "inferd",
        }
    }

    /// Every path in it that may be relative to the file.
    pub(super) fn path_mut(&mut self) -> Option<&mut PathBuf> {
        match &mut self.reach {
            Reach::Inferd { key, .. } => key.as_mut().and_then(KeySource::path_mut),
            Reach::Command { .. } | Reach::Url { .. } => None,
        }
    }
}

/// The `id` of a section.
pub(super) fn id(section: &Section<'_>, missing: &str) -> Result<String, ConfigError> {
    let id = section.text("id")?.ok_or_else(|| section.wrong("id", missing))?;
    let is_first = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    let is_id = id.len() <= ID_BYTES_MAX
        && id.starts_with(is_first)
        && id.chars().all(|c| is_first(c) || c == '_' || c == '-')
        && !id.contains("__");
    if is_id {
        return Ok(id);
    }
    let reason = "expected 1 to 32 of a-z, 0-9, `-` and `_`, a letter or digit first, and no `__`";
    Err(section.wrong("id", reason))
}

fn command(section: &Section<'_>) -> Result<Reach, ConfigError> {
    let command = section.texts("command")?.unwrap_or_default();
    if command.first().is_none_or(|program| program.trim().is_empty()) {
        return Err(
            section.wrong("command", "expected a program and its arguments, as in [\"npx\", \"-y\", …]")
        );
    }
    if command.iter().any(|argument| argument.contains('\0')) {
        return Err(section.wrong("command", "expected text without NUL characters"));
    }
    let env = section.texts("env")?.unwrap_or_default();
    if !env.iter().all(|name| !name.is_empty() && is_variable(name)) {
        let reason = "expected names of environment variables (letters, digits and underscores), not values";
        return Err(section.wrong("env", reason));
    }
    Ok(Reach::Command { command, env })
}

fn url(section: &Section<'_>) -> Result<Reach, ConfigError> {
    let bearer_env = section.text("bearer_env")?;
    if bearer_env.as_ref().is_some_and(|name| !is_variable(name)) {
        let reason =
            "expected the name of an environment variable (letters, digits and underscores), not a token";
        return Err(section.wrong("bearer_env", reason));
    }
    let url = http_url(section, "url", "`bearer_env`")?.unwrap_or_default();
    Ok(Reach::Url { url, bearer_env })
}

fn inferd(section: &Section<'_>) -> Result<Reach, ConfigError> {
    let text = section.text("inferd")?.unwrap_or_default();
    match text.strip_prefix("tcp://").map(|rest| rest.trim_end_matches('/')) {
        Some(address) if is_host_and_port(address) => {
            let key = key_source(section, "api_key_file")?;
            Ok(Reach::Inferd { address: address.to_owned(), key })
        }
        _ => {
            Err(section.wrong("inferd", "expected tcp://, a host and a port, as in \"tcp://10.0.0.7:47321\""))
        }
    }
}

/// Whether a URL leads to an address that this daemon listens on.
fn is_at(url: &str, own: Option<SocketAddr>) -> bool {
    let uri = url.parse::<hyper::Uri>().ok();
    let authority = uri.as_ref().and_then(hyper::Uri::authority);
    own.zip(authority).is_some_and(|(own, authority)| is_same(authority.as_str(), own))
}

/// The servers of a daemon that listens at `tcp` and, for MCP clients, at `mcp`.
pub(super) fn servers(
    sections: Vec<Section<'_>>,
    tcp: Option<SocketAddr>,
    mcp: Option<SocketAddr>,
) -> Result<Vec<ServerConfig>, ConfigError> {
    let mut servers: Vec<ServerConfig> = Vec::new();
    for section in sections {
        let server = ServerConfig::read(&section)?;
        if server.id == OWN_SERVER_ID {
            return Err(section.wrong("id", "`inferd` is what this daemon itself is called"));
        }
        if servers.iter().any(|other| other.id == server.id) {
            let reason =
                format!("there is a server `{}` already: the names of their tools would collide", server.id);
            return Err(section.wrong("id", reason));
        }
        if let Some(key) = server.leads_to(tcp, mcp) {
            return Err(section.wrong(key, "this daemon itself is there: it would call itself"));
        }
        servers.push(server);
    }
    Ok(servers)
}

#[cfg(test)]
mod tests;
