//! Lines of standard input become requests that are open beside each other; what comes of them becomes lines.
//!
//! Invariants:
//! - What is not answered is delivered before the next line is read, and so is what begins a session: the daemon hears
//!   them in the client's order.
//! - When standard input ends, what is open has a moment to be answered; then the session is ended.

use std::future::{Future, pending};
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};
use tokio::sync::mpsc;
use tokio::time::timeout;

use super::message::{Kind, Message};
use super::relay::Relay;
use crate::client::LineReader;

/// Requests open at a time; the next line is read when one of them has been answered.
const OPEN_MAX: usize = 256;

/// How long what is open may take once nothing more is asked.
const LAST_ANSWERS: Duration = Duration::from_secs(5);

type Step = Pin<Box<dyn Future<Output = ()> + Send>>;

/// See the module.
pub(super) struct Bridge<I, O> {
    relay: Arc<Relay>,
    lines: LineReader<I>,
    output: O,
    said: mpsc::Receiver<String>,
    open: FuturesUnordered<Step>,
    /// What comes before the next line.
    first: Option<Step>,
}

impl<I: AsyncRead + Unpin, O: AsyncWrite + Unpin> Bridge<I, O> {
    /// A bridge of `relay`, which has `said` for the client.
    pub(super) fn new(relay: Relay, input: I, output: O, said: mpsc::Receiver<String>) -> Self {
        let (lines, open) = (LineReader::new(input), FuturesUnordered::new());
        Self { relay: Arc::new(relay), lines, output, said, open, first: None }
    }

    /// Runs until the input ends.
    ///
    /// # Errors
    /// [`io::Error`] of the input; that nobody reads the output is an end like any other.
    pub(super) async fn run(mut self) -> io::Result<()> {
        let relay = Arc::clone(&self.relay);
        let mut listening = std::pin::pin!(relay.listen());
        loop {
            let reads = self.first.is_none() && self.open.len() < OPEN_MAX;
            tokio::select! {
                Some(line) = self.said.recv() => {
                    if write(&mut self.output, line).await.is_err() {
                        break;
                    }
                }
                Some(()) = self.open.next(), if !self.open.is_empty() => {}
                () = step(&mut self.first) => {}
                line = self.lines.next(Message::read), if reads => match line? {
                    Some(Ok(message)) => self.take(message),
                    Some(Err(failure)) => {
                        let relay = Arc::clone(&self.relay);
                        self.open.push(Box::pin(async move {
                            relay.say(failure).await;
                        }));
                    }
                    None => break,
                },
                never = &mut listening => match never {},
            }
        }
        self.finish().await;
        Ok(())
    }

    fn take(&mut self, message: Message) {
        let relay = Arc::clone(&self.relay);
        match message.kind() {
            Kind::Initialize => self.first = Some(Box::pin(async move { relay.ask(message).await })),
            Kind::Note => self.first = Some(Box::pin(async move { relay.tell(message).await })),
            Kind::Request => self.open.push(Box::pin(async move { relay.ask(message).await })),
        }
    }

    async fn finish(mut self) {
        let Self { relay, output, said, open, first, .. } = &mut self;
        let answers = async {
            while first.is_some() || !open.is_empty() {
                tokio::select! {
                    Some(line) = said.recv() => {
                        if write(output, line).await.is_err() {
                            return;
                        }
                    }
                    Some(()) = open.next(), if !open.is_empty() => {}
                    () = step(first) => {}
                }
            }
            while let Ok(line) = said.try_recv() {
                if write(output, line).await.is_err() {
                    return;
                }
            }
        };
        // What is not answered by now is cancelled by the end of its session, or of its connection.
        if timeout(LAST_ANSWERS, answers).await.is_err() {
            eprintln!("inferd-cli: requests were still open at the end");
        }
        relay.end().await;
    }
}

/// Does the step there is, and then there is none.
async fn step(first: &mut Option<Step>) {
    match first {
        Some(step) => step.await,
        None => pending().await,
    }
    *first = None;
}

async fn write(output: &mut (impl AsyncWrite + Unpin), mut line: String) -> io::Result<()> {
    line.push('\n');
    output.write_all(line.as_bytes()).await?;
    output.flush().await
}
