//! Keys: where the configuration says they are enters; keys that can be compared and sent, but not shown, leave.
//!
//! Invariants:
//! - No key, and nothing made of one, is ever formatted: not by `Debug`, not by an error.
//! - Of the keys that clients present only SHA-256 digests are held.
//! - How long a comparison takes says nothing of how near it came, nor of which key it was.

use std::collections::HashMap;
use std::ffi::OsString;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use secrecy::SecretString;
use sha2::{Digest, Sha256};
use subtle::{ConditionallySelectable, ConstantTimeEq};
use toml::de::{DeTable, DeValue};

use crate::config::{Config, KeySource, line_of};

/// A key that is not where it should be.
#[derive(Debug, thiserror::Error)]
pub enum SecretError {
    /// The environment variable is not set, or empty.
    #[error("{variable} is not set: {owner} takes its key from it")]
    NotSet {
        /// The variable's name.
        variable: String,
        /// Who needs the key.
        owner: Owner,
    },
    /// The environment variable is not UTF-8.
    #[error("{variable} is not UTF-8: {owner} takes its key from it")]
    NotText {
        /// The variable's name.
        variable: String,
        /// Who needs the key.
        owner: Owner,
    },
    /// The file cannot be read.
    #[error("cannot read {}: {owner} takes its key from it", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Who needs the key.
        owner: Owner,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// The file holds no key.
    #[error("{} holds no key: {owner} takes its key from it", path.display())]
    NoKey {
        /// The file.
        path: PathBuf,
        /// Who needs the key.
        owner: Owner,
    },
    /// A line of the keys file is wrong.
    #[error("{}: line {line}: {reason}", path.display())]
    Line {
        /// The file.
        path: PathBuf,
        /// Counted from 1.
        line: usize,
        /// What is wrong or was expected.
        reason: String,
    },
}

/// Who needs a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Owner {
    /// The TCP listener.
    Listener,
    /// The MCP listener.
    McpListener,
    /// The backend of this name.
    Backend(String),
    /// The upstream server of this id.
    Server(String),
}

impl fmt::Display for Owner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Listener => f.write_str("[listen]"),
            Self::McpListener => f.write_str("[mcp]"),
            Self::Backend(name) => write!(f, "backend `{name}`"),
            Self::Server(id) => write!(f, "server `{id}`"),
        }
    }
}

/// All keys of one configuration.
#[derive(Debug, Clone, Default)]
pub struct Secrets {
    /// Those TCP clients present; `None`: none is asked for.
    pub clients: Option<Keys>,
    /// Those MCP clients present; `None`: none is asked for.
    pub mcp_clients: Option<Keys>,
    backends: HashMap<String, SecretString>,
    servers: HashMap<String, SecretString>,
}

impl Secrets {
    /// Fetches every key that `config` names.
    ///
    /// # Errors
    /// [`SecretError`] for the first that is not there; it names the variable or file and who needs it.
    pub fn load(config: &Config) -> Result<Self, SecretError> {
        Self::load_with(config, |name| std::env::var_os(name))
    }

    fn load_with(config: &Config, env: impl Fn(&str) -> Option<OsString>) -> Result<Self, SecretError> {
        let clients = keys(config.listen.keys.as_ref(), &Owner::Listener, &env)?;
        let mcp_clients = keys(config.mcp.keys.as_ref(), &Owner::McpListener, &env)?;
        let mut backends = HashMap::new();
        for backend in &config.backends {
            let Some(source) = backend.engine.key() else { continue };
            let key = shown(source, Owner::Backend(backend.name.clone()), &env)?;
            backends.insert(backend.name.clone(), key);
        }
        let mut servers = HashMap::new();
        for server in &config.servers {
            let Some(source) = server.key() else { continue };
            let key = shown(&source, Owner::Server(server.id.clone()), &env)?;
            servers.insert(server.id.clone(), key);
        }
        Ok(Self { clients, mcp_clients, backends, servers })
    }

    /// The key to show to the backend of this name.
    #[must_use]
    pub fn of_backend(&self, name: &str) -> Option<&SecretString> {
        self.backends.get(name)
    }

    /// The key to show to the upstream server of this id.
    #[must_use]
    pub fn of_server(&self, id: &str) -> Option<&SecretString> {
        self.servers.get(id)
    }
}

