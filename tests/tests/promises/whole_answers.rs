//! A request that wants no stream gets one frame.

use std::time::Duration;

use anyhow::Result;
use inferd_tests::{Answer, Daemon, LineClient, Upstream, request};
use serde_json::json;

use crate::text;

async fn whole(client: &mut LineClient, id: &str, max_tokens: Option<u32>) -> Result<()> {
    let mut asked = request(id);
    asked["stream"] = json!(false);
    if let Some(max_tokens) = max_tokens {
        asked["max_tokens"] = json!(max_tokens);
    }
    let frames = client.ask(&asked).await?;
    assert_eq!(frames.len(), 1, "{frames:?}");
    assert_eq!((text(&frames[0], "type")?, text(&frames[0], "id")?), ("done", id));
    assert_eq!(text(&frames[0], "content")?, "one two ü");
    Ok(())
}

#[tokio::test]
async fn without_a_stream_an_answer_is_exactly_one_frame() -> Result<()> {
    let tokens = ["one ", "two ", "ü"];
    let upstream = Upstream::always(Answer::slow_tokens(&tokens, Duration::from_millis(5))).await?;
    let mock = "[[backends]]\nname = \"mock\"\nkind = \"mock\"\nmodels = [\"mock\"]\ntokens = [\"one \", \"two \", \"ü\"]\n";
    for config in [upstream.backend("m"), mock.to_owned()] {
        let daemon = Daemon::start(&config).await?;
        let mut client = daemon.connect().await?;
        whole(&mut client, "of any length", None).await?;
        whole(&mut client, "short", Some(16)).await?;
        // Nothing trails behind: the next frame belongs to the next request.
        let streamed = client.ask(&request("third")).await?;
        assert_eq!(streamed.len(), 4, "{streamed:?}");
        assert!(streamed.iter().all(|frame| frame["id"] == "third"), "{streamed:?}");
    }
    // What is sure to be short is asked for in one piece too.
    let asked = upstream.seen().requests;
    assert_eq!(asked.iter().map(|asked| asked["stream"] == true).collect::<Vec<_>>(), [true, false, true]);
    Ok(())
}
