//! The load: many connections on one thread, each with a fixed number of requests open.
//!
//! Answers are counted by the bytes that only the end of one holds; nothing is parsed. Sockets block, but are read
//! only when there is something to read, and a request is too small to fill a socket's buffer.

use std::io::Write;
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

use anyhow::{Result, bail, ensure};
use memchr::memmem::Finder;
use memchr::memrchr;
use rustix::buffer::spare_capacity;
use rustix::event::{Timespec, epoll};
use rustix::io::{read, write};

use crate::process::Address;

/// Nothing for so long means that nothing more will come.
const STALLED: Timespec = Timespec { tv_sec: 10, tv_nsec: 0 };
/// The warm-up, as a part of the turn it precedes.
const WARM_UP: u32 = 10;
const READ_BYTES: usize = 256 * 1024;
/// The place of a request's number in its template.
const NUMBER: &str = "00000000";

/// The language of the requests.
#[derive(Clone, Copy)]
pub enum Wire {
    V1,
    V2,
    Http,
}

/// What to do, and when an answer is whole.
pub struct Load<'a> {
    pub address: &'a Address,
    pub wire: Wire,
    pub connections: usize,
    pub pipelined: usize,
    /// Only the end of an answer holds this, which may go over several lines.
    pub end: &'static str,
    /// What an answer is made of, within one line each,
    pub piece: &'static str,
    /// and how many of them it has to hold.
    pub pieces: usize,
}

/// What came of it.
pub struct Measured {
    /// By the pieces that came, so that answers half read at either end count for their part.
    pub answers: f64,
    pub elapsed: Duration,
    /// Processor time of whoever answered, where it is known.
    pub cpu: Option<Duration>,
    /// Of each answer, unless requests were pipelined.
    pub latencies: Vec<Duration>,
}

impl Load<'_> {
    /// Keeps the load up for this long, after a warm-up, and waits until every request is answered.
    pub fn run(&self, turn: Duration, cpu: impl Fn() -> Result<Option<Duration>>) -> Result<Measured> {
        let mut crowd = Crowd::dial(self)?;
        crowd.until(Instant::now() + turn / WARM_UP)?;
        let (pieces_before, cpu_before, begin) = (crowd.pieces, cpu()?, Instant::now());
        crowd.latencies.clear();
        crowd.until(begin + turn)?;
        let (pieces, elapsed) = (crowd.pieces - pieces_before, begin.elapsed());
        let cpu = cpu()?.zip(cpu_before).map(|(after, before)| after.saturating_sub(before));
        let latencies = std::mem::take(&mut crowd.latencies);
        crowd.finish()?;
        #[expect(clippy::cast_precision_loss, reason = "far fewer than 2^52 in a turn")]
        let answers = pieces as f64 / self.pieces as f64;
        Ok(Measured { answers, elapsed, cpu, latencies })
    }

    /// Connects, has one request answered on each connection, and keeps the connections.
    pub fn once(&self) -> Result<impl Sized> {
        let mut crowd = Crowd::dial(self)?;
        crowd.finish()?;
        Ok(crowd)
    }
}

/// Opens a connection with one request on it, of which nothing more is expected.
pub fn request_without_answer(address: &Address) -> Result<OwnedFd> {
    let fd = address.dial()?;
    write(&fd, Requests::new(Wire::V1).take(1))?;
    Ok(fd)
}

struct Crowd<'a> {
    load: &'a Load<'a>,
    epoll: OwnedFd,
    events: Vec<epoll::Event>,
    end: Finder<'static>,
    piece: Finder<'static>,
    requests: Requests,
    connections: Vec<Connection>,
    buffer: Vec<u8>,
    answers: usize,
    pieces: usize,
    latencies: Vec<Duration>,
}

struct Connection {
    fd: OwnedFd,
    /// What the next bytes are looked at together with: the beginning of a line whose end has not come yet,
    rest: Vec<u8>,
    /// and before it as much of the lines seen as the end of an answer may have begun with.
    seen: usize,
    /// Requests without an answer.
    open: usize,
    sent: Instant,
}

impl<'a> Crowd<'a> {
    fn dial(load: &'a Load<'a>) -> Result<Self> {
        let epoll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
        let mut requests = Requests::new(load.wire);
        let mut connections = Vec::with_capacity(load.connections);
        for index in 0..load.connections {
            let fd = load.address.dial()?;
            epoll::add(&epoll, &fd, epoll::EventData::new_u64(index as u64), epoll::EventFlags::IN)?;
            connections.push(Connection { fd, rest: Vec::new(), seen: 0, open: 0, sent: Instant::now() });
        }
        for connection in &mut connections {
            connection.send(&mut requests, load.pipelined)?;
        }
        Ok(Self {
            load,
            epoll,
            events: Vec::with_capacity(load.connections),
            end: Finder::new(load.end),
            piece: Finder::new(load.piece),
            requests,
            connections,
            buffer: vec![0; READ_BYTES],
            answers: 0,
            pieces: 0,
            latencies: Vec::new(),
        })
    }

