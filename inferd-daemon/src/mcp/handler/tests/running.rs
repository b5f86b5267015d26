//! Agent turns.

use super::*;
use crate::config::Config;
use crate::scripted::{answer, calling, done};
use crate::upstream::scripted::{Actor, Stage, tools};

/// A model that calls a tool of each server, and answers when it has read what they say; and once more.
fn model() -> Arc<Scripted> {
    Scripted::new("lane", |n, _| {
        let calls = calling(&[("a__x", r#"{"q":1}"#), ("b__y", "{}")]);
        Turn::Say(match n {
            0 => vec![token("let me look"), calls],
            1 => vec![token("fo"), token("ur"), done(2)],
            _ => answer(&["five"]),
        })
    })
}

/// The daemon with that model, and its two servers.
async fn with_two(backend: Arc<Scripted>) -> (Rig, Stage, Actor, Actor) {
    let stage = Stage::of(&["a", "b"]);
    let a = stage.play("a", tools(&["x"])).await;
    let b = stage.play("b", tools(&["y"])).await;
    let rig = Rig::of(backend);
    rig.federate(&stage);
    (rig, stage, a, b)
}

async fn says(actor: &mut Actor, words: &str) -> Value {
    let asked = actor.is_asked("tools/call").await;
    actor.answers(&asked, json!({ "content": [{ "type": "text", "text": words }] })).await;
    asked
}

#[tokio::test(start_paused = true)]
async fn a_turn_calls_each_tool_once_and_shows_its_steps_and_the_text_so_far() {
    let backend = model();
    let (rig, _stage, mut a, mut b) = with_two(backend.clone()).await;
    let mut session = rig.session().await;
    let call =
        json!({ "name": "run_agent", "arguments": { "prompt": "hi" }, "_meta": { "progressToken": 7 } });
    let id = session.ask("tools/call", call).await;
    let asked = says(&mut a, "two").await;
    assert_eq!((&asked["params"]["name"], &asked["params"]["arguments"]), (&json!("x"), &json!({ "q": 1 })));
    says(&mut b, "two more").await;
    let result = session.answer(id).await["result"].take();
    assert_eq!(text(&result), "four");
    let fields = &result["structuredContent"];
    assert_eq!((&fields["steps"], &fields["backend"]), (&json!(2), &json!("lane")), "{fields}");
    assert!(fields["usage"]["completion_tokens"].as_u64().unwrap() >= 2, "{fields}");
    let shown = session.shown();
    assert!(shown[0].starts_with("step 1"), "{shown:?}");
    assert_eq!(shown.last(), Some(&"step 2\nfour"));
    let progress: Vec<_> =
        session.notes.iter().filter_map(|note| note["params"]["progress"].as_f64()).collect();
    assert!(progress.is_sorted_by(|a, b| a < b), "{progress:?}");
    let read: Vec<_> =
        backend.seen()[1].messages.iter().map(|message| message.content.text().into_owned()).collect();
    assert_eq!(read, ["hi", "let me look", "two", "two more"]);

    let thread = &fields["thread"];
    let result = session.call("run_agent", json!({ "prompt": "and one more?", "thread": thread })).await;
    assert_eq!((text(&result), &result["structuredContent"]["thread"]), ("five", thread));
    assert_eq!(backend.seen()[2].messages.len(), 6, "it knows what was said before");
}

#[tokio::test(start_paused = true)]
async fn a_tool_that_runs_is_named_while_it_does() {
    let (rig, _stage, mut a, mut b) = with_two(model()).await;
    let mut session = rig.session().await;
    let call =
        json!({ "name": "run_agent", "arguments": { "prompt": "hi" }, "_meta": { "progressToken": 7 } });
    session.ask("tools/call", call).await;
    a.is_asked("tools/call").await;
    says(&mut b, "two more").await;
    loop {
        let shown = session.hear().await["params"]["message"].take();
        if shown == "step 1, calling a::x\nlet me look" {
            return;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_turn_that_is_cancelled_cancels_its_tools_at_their_servers() {
    let (rig, _stage, mut a, mut b) = with_two(model()).await;
    let mut session = rig.session().await;
    let id = session.begin("run_agent", json!({ "prompt": "hi" })).await;
    a.is_asked("tools/call").await;
    b.is_asked("tools/call").await;
    session.notify("notifications/cancelled", json!({ "requestId": id })).await;
    a.is_asked("notifications/cancelled").await;
    b.is_asked("notifications/cancelled").await;
}

#[tokio::test(start_paused = true)]
async fn a_turn_runs_where_and_how_it_is_asked_to() {
    let backend = Scripted::new("lane", |_, _| Turn::Say(answer(&["ok"])));
    let stage = Stage::of(&["a", "b"]);
    let _a = stage.play("a", tools(&["x"])).await;
    let _b = stage.play("b", tools(&["y"])).await;
    let rig = Rig::of(backend.clone());
    rig.rooms.send_replace(Config::parse("[[rooms]]\nid = \"r\"\nsystem = \"be terse\"\n").unwrap().rooms);
    rig.federate(&stage);
    let mut session = rig.session().await;
    session.call("run_agent", json!({ "prompt": "hi", "server": "b", "room": "r", "max_steps": 1 })).await;
    let seen = &backend.seen()[0];
    assert_eq!(seen.messages[0].content.text(), "be terse");
    let offered: Vec<_> = seen
        .tools
        .iter()
        .map(|tool| match tool {
            inferd_proto::Tool::Function { function } => function.name.as_str(),
        })
        .collect();
    assert_eq!(offered, ["b__y"]);
}

#[tokio::test(start_paused = true)]
async fn what_is_wrong_is_named_as_the_argument_it_is() {
    let (rig, _stage, _a, _b) = with_two(model()).await;
    let mut session = rig.session().await;
    let wrong = [
        (json!({ "prompt": "hi", "server": "nowhere" }), "server: there is no server \"nowhere\""),
        (json!({ "prompt": "hi", "server": "No!" }), "server: expected a server's id"),
        (json!({ "prompt": "hi", "room": "none" }), "room: there is no room \"none\""),
        (json!({ "prompt": "hi", "thread": "gone" }), "thread: there is no thread \"gone\""),
        (json!({ "prompt": "hi", "max_steps": 0 }), "max_steps: expected 1 to 100, got 0"),
        (json!({ "prompt": "hi", "max_steps": "two" }), "max_steps: "),
        (json!({ "prompt": "hi", "agent": {} }), "agent: unknown field"),
        (json!({}), "prompt: expected it or `messages`"),
    ];
    for (arguments, expected) in wrong {
        let result = session.call("run_agent", arguments).await;
        let said = text(&result);
        assert!(said.starts_with(&format!("invalid_request: {expected}")), "{said}");
    }
}
