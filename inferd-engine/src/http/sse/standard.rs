//! The decoder beside the standard's algorithm: what tests and the fuzz target `sse` compare.

use bytes::Bytes;

use super::{BOM, Event, EventTooLong, Sse};

/// What a stream said, and why no more was heard; a comment is `None`.
pub(crate) type Heard = (Vec<Option<Vec<u8>>>, Option<EventTooLong>);

/// What the decoder makes of a stream that arrives in these chunks.
pub(crate) fn decoded<'a>(chunks: impl IntoIterator<Item = &'a [u8]>, event_bytes_max: usize) -> Heard {
    let mut sse = Sse::new(event_bytes_max);
    let mut heard = Vec::new();
    for chunk in chunks {
        sse.push(Bytes::copy_from_slice(chunk));
        loop {
            match sse.next() {
                Ok(Some(Event::Data(data))) => heard.push(Some(data.to_vec())),
                Ok(Some(Event::Comment)) => heard.push(None),
                Ok(None) => break,
                Err(refused) => return (heard, Some(refused)),
            }
        }
    }
    heard.extend(sse.end().map(|data| Some(data.to_vec())));
    (heard, None)
}

/// The standard's algorithm over a whole stream, written for clearness alone. An event that the end of the stream
/// cuts off is told, a comment that it cuts off is not.
pub(crate) fn plainly(stream: &[u8], event_bytes_max: usize) -> Heard {
    let mut heard = Vec::new();
    let mut data: Option<Vec<u8>> = None;
    let lines = lines(stream);
    let last = lines.len() - 1;
    for (index, line) in lines.iter().enumerate() {
        if line.len() > event_bytes_max {
            return (heard, Some(EventTooLong { event_bytes_max }));
        }
        let line = if index == 0 { line.strip_prefix(BOM).unwrap_or(line) } else { line };
        let (field, value) = match line.iter().position(|&byte| byte == b':') {
            Some(colon) => (&line[..colon], &line[colon + 1..]),
            None => (line, &[][..]),
        };
        if line.is_empty() {
            heard.extend(data.take().map(Some));
        } else if field.is_empty() && index < last {
            heard.push(None);
        } else if field == b"data" {
            let value = value.strip_prefix(b" ").unwrap_or(value);
            let so_far = data.take().map(|data| [&data, b"\n".as_slice()].concat()).unwrap_or_default();
            if so_far.len() + value.len() > event_bytes_max {
                return (heard, (index < last).then_some(EventTooLong { event_bytes_max }));
            }
            data = Some([&so_far, value].concat());
        }
    }
    heard.extend(data.map(Some));
    (heard, None)
}

/// The lines of a stream without their ends; what follows the last end is one, too.
fn lines(stream: &[u8]) -> Vec<&[u8]> {
    let mut lines = Vec::new();
    let mut rest = stream;
    while let Some(end) = rest.iter().position(|byte| matches!(byte, b'\n' | b'\r')) {
        lines.push(&rest[..end]);
        rest = rest[end..].strip_prefix(b"\r\n").unwrap_or(&rest[end + 1..]);
    }
    lines.push(rest);
    lines
}
