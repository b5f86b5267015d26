//! The client goes away, wholly or by half.

use super::*;

#[tokio::test(start_paused = true)]
async fn a_client_that_leaves_takes_everything_with_it() {
    let backend = Scripted::new("lane", |call, _| match call {
        0 => Turn::Hang,
        _ => Turn::SayAndHang(vec![token("1")]),
    });
    let rig = Rig::with(&backend, Admission::new(2, 4), ConnectionLimits::default());
    let mut talk = rig.tcp();
    for id in ["no token yet", "in the middle", "waits"] {
        talk.send(&ask(id)).await;
    }
    talk.frame().await;
    assert_eq!((rig.counts(), backend.alive()), ((2, 1), 2));
    let before = Instant::now();
    drop(talk);
    backend.let_go().await;
    assert!(before.elapsed() <= PROOF_OF_LIFE);
    rig.is_empty().await;
    assert_eq!(backend.calls(), 2, "what waited was never sent");
    assert_eq!(rig.service.router.state()[0].state, "passing");
    rig.connections.close();
    rig.connections.wait().await;
}

#[tokio::test(start_paused = true)]
async fn the_place_of_a_client_that_left_goes_to_the_next() {
    let backend = Scripted::new("lane", |call, _| match call {
        0 => Turn::Hang,
        _ => Turn::Say(answer(&["2"])),
    });
    let rig = Rig::one_by_one(&backend);
    let (mut leaves, mut stays) = (rig.tcp(), rig.tcp());
    leaves.send(&ask("a")).await;
    backend.called(1).await;
    stays.send(&ask("b")).await;
    settled().await;
    drop(leaves);
    assert!(is_done(&stays.frames(1).await[1], "b", "2"));
}

#[tokio::test(start_paused = true)]
async fn a_half_closed_client_is_served_to_the_end() {
    let (rig, mut called) = Rig::dictated();
    let mut talk = rig.local();
    talk.send(&ask("a")).await;
    talk.half_close().await;
    let say = called.next().await;
    for text in ["1", "2"] {
        tokio::time::sleep(Duration::from_secs(700)).await;
        say.send(token(text)).await.unwrap();
        assert!(is_token(&talk.frame().await, "a", text), "and is told nothing else on a local socket");
    }
    say.send(done(2)).await.unwrap();
    assert!(is_done(&talk.frame().await, "a", "12"));
    talk.closed().await;
}

#[tokio::test(start_paused = true)]
async fn a_half_closed_tcp_client_is_written_to_each_second_in_which_it_hears_nothing() {
    let (backend, mut called) = dictated();
    let rig = Rig::one_by_one(&backend);
    let mut other = rig.tcp();
    other.send(&ask("other")).await;
    let other_say = called.next().await;
    let mut talk = rig.tcp();
    talk.send(&ask("a")).await;
    talk.half_close().await;
    let before = Instant::now();
    insta::assert_snapshot!(talk.line().await.unwrap(), @r#"{"type":"status","id":"a","status":"queued"}"#);
    assert_eq!(before.elapsed(), PROOF_OF_LIFE);
    other_say.send(done(0)).await.unwrap();
    let say = called.next().await;
    insta::assert_snapshot!(talk.line().await.unwrap(), @r#"{"type":"status","id":"a","status":"running"}"#);
    assert_eq!(before.elapsed(), 2 * PROOF_OF_LIFE);
    say.send(token("1")).await.unwrap();
    assert!(is_token(&talk.frame().await, "a", "1"));
    insta::assert_snapshot!(talk.line().await.unwrap(), @r#"{"type":"status","id":"a","status":"running"}"#);
    assert_eq!(before.elapsed(), 4 * PROOF_OF_LIFE, "the token was word enough for its own second");
    say.send(done(1)).await.unwrap();
    assert!(is_done(&talk.frame().await, "a", "1"));
    talk.closed().await;
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_falls_silent_is_no_proof_of_life_from_when_the_client_half_closed() {
    let (backend, mut called) = dictated();
    let mut talk = Rig::one_by_one(&backend).tcp();
    talk.send(&ask("a")).await;
    let say = called.next().await;
    say.send(token("1")).await.unwrap();
    assert!(is_token(&talk.frame().await, "a", "1"));
    talk.half_close().await;
    let before = Instant::now();
    insta::assert_snapshot!(talk.line().await.unwrap(), @r#"{"type":"status","id":"a","status":"running"}"#);
    assert_eq!(before.elapsed(), PROOF_OF_LIFE);
}

#[tokio::test(start_paused = true)]
async fn proof_of_life_does_not_pile_up_before_a_client_that_does_not_read() {
    let backend = Scripted::hanging("lane");
    let rig = Rig::of(&backend);
    let mut talk = rig.connect::<false>(256, "");
    talk.send(&ask("a")).await;
    talk.half_close().await;
    tokio::time::sleep(1000 * PROOF_OF_LIFE).await;
    // What the pipe held, what was half written, and one more.
    let mut seen = 0;
    let before = Instant::now();
    while before.elapsed().is_zero() {
        talk.frame().await;
        seen += 1;
    }
    assert!(seen < 15, "{seen}");
}
