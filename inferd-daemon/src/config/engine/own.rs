//! Whether the other daemon of a backend is this one: it would call itself until nothing is left.

use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};

use super::super::ListenConfig;
use super::{DaemonAddress, EngineConfig};
use crate::paths::Paths;

impl EngineConfig {
    /// The key that leads back to a daemon that listens as `listen` says, as far as can be told without asking
    /// anybody: names other than `localhost` are not resolved.
    pub(crate) fn leads_to(&self, listen: &ListenConfig) -> Option<&'static str> {
        let Self::Inferd(daemon) = self else { return None };
        match &daemon.address {
            DaemonAddress::Local(path) => {
                (place(path.as_deref()) == place(listen.local.as_deref())).then_some("local")
            }
            DaemonAddress::Tcp(address) => {
                listen.tcp.is_some_and(|own| is_same(address, own)).then_some("tcp")
            }
        }
    }
}

/// A local socket's path in full.
fn place(local: Option<&Path>) -> PathBuf {
    let path = local.map_or_else(|| Paths::of_user().local, Path::to_owned);
    std::path::absolute(&path).unwrap_or(path)
}

pub(in super::super) fn is_same(address: &str, own: SocketAddr) -> bool {
    let own_ip = own.ip().to_canonical();
    let here = |ip: IpAddr| ip.is_loopback() || ip.is_unspecified();
    if let Some(port) = address.strip_prefix("localhost:") {
        return port.parse() == Ok(own.port()) && here(own_ip);
    }
    let Ok(address) = address.parse::<SocketAddr>() else { return false };
    let ip = address.ip().to_canonical();
    let everywhere = ip.is_unspecified() || own_ip.is_unspecified();
    address.port() == own.port() && (ip == own_ip || everywhere && here(ip) && here(own_ip))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(address: &str, own: &str, same: bool) {
        assert_eq!(is_same(address, own.parse().unwrap()), same, "{address} {own}");
    }

    #[test]
    fn an_address_is_this_daemons_own_however_it_is_written() {
        check("127.0.0.1:1", "127.0.0.1:1", true);
        check("localhost:1", "127.0.0.1:1", true);
        check("localhost:1", "[::1]:1", true);
        check("localhost:1", "0.0.0.0:1", true);
        check("127.0.0.1:1", "0.0.0.0:1", true);
        check("[::ffff:127.0.0.1]:1", "127.0.0.1:1", true);
        check("0.0.0.0:1", "127.0.0.1:1", true);
        check("10.0.0.5:1", "10.0.0.5:1", true);
    }

    #[test]
    fn another_port_another_host_and_a_name_are_not() {
        check("127.0.0.1:2", "127.0.0.1:1", false);
        check("localhost:2", "127.0.0.1:1", false);
        check("localhost:1", "10.0.0.5:1", false);
        check("127.0.0.2:1", "127.0.0.1:1", false);
        check("10.0.0.6:1", "0.0.0.0:1", false);
        check("gpu.example.com:1", "0.0.0.0:1", false);
    }
}