/// A key that is shown to somebody else.
fn shown(
    source: &KeySource,
    owner: Owner,
    env: impl Fn(&str) -> Option<OsString>,
) -> Result<SecretString, SecretError> {
    let key = match source {
        KeySource::Variable(name) => variable(name, owner, env)?,
        KeySource::File(path) => match file(path, owner.clone())?.trim() {
            "" => return Err(SecretError::NoKey { path: path.clone(), owner }),
            key => key.to_owned(),
        },
    };
    Ok(SecretString::from(key.trim()))
}

/// The keys that the clients of a listener present.
fn keys(
    source: Option<&KeySource>,
    owner: &Owner,
    env: impl Fn(&str) -> Option<OsString>,
) -> Result<Option<Keys>, SecretError> {
    Ok(match source {
        None => None,
        Some(KeySource::Variable(name)) => {
            Some(Keys::from_plain("default", &variable(name, owner.clone(), env)?))
        }
        Some(KeySource::File(path)) => Some(Keys::parse(path, owner, &file(path, owner.clone())?)?),
    })
}

fn variable(name: &str, owner: Owner, env: impl Fn(&str) -> Option<OsString>) -> Result<String, SecretError> {
    let variable = name.to_owned();
    match env(name).map(OsString::into_string) {
        Some(Ok(key)) if !key.trim().is_empty() => Ok(key),
        Some(Err(_)) => Err(SecretError::NotText { variable, owner }),
        Some(Ok(_)) | None => Err(SecretError::NotSet { variable, owner }),
    }
}

fn file(path: &Path, owner: Owner) -> Result<String, SecretError> {
    std::fs::read_to_string(path).map_err(|source| SecretError::Read { path: path.to_owned(), owner, source })
}

/// The keys that clients present, each with a name.
#[derive(Clone, PartialEq, Eq)]
pub struct Keys(Vec<(String, [u8; 32])>);

impl fmt::Debug for Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Keys { .. }")
    }
}

impl Keys {
    /// One key that is at hand.
    #[must_use]
    pub fn from_plain(name: impl Into<String>, key: &str) -> Self {
        Self(vec![(name.into(), Sha256::digest(key).into())])
    }

    /// Several keys that are at hand: names and keys.
    #[cfg(test)]
    pub(crate) fn several(keys: &[(&str, &str)]) -> Self {
        Self(keys.iter().map(|(name, key)| ((*name).to_owned(), Sha256::digest(key).into())).collect())
    }

    /// The name of the key that was presented, if it is one of these. All are looked at, always.
    #[must_use]
    pub fn identify(&self, presented: &str) -> Option<&str> {
        let presented: [u8; 32] = Sha256::digest(presented).into();
        let mut found = 0_u64;
        for (place, (_, digest)) in (1..).zip(&self.0) {
            found.conditional_assign(&place, digest.ct_eq(&presented));
        }
        let place = usize::try_from(found).ok()?.checked_sub(1)?;
        self.0.get(place).map(|(name, _)| name.as_str())
    }

    /// The text of a keys file: `name = "SHA-256 of the key, in hex"` on each line.
    fn parse(path: &Path, owner: &Owner, text: &str) -> Result<Self, SecretError> {
        let wrong = |start, reason: &str| SecretError::Line {
            path: path.to_owned(),
            line: line_of(text, start),
            reason: reason.to_owned(),
        };
        let table = DeTable::parse(text)
            .map_err(|error| wrong(error.span().map_or(0, |span| span.start), error.message()))?;
        let mut keys: Vec<(String, [u8; 32])> = Vec::new();
        for (name, value) in table.get_ref() {
            let (start, name) = (name.span().start, name.get_ref());
            let digest = match value.get_ref() {
                DeValue::String(hex) => digest(hex),
                _ => None,
            };
            let Some(digest) = digest else {
                return Err(wrong(start, &format!("{name}: expected the SHA-256 of the key, 64 hex digits")));
            };
            if let Some((other, _)) = keys.iter().find(|(_, known)| *known == digest) {
                return Err(wrong(start, &format!("{name}: the same key as {other}")));
            }
            keys.push((name.to_string(), digest));
        }
        if keys.is_empty() {
            return Err(SecretError::NoKey { path: path.to_owned(), owner: owner.clone() });
        }
        Ok(Self(keys))
    }
}

fn digest(hex: &str) -> Option<[u8; 32]> {
    let digits: Vec<u8> =
        hex.chars().map(|digit| digit.to_digit(16)?.try_into().ok()).collect::<Option<_>>()?;
    let bytes: Vec<u8> =
        digits.chunks(2).map(|pair| pair.iter().fold(0, |byte, digit| byte << 4 | digit)).collect();
    (digits.len() == 64).then_some(bytes)?.try_into().ok()
}

#[cfg(test)]
mod tests;
