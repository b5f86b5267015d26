//! The async client of protocol v1.
//!
//! A [`Request`] enters; an [`Answer`] leaves, a stream of its frames. What one frame answers leaves in one piece:
//! vectors ([`Client::embed`]), servers and their tools, the result of a call of one of these ([`Client::call`]). Any number of requests may be open at once on the one connection a client holds, told apart by
//! id. The connection is dialled again when the next request finds it broken.
//!
//! Invariants:
//! - A request is never sent twice: once it was handed to a connection, its answer ends with that connection.
//! - Dropping an unfinished [`Answer`], or the wait for a single frame, ends its request at the daemon.
//! - Memory is bounded: [`ANSWER_BYTES_MAX`] of unread frames an answer, one frame a request that one answers,
//!   [`MAX_FRAME_BYTES`] of unsent requests.
//!
//! An answer that is not read holds its frames up to [`ANSWER_BYTES_MAX`]. Past that the connection is read no
//! further until that answer is read or dropped: the daemon feels the back-pressure, and so do the other answers of
//! this connection. Who reads long answers one after the other takes a client for each.

mod address;
mod answer;
mod asker;
mod connection;
mod dial;
mod error;
mod lines;
mod open;
mod single;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use inferd_proto::{Hello, MAX_FRAME_BYTES, Request};
use serde::Serialize;
use tokio::sync::{Mutex, oneshot};

pub use address::{Address, AddressError};
pub use answer::Answer;
pub use asker::ANSWER_BYTES_MAX;
pub use dial::Key;
pub(crate) use dial::local;
pub(crate) use error::is_absence;
pub use error::{Broken, ClientError, Refusal};
pub(crate) use lines::LineReader;

use connection::Connection;
use dial::Dial;

/// How often one request may find the connection broken before anything of it was sent.
const DIALS_MAX: usize = 2;

/// A client of one daemon. Share it by reference: every method may run many times at once.
pub struct Client {
    dial: Dial,
    connection: Mutex<Option<Arc<Connection>>>,
    ids_made: AtomicU64,
}

impl Client {
    /// Connects to the daemon at `address`; `key` is sent first where the address is TCP.
    ///
    /// # Errors
    /// [`ClientError::Connect`] where nobody listens there.
    pub async fn connect(address: &Address, key: Option<Key>) -> Result<Self, ClientError> {
        let client = Self::new(dial::to(address.clone(), key));
        client.connection().await?;
        Ok(client)
    }

    fn new(dial: Dial) -> Self {
        Self { dial, connection: Mutex::new(None), ids_made: AtomicU64::new(0) }
    }

    /// Asks what the daemon can do.
    ///
    /// # Errors
    /// [`ClientError::NoHello`] from a daemon too old to know; else as for [`Client::generate`].
    pub async fn hello(&self) -> Result<Hello, ClientError> {
        let give = |connection: Arc<Connection>| async move {
            let (told, hello) = oneshot::channel();
            connection.open.hello(told, b"{\"type\":\"hello\"}\n")?;
            Ok(hello)
        };
        let (hello, _connection) = self.give(give).await?;
        hello.await.unwrap_or(Err(ClientError::Broken(Broken::Closed)))
    }

    /// Sends `request` and returns its answer, to be read as it comes. A request without an id is given one.
    ///
    /// # Errors
    /// [`ClientError`] where the request could not be sent; nothing of it reached the daemon then.
    pub async fn generate(&self, mut request: Request) -> Result<Answer, ClientError> {
        self.name(&mut request.id);
        let (line, id) = (&line(&request)?, &request.id);
        let give = |connection: Arc<Connection>| async move { connection.open.request(id, line).await };
        let (frames, connection) = self.give(give).await?;
        Ok(Answer::new(request.id, frames, connection))
    }

    /// Gives a request to the connection in use, and to a new one where that turns out to be broken before anything
    /// was sent.
    async fn give<T, F: Future<Output = Result<T, ClientError>>>(
        &self,
        to: impl Fn(Arc<Connection>) -> F,
    ) -> Result<(T, Arc<Connection>), ClientError> {
        let mut refused = Broken::Closed;
        for _ in 0..DIALS_MAX {
            let connection = self.connection().await?;
            match to(Arc::clone(&connection)).await {
                Ok(given) => return Ok((given, connection)),
                Err(ClientError::Broken(broken)) => refused = broken,
                Err(error) => return Err(error),
            }
        }
        Err(ClientError::Broken(refused))
    }

    fn name(&self, id: &mut String) {
        if id.is_empty() {
            *id = format!("cli-{}", self.ids_made.fetch_add(1, Ordering::Relaxed));
        }
    }

    /// The connection in use, or a new one where that is broken.
    async fn connection(&self) -> Result<Arc<Connection>, ClientError> {
        let mut current = self.connection.lock().await;
        if let Some(connection) = current.as_ref().filter(|connection| connection.open.broken().is_none()) {
            return Ok(Arc::clone(connection));
        }
        let connection = Arc::new(Connection::over((self.dial)().await?));
        *current = Some(Arc::clone(&connection));
        Ok(connection)
    }
}

fn line(request: &impl Serialize) -> Result<Vec<u8>, ClientError> {
    let mut line = serde_json::to_vec(request).map_err(ClientError::Encode)?;
    if line.len() > MAX_FRAME_BYTES {
        return Err(ClientError::FrameTooLarge);
    }
    line.push(b'\n');
    Ok(line)
}

#[cfg(test)]
mod tests;
