//! As much of HTTP/1.1's server side as a scripted model server needs.

use std::io;

use serde_json::Value;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;

/// A request whose body is JSON, or null where it has none.
pub(crate) struct Request {
    pub(crate) method: String,
    pub(crate) body: Value,
}

impl Request {
    pub(crate) fn wants_stream(&self) -> bool {
        self.body["stream"] == true
    }
}

/// A kept-alive connection, answered one request at a time.
pub(crate) struct Connection {
    stream: BufReader<TcpStream>,
}

impl Connection {
    pub(crate) fn new(stream: TcpStream) -> io::Result<Self> {
        stream.set_nodelay(true)?;
        Ok(Self { stream: BufReader::new(stream) })
    }

    /// The next request, or none when the peer closed the connection between two.
    pub(crate) async fn request(&mut self) -> io::Result<Option<Request>> {
        let mut line = String::new();
        if self.stream.read_line(&mut line).await? == 0 {
            return Ok(None);
        }
        let method = line.split(' ').next().unwrap_or_default().to_owned();
        let mut length = 0;
        loop {
            line.clear();
            self.stream.read_line(&mut line).await?;
            match line.split_once(':') {
                Some((name, value)) if name.eq_ignore_ascii_case("content-length") => {
                    length = value.trim().parse().map_err(io::Error::other)?;
                }
                Some(_) => {}
                None => break,
            }
        }
        let mut body = vec![0; length];
        self.stream.read_exact(&mut body).await?;
        Ok(Some(Request { method, body: serde_json::from_slice(&body).unwrap_or(Value::Null) }))
    }

    /// Runs `work` to its end unless the peer closes the connection before.
    pub(crate) async fn stays_for(&mut self, work: impl Future<Output = ()>) -> io::Result<()> {
        tokio::select! {
            biased;
            () = work => Ok(()),
            left = self.peer_leaves() => Err(left),
        }
    }

    /// A JSON answer in one piece.
    pub(crate) async fn whole(&mut self, status: u16, body: &str) -> io::Result<()> {
        let length = body.len();
        let head = format!(
            "HTTP/1.1 {status} -\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n\r\n"
        );
        self.stream.write_all((head + body).as_bytes()).await
    }

    /// Bytes that need not be an answer, and no more after them.
    pub(crate) async fn raw(&mut self, bytes: &str) -> io::Result<()> {
        self.stream.write_all(bytes.as_bytes()).await?;
        self.close().await
    }

    /// The head of an answer in events.
    pub(crate) async fn begin_events(&mut self) -> io::Result<()> {
        let head = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n";
        self.stream.write_all(head.as_bytes()).await
    }

    pub(crate) async fn event(&mut self, data: &str) -> io::Result<()> {
        self.stream.write_all(chunk(data).as_bytes()).await
    }

    /// The last events and the end of the answer in one write.
    pub(crate) async fn last_events(&mut self, data: &[&str]) -> io::Result<()> {
        let chunks: String = data.iter().map(|data| chunk(data)).collect();
        self.stream.write_all((chunks + "0\r\n\r\n").as_bytes()).await
    }

    /// Ends the connection as the system does for a server that crashed.
    pub(crate) async fn close(&mut self) -> io::Result<()> {
        self.stream.shutdown().await
    }

    /// Ends the connection with a reset once it is dropped, whatever is still to be sent or read.
    pub(crate) fn reset(&mut self) -> io::Result<()> {
        self.stream.get_ref().set_zero_linger()
    }

    /// A peer that is waiting for an answer sends nothing: all there is to read is that it left.
    async fn peer_leaves(&mut self) -> io::Error {
        match self.stream.fill_buf().await {
            Ok([]) => io::ErrorKind::ConnectionAborted.into(),
            Ok(_) => io::Error::other("the peer sent a second request before it had its answer"),
            Err(error) => error,
        }
    }
}

fn chunk(data: &str) -> String {
    let event = format!("data: {data}\n\n");
    format!("{:x}\r\n{event}\r\n", event.len())
}
