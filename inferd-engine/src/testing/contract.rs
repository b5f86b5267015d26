//! What every backend promises, as tests that any of them can be put to by [`backend_contract!`](crate::backend_contract).
//!
//! A [`Rig`] says how to make a backend play a [`Script`]; the rest is the same for all.

#![expect(clippy::missing_panics_doc, reason = "a test fails by panicking")]

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;
use inferd_proto::{Message, Resolved, Role};
use tokio::time::timeout;

use super::upstream::Upstream;
use crate::{Backend, GenerateError, TokenEvent, TokenStream};

/// How long an upstream may take to see that its client has gone: 10 ms are promised, the rest is the machine's.
const GONE_WITHIN: Duration = Duration::from_millis(50);
/// A server that has sent nothing for so long is held back.
const HELD_BACK_FOR: Duration = Duration::from_millis(250);
/// What may be under way between a server and a reader that has stopped: mostly buffers of the system.
const UNDER_WAY_BYTES_MAX: usize = 16 * 1024 * 1024;

/// What a backend, or the server behind it, is to do with the next request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Script {
    /// The answer, token by token.
    pub tokens: Vec<String>,
    /// What follows them.
    pub ending: Ending,
    /// Whether the server sends each byte in a write of its own.
    pub byte_by_byte: bool,
}

/// How a scripted answer ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// As it should.
    Done,
    /// In the middle.
    CutShort,
    /// Not at all.
    Hang,
    /// Before it began: the request is not accepted.
    Invalid,
    /// Before it began: the engine is down.
    Unavailable,
}

impl Script {
    /// The tokens, then the ending.
    pub fn new<T: Into<String>>(tokens: impl IntoIterator<Item = T>, ending: Ending) -> Self {
        Self { tokens: tokens.into_iter().map(Into::into).collect(), ending, byte_by_byte: false }
    }
}

/// A backend under test, and the server behind it where there is one.
pub struct Stage {
    /// The backend.
    pub backend: Arc<dyn Backend>,
    /// Its server.
    pub upstream: Option<Upstream>,
}

/// A kind of backend.
pub trait Rig {
    /// A backend that plays `script` for a request with or without `stream`.
    fn play(&self, script: Script, stream: bool) -> impl Future<Output = Stage>;
}

/// A request of one question.
#[must_use]
pub fn question(stream: bool) -> Resolved {
    let messages = vec![Message { role: Role::User, content: "why?".into() }];
    Resolved { messages: messages.into(), stream, ..Resolved::default() }
}

/// Everything that is still to come.
pub async fn rest(stream: TokenStream) -> Vec<TokenEvent> {
    stream.collect().await
}

fn text(events: &[TokenEvent]) -> String {
    events
        .iter()
        .filter_map(|event| if let TokenEvent::Token(text) = event { Some(&**text) } else { None })
        .collect()
}

async fn events(rig: &impl Rig, script: Script, stream: bool) -> Vec<TokenEvent> {
    let stage = rig.play(script, stream).await;
    rest(stage.backend.generate(question(stream)).await.expect("an answer begins")).await
}

#[track_caller]
fn assert_ends_with_its_only_done(events: &[TokenEvent]) {
    let terminal = |event: &&TokenEvent| matches!(event, TokenEvent::Done { .. } | TokenEvent::Failed(_));
    assert_eq!(events.iter().filter(terminal).count(), 1, "{events:?}");
    assert!(matches!(events.last(), Some(TokenEvent::Done { .. })), "{events:?}");
}

/// Tokens come in the order they were generated in, none is lost, and one `Done` ends them.
pub async fn tokens_come_in_order_and_one_done_ends_them(rig: &impl Rig) {
    let tokens: Vec<String> = (0..1000).map(|number| format!("{number} ")).collect();
    let events = events(rig, Script::new(tokens.clone(), Ending::Done), true).await;
    assert_ends_with_its_only_done(&events);
    let tokens: Vec<TokenEvent> = tokens.into_iter().map(TokenEvent::Token).collect();
    assert_eq!(events[..events.len() - 1], tokens);
}

/// A caller that wants no stream gets the same text.
pub async fn without_stream_the_text_is_the_same(rig: &impl Rig) {
    let events = events(rig, Script::new(["all ", "of ", "it"], Ending::Done), false).await;
    assert_ends_with_its_only_done(&events);
    assert_eq!(text(&events), "all of it");
}

/// Characters survive being cut anywhere on the way.
pub async fn characters_cut_on_the_way_arrive_whole(rig: &impl Rig) {
    let words = ["naïve ", "日本語", "🦀🏳️\u{200d}🌈", "\"\\\n\u{7f}\u{0}"];
    let script = Script { byte_by_byte: true, ..Script::new(words, Ending::Done) };
    let events = events(rig, script, true).await;
    assert_ends_with_its_only_done(&events);
    assert_eq!(text(&events), words.concat());
}

