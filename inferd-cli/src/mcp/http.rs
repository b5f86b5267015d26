//! One HTTP exchange with the listener: a request goes out, a head and a body that comes in pieces come back.
//!
//! Invariant: there is no task behind an exchange. Whoever drops it closes its connection, there and then.

use std::future::{Future, poll_fn};
use std::io;
use std::pin::Pin;
use std::task::Poll;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::Full;
use hyper::body::{Body as _, Incoming};
use hyper::client::conn::http1::{self, SendRequest};
use hyper::header::{self, HeaderMap, HeaderValue, InvalidHeaderValue};
use hyper::{Method, Request, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::time::timeout;

/// How long a connection may take to come about.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// How long a stream may be silent: the listener gives a sign of life every 30 seconds.
const SILENCE: Duration = Duration::from_secs(90);

/// The longest answer that is no stream, in bytes.
const ANSWER_BYTES_MAX: usize = 64 * 1024 * 1024;

/// Why there is no answer, or no more of it.
#[derive(Debug, thiserror::Error)]
pub(super) enum Lost {
    /// Nobody was reached: nothing of the request has arrived.
    #[error("cannot connect to the daemon's MCP listener: {0}")]
    Connect(io::Error),
    /// The connection ended before the answer did.
    #[error("the connection to the daemon was lost")]
    Broken,
    /// Nothing came for too long.
    #[error("the daemon is silent")]
    Silent,
    /// There is more of it than anyone wants to hold.
    #[error("the answer is too long")]
    TooLong,
}

/// Where the listener is, and the key it wants.
#[derive(Debug)]
pub(super) struct Place {
    host: String,
    host_header: HeaderValue,
    bearer: Option<HeaderValue>,
}

/// An answer whose body is still to come.
pub(super) struct Reply {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    body: Incoming,
    connection: Connection,
    _sender: SendRequest<Full<Bytes>>,
}

type Connection = Pin<Box<dyn Future<Output = hyper::Result<()>> + Send>>;

impl Place {
    /// `host` with its port, and a key.
    ///
    /// # Errors
    /// [`InvalidHeaderValue`] for what cannot stand in a request.
    pub(super) fn new(host: &str, key: Option<&str>) -> Result<Self, InvalidHeaderValue> {
        let bearer = key.map(|key| HeaderValue::try_from(format!("Bearer {key}"))).transpose()?;
        let bearer = bearer.map(|mut bearer| {
            bearer.set_sensitive(true);
            bearer
        });
        Ok(Self { host: host.to_owned(), host_header: HeaderValue::try_from(host)?, bearer })
    }

    /// Sends a request, and waits for the head of its answer.
    pub(super) async fn send(&self, method: Method, headers: HeaderMap, body: String) -> Result<Reply, Lost> {
        let connected = timeout(CONNECT_TIMEOUT, TcpStream::connect(&self.host)).await;
        let stream =
            connected.map_err(|_| Lost::Connect(io::ErrorKind::TimedOut.into()))?.map_err(Lost::Connect)?;
        stream.set_nodelay(true).map_err(Lost::Connect)?;
        let shaken = http1::handshake(TokioIo::new(stream)).await;
        let (mut sender, connection) = shaken.map_err(|_| Lost::Broken)?;
        let mut connection: Connection = Box::pin(connection);
        let mut request = Request::new(Full::new(Bytes::from(body)));
        *request.method_mut() = method;
        *request.uri_mut() = hyper::Uri::from_static("/mcp");
        *request.headers_mut() = headers;
        request.headers_mut().insert(header::HOST, self.host_header.clone());
        if let Some(bearer) = &self.bearer {
            request.headers_mut().insert(header::AUTHORIZATION, bearer.clone());
        }
        let mut head = std::pin::pin!(sender.send_request(request));
        let response = poll_fn(|cx| {
            if let done @ Poll::Ready(_) = head.as_mut().poll(cx) {
                return done;
            }
            // Its end is the end of the head too, which is polled for it once more.
            match connection.as_mut().poll(cx) {
                Poll::Ready(_) => head.as_mut().poll(cx),
                Poll::Pending => Poll::Pending,
            }
        });
        let (head, body) = response.await.map_err(|_| Lost::Broken)?.into_parts();
        Ok(Reply { status: head.status, headers: head.headers, body, connection, _sender: sender })
    }
}

impl Reply {
    /// Whether its body is a stream of events.
    pub(super) fn is_stream(&self) -> bool {
        let kind = self.headers.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
        kind.is_some_and(|kind| kind.starts_with("text/event-stream"))
    }

    /// The next piece of its body. `None`: that was all.
    pub(super) async fn piece(&mut self) -> Result<Option<Bytes>, Lost> {
        let Self { body, connection, .. } = self;
        let mut ended = false;
        let piece = poll_fn(|cx| {
            if !ended {
                ended = connection.as_mut().poll(cx).is_ready();
            }
            Pin::new(&mut *body).poll_frame(cx)
        });
        match timeout(SILENCE, piece).await {
            Err(_) => Err(Lost::Silent),
            Ok(None) => Ok(None),
            Ok(Some(Err(_))) => Err(Lost::Broken),
            Ok(Some(Ok(frame))) => Ok(Some(frame.into_data().unwrap_or_default())),
        }
    }

    /// All of its body.
    pub(super) async fn whole(mut self) -> Result<String, Lost> {
        let mut whole = Vec::new();
        while let Some(piece) = self.piece().await? {
            whole.extend_from_slice(&piece);
            if whole.len() > ANSWER_BYTES_MAX {
                return Err(Lost::TooLong);
            }
        }
        Ok(String::from_utf8_lossy(&whole).into_owned())
    }
}
