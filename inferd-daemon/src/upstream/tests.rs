use std::time::Duration;

use serde_json::json;
use tokio::time::{Instant, advance};

use super::scripted::{Stage, tools, wanted};
use super::*;

mod calling;
mod changing;
mod losing;

fn names(catalogue: &Catalogue) -> Vec<&str> {
    catalogue.tools.iter().map(|tool| tool.name.as_str()).collect()
}

#[tokio::test(start_paused = true)]
async fn a_server_that_never_answers_holds_back_nobody() {
    let begun = Instant::now();
    let stage = Stage::of(&["slow", "files"]);
    let _slow = stage.enter("slow").await;
    let _files = stage.play("files", tools(&["read", "list"])).await;
    assert_eq!(begun.elapsed(), Duration::ZERO);
    let catalogue = stage.upstreams.catalogue();
    assert_eq!(names(&catalogue), ["files::list", "files::read"]);
    assert_eq!(catalogue.server("slow").unwrap().condition.state, State::Connecting);
    insta::assert_snapshot!(catalogue.warnings().join("\n"), @"server `slow` is not connected, it is left out: it has not answered yet");
    advance(Duration::from_secs(10)).await;
    let mut changes = stage.upstreams.changes();
    changes
        .wait_for(|catalogue| catalogue.server("slow").unwrap().condition.last_error.is_some())
        .await
        .unwrap();
    insta::assert_snapshot!(stage.upstreams.catalogue().warnings().join("\n"), @"server `slow` is not connected, it is left out: no session within 10 s");
}

#[tokio::test(start_paused = true)]
async fn a_list_that_does_not_come_ends_the_attempt() {
    let stage = Stage::of(&["a"]);
    let mut actor = stage.enter("a").await;
    actor.greets().await;
    let begun = Instant::now();
    let ping = actor.is_asked("ping").await;
    actor.answers(&ping, json!({})).await;
    actor.is_asked("tools/list").await;
    stage.enter("a").await;
    let waited = begun.elapsed();
    assert!((31_000..=32_000).contains(&waited.as_millis()), "{waited:?}");
    let error = stage.upstreams.catalogue().server("a").unwrap().condition.last_error.clone();
    assert_eq!(error.unwrap(), "no list of what it offers within 30 s");
}

#[tokio::test(start_paused = true)]
async fn what_is_wanted_otherwise_is_begun_anew_and_the_rest_stays() {
    let stage = Stage::of(&["a", "b", "c"]);
    let mut a = stage.play("a", tools(&["x"])).await;
    let _b = stage.play("b", tools(&["y"])).await;
    let _c = stage.play("c", tools(&["z"])).await;
    stage.upstreams.want([wanted("a", "x"), wanted("b", "other")]);
    let catalogue = stage.upstreams.catalogue();
    assert_eq!(names(&catalogue), ["a::x"], "b is another, c is gone");
    let _b = stage.play("b", tools(&["y2"])).await;
    assert_eq!(names(&stage.upstreams.catalogue()), ["a::x", "b::y2"]);
    let call = stage.upstreams.call("a::x", None, |_| {});
    let (result, ()) = tokio::join!(call, async {
        let asked = a.is_asked("tools/call").await;
        a.answers(&asked, json!({"content": []})).await;
    });
    assert_eq!(result.unwrap().content, Vec::<Value>::new());
}

#[tokio::test(start_paused = true)]
async fn stopping_ends_all_of_them_and_nothing_begins_after_it() {
    let stage = Stage::of(&["a", "b"]);
    let mut a = stage.play("a", tools(&["x"])).await;
    let _b = stage.enter("b").await;
    stage.upstreams.stop().await;
    let gone = stage.upstreams.call("a::x", None, |_| {}).await.unwrap_err();
    assert!(gone.was_not_sent(), "{gone}");
    let mut rest = String::new();
    tokio::io::AsyncReadExt::read_to_string(&mut a.from, &mut rest).await.unwrap();
    assert_eq!(rest, "", "its connection was closed");
    stage.upstreams.want([wanted("c", "x")]);
    assert!(stage.upstreams.catalogue().server("c").is_none());
}
