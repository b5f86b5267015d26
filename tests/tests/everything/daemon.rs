//! The same as MCP clients of the built daemon find it.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use inferd_tests::{Bridge, Daemon, free_address};
use serde_json::{Value, json};
use tokio::time::{Instant, sleep, timeout};

use super::{LONG, free_port, serve_http, server};

/// A daemon before the servers `piped`, `web` on `port`, and `dead`.
async fn daemon(port: u16) -> Result<(Daemon, Bridge)> {
    let (listen, dead, [node, script]) = (free_address()?, free_port()?, server()?);
    let config = format!(
        "[mcp]\nlisten = \"{listen}\"\n[[backends]]\nname = \"m\"\nkind = \"mock\"\n\
         [[servers]]\nid = \"piped\"\ncommand = [\"{node}\", \"{script}\", \"stdio\"]\nenv = [\"PATH\"]\n\
         [[servers]]\nid = \"web\"\nurl = \"http://127.0.0.1:{port}/mcp\"\n\
         [[servers]]\nid = \"dead\"\nurl = \"http://127.0.0.1:{dead}/mcp\"\n"
    );
    let daemon = Daemon::start(&config).await?;
    daemon.until(|now| is(now, "piped", "live") && is(now, "web", "live")).await?;
    let client = Bridge::open(daemon.home()).await?;
    Ok((daemon, client))
}

fn is(snapshot: &Value, id: &str, state: &str) -> bool {
    let mut servers = snapshot["servers"].as_array().into_iter().flatten();
    servers.any(|server| server["id"] == id && server["state"] == state)
}

fn text(result: &Value) -> Result<&str> {
    result["content"][0]["text"].as_str().with_context(|| format!("no text in {result}"))
}

#[tokio::test]
async fn the_daemon_offers_the_tools_of_both_and_names_the_dead_one() -> Result<()> {
    let port = free_port()?;
    let _web = serve_http(port).await?;
    let (_daemon, mut client) = daemon(port).await?;
    let listed = until_listed(&mut client, |names| has(names, "piped__") && has(names, "web__")).await?;
    let federated: Vec<_> = listed.iter().filter(|name| name.contains("__")).collect();
    ensure!(federated.is_sorted() && federated.len() > 10, "{listed:?}");
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-';
    ensure!(listed.iter().all(|name| name.len() <= 64 && name.bytes().all(is_plain)), "{listed:?}");
    let status = client.call("daemon_status", json!({})).await?;
    let warnings = status["structuredContent"]["warnings"].as_array().context("there are warnings")?;
    ensure!(warnings.len() == 1 && warnings[0].as_str().is_some_and(|it| it.contains("`dead`")), "{status}");

    for name in ["piped__echo", "piped::echo", "web__echo", "web::echo"] {
        let result = client.call(name, json!({ "message": name })).await?;
        ensure!(text(&result)? == format!("Echo: {name}"), "{result}");
    }
    let sum = client.call("web__get-sum", json!({ "a": 2, "b": 3 })).await?;
    ensure!(text(&sum)?.contains('5'), "{sum}");
    let tiny = client.call("piped__get-tiny-image", json!({})).await?;
    let blocks = tiny["content"].as_array().context("blocks")?;
    ensure!(
        blocks.iter().any(|block| block["type"] == "image" && block["mimeType"] == "image/png"),
        "{tiny}"
    );
    let structured = client.call("piped__get-structured-content", json!({ "location": "New York" })).await?;
    ensure!(structured["structuredContent"].is_object(), "{structured}");
    let wrong = client.call("web__echo", json!({ "message": 7 })).await?;
    ensure!(wrong["isError"] == true, "{wrong}");
    Ok(())
}

#[tokio::test]
async fn progress_resources_and_prompts_of_both_come_through_the_daemon() -> Result<()> {
    let port = free_port()?;
    let _web = serve_http(port).await?;
    let (_daemon, mut client) = daemon(port).await?;
    until_listed(&mut client, |names| has(names, "piped__") && has(names, "web__")).await?;
    let resources = request(&mut client, "resources/list", json!({})).await?;
    let templates = request(&mut client, "resources/templates/list", json!({})).await?;
    ensure!(!templates["resourceTemplates"].as_array().is_none_or(Vec::is_empty), "{templates}");
    for server in ["piped", "web"] {
        let arguments = json!({ "duration": 0.4, "steps": 4 });
        let name = format!("{server}__trigger-long-running-operation");
        let (result, steps) = watch(&mut client, &name, arguments).await?;
        ensure!(result["isError"] != true && steps.len() == 4, "{server}: {steps:?}");
        ensure!(steps[3]["progress"] == steps[3]["total"], "{steps:?}");

        let prefix = format!("inferd+server://{server}/");
        let listed = resources["resources"].as_array().into_iter().flatten();
        let uri = listed.filter_map(|it| it["uri"].as_str()).find(|uri| uri.starts_with(&prefix));
        let uri = uri.context("it has a resource")?;
        let read = request(&mut client, "resources/read", json!({ "uri": uri })).await?;
        ensure!(read["contents"][0]["uri"] == uri, "{read}");
        let made = format!("{prefix}demo://resource/dynamic/text/1");
        let read = request(&mut client, "resources/read", json!({ "uri": made })).await?;
        ensure!(read["contents"][0]["uri"] == made, "{read}");
        let prompt = json!({ "name": format!("{server}__simple-prompt") });
        let got = request(&mut client, "prompts/get", prompt).await?;
        ensure!(got["messages"][0]["content"]["text"].is_string(), "{got}");
    }
    Ok(())
}

