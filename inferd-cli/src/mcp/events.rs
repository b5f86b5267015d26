//! Bytes of an event stream in, events out (WHATWG HTML, server-sent events).

/// What a stream says.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Event {
    /// The cursor to come back with.
    pub(super) id: Option<String>,
    /// Empty for a message.
    pub(super) name: String,
    pub(super) data: String,
    /// How long to wait before coming back, in milliseconds.
    pub(super) retry_ms: Option<u64>,
}

impl Event {
    /// Whether it carries a message, rather than something about the stream.
    pub(super) fn is_message(&self) -> bool {
        matches!(self.name.as_str(), "" | "message") && !self.data.is_empty()
    }

    /// What it carries as one line, given what that means.
    pub(super) fn into_line(self, value: &serde_json::Value) -> String {
        if self.data.contains('\n') { value.to_string() } else { self.data }
    }
}

/// The longest event, in bytes.
const EVENT_BYTES_MAX: usize = 64 * 1024 * 1024;

/// An event that is too long to hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("an event exceeds {EVENT_BYTES_MAX} bytes")]
pub(super) struct TooLong;

/// What has been read of a stream.
#[derive(Debug, Default)]
pub(super) struct Events {
    bytes: Vec<u8>,
    /// Up to where no end of a line is.
    looked: usize,
    event: Event,
    begun: bool,
}

impl Events {
    pub(super) fn push(&mut self, bytes: &[u8]) -> Result<(), TooLong> {
        self.bytes.extend_from_slice(bytes);
        if self.bytes.len() + self.event.data.len() > EVENT_BYTES_MAX { Err(TooLong) } else { Ok(()) }
    }

    /// The next event that is complete.
    pub(super) fn next(&mut self) -> Option<Event> {
        loop {
            let end = self.looked
                + self.bytes[self.looked..].iter().position(|&byte| byte == b'\n').or_else(|| {
                    self.looked = self.bytes.len();
                    None
                })?;
            let line = String::from_utf8_lossy(&self.bytes[..end]).into_owned();
            self.bytes.drain(..=end);
            self.looked = 0;
            let line = line.strip_suffix('\r').unwrap_or(&line);
            if line.is_empty() {
                let event = std::mem::take(&mut self.event);
                if std::mem::take(&mut self.begun) {
                    return Some(event);
                }
            } else {
                self.field(line);
            }
        }
    }

    fn field(&mut self, line: &str) {
        let (name, value) = line.split_once(':').unwrap_or((line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match name {
            "id" => self.event.id = Some(value.to_owned()),
            "event" => value.clone_into(&mut self.event.name),
            "retry" => self.event.retry_ms = value.parse().ok(),
            "data" => {
                if !self.event.data.is_empty() {
                    self.event.data.push('\n');
                }
                self.event.data.push_str(value);
            }
            // A comment, or what a later version says.
            _ => return,
        }
        self.begun = true;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_are_the_same_wherever_the_bytes_are_cut() {
        let stream = ": hello\nretry: 1000\nid: 1-0\ndata:\n\nevent: message\r\nid: 1-1\r\ndata: {\"a\":\"ä\"}\r\n\r\n\n\nevent: \
                      heartbeat\ndata: x\ndata: y\n\nid: 1-2\ndata: cut";
        let event = |id: Option<&str>, name: &str, data: &str, retry_ms| Event {
            id: id.map(str::to_owned),
            name: name.to_owned(),
            data: data.to_owned(),
            retry_ms,
        };
        let expected = [
            event(Some("1-0"), "", "", Some(1000)),
            event(Some("1-1"), "message", "{\"a\":\"ä\"}", None),
            event(None, "heartbeat", "x\ny", None),
        ];
        for size in 1..=stream.len() {
            let (mut events, mut read) = (Events::default(), Vec::new());
            for chunk in stream.as_bytes().chunks(size) {
                events.push(chunk).unwrap();
                read.extend(std::iter::from_fn(|| events.next()));
            }
            assert_eq!(read, expected, "in chunks of {size}");
        }
        assert_eq!(expected.each_ref().map(Event::is_message), [false, true, false]);
    }
}
