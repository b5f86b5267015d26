//! From an address to a transport with the key already said. The only place that knows sockets from pipes from TCP.

use std::fmt;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use inferd_proto::Auth;
use interprocess::local_socket::GenericFilePath;
use interprocess::local_socket::tokio::prelude::*;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::client::{Address, ClientError};

/// How long a daemon has to accept.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// Bytes both ways.
pub(crate) trait Transport: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Transport for T {}

/// Opens the same transport anew each time.
pub(super) type Dial =
    Box<dyn Fn() -> BoxFuture<'static, Result<Box<dyn Transport>, ClientError>> + Send + Sync>;

/// An API key. It is never printed.
#[derive(Clone)]
pub struct Key(Arc<Auth>);

impl Key {
    /// The key itself.
    #[must_use]
    pub fn new(key: impl Into<String>) -> Self {
        Self(Arc::new(Auth { key: key.into() }))
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Key(..)")
    }
}

/// Dials `address`; on TCP `key` is the first line.
pub(super) fn to(address: Address, key: Option<Key>) -> Dial {
    Box::new(move || {
        let (address, key) = (address.clone(), key.clone());
        Box::pin(async move {
            let dialled = timeout(CONNECT_TIMEOUT, open(&address, key.as_ref()));
            dialled
                .await
                .unwrap_or_else(|elapsed| Err(elapsed.into()))
                .map_err(|source| ClientError::Connect { address, source })
        })
    })
}

async fn open(address: &Address, key: Option<&Key>) -> io::Result<Box<dyn Transport>> {
    match address {
        Address::Local(path) => Ok(Box::new(local(path).await?)),
        Address::Tcp(place) => {
            let mut stream = TcpStream::connect(place).await?;
            stream.set_nodelay(true)?;
            if let Some(Key(auth)) = key {
                let mut line = serde_json::to_vec(&**auth)?;
                line.push(b'\n');
                stream.write_all(&line).await?;
            }
            Ok(Box::new(stream))
        }
    }
}

/// Dials a Unix socket or named pipe.
pub(crate) async fn local(path: &Path) -> io::Result<LocalSocketStream> {
    LocalSocketStream::connect(path.to_fs_name::<GenericFilePath>()?).await
}
