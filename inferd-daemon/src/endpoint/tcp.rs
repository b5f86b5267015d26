//! TCP.

use std::io;

use tokio::net::{TcpListener, TcpStream};

use super::{Hangup, Listener, Peer, Socket};

/// Binds `addr`, such as `127.0.0.1:47321`; port 0 takes a free one.
///
/// # Errors
/// [`io::Error`] for an address that is none, is not this machine's, or is taken.
pub async fn bind_tcp(addr: &str) -> io::Result<TcpListener> {
    TcpListener::bind(addr).await
}

impl Listener for TcpListener {
    type Socket = TcpStream;

    async fn accept(&self) -> io::Result<(TcpStream, Peer)> {
        let (socket, addr) = TcpListener::accept(self).await?;
        // A token that is ready never waits for the one after it.
        socket.set_nodelay(true)?;
        Ok((socket, Peer::Tcp(addr)))
    }
}

impl Socket for TcpStream {
    const TELLS_HALF_CLOSED_FROM_GONE: bool = false;

    fn hangup(&self) -> io::Result<Hangup> {
        Hangup::of(self)
    }
}
