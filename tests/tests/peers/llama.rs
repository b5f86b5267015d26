//! A model server nobody here wrote: llama.cpp behind the built daemon.

use anyhow::{Context, Result};
use inferd_engine::Backend;
use inferd_engine::RemoteConfig;
use inferd_engine::openai::OpenAi;
use inferd_proto::EmbedRequest;
use inferd_tests::{Daemon, LineClient};
use serde_json::{Value, json};

use crate::{llama_url, with};

async fn daemon() -> Result<Daemon> {
    let base_url = llama_url()?;
    Daemon::start(&format!(
        r#"
        [[backends]]
        name = "llama"
        kind = "openai"
        base_url = "{base_url}"
        "#
    ))
    .await
}

async fn ask(client: &mut LineClient, more: Value) -> Result<Vec<Value>> {
    let request = json!({
        "id": "r",
        "messages": [{"role": "user", "content": "hello wörld"}],
        "temperature": 0,
        "max_tokens": 200,
    });
    client.ask(&with(request, more)).await
}

fn streamed(frames: &[Value]) -> String {
    frames
        .iter()
        .filter(|frame| frame["type"] == "token")
        .filter_map(|frame| frame["content"].as_str())
        .collect()
}

#[tokio::test]
async fn a_streamed_answer_is_the_same_text_in_tokens_in_done_and_unstreamed() -> Result<()> {
    let daemon = daemon().await?;
    let mut client = LineClient::local(&daemon.socket()).await?;

    let frames = ask(&mut client, json!({})).await?;
    let done = frames.last().context("no frames")?;
    assert_eq!(done["type"], "done", "{done}");
    assert_eq!(done["stop_reason"], "end");
    assert_eq!(done["backend"], "llama");
    assert!(frames.len() > 2, "a stream of {} frames", frames.len());
    assert_eq!(done["content"], streamed(&frames));
    assert_ne!(done["content"], "");

    let whole = ask(&mut client, json!({"stream": false})).await?;
    assert_eq!(whole.len(), 1, "{whole:?}");
    assert_eq!(whole[0]["content"], done["content"]);
    assert_eq!(whole[0]["usage"]["completion_tokens"], done["usage"]["completion_tokens"]);
    Ok(())
}

#[tokio::test]
async fn max_tokens_ends_an_answer_for_its_length() -> Result<()> {
    let daemon = daemon().await?;
    let mut client = LineClient::local(&daemon.socket()).await?;
    let frames = ask(&mut client, json!({"max_tokens": 3})).await?;
    let done = frames.last().context("no frames")?;
    assert_eq!(done["stop_reason"], "length", "{done}");
    assert_eq!(done["usage"]["completion_tokens"], 3);
    Ok(())
}

#[tokio::test]
async fn an_answer_that_was_to_be_json_is() -> Result<()> {
    let daemon = daemon().await?;
    let mut client = LineClient::local(&daemon.socket()).await?;
    let frames = ask(&mut client, json!({"response_format": {"type": "json_object"}})).await?;
    let content = frames.last().and_then(|done| done["content"].as_str()).context("no content")?;
    assert!(serde_json::from_str::<Value>(content)?.is_object(), "{content}");
    Ok(())
}

#[tokio::test]
async fn the_engine_turns_texts_into_vectors() -> Result<()> {
    let llama = OpenAi::new(RemoteConfig::new("llama", llama_url()?))?;
    let input = vec!["hello".to_owned(), "world".to_owned()];
    let embedded = llama.embed(EmbedRequest { input, ..EmbedRequest::default() }).await?;
    assert_eq!(embedded.embeddings.iter().map(Vec::len).collect::<Vec<_>>(), [64, 64]);
    assert_ne!(embedded.embeddings[0], embedded.embeddings[1]);
    assert_eq!(llama.models().await?, ["tiny"]);
    Ok(())
}

#[tokio::test]
async fn a_client_that_leaves_mid_stream_does_not_spoil_the_next_ones_answer() -> Result<()> {
    let daemon = daemon().await?;
    let mut leaving = LineClient::local(&daemon.socket()).await?;
    leaving.send(&json!({"id": "gone", "messages": [{"role": "user", "content": "hello"}]})).await?;
    assert_eq!(leaving.frame().await?["type"], "token");
    drop(leaving);

    let mut staying = LineClient::local(&daemon.socket()).await?;
    let frames = ask(&mut staying, json!({})).await?;
    assert_eq!(frames.last().context("no frames")?["type"], "done");
    Ok(())
}
