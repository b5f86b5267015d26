//! Where a daemon listens: text in, a place to dial out.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

/// Where a daemon listens. As text a TCP address begins with `tcp://`; anything else is a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Address {
    /// A Unix socket, or a named pipe such as `\\.\pipe\inferd`.
    Local(PathBuf),
    /// `host:port`.
    Tcp(String),
}

/// Text that is no [`Address`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("expected a path or tcp://host:port, got `{0}`")]
pub struct AddressError(String);

impl FromStr for Address {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, AddressError> {
        let refused = || AddressError(text.to_owned());
        match text.split_once("://") {
            None if text.is_empty() => Err(refused()),
            None => Ok(Self::Local(text.into())),
            Some(("tcp", place)) => match place.rsplit_once(':') {
                Some((host, port)) if !host.is_empty() && port.parse::<u16>().is_ok() => {
                    Ok(Self::Tcp(place.to_owned()))
                }
                _ => Err(refused()),
            },
            Some(_) => Err(refused()),
        }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Local(path) => path.display().fmt(f),
            Self::Tcp(place) => write!(f, "tcp://{place}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_survives_being_written_and_read() {
        for text in
            ["/run/user/1000/inferd/infer.sock", r"\\.\pipe\inferd", "tcp://127.0.0.1:47321", "tcp://[::1]:1"]
        {
            assert_eq!(text.parse::<Address>().unwrap().to_string(), text);
        }
    }

    #[test]
    fn what_cannot_be_dialled_is_refused_with_what_was_expected() {
        for text in ["", "tcp://", "tcp://localhost", "tcp://:80", "tcp://host:http", "http://127.0.0.1:80"] {
            let error = text.parse::<Address>().unwrap_err();
            assert_eq!(error.to_string(), format!("expected a path or tcp://host:port, got `{text}`"));
        }
    }
}
