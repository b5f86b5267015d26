//! Sockets that the service manager opened for us (systemd's socket activation, `sd_listen_fds(3)`).
//!
//! At most one local and one TCP socket are taken; more than that is a unit file that means something else.

use std::io;

use tokio::net::TcpListener;

use super::LocalListener;

/// What was passed on.
#[derive(Debug, Default)]
pub(crate) struct Inherited {
    /// In place of the local socket.
    pub(crate) local: Option<LocalListener>,
    /// In place of the TCP address.
    pub(crate) tcp: Option<TcpListener>,
}

#[cfg(unix)]
pub(crate) fn inherited() -> io::Result<Inherited> {
    let mut passed = listenfd::ListenFd::from_env();
    let mut taken = Inherited::default();
    for at in 0..passed.len() {
        if let Ok(Some(local)) = passed.take_unix_listener(at) {
            set_once(&mut taken.local, LocalListener::adopt(local)?)?;
        } else if let Ok(Some(tcp)) = passed.take_tcp_listener(at) {
            tcp.set_nonblocking(true)?;
            set_once(&mut taken.tcp, TcpListener::from_std(tcp)?)?;
        } else {
            return Err(io::Error::other(format!(
                "socket {at} passed on is neither a Unix nor a TCP listener"
            )));
        }
    }
    Ok(taken)
}

#[cfg(unix)]
fn set_once<T>(slot: &mut Option<T>, value: T) -> io::Result<()> {
    match slot.replace(value) {
        None => Ok(()),
        Some(_) => Err(io::Error::other("more than one socket of a kind was passed on")),
    }
}

#[cfg(windows)]
#[expect(clippy::unnecessary_wraps, reason = "the signature is the one of all platforms")]
pub(crate) fn inherited() -> io::Result<Inherited> {
    Ok(Inherited::default())
}
