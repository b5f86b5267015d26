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
use crate::platform::socket;

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

/// A local socket that somebody else bound and passed on.
#[derive(Debug)]
pub(crate) struct Passed {
    pub(crate) bound: Bound,
    /// Its file, if it has one.
    pub(crate) path: Option<PathBuf>,
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
        if socket::occupied(path)? {
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
        socket::restrict(options, path, group)?.create_tokio().map_err(failed).and_then(|bound| {
            socket::share(path, group)?;
            Ok(Self { bound, path: Some(path.to_owned()) })
        })
    }

    /// Takes over a socket that is bound already; its file is left to whoever bound it.
    pub(crate) fn adopt(Passed { bound, path }: Passed) -> Self {
        Self { bound, path }
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
        let stream = self.bound.accept().await?;
        let peer =
            stream.peer_creds().map_or(Peer::Local { uid: None, pid: None }, |creds| socket::peer(&creds));
        Ok((stream, peer))
    }
}

impl Socket for Stream {
    const TELLS_HALF_CLOSED_FROM_GONE: bool = true;

    fn hangup(&self) -> io::Result<Hangup> {
        socket::hangup(self)
    }
}

#[cfg(test)]
mod tests;
