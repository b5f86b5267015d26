//! Conversations that are gone on with.

use super::*;

/// The thread that an answer names.
fn thread(lines: &str) -> String {
    let done: Value = serde_json::from_str(lines.lines().last().unwrap()).unwrap();
    done["thread"].as_str().expect("an agent turn names its thread").to_owned()
}

#[tokio::test(start_paused = true)]
async fn a_thread_is_gone_on_with_where_it_was_left_by_whom_it_belongs_to() {
    let (stage, mut a, _b) = two_servers().await;
    let backend = model(vec![vec![token("see"), calling(&[("a__x", "{}")])], answer(&["4"]), answer(&["5"])]);
    let rig = Rig::of(&backend).with_servers(&stage, "[[rooms]]\nid = \"r\"\n");
    let mut talk = rig.local();
    talk.send(&agent("1", &json!({}))).await;
    let asked = a.is_asked("tools/call").await;
    a.answers(&asked, says("2+2")).await;
    let id = thread(&talk.lines().await);

    let mut stranger = rig.tcp();
    let elsewhere = talk.ask(&agent("2", &json!({ "thread": id, "room": "r" }))).await;
    for refused in [stranger.ask(&agent("2", &json!({ "thread": id }))).await, elsewhere] {
        assert!(
            refused.contains(r#""code":"invalid_request","message":"agent.thread: there is no thread"#),
            "{refused}"
        );
    }

    let mut again = rig.local();
    let lines = again.ask(&agent("3", &json!({ "thread": id }))).await;
    assert_eq!(thread(&lines), id);
    assert_eq!(read(&backend, 2), ["User: hi", "Assistant: see", "Tool: 2+2", "Assistant: 4", "User: hi"]);
}

#[tokio::test(start_paused = true)]
async fn one_turn_of_a_thread_is_taken_at_a_time() {
    let backend = Scripted::new("lane", |n, _| match n {
        0 => Turn::Say(answer(&["4"])),
        _ => Turn::Hang,
    });
    let rig = Rig::of(&backend);
    let mut talk = rig.local();
    let id = thread(&talk.ask(&agent("1", &json!({}))).await);
    talk.send(&agent("2", &json!({ "thread": id }))).await;
    backend.called(2).await;
    let lines = rig.local().ask(&agent("3", &json!({ "thread": id }))).await;
    insta::assert_snapshot!(lines, @r#"{"type":"error","id":"3","code":"invalid_request","message":"agent.thread: a turn of it is under way"}"#);
}

#[tokio::test(start_paused = true)]
async fn a_turn_that_was_not_answered_is_not_remembered() {
    let backend = Scripted::new("lane", |n, _| match n {
        1 => Turn::Say(vec![token("half")]),
        _ => Turn::Say(answer(&["4"])),
    });
    let rig = Rig::of(&backend);
    let mut talk = rig.local();
    let id = thread(&talk.ask(&agent("1", &json!({}))).await);
    talk.ask(&agent("2", &json!({ "thread": id }))).await;
    talk.ask(&agent("3", &json!({ "thread": id }))).await;
    assert_eq!(read(&backend, 2), ["User: hi", "Assistant: 4", "User: hi"]);
}
