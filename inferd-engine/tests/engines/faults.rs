//! Every fault that the engines meet in the same way, put to each of them: what the caller is told, who is blamed and
//! whether another lane may try.
//!
//! Invariant: what is asserted here holds for all of [`ENGINES`]; a new one joins by its line there.

mod connections;
mod heads;
mod streams;
mod table;

use std::sync::Arc;
use std::time::Duration;

use inferd_engine::testing::contract::{question, rest};
use inferd_engine::testing::upstream::{Reply, Upstream};
use inferd_engine::{Backend, GenerateError, RemoteConfig, TokenEvent};
use inferd_proto::StopReason;

use crate::asked::{play, refused};
use crate::lane::{KEY, PATIENCE, SHORT, keyed};
use crate::protocols::Engine;
use crate::protocols::anthropic::Anthropic;
use crate::protocols::ollama::Ollama;
use crate::protocols::openai::OpenAi;
use crate::told::{answered, outcome, refusal, token};

/// Every engine that speaks HTTP.
const ENGINES: [&dyn Engine; 3] = [&Anthropic, &Ollama, &OpenAi];

/// The text of an answer, and what it ended with.
fn text_and_end(events: &[TokenEvent]) -> (String, Result<StopReason, &GenerateError>) {
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
    begun(engine).text(&engine.ends())
}

/// A stream that has said one word.
fn begun(engine: &dyn Engine) -> Reply {
    engine.stream().text(&engine.begins()).text(&engine.says("a"))
}

#[track_caller]
fn assert_whole(engine: &dyn Engine, events: &[TokenEvent]) {
    assert_eq!(text_and_end(events), ("a".to_owned(), Ok(StopReason::End)), "{}", engine.name());
}
