//! Models and tools of several servers together, by way of the built daemon and the built cli.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use inferd_tests::{Answer, Daemon, Gate, Home, LineClient, PATIENCE, Upstream, free_address};
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

use super::text;

/// Between two looks at what does not announce itself.
const LOOK_EVERY: Duration = Duration::from_millis(5);

/// Where servers leave a note of each call.
struct Notes(tempfile::TempDir);

impl Notes {
    fn new() -> Result<Self> {
        Ok(Self(tempfile::tempdir()?))
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// The table of a server with the tools `note`, `meet` and `hang`.
    fn table(&self, id: &str) -> Result<String> {
        let command = json!([Home::binary("tool-server")?, id, self.0.path()]);
        Ok(format!("[[servers]]\nid = \"{id}\"\ncommand = {command}\n"))
    }

    /// The calls that a server has had.
    fn calls(&self, id: &str) -> Vec<String> {
        std::fs::read_to_string(self.path(id)).unwrap_or_default().lines().map(str::to_owned).collect()
    }

    fn pid(&self, id: &str) -> Result<String> {
        Ok(std::fs::read_to_string(self.path(&format!("{id}.pid")))?.trim().to_owned())
    }
}

/// A daemon with this model and the servers `a` and `b`, both there.
async fn daemon(model: &Upstream, notes: &Notes, more: &str) -> Result<Daemon> {
    let config = [more, &model.backend("m"), &notes.table("a")?, &notes.table("b")?].concat();
    let daemon = Daemon::start(&config).await?;
    let ready = |now: &Value| {
        now["servers"].as_array().is_some_and(|all| all.iter().all(|server| server["state"] == "live"))
    };
    daemon.until(ready).await?;
    Ok(daemon)
}

/// A model that has `a` and `b` meet, and answers once it has heard from both.
async fn one_that_has_them_meet() -> Result<Upstream> {
    Upstream::start(|_, body| match body["messages"].as_array().and_then(|all| all.last()) {
        Some(last) if last["role"] == "tool" => Answer::tokens(&["both ", "came"]),
        _ => Answer::calls(&[("a__meet", r#"{"with":2}"#), ("b__meet", r#"{"with":2,"say":"ä"}"#)]),
    })
    .await
}

fn agent(id: &str, fields: &Value) -> Value {
    let messages = json!([{"role": "user", "content": "have them meet"}]);
    json!({"id": id, "agent": fields, "messages": messages, "progress": true})
}

/// What a model that had them meet must have been asked at last.
fn check_transcript(model: &Upstream, notes: &Notes) -> Result<()> {
    let seen = model.seen();
    assert_eq!(seen.requests.len(), 2, "a step before the calls, one after them");
    let offered = seen.requests[0]["tools"].as_array().context("tools are offered")?;
    let names: Vec<_> = offered.iter().map(|tool| tool["function"]["name"].clone()).collect();
    assert_eq!(json!(names), json!(["a__hang", "a__meet", "a__note", "b__hang", "b__meet", "b__note"]));
    let messages = seen.requests[1]["messages"].as_array().context("messages are sent")?;
    let roles: Vec<_> = messages.iter().map(|message| message["role"].clone()).collect();
    assert_eq!(json!(roles), json!(["user", "assistant", "tool", "tool"]));
    let calls = messages[1]["tool_calls"].as_array().context("the calls are replayed")?;
    for (n, (call, result)) in calls.iter().zip(&messages[2..]).enumerate() {
        assert_eq!(call["id"], result["tool_call_id"]);
        assert_eq!(text(result, "content")?.split(' ').next(), Some(["a", "b"][n]));
    }
    assert_eq!(notes.calls("a"), [r#"meet {"with":2}"#]);
    assert_eq!(notes.calls("b"), [r#"meet {"say":"ä","with":2}"#]);
    Ok(())
}

#[tokio::test]
async fn two_tools_on_two_servers_are_called_once_and_at_once_and_the_model_answers() -> Result<()> {
    let (model, notes) = (one_that_has_them_meet().await?, Notes::new()?);
    let daemon = daemon(&model, &notes, "").await?;
    let mut client = daemon.connect().await?;
    let frames = client.ask(&agent("r", &json!({}))).await?;
    let done = frames.last().context("an answer has a last frame")?;
    assert_eq!((&done["content"], &done["steps"]), (&json!("both came"), &json!(2)), "{done}");
    let mut stages: Vec<String> = frames
        .iter()
        .filter(|frame| frame["type"] == "status")
        .map(|frame| format!("{} {} {}", frame["step"], frame["status"], frame["tool"]))
        .collect();
    // Who returns first is not for us to say.
    stages[3..5].sort_unstable();
    assert_eq!(
        stages,
        [
            "1 \"running\" null",
            "1 \"calling\" \"a::meet\"",
            "1 \"calling\" \"b::meet\"",
            "1 \"called\" \"a::meet\"",
            "1 \"called\" \"b::meet\"",
            "2 \"running\" null",
        ]
    );
    check_transcript(&model, &notes)?;

    let thread = text(done, "thread")?;
    let again = client.terminal(&agent("s", &json!({"thread": thread, "max_steps": 1}))).await?;
    assert_eq!(again["message"], "agent.max_steps: no answer after 1 steps");
    let replayed = model.seen().requests.pop().context("it was asked")?;
    assert_eq!(replayed["messages"].as_array().map(Vec::len), Some(6), "what was said is there again");
    Ok(())
}

#[tokio::test]
async fn the_same_comes_out_of_the_cli() -> Result<()> {
    let (model, notes) = (one_that_has_them_meet().await?, Notes::new()?);
    let daemon = daemon(&model, &notes, "").await?;
    let out = daemon.home().run("inferd-cli", &["agent", "have them meet"]).await?;
    assert_eq!(String::from_utf8_lossy(&out.stdout), "both came\n", "{out:?}");
    check_transcript(&model, &notes)
}

#[tokio::test]
async fn servers_and_tools_are_listed_and_called_from_the_cli() -> Result<()> {
    let (model, notes) = (Upstream::always(Answer::Silence).await?, Notes::new()?);
    let dead = "[[servers]]\nid = \"dead\"\ncommand = [\"sh\", \"-c\", \"exit 1\"]\n[[rooms]]\nid = \"r1\"\n";
    let config = [model.backend("m"), notes.table("a")?, notes.table("b")?, dead.to_owned()].concat();
    let daemon = Daemon::start(&config).await?;
    let listed = |now: &Value| {
        let all = now["servers"].as_array().cloned().unwrap_or_default();
        all.iter().filter(|server| server["state"] == "live").count() == 2
            && all.iter().any(|server| server["last_error"].is_string())
    };
    daemon.until(listed).await?;
    let tools = daemon.home().run("inferd-cli", &["tools", "--json"]).await?;
    let shown = String::from_utf8_lossy(&tools.stdout).into_owned() + &String::from_utf8_lossy(&tools.stderr);
    for said in ["a::hang", "a::meet", "a::note", "b::note", "dead"] {
        ensure!(shown.contains(said), "{said} is missing: {shown}");
    }
    let called = daemon.home().run("inferd-cli", &["call", "b::note", r#"{"n":1}"#]).await?;
    assert_eq!(String::from_utf8_lossy(&called.stdout).trim(), r#"b {"n":1}"#, "{called:?}");
    assert_eq!((notes.calls("a").len(), notes.calls("b").len()), (0, 1));
    Ok(())
}

#[tokio::test]
async fn of_several_servers_the_first_success_is_the_answer_and_the_others_are_cancelled() -> Result<()> {
    let model = Upstream::start(|_, body| {
        let tools = body["tools"].to_string();
        if tools.contains("b__") { Answer::tokens(&["b ", "was first"]) } else { Answer::Silence }
    })
    .await?;
    let notes = Notes::new()?;
    let daemon = daemon(&model, &notes, "").await?;
    let out = daemon.home().run("inferd-cli", &["ask", "--servers", "a,b", "--any", "who is first?"]).await?;
    assert_eq!(String::from_utf8_lossy(&out.stdout).trim(), "b was first", "{out:?}");
    assert_eq!(out.status.code(), Some(0));
    let seen = model.until(|seen| seen.open == 0).await?;
    assert_eq!((seen.requests.len(), seen.abandoned.len()), (2, 1), "the other's connection was closed");
    daemon.quiet().await?;
    Ok(())
}

#[tokio::test]
async fn a_reload_brings_and_takes_servers_and_rooms_and_leaves_the_turns_that_have_nothing_to_do_with_it()
-> Result<()> {
    let gate = Gate::shut();
    let held = gate.clone();
    let model = Upstream::start(move |n, _| match n {
        0 => Answer::held(&["slow "], &held, &["answer"]),
        _ => Answer::tokens(&["quick"]),
    })
    .await?;
    let notes = Notes::new()?;
    let daemon = daemon(&model, &notes, "").await?;
    let mut slow = daemon.connect().await?;
    slow.send(&agent("slow", &json!({"server": "a"}))).await?;
    slow.frame_of("token").await?;

    let mut client = daemon.connect().await?;
    let refused = client.terminal(&agent("r", &json!({"room": "r1"}))).await?;
    assert_eq!(refused["message"], "agent.room: there is no room \"r1\"");
    let room = "[[rooms]]\nid = \"r1\"\nsystem = \"be terse\"\ntools = [\"*::note\"]\n";
    daemon.home().configure(&[room, &model.backend("m"), &notes.table("a")?].concat())?;
    let reloaded = daemon.reload().await?;
    assert_eq!(reloaded["settings"], json!(["[[rooms]] r1", "[[servers]] b"]));
    let done = client.terminal(&agent("r", &json!({"room": "r1"}))).await?;
    assert_eq!(done["content"], "quick", "{done}");
    let asked = model.seen().requests.pop().context("it was asked")?;
    assert_eq!(asked["messages"][0]["content"], "be terse");
    assert_eq!(asked["tools"].as_array().map(Vec::len), Some(1), "{}", asked["tools"]);
    let refused = client.terminal(&agent("r", &json!({"server": "b"}))).await?;
    assert_eq!(refused["message"], "agent.server: there is no server \"b\"");

    gate.open();
    assert_eq!(slow.frame_of("done").await?["content"], "slow answer");
    Ok(())
}

/// A model of which half of those who ask get a tool that never returns, the others no word.
async fn one_that_keeps_everybody_waiting() -> Result<Upstream> {
    Upstream::start(|n, _| if n % 2 == 0 { Answer::calls(&[("a__hang", "{}")]) } else { Answer::Silence })
        .await
}

/// Fifty turns on one connection, of which half wait for the model, the others for a tool.
async fn fifty(daemon: &Daemon, model: &Upstream, notes: &Notes) -> Result<LineClient> {
    let mut client = daemon.connect().await?;
    let before = notes.calls("a").len();
    for n in 0..50 {
        client.send(&agent(&n.to_string(), &json!({}))).await?;
    }
    model.until(|seen| seen.open == 25).await?;
    let begun = Instant::now();
    while notes.calls("a").len() < before + 25 {
        ensure!(begun.elapsed() < PATIENCE, "{} calls came", notes.calls("a").len());
        sleep(LOOK_EVERY).await;
    }
    Ok(client)
}

#[tokio::test]
async fn a_daemon_that_stops_ends_fifty_sessions_each_with_its_last_frame_and_leaves_nothing() -> Result<()> {
    let (model, notes) = (one_that_keeps_everybody_waiting().await?, Notes::new()?);
    let more = "drain_timeout_s = 1\n[admission]\nactive = 64\n";
    let mut daemon = daemon(&model, &notes, more).await?;
    let mut client = fifty(&daemon, &model, &notes).await?;
    daemon.signal(inferd_tests::Signal::TERM)?;
    let mut ended = std::collections::BTreeSet::new();
    while ended.len() < 50 {
        let frame = client.frame_of("error").await?;
        assert_eq!((text(&frame, "code")?, text(&frame, "message")?), ("backend_unavailable", "draining"));
        ensure!(ended.insert(text(&frame, "id")?.to_owned()), "it had its last frame: {frame}");
    }
    assert_eq!(daemon.ended().await?.code(), Some(0));
    for id in ["a", "b"] {
        ensure!(!PathBuf::from(format!("/proc/{}", notes.pid(id)?)).exists(), "server {id} still runs");
    }
    model.until(|seen| seen.open == 0).await?;
    Ok(())
}

/// Descriptors that a daemon keeps on purpose: 32 idle connections to the model, and the files of its state.
const KEPT: usize = 40;

#[tokio::test]
async fn fifty_sessions_of_a_client_that_vanishes_leave_no_descriptor_and_no_generation() -> Result<()> {
    let (model, notes) = (one_that_keeps_everybody_waiting().await?, Notes::new()?);
    let daemon = daemon(&model, &notes, "[admission]\nactive = 64\n").await?;
    let descriptors =
        || -> Result<usize> { Ok(std::fs::read_dir(format!("/proc/{}/fd", daemon.pid()?))?.count()) };
    let before = descriptors()?;
    for _ in 0..3 {
        drop(fifty(&daemon, &model, &notes).await?);
        model.until(|seen| seen.open == 0).await?;
        daemon.quiet().await?;
    }
    let begun = Instant::now();
    while descriptors()? > before + KEPT {
        ensure!(begun.elapsed() < PATIENCE, "{before} descriptors have become {}", descriptors()?);
        sleep(LOOK_EVERY).await;
    }
    let mut client = daemon.connect().await?;
    client.send(&agent("again", &json!({}))).await?;
    model.until(|seen| seen.requests.len() == 151).await?;
    Ok(())
}

#[tokio::test]
async fn on_another_daemon_its_lanes_generate_and_its_tools_are_called() -> Result<()> {
    let notes = Notes::new()?;
    let remote_model = Upstream::start(|_, body| {
        let tools = body["tools"].as_array().cloned().unwrap_or_default();
        let mut names = tools.iter().filter_map(|tool| tool["function"]["name"].as_str());
        let note = names.rfind(|name| name.contains("note")).unwrap_or_default().to_owned();
        match body["messages"].as_array().and_then(|all| all.last()) {
            Some(last) if last["role"] == "tool" => Answer::tokens(&["noted"]),
            _ => Answer::calls(&[(&note, r#"{"n":1}"#)]),
        }
    })
    .await?;
    let own_model = Upstream::always(Answer::Silence).await?;
    let (there, here) = (free_address()?, free_address()?);
    let back = format!("[[servers]]\nid = \"back\"\ninferd = \"tcp://{here}\"\n");
    let listen = format!("[listen]\ntcp = \"{there}\"\napi_key_env = \"KEY\"\n");
    let remote = [listen, remote_model.backend("far"), notes.table("a")?, back].concat();
    let remote = Daemon::start_in(&Arc::new(Home::new(&remote)?.env("KEY", "k"))).await?;

    let server =
        format!("[[servers]]\nid = \"gpu-box\"\ninferd = \"tcp://{there}\"\napi_key_env = \"KEY\"\n");
    let own = [format!("[listen]\ntcp = \"{here}\"\n"), own_model.backend("near"), server].concat();
    let own = Daemon::start_in(&Arc::new(Home::new(&own)?.env("KEY", "k"))).await?;
    own.until(|now| now["servers"][0]["tools"] == 3).await?;

    let mut client = own.connect().await?;
    let done = client.terminal(&agent("r", &json!({"server": "gpu-box"}))).await?;
    assert_eq!((&done["content"], &done["backend"]), (&json!("noted"), &json!("gpu-box")), "{done}");
    assert_eq!(notes.calls("a"), [r#"note {"n":1}"#]);
    assert_eq!((remote_model.seen().requests.len(), own_model.seen().requests.len()), (2, 0));
    client.send(&json!({"type": "call", "id": "c", "tool": "gpu-box::a::hang"})).await?;
    let begun = Instant::now();
    while notes.calls("a").len() < 2 {
        ensure!(begun.elapsed() < PATIENCE, "the call did not arrive");
        sleep(LOOK_EVERY).await;
    }
    client.send(&json!({"type": "cancel", "id": "c"})).await?;
    assert_eq!(client.frame_of("done").await?["stop_reason"], "cancelled");

    // Two daemons that know each other list each other's own tools, and no more.
    remote.until(|now| now["servers"].as_array().is_some_and(|all| all.len() == 2)).await?;
    client.send(&json!({"type": "tools", "id": "t"})).await?;
    let listed = client.frame_of("tools").await?;
    let names: Vec<_> =
        listed["tools"].as_array().into_iter().flatten().map(|tool| tool["name"].clone()).collect();
    assert_eq!(json!(names), json!(["gpu-box::a::hang", "gpu-box::a::meet", "gpu-box::a::note"]));
    own.quiet().await?;
    Ok(())
}
