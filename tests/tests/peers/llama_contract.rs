//! The promises of every engine, asked of a real server.
//!
//! It cannot be told to fail or to stall, but a grammar makes it say what it is to say: so much of the contract's script
//! as is about text is played by it.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;
use async_trait::async_trait;
use futures_util::StreamExt;
use inferd_engine::openai::OpenAi;
use inferd_engine::testing::contract::{self, Ending, Rig, Script, Stage};
use inferd_engine::{Backend, GenerateError, RemoteConfig, TokenEvent, TokenStream};
use inferd_proto::{Message, Resolved, Role, StopReason};
use tokio::time::timeout;

use crate::llama_url;
use crate::relay::Relay;

/// How long a connection may outlive its stream: 10 ms are promised, the rest is the machine's.
const GONE_WITHIN: Duration = Duration::from_millis(50);
/// A server that has sent nothing for so long is held back.
const HELD_BACK_FOR: Duration = Duration::from_millis(500);
/// The most tokens of an answer that has no end of its own: what the model has room for.
const ENDLESS_TOKENS: u32 = 1900;

/// A grammar without an end.
const ENDLESS: &str = "root ::= \"x\" root";

fn llama(base_url: String) -> Result<OpenAi> {
    Ok(OpenAi::new(RemoteConfig::new("llama", base_url))?)
}

fn request(content: &str) -> Resolved {
    let messages = vec![Message { role: Role::User, content: content.into() }];
    Resolved {
        messages: messages.into(),
        stream: true,
        temperature: Some(0.0),
        max_tokens: Some(200),
        ..Resolved::default()
    }
}

fn endless() -> Resolved {
    Resolved { grammar: Some(ENDLESS.into()), max_tokens: Some(ENDLESS_TOKENS), ..request("x") }
}

async fn events(llama: &OpenAi, request: Resolved) -> Result<Vec<TokenEvent>> {
    Ok(contract::rest(llama.generate(request).await?).await)
}

fn text(events: &[TokenEvent]) -> String {
    let text = |event: &TokenEvent| match event {
        TokenEvent::Token(text) => Some(text.clone()),
        _ => None,
    };
    events.iter().filter_map(text).collect()
}

#[track_caller]
fn assert_ends_with_its_only_done(events: &[TokenEvent]) {
    let last = events.len().saturating_sub(1);
    let terminal = |event: &TokenEvent| matches!(event, TokenEvent::Done { .. } | TokenEvent::Failed(_));
    assert_eq!(events.iter().position(terminal), Some(last), "{events:?}");
    assert!(matches!(events[last], TokenEvent::Done { .. }), "{events:?}");
}

/// The server behind an engine that adds a grammar to each request, by which nothing can be said but the script.
struct Forced {
    llama: OpenAi,
    grammar: String,
}

#[async_trait]
impl Backend for Forced {
    fn name(&self) -> &str {
        self.llama.name()
    }

    fn ready(&self) -> bool {
        self.llama.ready()
    }

    async fn generate(&self, request: Resolved) -> Result<TokenStream, GenerateError> {
        let request = Resolved { grammar: Some(self.grammar.clone()), max_tokens: Some(200), ..request };
        self.llama.generate(request).await
    }
}

struct Llama;

impl Rig for Llama {
    async fn play(&self, script: Script, _stream: bool) -> Stage {
        let url = llama_url().expect("a server was named");
        // JSON's escapes are those of a grammar.
        let literal = serde_json::to_string(&script.tokens.concat()).expect("a text is JSON");
        let llama = llama(url).expect("a URL");
        Stage { backend: Arc::new(Forced { llama, grammar: format!("root ::= {literal}") }), upstream: None }
    }
}

#[tokio::test]
async fn without_stream_the_text_is_the_same() {
    contract::without_stream_the_text_is_the_same(&Llama).await;
}

#[tokio::test]
async fn characters_cut_on_the_way_arrive_whole() -> Result<()> {
    // Those of the contract, but for the NUL, which this server dies of.
    const TEXT: &str = "naïve 日本語🦀🏳️\u{200d}🌈\"\\\n\u{7f}";
    let stage = Llama.play(Script::new([TEXT], Ending::Done), true).await;
    let events = contract::rest(stage.backend.generate(request("say it")).await?).await;
    assert_ends_with_its_only_done(&events);
    assert_eq!(text(&events), TEXT);
    Ok(())
}

#[tokio::test]
async fn generations_side_by_side_do_not_mix() {
    contract::generations_side_by_side_do_not_mix(&Llama).await;
}

#[tokio::test]
async fn tokens_come_in_order_and_one_done_ends_them() -> Result<()> {
    let llama = llama(llama_url()?)?;
    let streamed = events(&llama, request("hello wörld")).await?;
    assert_ends_with_its_only_done(&streamed);
    assert!(streamed.len() > 3, "no stream: {streamed:?}");
    // The same request has the same answer: out of order, or without a part, a stream would have another.
    let whole = events(&llama, Resolved { stream: false, ..request("hello wörld") }).await?;
    assert_ends_with_its_only_done(&whole);
    assert_eq!(text(&streamed), text(&whole));
    Ok(())
}

#[tokio::test]
async fn dropping_the_stream_closes_its_connection_and_frees_the_server() -> Result<()> {
    let relay = Relay::to(&llama_url()?)?;
    let llama = llama(relay.base_url())?;
    let mut stream = llama.generate(endless()).await?;
    assert!(matches!(stream.next().await, Some(TokenEvent::Token(_))));
    let before = relay.traffic();
    assert_eq!(before.open, 1);
    drop(stream);
    timeout(GONE_WITHIN, relay.until(|traffic| traffic.open == 0)).await??;
    // One request at a time is all that this server does.
    assert_ends_with_its_only_done(&events(&llama, request("and now?")).await?);
    Ok(())
}

#[tokio::test]
async fn a_slow_reader_slows_the_server() -> Result<()> {
    let relay = Relay::to(&llama_url()?)?;
    let llama = llama(relay.base_url())?;
    let mut stream = llama.generate(endless()).await?;
    assert!(matches!(stream.next().await, Some(TokenEvent::Token(_))));
    let mut sent = relay.traffic().answered_bytes;
    while timeout(HELD_BACK_FOR, relay.until(|traffic| traffic.answered_bytes != sent)).await.is_ok() {
        sent = relay.traffic().answered_bytes;
    }
    let rest = contract::rest(stream).await;
    assert_ends_with_its_only_done(&rest);
    assert!(
        matches!(rest.last(), Some(TokenEvent::Done { stop_reason: StopReason::Length, .. })),
        "{:?}",
        rest.last()
    );
    assert_eq!(text(&rest).len() + 1, ENDLESS_TOKENS as usize);
    let all = relay.traffic().answered_bytes;
    assert!(sent < all / 4 * 3, "{sent} of {all} bytes were taken for a reader that reads nothing");
    Ok(())
}
