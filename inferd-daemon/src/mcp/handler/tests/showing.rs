//! What a client is shown while its answer comes.

use inferd_engine::TokenEvent;
use tokio::sync::mpsc;

use super::*;
use crate::scripted::done;

/// A lane that says what the test sends.
fn following() -> (mpsc::Sender<TokenEvent>, Arc<Scripted>) {
    let (says, said) = mpsc::channel(64);
    let said = Mutex::new(Some(said));
    (says, Scripted::new("lane", move |_, _| Turn::Follow(said.lock().unwrap().take().unwrap())))
}

fn watched(arguments: &Value) -> Value {
    json!({ "name": "generate", "arguments": arguments, "_meta": { "progressToken": "p" } })
}

#[tokio::test(start_paused = true)]
async fn a_client_that_gave_a_token_is_shown_the_text_so_far() {
    let (says, lane) = following();
    let rig = Rig::of(lane);
    let mut session = rig.session().await;
    let id = session.ask("tools/call", watched(&json!({ "prompt": "hi" }))).await;
    says.send(token("Hel")).await.unwrap();
    let first = session.hear().await;
    assert_eq!(first["params"], json!({ "progressToken": "p", "progress": 1.0, "message": "Hel" }));
    says.send(token("lo")).await.unwrap();
    let second = session.hear().await;
    assert_eq!(second["params"], json!({ "progressToken": "p", "progress": 2.0, "message": "Hello" }));
    says.send(done(2)).await.unwrap();
    assert_eq!(text(&session.answer(id).await["result"]), "Hello");
    assert!(session.notes.is_empty(), "what was shown is not shown again: {:?}", session.notes);
}

#[tokio::test(start_paused = true)]
async fn a_fast_answer_is_shown_ten_times_a_second_and_in_the_end_whole() {
    let (says, lane) = following();
    let rig = Rig::of(lane);
    let mut session = rig.session().await;
    let id = session.ask("tools/call", watched(&json!({ "prompt": "hi" }))).await;
    let speak = async {
        for _ in 0..1000 {
            says.send(token("a")).await.unwrap();
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        says.send(done(1000)).await.unwrap();
    };
    let (answer, ()) = tokio::join!(session.answer(id), speak);
    assert_eq!(text(&answer["result"]).len(), 1000);
    let shown: Vec<usize> = session.shown().iter().map(|text| text.len()).collect();
    assert!((9..=12).contains(&shown.len()), "{shown:?}");
    assert!(shown.is_sorted() && shown.last() == Some(&1000), "{shown:?}");
}

#[tokio::test(start_paused = true)]
async fn a_client_that_gave_no_token_is_shown_nothing() {
    let rig = Rig::of(Scripted::saying("lane", &["a", "b"]));
    let mut session = rig.session().await;
    session.call("generate", json!({ "prompt": "hi" })).await;
    assert!(session.notes.is_empty(), "{:?}", session.notes);
}

#[tokio::test(start_paused = true)]
async fn log_lines_follow_the_level_that_was_asked_for() {
    let rig = Rig::of(Scripted::saying("lane", &["a"]));
    let mut session = rig.session().await;
    session.request("logging/setLevel", json!({ "level": "warning" })).await;
    session.call("generate", json!({ "prompt": "hi" })).await;
    assert!(session.logged().is_empty(), "{:?}", session.notes);
    session.request("logging/setLevel", json!({ "level": "info" })).await;
    session.call("generate", json!({ "prompt": "hi" })).await;
    let line =
        json!({ "level": "info", "logger": "generate", "data": { "status": "running", "backend": "lane" } });
    assert_eq!(session.logged(), [&line]);
}

#[tokio::test(start_paused = true)]
async fn a_client_that_waits_is_told_its_place() {
    let rig = Rig::with_gate(Scripted::hanging("lane"), Admission::new(1, 4));
    let mut session = rig.session().await;
    session.request("logging/setLevel", json!({ "level": "info" })).await;
    session.begin("generate", json!({ "prompt": "a" })).await;
    assert_eq!(session.hear().await["params"]["data"]["status"], "running");
    session.begin("generate", json!({ "prompt": "b" })).await;
    assert_eq!(session.hear().await["params"]["data"], json!({ "status": "queued", "position": 1 }));
}
