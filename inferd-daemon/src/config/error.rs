//! What can be wrong with a configuration, said so that it can be found and put right.
//!
//! Invariants:
//! - No message repeats a text value of the file: a key pasted into the wrong place is not printed.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;

/// A configuration that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("cannot read {}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// The file was read; its text is at fault.
    #[error("cannot use {}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What is wrong in it.
        #[source]
        source: Box<ConfigError>,
    },
    /// The text is not TOML.
    #[error("line {line}: {reason}")]
    Syntax {
        /// Counted from 1.
        line: usize,
        /// What the TOML reader said.
        reason: String,
    },
    /// There is no such key.
    #[error("line {line}: {place}: unknown key{hint}")]
    UnknownKey {
        /// Counted from 1.
        line: usize,
        /// Section and key.
        place: Place,
        /// Which key may have been meant.
        hint: Hint,
    },
    /// The key is known, its value is not acceptable.
    #[error("line {line}: {place}: {reason}")]
    Value {
        /// Counted from 1.
        line: usize,
        /// Section and key.
        place: Place,
        /// What is wrong or was expected.
        reason: String,
    },
    /// A backend or server is where this daemon itself takes requests.
    #[error("{what} `{name}`: {key}: this daemon itself is there: it would call itself")]
    Loop {
        /// `backend` or `server`.
        what: &'static str,
        /// Its name.
        name: String,
        /// Its key that says where it is.
        key: &'static str,
    },
    /// The key of a listener is taken away before the listener.
    #[error("{key}: {addr} is listened on until a restart, and beyond loopback a key is needed")]
    StillExposed {
        /// The listener's key in the file.
        key: &'static str,
        /// Where it listens.
        addr: SocketAddr,
    },
    /// Flags and environment lead to something that is not acceptable.
    #[error("{flag}: {reason}")]
    Flag {
        /// The flag.
        flag: &'static str,
        /// What is wrong or was expected.
        reason: String,
    },
}

/// A key and the section it is in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// As it is written in the file, brackets included; empty at the top.
    pub section: &'static str,
    /// The key.
    pub key: String,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.section {
            "" => f.write_str(&self.key),
            section => write!(f, "{section} {}", self.key),
        }
    }
}

/// What an unknown key may have been meant to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hint {
    /// A key of the same section, nearly spelt so.
    Nearest(&'static str),
    /// The key is right, but belongs to the section with this heading.
    Section(&'static str),
    /// Nothing known resembles it; these are the section's keys.
    OneOf(&'static [&'static str]),
}

impl fmt::Display for Hint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Nearest(key) => write!(f, ", did you mean `{key}`?"),
            Self::Section("") => f.write_str(" here, it belongs above the first section"),
            Self::Section(heading) => write!(f, " here, it belongs to {heading}"),
            Self::OneOf(keys) => write!(f, ", expected one of: {}", keys.join(", ")),
        }
    }
}