#[tokio::test]
async fn what_wants_its_caller_to_sample_is_not_offered_and_fails_at_once() -> Result<()> {
    let port = free_port()?;
    let _web = serve_http(port).await?;
    let (_daemon, mut client) = daemon(port).await?;
    let listed = until_listed(&mut client, |names| has(names, "web__")).await?;
    ensure!(!listed.iter().any(|name| name.contains("sampling")), "we say that we cannot: {listed:?}");
    let begun = Instant::now();
    let call = json!({ "name": "web__trigger-sampling-request", "arguments": { "prompt": "hi" } });
    let refused = client.request("tools/call", call).await?;
    let said = refused["error"]["message"].as_str().unwrap_or_default();
    ensure!(said == "there is no tool `web__trigger-sampling-request`", "{refused}");
    ensure!(begun.elapsed() < Duration::from_secs(1), "{:?}", begun.elapsed());
    Ok(())
}

#[tokio::test]
async fn a_call_of_one_that_is_killed_fails_within_a_second_and_it_is_back_within_five_of_returning()
-> Result<()> {
    let port = free_port()?;
    let mut web = serve_http(port).await?;
    let (daemon, mut client) = daemon(port).await?;
    until_listed(&mut client, |names| has(names, "web__")).await?;
    let arguments = json!({ "duration": 30, "steps": 300 });
    let call = client.begin("web__trigger-long-running-operation", arguments).await?;
    while client.hear().await?["method"] != "notifications/progress" {}
    web.kill().await?;
    let killed = Instant::now();
    let answer = client.answer(call).await?;
    ensure!(killed.elapsed() < Duration::from_secs(1), "{:?}", killed.elapsed());
    let said = text(&answer["result"])?;
    ensure!(said.starts_with("backend_unavailable: server `web` was lost during the call"), "{said}");
    daemon.until(|now| is(now, "web", "down")).await?;
    let away = client.call("web__echo", json!({ "message": "hi" })).await?;
    ensure!(text(&away)?.starts_with("backend_unavailable: server `web` is not connected"), "{away}");
    let other = client.call("piped__echo", json!({ "message": "hi" })).await?;
    ensure!(text(&other)? == "Echo: hi", "{other}");

    let _web = serve_http(port).await?;
    let back = Instant::now();
    timeout(LONG, daemon.until(|now| is(now, "web", "live"))).await??;
    ensure!(back.elapsed() < Duration::from_secs(5), "{:?}", back.elapsed());
    let again = client.call("web__echo", json!({ "message": "again" })).await?;
    ensure!(text(&again)? == "Echo: again", "{again}");
    Ok(())
}

/// The result of a request.
async fn request(client: &mut Bridge, method: &str, params: Value) -> Result<Value> {
    let mut answer = client.request(method, params).await?;
    ensure!(answer["error"].is_null(), "{method}: {answer}");
    Ok(answer["result"].take())
}

/// The result of a tool, and what was said of its progress.
async fn watch(client: &mut Bridge, tool: &str, arguments: Value) -> Result<(Value, Vec<Value>)> {
    let id = client.begin(tool, arguments).await?;
    let mut steps = Vec::new();
    loop {
        let mut message = client.hear().await?;
        if message["id"] == id {
            return Ok((message["result"].take(), steps));
        }
        if message["method"] == "notifications/progress" {
            steps.push(message["params"].take());
        }
    }
}

/// The names of all tools, once there are those that are waited for.
async fn until_listed(client: &mut Bridge, enough: impl Fn(&[String]) -> bool) -> Result<Vec<String>> {
    let begun = Instant::now();
    loop {
        let listed = request(client, "tools/list", json!({})).await?;
        let tools = listed["tools"].as_array().context("a list")?.iter();
        let names: Vec<_> = tools.filter_map(|tool| Some(tool["name"].as_str()?.to_owned())).collect();
        if enough(&names) {
            return Ok(names);
        }
        ensure!(begun.elapsed() < LONG, "there are only {names:?}");
        sleep(Duration::from_millis(10)).await;
    }
}

fn has(names: &[String], prefix: &str) -> bool {
    names.iter().any(|name| name.starts_with(prefix))
}
