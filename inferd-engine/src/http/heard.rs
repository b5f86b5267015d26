//! What is made of an answer that is already there: what the fuzz target `http` compares.

use bytes::BytesMut;

use super::framing::Framing;
use super::head;

/// An answer as far as it came.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Heard {
    status: Option<u16>,
    body: Vec<u8>,
    end: End,
}

/// What followed it.
#[derive(Debug, Default, PartialEq, Eq)]
enum End {
    /// It goes on.
    #[default]
    Open,
    /// These bytes, which are not of it.
    Whole(Vec<u8>),
    /// What is no answer.
    Refused,
}

/// The answer that arrives in these chunks.
pub(crate) fn heard<'a>(chunks: impl IntoIterator<Item = &'a [u8]>) -> Heard {
    let (mut heard, mut buffer, mut framing) = (Heard::default(), BytesMut::new(), None);
    for chunk in chunks {
        buffer.extend_from_slice(chunk);
        if framing.is_none() {
            match head::take(&mut buffer) {
                Ok(None) => continue,
                Ok(Some(head)) => {
                    heard.status = Some(head.status.as_u16());
                    framing = Some(head.framing);
                }
                Err(_) => return Heard { end: End::Refused, ..heard },
            }
        }
        let Some(framing) = &mut framing else { continue };
        while !framing.is_over() && !buffer.is_empty() {
            match framing.take(&mut buffer) {
                Ok(data) => heard.body.extend_from_slice(&data),
                Err(_) => return Heard { end: End::Refused, ..heard },
            }
        }
    }
    if framing.as_ref().is_some_and(Framing::is_over) {
        heard.end = End::Whole(buffer.to_vec());
    }
    heard
}
