//! What servers and conversations are named by.

use std::borrow::Borrow;
use std::fmt;
use std::ops::Deref;
use std::str::FromStr;
use std::sync::Arc;

use super::error::RuntimeError;

/// The longest id of a server.
pub const SERVER_ID_CHARS_MAX: usize = 32;

/// The id of a server: `[a-z0-9][a-z0-9_-]{0,31}` without `__`, so that `server::tool` and `server__tool` each have one
/// reading. Clones are cheap.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ServerId(Arc<str>);

impl ServerId {
    /// `id`, if it is one.
    ///
    /// # Errors
    /// [`RuntimeError::InvalidServerId`].
    pub fn new(id: impl AsRef<str>) -> Result<Self, RuntimeError> {
        let id = id.as_ref();
        let begins_well = id.starts_with(|c: char| c.is_ascii_lowercase() || c.is_ascii_digit());
        let is_plain =
            id.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '_' | '-'));
        if begins_well && is_plain && id.len() <= SERVER_ID_CHARS_MAX && !id.contains("__") {
            Ok(Self(id.into()))
        } else {
            Err(RuntimeError::InvalidServerId(id.to_owned()))
        }
    }

    /// The id as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for ServerId {
    type Err = RuntimeError;

    fn from_str(id: &str) -> Result<Self, RuntimeError> {
        Self::new(id)
    }
}

impl Deref for ServerId {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

impl Borrow<str> for ServerId {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl AsRef<str> for ServerId {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

impl PartialEq<str> for ServerId {
    fn eq(&self, other: &str) -> bool {
        &*self.0 == other
    }
}

impl PartialEq<&str> for ServerId {
    fn eq(&self, other: &&str) -> bool {
        &*self.0 == *other
    }
}

impl fmt::Display for ServerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Names a conversation: a thread of a room of a server.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ThreadKey {
    /// The server.
    pub server_id: ServerId,
    /// The room on it.
    pub room_id: String,
    /// The thread in that.
    pub thread_id: String,
}

impl fmt::Display for ThreadKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}/{}", self.server_id, self.room_id, self.thread_id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_short_plain_and_can_stand_before_a_separator() {
        let longest = "a".repeat(32);
        for good in ["a", "0", "prod", "gpu-box", "a_b", "a_", "9-_-_", longest.as_str()] {
            assert_eq!(ServerId::new(good).unwrap(), good);
        }
        let too_long = "a".repeat(33);
        for bad in
            ["", "_a", "-a", "A", "aB", "a__b", "a::b", "a:b", "a b", "ä", "a.b", "a/", too_long.as_str()]
        {
            assert_eq!(ServerId::new(bad), Err(RuntimeError::InvalidServerId(bad.to_owned())), "{bad}");
        }
    }
}
