use super::*;

#[tokio::test(start_paused = true)]
async fn a_server_lost_during_a_call_fails_it_at_once_and_the_call_is_not_repeated() {
    let stage = Stage::of(&["a"]);
    let mut a = stage.play("a", tools(&["x"])).await;
    let begun = Instant::now();
    let call = stage.upstreams.call("a::x", None, |_| {});
    let (result, ()) = tokio::join!(call, async {
        a.is_asked("tools/call").await;
        drop(a);
    });
    insta::assert_snapshot!(result.unwrap_err(), @"server `a` was lost during the call: it closed its output");
    assert!(begun.elapsed() < Duration::from_secs(1), "{:?}", begun.elapsed());

    let mut a = stage.play("a", tools(&["x"])).await;
    assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
    let next = tokio::time::timeout(Duration::from_secs(29), a.hears()).await;
    assert!(next.is_err(), "nothing was asked again: {next:?}");
}

#[tokio::test(start_paused = true)]
async fn the_tools_of_a_lost_server_are_stale_and_calls_to_them_fail_at_once() {
    let stage = Stage::of(&["a"]);
    let a = stage.play("a", tools(&["x"])).await;
    let before = stage.upstreams.catalogue().version;
    let mut changes = stage.upstreams.changes();
    stage.dismiss("a");
    drop(a);
    changes.wait_for(|catalogue| catalogue.tool("a::x").unwrap().stale).await.unwrap();
    let catalogue = stage.upstreams.catalogue();
    assert_eq!(catalogue.version.tools, before.tools, "the list is what it was");
    assert!(catalogue.version.servers > before.servers);
    insta::assert_snapshot!(catalogue.warnings().join("\n"), @"server `a` is not connected, its 1 tools are as they last were: it closed its output");
    let begun = Instant::now();
    let refused = stage.upstreams.call("a::x", None, |_| {}).await.unwrap_err();
    insta::assert_snapshot!(refused, @"server `a` is not connected: it closed its output");
    assert_eq!(begun.elapsed(), Duration::ZERO);
}

#[tokio::test(start_paused = true)]
async fn a_server_is_tried_for_ever_from_the_first_attempt_on() {
    let stage = Stage::of(&["a"]);
    let mut attempts = Vec::new();
    for _ in 0..9 {
        let begun = Instant::now();
        // It is connected to, and goes away without a word.
        drop(stage.enter("a").await);
        attempts.push(begun.elapsed().as_secs_f64());
    }
    for (waited, least) in attempts.iter().zip([0.0_f64, 1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 60.0, 60.0]) {
        let most = (least * 1.5).min(60.0) + 0.5;
        assert!((least..=most).contains(waited), "{waited} {least}: {attempts:?}");
    }
    let _a = stage.play("a", tools(&["x"])).await;
    assert_eq!(names(&stage.upstreams.catalogue()), ["a::x"]);
}

#[tokio::test(start_paused = true)]
async fn a_call_to_a_server_that_is_waited_for_has_it_tried_sooner() {
    let stage = Stage::of(&["a"]);
    drop(stage.play("a", tools(&["x"])).await);
    for _ in 0..6 {
        drop(stage.enter("a").await);
    }
    // The next attempt is half a minute away or more.
    tokio::time::sleep(Duration::from_secs(2)).await;
    let begun = Instant::now();
    stage.upstreams.call("a::x", None, |_| {}).await.unwrap_err();
    let _a = stage.play("a", tools(&["x"])).await;
    assert!(begun.elapsed() < Duration::from_secs(1), "{:?}", begun.elapsed());
}

#[tokio::test(start_paused = true)]
async fn a_server_that_falls_silent_is_noticed() {
    let stage = Stage::of(&["a"]);
    let mut a = stage.play("a", tools(&["x"])).await;
    let begun = Instant::now();
    let ping = a.is_asked("ping").await;
    assert_eq!(begun.elapsed().as_secs(), 30);
    a.answers(&ping, json!({})).await;
    a.is_asked("ping").await;
    let _next = stage.enter("a").await;
    let error = stage.upstreams.catalogue().server("a").unwrap().condition.last_error.clone();
    assert_eq!(error.unwrap(), "no answer to a ping within 30 s");
}
