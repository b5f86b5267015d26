//! Unix sockets in the file system.

use std::fs::Permissions;
use std::io;
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::path::Path;

use interprocess::local_socket::{ListenerOptions, PeerCreds, tokio::Stream};
use interprocess::os::unix::local_socket::ListenerOptionsExt;

use super::hangup::Hangup;
use crate::endpoint::{BindError, Peer};

/// Whether a socket is in the way. Anything else in the way is an error.
pub(crate) fn occupied(path: &Path) -> Result<bool, BindError> {
    match std::fs::symlink_metadata(path) {
        Ok(found) if found.file_type().is_socket() => Ok(true),
        Ok(_) => Err(BindError::NotASocket(path.to_owned())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(source) => Err(BindError::Io { path: path.to_owned(), source }),
    }
}

#[expect(clippy::unnecessary_wraps, reason = "the signature is the one of all platforms")]
pub(crate) fn restrict<'n>(
    options: ListenerOptions<'n>,
    _path: &Path,
    _group: Option<&str>,
) -> Result<ListenerOptions<'n>, BindError> {
    Ok(options.mode(0o600))
}

/// Gives the socket to `group`, and opens it to them only then. The mode it was made with cannot: the umask takes
/// the group's share of it.
pub(crate) fn share(path: &Path, group: Option<&str>) -> Result<(), BindError> {
    let Some(group) = group else { return Ok(()) };
    let gid = group_id(group).ok_or_else(|| BindError::UnknownGroup(group.to_owned()))?;
    std::os::unix::fs::chown(path, None, Some(gid))
        .and_then(|()| std::fs::set_permissions(path, Permissions::from_mode(0o660)))
        .map_err(|source| BindError::Io { path: path.to_owned(), source })
}

/// The id of a group, by number or by its line in the group file.
fn group_id(group: &str) -> Option<u32> {
    if let Ok(gid) = group.parse() {
        return Some(gid);
    }
    let groups = std::fs::read_to_string("/etc/group").ok()?;
    groups.lines().find_map(|line| {
        let mut fields = line.split(':');
        (fields.next() == Some(group)).then(|| fields.nth(1)?.parse().ok())?
    })
}

pub(crate) fn peer(creds: &PeerCreds) -> Peer {
    Peer::Local { uid: creds.euid(), pid: creds.pid().and_then(|pid| u32::try_from(pid).ok()) }
}

pub(crate) fn hangup(socket: &Stream) -> io::Result<Hangup> {
    let Stream::UdSocket(socket) = socket;
    Hangup::of(socket)
}
