//! The reference server twice, over pipes and over HTTP, under the built daemon: a model calls a tool of each in one step.

use anyhow::{Context, Result, ensure};
use inferd_tests::{Answer, Daemon, Upstream};
use serde_json::{Value, json};

use super::{free_port, serve_http, server};

#[tokio::test]
async fn a_model_calls_both_at_once_and_answers_and_calls_reach_the_right_one_beside_one_that_is_dead()
-> Result<()> {
    let (port, dead) = (free_port()?, free_port()?);
    let _web = serve_http(port).await?;
    let model = Upstream::start(|_, body| match body["messages"].as_array().and_then(|all| all.last()) {
        Some(last) if last["role"] == "tool" => Answer::tokens(&["done"]),
        _ => Answer::calls(&[("piped__echo", r#"{"message":"one"}"#), ("web__get-sum", r#"{"a":2,"b":3}"#)]),
    })
    .await?;
    let [node, script] = server()?;
    let config = model.backend("m")
        + &format!(
            "[[servers]]\nid = \"piped\"\ncommand = [\"{node}\", \"{script}\", \"stdio\"]\nenv = [\"PATH\"]\n\
             [[servers]]\nid = \"web\"\nurl = \"http://127.0.0.1:{port}/mcp\"\n\
             [[servers]]\nid = \"dead\"\nurl = \"http://127.0.0.1:{dead}/mcp\"\n"
        );
    let daemon = Daemon::start(&config).await?;
    let is_ready = |server: &&Value| server["state"] == "live";
    daemon
        .until(|now| now["servers"].as_array().is_some_and(|all| all.iter().filter(is_ready).count() == 2))
        .await?;
    let mut client = daemon.connect().await?;
    let messages = json!([{"role": "user", "content": "echo one, and add two and three"}]);
    let done = client.terminal(&json!({"id": "r", "agent": {}, "messages": messages})).await?;
    assert_eq!((&done["content"], &done["steps"]), (&json!("done"), &json!(2)), "{done}");
    let asked = model.seen().requests.pop().context("it was asked")?;
    let last = asked["messages"].as_array().context("messages")?;
    let results: Vec<&Value> = last[last.len() - 2..].iter().map(|message| &message["content"]).collect();
    ensure!(results[0] == "Echo: one", "{results:?}");
    ensure!(results[1].as_str().is_some_and(|text| text.contains('5')), "{results:?}");

    client.send(&json!({"type": "tools", "id": "t"})).await?;
    let tools = client.frame_of("tools").await?;
    assert_eq!(tools["warnings"][0]["server"], "dead", "{}", tools["warnings"]);
    let arguments = json!({"message": "two"});
    client.send(&json!({"type": "call", "id": "c", "tool": "web__echo", "arguments": arguments})).await?;
    let called = client.frame_of("called").await?;
    assert_eq!((&called["tool"], &called["content"][0]["text"]), (&json!("web::echo"), &json!("Echo: two")));
    assert_eq!(daemon.stop().await?.code(), Some(0));
    Ok(())
}
