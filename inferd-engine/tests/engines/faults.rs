//! Every fault that the engines meet in the same way, put to each of them: what the caller is told, who is blamed and
//! whether another lane may try.
//!
//! Invariant: what is asserted here holds for all of [`ENGINES`]; a new one joins by its line there.

mod connections;
mod engines;
mod heads;
mod streams;
mod table;

use std::sync::Arc;
use std::time::Duration;

use inferd_engine::testing::contract::{question, rest};
use inferd_engine::testing::upstream::{Reply, Upstream};
use inferd_engine::{Backend, GenerateError, RemoteConfig, TokenEvent};
use inferd_proto::StopReason;

use engines::Engine;

/// Every engine that speaks HTTP.
const ENGINES: [&dyn Engine; 3] =
    [&engines::anthropic::Anthropic, &engines::ollama::Ollama, &engines::openai::OpenAi];

const KEY: &str = "my-own-key-71";

/// How long a condition that must come may take before the test gives up on it.
const PATIENCE: Duration = Duration::from_secs(10);
/// A time-out that is to be met.
const SHORT: Duration = Duration::from_millis(80);

fn config(upstream: &Upstream) -> RemoteConfig {
    let mut config = RemoteConfig::new("lane", upstream.url());
    config.models = vec!["m".into()];
    config.api_key = Some(KEY.into());
    config
}

fn backend(engine: &dyn Engine, config: RemoteConfig) -> Arc<dyn Backend> {
    engine.build(config).expect("a good configuration")
}

/// All events of an answer to `reply`, or what came in their place.
async fn play(engine: &dyn Engine, reply: Reply) -> Result<Vec<TokenEvent>, GenerateError> {
    let upstream = Upstream::start([reply]).await;
    Ok(rest(backend(engine, config(&upstream)).generate(question(true)).await?).await)
}

/// The error in the place of an answer, told before any event.
async fn refused(engine: &dyn Engine, reply: Reply) -> GenerateError {
    play(engine, reply).await.expect_err("no answer begins")
}

/// The text of an answer, and what it ended with.
fn told(events: &[TokenEvent]) -> (String, Result<StopReason, &GenerateError>) {
    let text = events.iter().filter_map(|event| match event {
        TokenEvent::Token(text) => Some(text.as_str()),
        _ => None,
    });
    let end = match events.last() {
        Some(TokenEvent::Done { stop_reason, .. }) => Ok(*stop_reason),
        Some(TokenEvent::Failed(error)) => Err(error),
        other => panic!("expected an end, got {other:?}"),
    };
    (text.collect(), end)
}

/// An answer of one word, from its beginning to its end.
fn answer(engine: &dyn Engine) -> Reply {
    engine.stream().text(&engine.begins()).text(&engine.says("a")).text(&engine.ends())
}

/// A stream that has said one word.
fn begun(engine: &dyn Engine) -> Reply {
    engine.stream().text(&engine.begins()).text(&engine.says("a"))
}

#[track_caller]
fn assert_whole(engine: &dyn Engine, events: &[TokenEvent]) {
    assert_eq!(told(events), ("a".to_owned(), Ok(StopReason::End)), "{}", engine.name());
}