    /// Answers every answer with a request until then.
    fn until(&mut self, end: Instant) -> Result<()> {
        while Instant::now() < end {
            self.turn(true)?;
        }
        Ok(())
    }

    /// Waits for what is open, and holds all that came to what was due.
    fn finish(&mut self) -> Result<()> {
        while self.open() > 0 {
            self.turn(false)?;
        }
        let (answers, pieces) = (self.answers, self.pieces);
        ensure!(
            pieces == self.load.pieces * answers,
            "{answers} answers hold {pieces} of {:?}",
            self.load.piece
        );
        Ok(())
    }

    fn turn(&mut self, again: bool) -> Result<()> {
        self.events.clear();
        epoll::wait(&self.epoll, spare_capacity(&mut self.events), Some(&STALLED))?;
        if self.events.is_empty() {
            bail!("stalled with {} requests open; the last bytes are {:?}", self.open(), self.last_bytes());
        }
        for event in &self.events {
            let connection = &mut self.connections[usize::try_from(event.data.u64())?];
            let kept = connection.rest.len();
            self.buffer[..kept].copy_from_slice(&connection.rest);
            let came = read(&connection.fd, &mut self.buffer[kept..])?;
            if came == 0 {
                ensure!(connection.open == 0, "a connection was closed that was to answer");
                // A server may be tired of one that waits for others to finish.
                epoll::delete(&self.epoll, &connection.fd)?;
                continue;
            }
            let bytes = &self.buffer[..kept + came];
            let whole = memrchr(b'\n', bytes).map_or(0, |end| end + 1);
            let answers = self.end.find_iter(&bytes[..whole]).count();
            self.pieces += self.piece.find_iter(&bytes[connection.seen..whole]).count();
            let from = whole.saturating_sub(self.load.end.len() - 1);
            connection.seen = whole - from;
            connection.rest.clear();
            connection.rest.extend_from_slice(&bytes[from..]);

            self.answers += answers;
            connection.open -= answers;
            if answers > 0 && self.load.pipelined == 1 {
                self.latencies.push(connection.sent.elapsed());
            }
            if answers > 0 && again {
                connection.send(&mut self.requests, answers)?;
            }
        }
        Ok(())
    }

    fn open(&self) -> usize {
        self.connections.iter().map(|connection| connection.open).sum()
    }

    fn last_bytes(&self) -> String {
        String::from_utf8_lossy(&self.buffer[..200]).into_owned()
    }
}

impl Connection {
    fn send(&mut self, requests: &mut Requests, count: usize) -> Result<()> {
        let requests = requests.take(count);
        self.sent = Instant::now();
        self.open += count;
        ensure!(write(&self.fd, requests)? == requests.len(), "a request does not fit the socket's buffer");
        Ok(())
    }
}

/// Requests that differ in nothing but their number.
struct Requests {
    template: String,
    number: usize,
    batch: Vec<u8>,
}

impl Requests {
    fn new(wire: Wire) -> Self {
        let template = match wire {
            Wire::V1 => {
                format!(r#"{{"id":"{NUMBER}","messages":[{{"role":"user","content":"hello"}}]}}"#) + "\n"
            }
            Wire::V2 => {
                let content = r#"[{"type":"text","text":"hello"}]"#;
                format!(r#"{{"id":"{NUMBER}","messages":[{{"role":"user","content":{content}}}]}}"#) + "\n"
            }
            Wire::Http => {
                let messages = r#"[{"role":"user","content":"hello"}]"#;
                let body =
                    format!(r#"{{"model":"m","stream":true,"user":"{NUMBER}","messages":{messages}}}"#);
                let length = body.len();
                let head =
                    "POST /v1/chat/completions HTTP/1.1\r\nhost: bench\r\ncontent-type: application/json";
                format!("{head}\r\ncontent-length: {length}\r\n\r\n{body}")
            }
        };
        Self { template, number: 0, batch: Vec::new() }
    }

    fn take(&mut self, count: usize) -> &[u8] {
        self.batch.clear();
        let place = self.template.find(NUMBER).unwrap_or_default();
        for _ in 0..count {
            let at = self.batch.len() + place;
            self.batch.extend_from_slice(self.template.as_bytes());
            self.number = (self.number + 1) % 100_000_000;
            let mut digits = &mut self.batch[at..at + NUMBER.len()];
            write!(digits, "{:08}", self.number).expect("eight digits fit their place");
        }
        &self.batch
    }
}
