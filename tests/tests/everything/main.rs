//! The reference server of the Model Context Protocol as an upstream: over pipes, over HTTP, both beside a dead one.
//! `tests/run` installs it and says where it is.
#![cfg(unix)]

mod agent;
mod daemon;

use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use inferd_daemon::config::Config;
use inferd_daemon::upstream::{CallError, Catalogue, Patience, State, Upstreams, Wanted};
use serde_json::{Map, Value, json};
use tokio::io::AsyncBufReadExt;
use tokio::process::{Child, Command};
use tokio::sync::Notify;
use tokio::time::{Instant, timeout};
use tokio_util::sync::CancellationToken;

const LONG: Duration = Duration::from_secs(20);

/// The node and the script of the server.
fn server() -> Result<[String; 2]> {
    let modules = std::env::var("INFERD_TEST_NODE_MODULES")
        .context("INFERD_TEST_NODE_MODULES is not set: run tests/run")?;
    let script = format!("{modules}/@modelcontextprotocol/server-everything/dist/index.js");
    Ok([format!("{modules}/.bin/node"), script])
}

/// Serves over HTTP on `port`.
async fn serve_http(port: u16) -> Result<Child> {
    let [node, script] = server()?;
    let mut command = Command::new(node);
    command.args([script.as_str(), "streamableHttp"]).env("PORT", port.to_string()).kill_on_drop(true);
    let mut child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn()?;
    let stderr = child.stderr.take().context("it has a standard error")?;
    let mut lines = tokio::io::BufReader::new(stderr).lines();
    while let Some(line) = timeout(LONG, lines.next_line()).await?? {
        if line.contains("listening") {
            break;
        }
    }
    // It writes a line for each request, and ends if nobody reads them.
    let reader = tokio_util::task::TaskTracker::new();
    reader.spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
    Ok(child)
}

fn free_port() -> Result<u16> {
    Ok(std::net::TcpListener::bind("127.0.0.1:0")?.local_addr()?.port())
}

fn upstreams(port: u16, dead: u16) -> Result<Upstreams> {
    let [node, script] = server()?;
    let text = format!(
        "[[servers]]\nid = \"piped\"\ncommand = [\"{node}\", \"{script}\", \"stdio\"]\nenv = [\"PATH\"]\n\
         [[servers]]\nid = \"web\"\nurl = \"http://127.0.0.1:{port}/mcp\"\n\
         [[servers]]\nid = \"dead\"\nurl = \"http://127.0.0.1:{dead}/mcp\"\n"
    );
    let upstreams = Upstreams::new(Patience::default(), &CancellationToken::new());
    upstreams.want(Config::parse(&text)?.servers.into_iter().map(|config| Wanted { config, key: None }));
    Ok(upstreams)
}

async fn until(upstreams: &Upstreams, what: impl FnMut(&std::sync::Arc<Catalogue>) -> bool) -> Result<()> {
    timeout(LONG, upstreams.changes().wait_for(what)).await??;
    Ok(())
}

fn is(catalogue: &Catalogue, server: &str, state: State) -> bool {
    catalogue.server(server).is_some_and(|server| server.condition.state == state)
}

fn object(value: Value) -> Option<Map<String, Value>> {
    match value {
        Value::Object(fields) => Some(fields),
        _ => None,
    }
}

#[tokio::test]
async fn two_that_live_are_listed_and_called_beside_one_that_is_dead() -> Result<()> {
    let (port, dead) = (free_port()?, free_port()?);
    let _web = serve_http(port).await?;
    let upstreams = upstreams(port, dead)?;
    until(&upstreams, |all| is(all, "piped", State::Live) && is(all, "web", State::Live)).await?;
    let catalogue = upstreams.catalogue();
    let names: Vec<&str> = catalogue.tools.iter().map(|tool| tool.name.as_str()).collect();
    ensure!(names.contains(&"piped::echo") && names.contains(&"web::echo") && names.is_sorted(), "{names:?}");
    let warnings = catalogue.warnings();
    ensure!(warnings.len() == 1 && warnings[0].contains("`dead`"), "{warnings:?}");
    for name in ["piped::echo", "piped__echo", "web::echo", "web__echo"] {
        let result = upstreams.call(name, object(json!({"message": name})), |_| {}).await?;
        ensure!(result.content[0]["text"] == format!("Echo: {name}"), "{result:?}");
    }
    for server in ["piped", "web"] {
        let mut steps = 0;
        let arguments = object(json!({"duration": 0.4, "steps": 4}));
        let name = format!("{server}::trigger-long-running-operation");
        upstreams.call(&name, arguments, |_| steps += 1).await?;
        ensure!(steps == 4, "{server}: {steps}");
        let resource = catalogue.resources.iter().find(|it| it.server == server).context("a resource")?;
        let read = upstreams.read_resource(&resource.name).await?;
        ensure!(read["contents"][0]["uri"] == resource.name, "{read}");
        let prompt = upstreams.get_prompt(&format!("{server}__simple-prompt"), None).await?;
        ensure!(prompt["messages"].is_array(), "{prompt}");
    }
    let environment = upstreams.call("piped::get-env", None, |_| {}).await?;
    let environment = environment.content[0]["text"].as_str().context("text")?;
    ensure!(environment.contains("\"PATH\"") && !environment.contains("\"HOME\""), "{environment}");
    upstreams.stop().await;
    Ok(())
}

#[tokio::test]
async fn one_killed_during_a_call_says_so_within_a_second_and_is_back_within_five_of_returning() -> Result<()>
{
    let (port, dead) = (free_port()?, free_port()?);
    let mut web = serve_http(port).await?;
    let upstreams = upstreams(port, dead)?;
    until(&upstreams, |all| is(all, "web", State::Live)).await?;
    let arguments = object(json!({"duration": 30, "steps": 300}));
    let under_way = Notify::new();
    let call = async {
        let tool = "web::trigger-long-running-operation";
        let result = upstreams.call(tool, arguments, |_| under_way.notify_one()).await;
        (result.unwrap_err(), Instant::now())
    };
    let killing = async {
        under_way.notified().await;
        let killed = Instant::now();
        web.kill().await.map(|()| killed)
    };
    let ((error, ended), killed) = tokio::join!(call, killing);
    let took = ended.saturating_duration_since(killed?);
    ensure!(took < Duration::from_secs(1), "{took:?}");
    ensure!(matches!(&error, CallError::Lost { server, .. } if server == "web"), "{error}");
    until(&upstreams, |all| is(all, "web", State::Down)).await?;
    let refused = upstreams.call("web::echo", None, |_| {}).await.unwrap_err();
    ensure!(refused.was_not_sent() && refused.to_string().contains("connection refused"), "{refused}");

    let _web = serve_http(port).await?;
    let back = Instant::now();
    until(&upstreams, |all| is(all, "web", State::Live)).await?;
    ensure!(back.elapsed() < Duration::from_secs(5), "{:?}", back.elapsed());
    upstreams.call("web::echo", object(json!({"message": "again"})), |_| {}).await?;
    upstreams.stop().await;
    Ok(())
}
