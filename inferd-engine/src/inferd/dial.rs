//! From an address to bytes both ways. The only place here that knows sockets from pipes from TCP.

use std::io;
use std::path::Path;
use std::time::Duration;

use futures_util::future::BoxFuture;
use interprocess::local_socket::tokio::prelude::*;
use interprocess::local_socket::{GenericFilePath, Name};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::timeout;

use super::{InferdAddress, InferdError};
use crate::GenerateError;
use crate::clock;
use crate::http::{io_reason, tcp};

/// Bytes both ways.
pub(super) trait Transport: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Transport for T {}

/// Opens the same transport anew each time.
pub(super) type Dial =
    Box<dyn Fn() -> BoxFuture<'static, Result<Box<dyn Transport>, GenerateError>> + Send + Sync>;

/// Dials `address`, within `limit`.
pub(super) fn to(address: &InferdAddress, limit: Duration) -> Result<Dial, InferdError> {
    match address {
        InferdAddress::Local(path) => {
            name(path).map_err(|_| InferdError::Address)?;
            let path = path.clone();
            Ok(Box::new(move || {
                let path = path.clone();
                Box::pin(async move {
                    let connected = local(&path, limit).await;
                    // Whoever reads this may be another user: the path is nobody else's business.
                    connected.map_err(|why| unreachable("the local socket of another daemon", &why))
                })
            }))
        }
        InferdAddress::Tcp(place) => {
            place
                .rsplit_once(':')
                .filter(|(host, port)| !host.is_empty() && port.parse::<u16>().is_ok())
                .ok_or(InferdError::Address)?;
            let place = place.clone();
            Ok(Box::new(move || {
                let place = place.clone();
                Box::pin(async move {
                    let connected = tcp(place.as_str(), limit).await;
                    connected.map(|stream| Box::new(stream) as _).map_err(|why| unreachable(&place, &why))
                })
            }))
        }
    }
}

fn unreachable(to: &str, why: &str) -> GenerateError {
    GenerateError::Unavailable(format!("connect to {to}: {why}"))
}

async fn local(path: &Path, limit: Duration) -> Result<Box<dyn Transport>, String> {
    let connect = async { LocalSocketStream::connect(name(path)?).await };
    match timeout(limit, connect).await {
        Ok(Ok(stream)) => Ok(Box::new(stream)),
        Ok(Err(error)) if is_absence(&error) => Err("nobody listens there".to_owned()),
        Ok(Err(error)) => Err(io_reason(&error)),
        Err(_) => Err(format!("no connection within {}", clock::shown(limit))),
    }
}

fn name(path: &Path) -> io::Result<Name<'_>> {
    path.to_fs_name::<GenericFilePath>()
}

fn is_absence(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused)
}