/// An error before the first token is an error, and says whose it is.
pub async fn an_error_before_the_first_token_is_told_at_once(rig: &impl Rig) {
    for (ending, expected) in [
        (Ending::Invalid, GenerateError::InvalidRequest(String::new()).blame()),
        (Ending::Unavailable, GenerateError::Unavailable(String::new()).blame()),
    ] {
        let stage = rig.play(Script::new([""; 0], ending), true).await;
        let error = stage.backend.generate(question(true)).await.err().expect("no answer begins");
        assert_eq!(error.blame(), expected, "{ending:?}: {error}");
    }
}

/// An answer cut short keeps its tokens and never passes for a complete one.
pub async fn an_answer_cut_short_is_not_done(rig: &impl Rig) {
    let events = events(rig, Script::new(["half ", "of"], Ending::CutShort), true).await;
    assert_eq!(text(&events), "half of");
    assert!(!events.iter().any(|event| matches!(event, TokenEvent::Done { .. })), "{events:?}");
}

/// Dropping a stream, or the wait for one, closes its connection.
pub async fn dropping_the_stream_closes_its_connection(rig: &impl Rig) {
    let stage = rig.play(Script::new(["one"], Ending::Hang), true).await;
    let mut stream = stage.backend.generate(question(true)).await.expect("an answer begins");
    assert_eq!(stream.next().await, Some(TokenEvent::Token("one".into())));
    drop(stream);
    if let Some(upstream) = stage.upstream {
        timeout(GONE_WITHIN, upstream.all_closed()).await.expect("the connection closes at once");
    }
}

/// A reader that stops holds the server back; going on, it misses nothing.
pub async fn a_slow_reader_slows_the_server(rig: &impl Rig) {
    const TOKENS: usize = 32 * 1024;
    let token = "x".repeat(1000);
    let script = Script::new(std::iter::repeat_n(token.clone(), TOKENS), Ending::Done);
    let stage = rig.play(script, true).await;
    let mut stream = stage.backend.generate(question(true)).await.expect("an answer begins");
    assert_eq!(stream.next().await, Some(TokenEvent::Token(token)));
    if let Some(upstream) = &stage.upstream {
        let mut bytes = upstream.counts().bytes;
        while timeout(HELD_BACK_FOR, upstream.until(|counts| counts.bytes != bytes)).await.is_ok() {
            bytes = upstream.counts().bytes;
        }
        assert_eq!(
            upstream.counts().sent,
            0,
            "all was taken from the server for a reader that reads nothing"
        );
        assert!(bytes < UNDER_WAY_BYTES_MAX, "{bytes} bytes are under way");
    }
    let rest = rest(stream).await;
    assert_ends_with_its_only_done(&rest);
    assert_eq!(rest.len(), TOKENS);
}

/// Many generations at once do not mix.
pub async fn generations_side_by_side_do_not_mix(rig: &impl Rig) {
    let stage = rig.play(Script::new(["a", "b", "c"], Ending::Done), true).await;
    let one =
        || async { rest(stage.backend.generate(question(true)).await.expect("an answer begins")).await };
    for events in futures_util::future::join_all((0..20).map(|_| one())).await {
        assert_ends_with_its_only_done(&events);
        assert_eq!(text(&events), "abc");
    }
}

/// Puts a [`Rig`] to every test of the contract: `backend_contract!(mock, MockRig);` makes a module `mock` of tests.
/// A backend that cannot be put to all of them names those that it can: `backend_contract!(odd, OddRig; one, two);`.
#[macro_export]
macro_rules! backend_contract {
    ($name:ident, $rig:expr) => {
        mod $name {
            use super::*;

            $crate::backend_contract!(
                @tests $rig;
                tokens_come_in_order_and_one_done_ends_them,
                without_stream_the_text_is_the_same,
                characters_cut_on_the_way_arrive_whole,
                an_error_before_the_first_token_is_told_at_once,
                an_answer_cut_short_is_not_done,
                dropping_the_stream_closes_its_connection,
                a_slow_reader_slows_the_server,
                generations_side_by_side_do_not_mix,
            );
        }
    };
    ($name:ident, $rig:expr; $($test:ident),+) => {
        mod $name {
            use super::*;

            $crate::backend_contract!(@tests $rig; $($test,)+);
        }
    };
    (@tests $rig:expr; $($test:ident,)*) => {$(
        #[tokio::test]
        async fn $test() {
            $crate::testing::contract::$test(&$rig).await;
        }
    )*};
}
