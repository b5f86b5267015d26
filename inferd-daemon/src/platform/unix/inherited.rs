//! Sockets that the service manager opened for us: systemd's socket activation, `sd_listen_fds(3)`.

use std::io;
use std::os::fd::OwnedFd;
use std::path::Path;

use interprocess::local_socket::tokio::Listener;
use interprocess::os::unix::uds_local_socket::tokio::Listener as UdSocket;
use tokio::net::TcpListener;

use crate::endpoint::{Inherited, Passed};

/// Takes the sockets passed on to this process; at most one of a kind, as more mean something else.
pub(crate) fn inherited() -> io::Result<Inherited> {
    let mut passed = listenfd::ListenFd::from_env();
    let mut taken = Inherited::default();
    for at in 0..passed.len() {
        if let Ok(Some(local)) = passed.take_unix_listener(at) {
            let path = local.local_addr()?.as_pathname().map(Path::to_owned);
            let bound = Listener::UdSocket(UdSocket::try_from(OwnedFd::from(local))?);
            set_once(&mut taken.local, Passed { bound, path })?;
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

fn set_once<T>(slot: &mut Option<T>, value: T) -> io::Result<()> {
    match slot.replace(value) {
        None => Ok(()),
        Some(_) => Err(io::Error::other("more than one socket of a kind was passed on")),
    }
}
