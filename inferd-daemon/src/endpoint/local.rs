//! Local sockets: a Unix socket in the file system, a named pipe on Windows.
//!
//! Invariants:
//! - A socket somebody answers on is never taken over; one that nobody does is replaced.
//! - What is not a socket is never touched.
//! - The socket file is never open to more than it will be: it is made for its owner and then shared.

use std::io;
use std::path::{Path, PathBuf};

use interprocess::local_socket::tokio::{Listener as Bound, Stream};
use interprocess::local_socket::traits::StreamCommon as _;
use interprocess::local_socket::traits::tokio::{Listener as _, Stream as _};
use interprocess::local_socket::{GenericFilePath, ListenerOptions, Name, ToFsName};

use super::{Hangup, Listener, Peer, Socket};

/// Why a local socket cannot be bound.
#[derive(Debug, thiserror::Error)]
pub enum BindError {
    /// Somebody answers there.
    #[error("{} is in use: something is listening on it", .0.display())]
    InUse(PathBuf),
    /// Something else is there.
    #[error("{} is not a socket: refusing to replace it", .0.display())]
    NotASocket(PathBuf),
    /// The group to share with does not exist.
    #[error("there is no group `{0}`")]
    UnknownGroup(String),
    /// The system refused.
    #[error("cannot bind {}", path.display())]
    Io {
        /// Where.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
}

/// A bound local socket. Dropping it removes the socket file.
#[derive(Debug)]
pub struct LocalListener {
    bound: Bound,
    /// Where it listens; `None` for one that was passed on without a file.
    path: Option<PathBuf>,
}

impl LocalListener {
    /// Binds `path` for its owner alone, or for `group` too.
    ///
    /// # Errors
    /// [`BindError`]
    pub async fn bind(path: &Path, group: Option<&str>) -> Result<Self, BindError> {
        let failed = |source| BindError::Io { path: path.to_owned(), source };
        if platform::occupied(path)? {
            match Stream::connect(name(path).map_err(failed)?).await {
                Ok(_) => return Err(BindError::InUse(path.to_owned())),
                Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
                    std::fs::remove_file(path).map_err(failed)?;
                }
                // Somebody else's, perhaps: only a socket that nobody listens on is known to be left over.
                Err(source) => return Err(failed(source)),
            }
        }
        let options = ListenerOptions::new().name(name(path).map_err(failed)?).try_overwrite(false);
        platform::restrict(options, path, group)?.create_tokio().map_err(failed).and_then(|bound| {
            platform::share(path, group)?;
            Ok(Self { bound, path: Some(path.to_owned()) })
        })
    }

    /// Takes over a socket that is bound already; its file is left to whoever bound it.
    #[cfg(unix)]
    pub(super) fn adopt(bound: std::os::unix::net::UnixListener) -> io::Result<Self> {
        let path = bound.local_addr()?.as_pathname().map(Path::to_owned);
        Ok(Self { bound: platform::adopt(bound)?, path })
    }

    /// Where it listens, if that has a name.
    pub(crate) fn path(&self) -> Option<&Path> {
        self.path.as_deref()
    }
}

fn name(path: &Path) -> io::Result<Name<'_>> {
    path.to_fs_name::<GenericFilePath>()
}

impl Listener for LocalListener {
    type Socket = Stream;

    async fn accept(&self) -> io::Result<(Stream, Peer)> {
        let socket = self.bound.accept().await?;
        let peer =
            socket.peer_creds().map_or(Peer::Local { uid: None, pid: None }, |creds| platform::peer(&creds));
        Ok((socket, peer))
    }
}

impl Socket for Stream {
    const TELLS_HALF_CLOSED_FROM_GONE: bool = true;

    fn hangup(&self) -> io::Result<Hangup> {
        platform::hangup(self)
    }
}

#[cfg(unix)]
mod platform {
    use std::fs::Permissions;
    use std::os::unix::fs::{FileTypeExt, PermissionsExt};
    use std::path::Path;

    use interprocess::local_socket::{ListenerOptions, PeerCreds, tokio::Stream};
    use interprocess::os::unix::local_socket::ListenerOptionsExt;

    use super::{BindError, Bound, Hangup, Peer, io};

    /// Whether a socket is in the way. Anything else in the way is an error.
    pub(super) fn occupied(path: &Path) -> Result<bool, BindError> {
        match std::fs::symlink_metadata(path) {
            Ok(found) if found.file_type().is_socket() => Ok(true),
            Ok(_) => Err(BindError::NotASocket(path.to_owned())),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(source) => Err(BindError::Io { path: path.to_owned(), source }),
        }
    }

    #[expect(clippy::unnecessary_wraps, reason = "the signature is the one of all platforms")]
    pub(super) fn restrict<'n>(
        options: ListenerOptions<'n>,
        _path: &Path,
        _group: Option<&str>,
    ) -> Result<ListenerOptions<'n>, BindError> {
        Ok(options.mode(0o600))
    }

    /// Gives the socket to `group`, and opens it to them only then. The mode it was made with cannot: the umask takes
    /// the group's share of it.
    pub(super) fn share(path: &Path, group: Option<&str>) -> Result<(), BindError> {
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

    pub(super) fn adopt(bound: std::os::unix::net::UnixListener) -> io::Result<Bound> {
        use interprocess::os::unix::uds_local_socket::tokio::Listener;
        Listener::try_from(std::os::fd::OwnedFd::from(bound)).map(Bound::UdSocket)
    }

    pub(super) fn peer(creds: &PeerCreds) -> Peer {
        Peer::Local { uid: creds.euid(), pid: creds.pid().and_then(|pid| u32::try_from(pid).ok()) }
    }

    pub(super) fn hangup(socket: &Stream) -> io::Result<Hangup> {
        let Stream::UdSocket(socket) = socket;
        Hangup::of(socket)
    }
}

#[cfg(windows)]
mod platform {
    use std::path::Path;

    use interprocess::local_socket::{ListenerOptions, PeerCreds, tokio::Stream};

    use super::{BindError, Hangup, Peer, io};

    /// A pipe of that name that somebody serves cannot be bound again; the system says so itself.
    #[expect(clippy::unnecessary_wraps, reason = "the signature is the one of all platforms")]
    pub(super) fn occupied(_path: &Path) -> Result<bool, BindError> {
        Ok(false)
    }

    /// A pipe's default access is its creator's and administrators'; groups are a Unix notion.
    pub(super) fn restrict<'n>(
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
    pub(super) fn share(_path: &Path, _group: Option<&str>) -> Result<(), BindError> {
        Ok(())
    }

    pub(super) fn peer(creds: &PeerCreds) -> Peer {
        Peer::Local { uid: None, pid: creds.pid() }
    }

    #[expect(clippy::unnecessary_wraps, reason = "the signature is the one of all platforms")]
    pub(super) fn hangup(_socket: &Stream) -> io::Result<Hangup> {
        Ok(Hangup::Gone)
    }
}

#[cfg(test)]
mod tests;
