//! Publishing and reading at the same time.

use std::thread;
use std::time::Duration;

use super::*;

#[test]
fn ids_count_up_from_one() {
    let session = session();
    let ids = [(); 3].map(|()| session.publish_event(EventKind::Message, json!({})));
    assert_eq!(ids, [1, 2, 3]);
}

#[tokio::test]
async fn a_subscriber_sees_id_kind_and_data() {
    let session = session();
    let mut reader = session.subscribe_events();
    session.publish_event(EventKind::Progress, json!({ "done": 3 }));
    let event = reader.recv().await.unwrap();
    assert_eq!((event.id, event.kind, &*event.data), (1, EventKind::Progress, &json!({ "done": 3 })));
}

#[test]
fn of_306_events_the_last_256_are_kept_without_a_gap() {
    let session = session();
    publish(&session, 306);
    let kept = session.snapshot_replay_buffer();
    assert_eq!(kept.len(), BUFFER);
    assert_eq!(ids(&kept), (51..=306).collect::<Vec<_>>());
}

#[test]
fn publishing_with_nobody_listening_keeps_the_event() {
    let session = session();
    publish(&session, 1);
    assert_eq!(&*session.snapshot_replay_buffer()[0].data, &json!({ "n": 1 }));
}

/// Publishers of one round, and what each publishes: together less than the ring holds.
const PUBLISHERS: usize = 4;
const EACH: usize = 50;

#[test]
fn a_subscriber_that_drops_duplicates_misses_and_reorders_nothing_whoever_publishes() {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    for _ in 0..100 {
        let session = session();
        thread::scope(|scope| {
            let publishers = [(); PUBLISHERS].map(|()| {
                scope.spawn(|| [(); EACH].map(|()| session.publish_event(EventKind::Message, json!({}))))
            });
            let mut reader = session.subscribe_events();
            let mut seen = ids(&session.snapshot_replay_buffer());
            while seen.len() < PUBLISHERS * EACH {
                let event = runtime.block_on(reader.recv()).unwrap();
                if seen.last().is_none_or(|last| event.id > *last) {
                    seen.push(event.id);
                }
            }
            assert!(seen.iter().copied().eq(1..=(PUBLISHERS * EACH) as u64), "{seen:?}");
            let mut told: Vec<u64> =
                publishers.into_iter().flat_map(|publisher| publisher.join().unwrap()).collect();
            assert!(told.chunks(EACH).all(<[u64]>::is_sorted));
            told.sort_unstable();
            assert_eq!(told, seen, "each publisher is told the ids of its own events");
        });
    }
}

#[test]
fn a_reader_that_lags_first_gets_what_the_ring_still_holds() {
    let session = session();
    let mut reader = session.subscribe_events();
    publish(&session, 306);
    let (events, _) = drain(&mut reader);
    assert_eq!((events[0].kind, &*events[0].data), (EventKind::Lagged, &lagged(50, 0, 51)));
    assert_eq!(ids(&events[1..]), (51..=306).collect::<Vec<_>>());
}

#[test]
fn streams_of_one_session_never_show_each_others_events() {
    let session = session();
    let (one, two) = (session.open_stream(None).unwrap(), session.open_stream(None).unwrap());
    for n in 0..10 {
        session.publish_event(EventKind::Message, json!(["standalone", n]));
        session.publish_on(one, EventKind::Message, json!([1, n])).unwrap();
        session.publish_on(two, EventKind::Message, json!([2, n])).unwrap();
    }
    for (cursor, name) in [("0-4", json!("standalone")), ("1-4", json!(1)), ("2-4", json!(2))] {
        let (events, _) = drain(&mut session.resume(cursor));
        assert_eq!(ids(&events), [5, 6, 7, 8, 9, 10]);
        assert!(events.iter().all(|event| event.data[0] == name), "{cursor}");
    }
}

#[test]
fn a_stream_is_resumed_without_loss_or_repetition_also_after_the_call_finished() {
    let session = session();
    let stream = session.open_stream(Some(json!("call 1"))).unwrap();
    let mut broken = session.read(stream).unwrap();
    for n in 0..5 {
        session.publish_on(stream, EventKind::Message, json!(n)).unwrap();
    }
    let seen = broken.try_recv().unwrap().unwrap().cursor().unwrap();
    drop(broken);
    assert!(session.finish_stream(stream, Some(json!("result").into())));
    assert_eq!(session.publish_on(stream, EventKind::Message, json!("late")), None);
    let (events, ended) = drain(&mut session.resume(&seen.to_string()));
    assert_eq!((ids(&events), ended), (vec![2, 3, 4, 5, 6], Some(Ended::Finished)));
    assert_eq!(*events[4].data, json!("result"));
}

#[tokio::test(start_paused = true)]
async fn a_reader_that_comes_back_takes_the_stream_from_the_one_before() {
    let session = session();
    let mut before = session.read(StreamId::STANDALONE).unwrap();
    let mut now = None;
    let ended = tokio::time::timeout(Duration::from_secs(1), before.recv());
    let (ended, ()) = tokio::join!(ended, async { now = Some(session.read(StreamId::STANDALONE).unwrap()) });
    assert_eq!(ended.expect("it does not wait on"), Err(Ended::Superseded));
    publish(&session, 1);
    assert_eq!(before.try_recv(), Some(Err(Ended::Superseded)), "a message is delivered once");
    drop(before);
    assert_eq!(now.unwrap().recv().await.unwrap().id, 1, "whoever leaves later takes nothing with it");
}

#[test]
fn a_reader_far_behind_does_without_progress_and_with_nothing_else() {
    let session = session();
    let stream = session.open_stream(None).unwrap();
    let mut reader = session.read(stream).unwrap();
    for n in 0..BUFFER - 2 {
        let kind = if n % 10 == 0 { EventKind::Message } else { EventKind::Progress };
        session.publish_on(stream, kind, json!(n)).unwrap();
    }
    session.finish_stream(stream, Some(json!("result").into()));
    let (live, _) = drain(&mut reader);
    let messages = live.iter().filter(|event| event.kind == EventKind::Message).count();
    assert_eq!(messages, 27, "every tenth and the result");
    assert_eq!(live.len() - messages, 127 - 13, "progress of the last half of the ring alone");
    assert!(live.iter().all(|event| event.kind != EventKind::Lagged));
    let (resumed, _) = drain(&mut session.resume(&format!("{stream}-0")));
    assert_eq!(resumed.len(), BUFFER - 1, "one that comes back gets all of it");
}

#[test]
fn the_requests_that_are_unanswered_are_known() {
    let session = session();
    let (one, two) =
        (session.open_stream(Some(json!(1))).unwrap(), session.open_stream(Some(json!("b"))).unwrap());
    assert!(session.finish_stream(one, Some(json!({}).into())));
    assert!(!session.finish_stream(one, Some(json!({}).into())), "a result is published once");
    assert!(!session.finish_stream(StreamId::STANDALONE, None));
    assert_eq!(session.unfinished(), [(two, Some(json!("b")))]);
}
