//! From an [`Origin`] to a connected [`Link`]: name, TCP, TLS, all within one time-out.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::{TcpStream, ToSocketAddrs, lookup_host};
use tokio::time::{Instant, timeout_at};
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::ClientConfig;
use tokio_rustls::rustls::pki_types::ServerName;

use super::link::Link;
use super::socket::Socket;
use super::{HttpError, Origin, io_reason, tls};
use crate::clock;

/// Connects within `limit`. Of several addresses each gets an equal share of the time left, so that one which
/// swallows packets does not keep the others from being tried.
pub(super) async fn connect(
    origin: &Origin,
    trust: Option<&Arc<ClientConfig>>,
    limit: Duration,
) -> Result<Link, HttpError> {
    let deadline = Instant::now() + limit;
    let refused = |why| HttpError::Connect { to: origin.to(), why };
    let tcp = tcp((origin.host.as_str(), origin.port), limit).await.map_err(refused)?;
    if !origin.tls {
        return Ok(Link::new(Socket::Plain(tcp)));
    }
    let secured = timeout_at(deadline, secure(origin, trust, tcp));
    let socket = secured.await.map_err(|_| refused(late(limit)))?.map_err(refused)?;
    Ok(Link::new(socket))
}

/// A TCP connection to `place`, without delay for small packets, or why there is none.
pub(crate) async fn tcp(place: impl ToSocketAddrs, limit: Duration) -> Result<TcpStream, String> {
    let deadline = Instant::now() + limit;
    let found = timeout_at(deadline, lookup_host(place)).await.map_err(|_| late(limit))?;
    let addresses: Vec<SocketAddr> = found.map_err(|error| io_reason(&error))?.collect();
    let tcp = dial(&addresses, deadline).await.map_err(|why| why.unwrap_or_else(|| late(limit)))?;
    tcp.set_nodelay(true).map_err(|error| io_reason(&error))?;
    Ok(tcp)
}

fn late(limit: Duration) -> String {
    format!("no connection within {}", clock::shown(limit))
}

/// The first address that answers; `None` where the last one let the time run out.
async fn dial(addresses: &[SocketAddr], deadline: Instant) -> Result<TcpStream, Option<String>> {
    let mut why = Some("the name has no address".to_owned());
    for (tried, address) in addresses.iter().enumerate() {
        let left = u32::try_from(addresses.len() - tried).unwrap_or(u32::MAX);
        let now = Instant::now();
        let share = now + deadline.saturating_duration_since(now) / left;
        match timeout_at(share, TcpStream::connect(address)).await {
            Ok(Ok(tcp)) => return Ok(tcp),
            Ok(Err(error)) => why = Some(io_reason(&error)),
            Err(_) => why = None,
        }
    }
    Err(why)
}

async fn secure(
    origin: &Origin,
    trust: Option<&Arc<ClientConfig>>,
    tcp: TcpStream,
) -> Result<Socket, String> {
    let config = match trust {
        Some(config) => Arc::clone(config),
        None => tls::config().await?,
    };
    let name = ServerName::try_from(origin.host.clone()).map_err(|error| error.to_string())?;
    let stream =
        TlsConnector::from(config).connect(name, tcp).await.map_err(|error| format!("tls: {error}"))?;
    Ok(Socket::Tls(Box::new(stream)))
}

#[cfg(test)]
mod tests {
    use tokio::net::TcpListener;

    use super::*;

    #[tokio::test]
    async fn of_several_addresses_the_first_that_answers_is_taken() {
        let dead = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let live = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addresses = [dead.local_addr().unwrap(), live.local_addr().unwrap()];
        drop(dead);
        let deadline = Instant::now() + Duration::from_secs(5);
        let tcp = dial(&addresses, deadline).await.unwrap();
        assert_eq!(tcp.peer_addr().unwrap(), addresses[1]);
        assert_eq!(dial(&addresses[..1], deadline).await.unwrap_err().unwrap(), "connection refused");
    }
}
