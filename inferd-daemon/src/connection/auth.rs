//! The first line on TCP where a key is configured.
//!
//! Bytes of a stranger enter, the name of a key leaves, or nothing: then the connection is closed without a word.

use std::io;
use std::time::Duration;

use inferd_proto::ClientFrame;
use tokio::io::{AsyncRead, AsyncReadExt};

use crate::secrets::Keys;

/// The longest first line, in bytes.
const LINE_BYTES_MAX: usize = 4 * 1024;

/// How long a stranger may take.
const PATIENCE: Duration = Duration::from_secs(5);

/// Who a stranger turned out to be.
#[derive(Debug)]
pub(crate) struct Admitted {
    /// The name of its key.
    pub(crate) name: String,
    /// What it sent after its key.
    pub(crate) early: Vec<u8>,
}

/// Reads a key off `socket`. `None`: wrong, late, malformed or missing.
pub(crate) async fn authenticate<S: AsyncRead + Unpin>(socket: &mut S, keys: &Keys) -> Option<Admitted> {
    let (line, early) = tokio::time::timeout(PATIENCE, first_line(socket)).await.ok()?.ok()?;
    let Ok(ClientFrame::Auth(auth)) = ClientFrame::parse(&line) else { return None };
    let name = keys.identify(&auth.key)?.to_owned();
    Some(Admitted { name, early })
}

async fn first_line<S: AsyncRead + Unpin>(socket: &mut S) -> io::Result<(Vec<u8>, Vec<u8>)> {
    let mut bytes = Vec::new();
    loop {
        if let Some(end) = memchr::memchr(b'\n', &bytes) {
            let early = bytes.split_off(end + 1);
            return Ok((bytes, early));
        }
        let room = LINE_BYTES_MAX - bytes.len();
        if room == 0 || (&mut *socket).take(room as u64).read_buf(&mut bytes).await? == 0 {
            return Err(io::ErrorKind::InvalidData.into());
        }
    }
}

#[cfg(test)]
mod tests;
