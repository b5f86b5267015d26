//! Where connections come from: local sockets, named pipes, TCP.
//!
//! An address enters, connected sockets and who is behind them leave. What they say is not looked at here.

mod local;
mod tcp;

use std::io;

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;

pub(crate) use crate::platform::hangup::Hangup;
pub(crate) use crate::platform::inherited::inherited;

pub(crate) use local::Passed;
pub use local::{BindError, LocalListener};
pub use tcp::bind_tcp;

/// Who is behind a connection, as far as the transport tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Peer {
    /// A process of this machine.
    Local {
        /// Its user; `None` where the platform does not say.
        uid: Option<u32>,
        /// Its process id; `None` where the platform does not say.
        pid: Option<u32>,
    },
    /// Somebody on TCP.
    Tcp(std::net::SocketAddr),
}

/// A connected byte stream.
pub(crate) trait Socket: AsyncRead + AsyncWrite + Unpin + Send + 'static {
    /// Whether a peer that only shut down its writing side looks different from one that is gone. Where it does not,
    /// only writing to it tells.
    const TELLS_HALF_CLOSED_FROM_GONE: bool;

    /// Watches, after the end of what the peer sends, for its departure.
    fn hangup(&self) -> io::Result<Hangup>;
}

/// Something that connections come from.
pub(crate) trait Listener: Send + Sync + 'static {
    /// What comes.
    type Socket: Socket;

    /// The next connection. An error is of that connection or passing; the listener goes on.
    fn accept(&self) -> impl Future<Output = io::Result<(Self::Socket, Peer)>> + Send;
}

/// Sockets that a service manager opened for us.
#[derive(Debug, Default)]
pub(crate) struct Inherited {
    /// In place of the local socket.
    pub(crate) local: Option<Passed>,
    /// In place of the TCP address.
    pub(crate) tcp: Option<TcpListener>,
}
