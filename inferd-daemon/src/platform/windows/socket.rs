//! Named pipes.

use std::io;
use std::path::Path;

use interprocess::local_socket::{ListenerOptions, PeerCreds, tokio::Stream};

use super::hangup::Hangup;
use crate::endpoint::{BindError, Peer};

/// A pipe of that name that somebody serves cannot be bound again; the system says so itself.
#[expect(clippy::unnecessary_wraps, reason = "the signature is the one of all platforms")]
pub(crate) fn occupied(_path: &Path) -> Result<bool, BindError> {
    Ok(false)
}

/// A pipe's default access is its creator's and administrators'; groups are a Unix notion.
pub(crate) fn restrict<'n>(
    options: ListenerOptions<'n>,
    _path: &Path,
    group: Option<&str>,
) -> Result<ListenerOptions<'n>, BindError> {
    match group {
        None => Ok(options),
        Some(group) => Err(BindError::UnknownGroup(group.to_owned())),
    }
}

#[expect(clippy::unnecessary_wraps, reason = "the signature is the one of all platforms")]
pub(crate) fn share(_path: &Path, _group: Option<&str>) -> Result<(), BindError> {
    Ok(())
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "the signature is the one of all platforms")]
pub(crate) fn peer(creds: &PeerCreds) -> Peer {
    Peer::Local { uid: None, pid: creds.pid() }
}

#[expect(clippy::unnecessary_wraps, reason = "the signature is the one of all platforms")]
pub(crate) fn hangup(_socket: &Stream) -> io::Result<Hangup> {
    Ok(Hangup::Gone)
}
