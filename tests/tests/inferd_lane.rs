//! One daemon as the engine of another: the engine `inferd` against the real listener, key, queue and all.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use futures_util::StreamExt;
use inferd_daemon::endpoint::bind_tcp;
use inferd_daemon::lifecycle::{AcceptContext, serve_tcp};
use inferd_daemon::queue::Admission;
use inferd_daemon::router::Router;
use inferd_engine::inferd::{Inferd, InferdAddress, InferdConfig};
use inferd_engine::mock::{Mock, MockConfig, MockError};
use inferd_engine::{Backend, GenerateError, TokenEvent};
use inferd_proto::{Message, Resolved, Role, StopReason, Usage};
use tokio::sync::oneshot;
use tokio::time::timeout;

const PATIENCE: Duration = Duration::from_secs(20);
const KEY: &str = "a key of the other machine";

fn question() -> Resolved {
    let messages = vec![Message { role: Role::User, content: "why?".into() }];
    Resolved { messages: messages.into(), stream: true, ..Resolved::default() }
}

fn tokens(tokens: &[&str]) -> MockConfig {
    MockConfig { tokens: tokens.iter().map(|&token| token.to_owned()).collect(), ..MockConfig::default() }
}

/// Runs `test` with the engine of a daemon that wants [`KEY`] and answers as `mock` says; the engine gives `key`.
async fn with_lane<F: Future<Output = Result<()>>>(
    mock: MockConfig,
    admission: Option<Admission>,
    key: &str,
    test: impl FnOnce(Inferd) -> F,
) -> Result<()> {
    let listener = bind_tcp("127.0.0.1:0").await?;
    let mut config = InferdConfig::new("lane", InferdAddress::Tcp(listener.local_addr()?.to_string()));
    config.api_key = Some(key.into());
    let router = Arc::new(Router::new(vec![Arc::new(Mock::with_config(mock))]));
    let context = AcceptContext { expected_api_key: Some(KEY.to_owned()), admission };
    let (stop, stopped) = oneshot::channel();
    let engine = Inferd::new(config)?;
    let test = async {
        let tested = timeout(PATIENCE, test(engine)).await;
        drop(stop);
        tested?
    };
    let (served, tested) = tokio::join!(serve_tcp(listener, router, context, stopped), test);
    served?;
    tested
}

#[tokio::test]
async fn what_the_other_daemon_generates_comes_back_whole_each_time() -> Result<()> {
    with_lane(tokens(&["forty", "-two", " 日本"]), None, KEY, async |engine: Inferd| {
        for _ in 0..3 {
            let events: Vec<TokenEvent> = engine.generate(question()).await?.collect().await;
            let said = |text: &str| TokenEvent::Token(text.to_owned());
            let usage = Usage { prompt_tokens: 1, completion_tokens: 3 };
            let (stop_reason, tool_calls) = (StopReason::End, Vec::new());
            let done = TokenEvent::Done { stop_reason, usage, tool_calls, model: None };
            ensure!(events == [said("forty"), said("-two"), said(" 日本"), done], "{events:?}");
        }
        ensure!(engine.models().await? == ["*"]);
        Ok(())
    })
    .await
}

#[tokio::test]
async fn a_key_that_the_other_daemon_refuses_is_told_from_a_daemon_that_failed() -> Result<()> {
    with_lane(tokens(&["no"]), None, "another key", async |engine: Inferd| {
        let refused = engine.generate(question()).await.err().context("an answer began")?;
        ensure!(refused == GenerateError::RefusedCredentials, "{refused:?}");
        Ok(())
    })
    .await
}

#[tokio::test]
async fn its_queue_is_felt_and_a_stream_that_is_dropped_frees_its_slot() -> Result<()> {
    let slow = MockConfig { token_delay_ms: Some(20), ..tokens(&["on and on "; 1000]) };
    with_lane(slow, Some(Admission::new(1, 0)), KEY, async |engine: Inferd| {
        let mut first = engine.generate(question()).await?;
        ensure!(first.next().await == Some(TokenEvent::Token("on and on ".into())));
        let busy = engine.generate(question()).await.err().context("two run in one slot")?;
        ensure!(matches!(busy, GenerateError::Busy { retry_after: Some(_), .. }), "{busy:?}");
        drop(first);
        loop {
            match engine.generate(question()).await {
                Ok(mut stream) => {
                    ensure!(stream.next().await == Some(TokenEvent::Token("on and on ".into())));
                    return Ok(());
                }
                Err(GenerateError::Busy { .. }) => tokio::task::yield_now().await,
                Err(error) => return Err(error.into()),
            }
        }
    })
    .await
}

#[tokio::test]
async fn what_its_engine_refuses_is_refused_as_if_it_were_ours() -> Result<()> {
    for (error, expected) in [
        (MockError::InvalidRequest, GenerateError::InvalidRequest("the mock rejects every request".into())),
        (MockError::Unavailable, GenerateError::Unavailable("the mock is unavailable".into())),
    ] {
        let mock = MockConfig { pre_stream_error: Some(error), ..MockConfig::default() };
        with_lane(mock, None, KEY, async |engine: Inferd| {
            let refused = engine.generate(question()).await.err().context("an answer began")?;
            ensure!(refused.blame() == expected.blame(), "{refused:?}");
            ensure!(refused.to_string().ends_with(&expected.to_string()), "{refused:?}");
            Ok(())
        })
        .await?;
    }
    Ok(())
}
