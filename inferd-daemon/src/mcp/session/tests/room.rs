//! What sessions may hold.

use std::time::Duration;

use super::*;

fn insert(store: &SessionStore, principal: &str, now: Instant) -> Result<SessionId, StoreFull> {
    store.insert(SessionState::new(principal.into(), None, now), now)
}

#[tokio::test(start_paused = true)]
async fn the_sixty_fifth_session_of_a_principal_ends_its_oldest_idle_one() {
    let (store, other) = store_of_one();
    let begun = Instant::now();
    let at = |n: usize| begun + Duration::from_secs(n as u64);
    let bobs: Vec<_> =
        (1..=SESSIONS_PER_PRINCIPAL_MAX).map(|n| insert(&store, "bob", at(n)).unwrap()).collect();
    let bob = Principal::from("bob");
    let used = store.get(&bobs[0], &bob, at(100)).unwrap();
    let newcomer = insert(&store, "bob", at(101)).unwrap();
    assert_eq!(store.len(), SESSIONS_PER_PRINCIPAL_MAX + 1);
    assert!(store.get(&bobs[1], &bob, at(102)).is_none(), "used longest ago");
    assert!(store.get(&bobs[0], &bob, at(102)).is_some() && !used.ended().is_cancelled());
    assert!(store.get(&newcomer, &bob, at(102)).is_some());
    assert!(store.get(&other, &alice(), at(102)).is_some(), "nobody else's");
}

#[test]
fn a_principal_whose_sessions_are_all_in_use_gets_no_other() {
    let (store, now) = (SessionStore::new(), Instant::now());
    let held: Vec<_> = (0..SESSIONS_PER_PRINCIPAL_MAX)
        .map(|_| {
            let id = insert(&store, "bob", now).unwrap();
            store.get(&id, &"bob".into(), now).unwrap().hold()
        })
        .collect();
    let full = insert(&store, "bob", now).unwrap_err();
    assert_eq!(full, StoreFull { sessions: SESSIONS_PER_PRINCIPAL_MAX, retry_after: SWEEP });
    assert!(insert(&store, "carol", now).is_ok(), "it is in nobody else's way");
    drop(held);
    assert!(insert(&store, "bob", now).is_ok());
}

#[test]
fn a_daemon_holds_1024_sessions_and_refuses_when_all_are_in_use() {
    let (store, now) = (SessionStore::new(), Instant::now());
    let principal = |n: usize| format!("key {}", n % 32);
    let held: Vec<_> = (0..SESSIONS_MAX)
        .map(|n| {
            let id = insert(&store, &principal(n), now).unwrap();
            store.find(&id, now).unwrap().hold()
        })
        .collect();
    assert_eq!(insert(&store, "newcomer", now).unwrap_err().sessions, SESSIONS_MAX);
    drop(held);
    assert!(insert(&store, "newcomer", now).is_ok());
    assert_eq!(store.len(), SESSIONS_MAX);
}

#[test]
fn ten_thousand_sessions_of_one_client_leave_64() {
    let (store, now) = (SessionStore::new(), Instant::now());
    for _ in 0..10_000 {
        insert(&store, "greedy", now).unwrap();
    }
    assert_eq!(store.len(), SESSIONS_PER_PRINCIPAL_MAX);
}

#[test]
fn a_session_has_room_for_256_open_streams_and_remembers_32_finished_ones() {
    let session = session();
    let open: Vec<_> = (0..OPEN_STREAMS_MAX).map(|_| session.open_stream(None).unwrap()).collect();
    assert_eq!(session.open_stream(None), Err(TooManyStreams));
    for stream in &open {
        assert!(session.finish_stream(*stream, Some(json!("result").into())));
    }
    let readable = open.iter().filter(|stream| session.read(**stream).is_some());
    assert_eq!(readable.count(), STREAMS_KEPT_MAX);
    assert!(session.read(*open.last().unwrap()).is_some(), "the oldest are forgotten first");
}

#[test]
fn streams_that_are_finished_but_still_being_read_count_as_open() {
    let session = session();
    let stalled: Vec<_> = (0..OPEN_STREAMS_MAX)
        .map(|_| {
            let stream = session.open_stream(None).unwrap();
            let reader = session.read(stream).unwrap();
            assert!(session.finish_stream(stream, Some(json!("result").into())));
            reader
        })
        .collect();
    assert_eq!(session.open_stream(None), Err(TooManyStreams));
    drop(stalled);
    assert!(session.open_stream(None).is_ok());
}

/// A message of `kib` KiB.
fn blob(kib: usize) -> Value {
    json!("x".repeat(kib * 1024))
}

#[test]
fn the_streams_of_a_session_share_four_mebibytes() {
    let session = session();
    for _ in 0..100 {
        session.publish_event(EventKind::Message, blob(100));
    }
    let kept = session.snapshot_replay_buffer();
    assert_eq!(kept.len(), RING_BYTES_MAX / (100 * 1024 + 1024), "and a little for each event");
    assert_eq!(kept.last().unwrap().id, 100, "the newest stay");
}

#[test]
fn a_chatty_stream_gives_way_before_the_result_of_another() {
    let session = session();
    let (quiet, chatty) = (session.open_stream(None).unwrap(), session.open_stream(None).unwrap());
    session.finish_stream(quiet, Some(blob(3 * 1024).into()));
    for _ in 0..100 {
        session.publish_on(chatty, EventKind::Progress, blob(100)).unwrap();
    }
    let (events, ended) = drain(&mut session.read(quiet).unwrap());
    assert_eq!((ids(&events), ended), (vec![1], Some(Ended::Finished)));
}

#[test]
fn a_result_larger_than_the_cap_reaches_the_reader_that_waits_for_it() {
    let session = session();
    let stream = session.open_stream(None).unwrap();
    let mut reader = session.read(stream).unwrap();
    session.finish_stream(stream, Some(blob(5 * 1024).into()));
    publish(&session, 10);
    let (events, ended) = drain(&mut reader);
    assert_eq!((ids(&events), ended), (vec![1], Some(Ended::Finished)));
    publish(&session, 1);
    drop(reader);
    let (events, _) = drain(&mut session.read(stream).unwrap());
    assert_eq!(events, [], "once it was read it gives way");
}
