//! What a scripted server does on one connection: it reads requests of its [`Dialect`] and plays their replies.

use std::io;

use serde_json::Value;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};

use super::reply::{Framing, Piece, Reply};
use super::upstream::{Recorded, Shared};

/// What a scripted server speaks.
#[derive(Debug)]
pub(super) enum Dialect {
    /// HTTP/1.1.
    Http,
    /// A daemon's protocol v1. Lines of type `auth` and `hello` take no reply of the script: to the first nothing is
    /// said, to the second this.
    Lines {
        /// The reply to `hello`.
        hello: Reply,
    },
}

/// Serves one client until it leaves or a reply ends the connection.
pub(super) async fn converse(
    stream: TcpStream,
    connection: usize,
    dialect: &Dialect,
    shared: &Shared,
) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let (reader, mut writer) = stream.into_split();
    let mut reader = BufReader::new(reader);
    while let Some(request) = dialect.read(&mut reader, connection).await? {
        let reply = match dialect {
            Dialect::Lines { .. } if request.method == "auth" => {
                shared.note(request);
                continue;
            }
            Dialect::Lines { hello } if request.method == "hello" => {
                shared.note(request);
                if play(hello, &mut writer, None).await? {
                    continue;
                }
                break;
            }
            Dialect::Http | Dialect::Lines { .. } => shared.take(request),
        };
        tokio::select! {
            kept = play(&reply, &mut writer, Some(shared)) => if !kept? { break },
            () = left(&mut reader) => break,
        }
    }
    // Dropping it would say goodbye, which a reset must not.
    writer.forget();
    Ok(())
}

/// Resolves when the client has gone.
async fn left(reader: &mut BufReader<OwnedReadHalf>) {
    if matches!(reader.fill_buf().await, Ok(bytes) if !bytes.is_empty()) {
        // It has sent another request, which is read after this reply.
        std::future::pending::<()>().await;
    }
}

/// Whether the connection may be used again.
async fn play(reply: &Reply, writer: &mut OwnedWriteHalf, shared: Option<&Shared>) -> io::Result<bool> {
    send(writer, &reply.full_head(), shared).await?;
    for piece in &reply.pieces {
        match piece {
            Piece::Bytes(bytes) if reply.framing == Framing::Chunked && !bytes.is_empty() => {
                let mut chunk = format!("{:x}\r\n", bytes.len()).into_bytes();
                chunk.extend_from_slice(bytes);
                chunk.extend_from_slice(b"\r\n");
                send(writer, &chunk, shared).await?;
            }
            Piece::Bytes(bytes) => send(writer, bytes, shared).await?,
            Piece::Wait(gate) => gate.notified().await,
            Piece::Hang => std::future::pending().await,
            Piece::Reset => {
                writer.as_ref().set_zero_linger()?;
                return Ok(false);
            }
            Piece::End => return Ok(false),
        }
    }
    if reply.framing == Framing::Chunked {
        send(writer, b"0\r\n\r\n", shared).await?;
    }
    if let Some(shared) = shared {
        shared.count(|counts| counts.sent += 1);
    }
    Ok(reply.framing != Framing::Close && !reply.close_after)
}

async fn send(writer: &mut OwnedWriteHalf, mut bytes: &[u8], shared: Option<&Shared>) -> io::Result<()> {
    while !bytes.is_empty() {
        let sent = writer.write(bytes).await?;
        bytes = &bytes[sent..];
        if let Some(shared) = shared {
            shared.count(|counts| counts.bytes += sent);
        }
    }
    Ok(())
}

impl Dialect {
    async fn read(
        &self,
        reader: &mut BufReader<OwnedReadHalf>,
        connection: usize,
    ) -> io::Result<Option<Recorded>> {
        match self {
            Self::Http => read_http(reader, connection).await,
            Self::Lines { .. } => read_line(reader, connection).await,
        }
    }
}

/// A line; its type is the method, `request` where it names none.
async fn read_line(reader: &mut BufReader<OwnedReadHalf>, connection: usize) -> io::Result<Option<Recorded>> {
    let mut body = Vec::new();
    if reader.read_until(b'\n', &mut body).await? == 0 {
        return Ok(None);
    }
    let frame: Value = serde_json::from_slice(&body)?;
    let method = frame["type"].as_str().unwrap_or("request").to_owned();
    Ok(Some(Recorded { connection, method, target: String::new(), headers: Vec::new(), body }))
}

async fn read_http(reader: &mut BufReader<OwnedReadHalf>, connection: usize) -> io::Result<Option<Recorded>> {
    let mut line = String::new();
    if reader.read_line(&mut line).await? == 0 {
        return Ok(None);
    }
    let mut words = line.split_whitespace().map(str::to_owned);
    let (method, target) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    let mut request = Recorded { connection, method, target, headers: Vec::new(), body: Vec::new() };
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let Some((name, value)) = line.trim_end().split_once(':') else { break };
        request.headers.push((name.to_lowercase(), value.trim().to_owned()));
    }
    let length = request.header("content-length").and_then(|length| length.parse().ok()).unwrap_or(0);
    request.body.resize(length, 0);
    reader.read_exact(&mut request.body).await?;
    Ok(Some(request))
}
