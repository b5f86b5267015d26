//! Many requests open at once on one connection, told apart by their ids.

use std::collections::HashMap;

use super::*;

#[tokio::test(start_paused = true)]
async fn answers_interleave_as_their_tokens_come() {
    let (rig, mut called) = Rig::dictated();
    let mut talk = rig.local();
    talk.send(&ask("a")).await;
    talk.send(&ask("b")).await;
    let a = called.next().await;
    let b = called.next().await;
    for (say, id, text) in [(&a, "a", "1"), (&b, "b", "2"), (&b, "b", "3"), (&a, "a", "4")] {
        say.send(token(text)).await.unwrap();
        assert!(is_token(&talk.frame().await, id, text));
    }
    b.send(done(2)).await.unwrap();
    assert!(is_done(&talk.frame().await, "b", "23"));
    a.send(done(2)).await.unwrap();
    assert!(is_done(&talk.frame().await, "a", "14"));
}

#[tokio::test(start_paused = true)]
async fn each_of_many_gets_its_tokens_in_order_and_one_terminal_frame() {
    const REQUESTS: usize = 40;
    let backend = Scripted::new("lane", |call, _| match call % 4 {
        0 => Turn::Refuse(inferd_engine::GenerateError::InvalidRequest("no".to_owned())),
        1 => Turn::Say(vec![token("1"), token("2")]),
        _ => Turn::Say(answer(&["1", "2", "3"])),
    });
    let rig = Rig::with(&backend, Admission::new(3, REQUESTS), ConnectionLimits::default());
    let mut talk = rig.local();
    for number in 0..REQUESTS {
        talk.send(&ask(&number.to_string())).await;
    }
    let mut by_id: HashMap<String, Vec<Response>> = HashMap::new();
    for frame in talk.frames(REQUESTS).await {
        by_id.entry(frame.id().to_owned()).or_default().push(frame);
    }
    assert_eq!(by_id.len(), REQUESTS);
    for frames in by_id.into_values() {
        let (last, before) = frames.split_last().unwrap();
        assert!(last.is_terminal());
        for (frame, text) in before.iter().zip(["1", "2", "3"]) {
            assert!(is_token(frame, last.id(), text), "{frame:?}");
        }
    }
    talk.half_close().await;
    talk.closed().await;
    assert_eq!(rig.counts(), (0, 0));
}

#[tokio::test(start_paused = true)]
async fn a_second_request_with_an_open_id_is_refused_and_the_first_goes_on() {
    let (rig, mut called) = Rig::dictated();
    let mut talk = rig.local();
    talk.send(&ask("a")).await;
    let say = called.next().await;
    let refused = talk.ask(&ask("a")).await;
    insta::assert_snapshot!(refused, @r#"{"type":"error","id":"a","code":"invalid_request","message":"id: expected one that is not open on this connection"}"#);
    say.send(token("1")).await.unwrap();
    say.send(done(1)).await.unwrap();
    assert!(is_done(&talk.frames(1).await[1], "a", "1"));

    // It may be used again now.
    talk.send(&ask("a")).await;
    called.next().await.send(done(0)).await.unwrap();
    assert!(is_done(&talk.frame().await, "a", ""));
}

#[tokio::test(start_paused = true)]
async fn a_lone_request_without_an_id_is_answered_without_one() {
    let backend = Scripted::saying("lane", &["1"]);
    let rig = Rig::of(&backend);
    let mut talk = rig.local();
    for line in [r#"{"messages":[{"role":"user","content":"hi"}]}"#, &ask("")] {
        talk.send(line).await;
        assert!(is_done(&talk.frames(1).await[1], "", "1"));
    }
}

#[tokio::test(start_paused = true)]
async fn among_several_a_request_without_an_id_is_given_one() {
    let (rig, mut called) = Rig::dictated();
    let mut talk = rig.local();
    talk.send(&ask("")).await;
    talk.send(&ask("")).await;
    let first = called.next().await;
    let second = called.next().await;
    second.send(token("2")).await.unwrap();
    let given = talk.frame().await.id().to_owned();
    assert_eq!(given.parse::<uuid::Uuid>().unwrap().get_version_num(), 7);
    first.send(token("1")).await.unwrap();
    assert!(is_token(&talk.frame().await, "", "1"));
    second.send(done(1)).await.unwrap();
    assert!(is_done(&talk.frame().await, &given, "2"));
}
