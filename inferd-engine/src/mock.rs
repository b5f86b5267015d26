//! A backend that says what it was told to: for tests, for demonstrations, and for a machine without a model.
//!
//! It is one stream without a task behind it, so dropping the stream is all the cancelling there is.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use async_trait::async_trait;
use futures_util::Stream;
use inferd_proto::{Resolved, StopReason, Usage};
use tokio::time::{Instant, Sleep, sleep_until};

use crate::{Backend, GenerateError, TokenEvent, TokenStream};

/// What a [`Mock`] does with every request.
#[derive(Debug, Clone, Default)]
pub struct MockConfig {
    /// The tokens of every answer.
    pub tokens: Vec<String>,
    /// Time before each token, in milliseconds.
    pub token_delay_ms: Option<u64>,
    /// Fail before the first token.
    pub pre_stream_error: Option<MockError>,
    /// End the stream without its end after this many tokens.
    pub mid_stream_drop_after: Option<usize>,
}

/// How a [`Mock`] fails before the first token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MockError {
    /// As a backend that is still loading.
    NotReady,
    /// As a backend that rejects the request.
    InvalidRequest,
    /// As a backend that is down.
    Unavailable,
}

impl From<MockError> for GenerateError {
    fn from(error: MockError) -> Self {
        match error {
            MockError::NotReady => Self::NotReady,
            MockError::InvalidRequest => Self::InvalidRequest("the mock rejects every request".into()),
            MockError::Unavailable => Self::Unavailable("the mock is unavailable".into()),
        }
    }
}

/// The scripted backend.
#[derive(Debug)]
pub struct Mock {
    name: String,
    ready: AtomicBool,
    tokens: Arc<[String]>,
    token_delay: Option<Duration>,
    pre_stream_error: Option<MockError>,
    mid_stream_drop_after: Option<usize>,
}

impl Mock {
    /// A mock named `mock` that answers with one token.
    #[must_use]
    pub fn new() -> Self {
        Self::with_config(MockConfig { tokens: vec!["mock-response".into()], ..MockConfig::default() })
    }

    /// A mock named `mock` that follows `config`.
    #[must_use]
    pub fn with_config(config: MockConfig) -> Self {
        Self::named("mock", config)
    }

    /// A mock with a name of its own.
    #[must_use]
    pub fn named(name: impl Into<String>, config: MockConfig) -> Self {
        Self {
            name: name.into(),
            ready: AtomicBool::new(true),
            tokens: config.tokens.into(),
            token_delay: config.token_delay_ms.filter(|&ms| ms > 0).map(Duration::from_millis),
            pre_stream_error: config.pre_stream_error,
            mid_stream_drop_after: config.mid_stream_drop_after,
        }
    }

    /// Sets what [`Backend::ready`] answers.
    pub fn set_ready(&self, ready: bool) {
        self.ready.store(ready, Ordering::Release);
    }
}

impl Default for Mock {
    fn default() -> Self {
        Self::new()
    }
}

#[async_trait]
impl Backend for Mock {
    fn name(&self) -> &str {
        &self.name
    }

    fn ready(&self) -> bool {
        self.ready.load(Ordering::Acquire)
    }

    async fn generate(&self, request: Resolved) -> Result<TokenStream, GenerateError> {
        if let Some(error) = self.pre_stream_error {
            return Err(error.into());
        }
        if !self.ready() {
            return Err(GenerateError::NotReady);
        }
        let limit = request.max_tokens.map_or(usize::MAX, |max| max as usize);
        Ok(Box::pin(Script {
            tokens: Arc::clone(&self.tokens),
            said: 0,
            end: self.tokens.len().min(limit),
            cut: self.mid_stream_drop_after,
            prompt_tokens: prompt_tokens(&request),
            pace: self
                .token_delay
                .map(|delay| Pace { delay, next: Box::pin(sleep_until(Instant::now() + delay)) }),
            over: false,
        }))
    }
}

/// Four bytes a token: near enough for a model that reads nothing.
fn prompt_tokens(request: &Resolved) -> u32 {
    let bytes: usize = request.messages.iter().map(|message| message.content.text_bytes()).sum();
    u32::try_from(bytes.div_ceil(4)).unwrap_or(u32::MAX)
}

struct Script {
    tokens: Arc<[String]>,
    said: usize,
    end: usize,
    cut: Option<usize>,
    prompt_tokens: u32,
    pace: Option<Pace>,
    over: bool,
}

struct Pace {
    delay: Duration,
    next: Pin<Box<Sleep>>,
}

impl Stream for Script {
    type Item = TokenEvent;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<TokenEvent>> {
        let this = &mut *self;
        if this.over || this.cut.is_some_and(|cut| this.said >= cut) {
            return Poll::Ready(None);
        }
        if this.said == this.end {
            this.over = true;
            let cut_by_limit = this.end < this.tokens.len();
            return Poll::Ready(Some(TokenEvent::Done {
                stop_reason: if cut_by_limit { StopReason::Length } else { StopReason::End },
                usage: Usage {
                    prompt_tokens: this.prompt_tokens,
                    completion_tokens: u32::try_from(this.said).unwrap_or(u32::MAX),
                },
                tool_calls: Vec::new(),
                model: None,
            }));
        }
        if let Some(pace) = &mut this.pace {
            ready!(pace.next.as_mut().poll(cx));
            let due = pace.next.deadline() + pace.delay;
            pace.next.as_mut().reset(due);
        }
        let token = this.tokens[this.said].clone();
        this.said += 1;
        Poll::Ready(Some(TokenEvent::Token(token)))
    }
}
