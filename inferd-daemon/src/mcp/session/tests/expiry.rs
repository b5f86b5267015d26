//! When sessions end, and what ends with them.

use std::time::Duration;

use tokio_util::task::TaskTracker;

use super::*;

#[test]
fn ids_are_distinct_and_get_returns_what_was_put_in() {
    let (store, first) = store_of_one();
    let now = Instant::now();
    let second = store.insert(SessionState::new(alice(), Some("lab".into()), now), now).unwrap();
    assert_ne!(first, second);
    assert_eq!(store.len(), 2);
    let found = store.get(&second, &alice(), now).unwrap();
    assert_eq!((found.principal(), found.tenant(), found.created()), (&alice(), Some("lab"), now));
}

#[tokio::test(start_paused = true)]
async fn a_session_that_nobody_used_for_half_an_hour_is_evicted() {
    let (store, id) = store_of_one();
    let begun = Instant::now();
    let just_before = begun + INACTIVITY.checked_sub(Duration::from_millis(1)).unwrap();
    assert_eq!(store.sweep_now(just_before), 0);
    assert!(store.get(&id, &alice(), begun + INACTIVITY).is_none());
    assert!(store.is_empty());
}

#[tokio::test(start_paused = true)]
async fn using_a_session_keeps_it_but_not_beyond_four_hours() {
    let (store, id) = store_of_one();
    let begun = Instant::now();
    let mut at = begun;
    while at + INACTIVITY / 2 < begun + ABSOLUTE {
        at += INACTIVITY / 2;
        assert!(store.get(&id, &alice(), at).is_some(), "used every quarter of an hour");
    }
    assert!(store.get(&id, &alice(), begun + ABSOLUTE).is_none());
    assert!(store.is_empty());
}

#[test]
fn deleting_is_true_once_and_the_session_is_gone() {
    let (store, id) = store_of_one();
    assert!(store.delete(&id, &alice()));
    assert!(store.get(&id, &alice(), Instant::now()).is_none());
    assert!(!store.delete(&id, &alice()));
}

#[tokio::test(start_paused = true)]
async fn a_sweep_keeps_the_healthy_one() {
    let (store, stale) = store_of_one();
    let later = Instant::now() + INACTIVITY;
    let healthy = store.insert(SessionState::new(alice(), None, later), later).unwrap();
    assert_eq!(store.sweep_now(later), 1);
    assert!(store.get(&healthy, &alice(), later).is_some());
    assert!(store.get(&stale, &alice(), later).is_none());
}

#[tokio::test(start_paused = true)]
async fn the_background_sweep_evicts_and_ends_with_the_last_handle() {
    let (store, _) = store_of_one();
    let tasks = TaskTracker::new();
    tasks.spawn(store.sweeper());
    tokio::time::sleep(INACTIVITY + SWEEP).await;
    assert!(store.is_empty());
    let (copy, before) = (store.clone(), Instant::now());
    drop(store);
    tokio::task::yield_now().await;
    assert_eq!(tasks.len(), 1, "a handle is left");
    drop(copy);
    tasks.close();
    tasks.wait().await;
    assert_eq!(Instant::now(), before, "it did not wait for its next turn");
}

#[tokio::test(start_paused = true)]
async fn a_session_in_use_does_not_expire_before_its_absolute_limit() {
    let (store, id) = store_of_one();
    let begun = Instant::now();
    let session = store.get(&id, &alice(), begun).unwrap();

    let reader = session.read(StreamId::STANDALONE).unwrap();
    tokio::time::advance(INACTIVITY * 2).await;
    assert_eq!(store.sweep_now(Instant::now()), 0, "a stream is being read");
    drop(reader);
    let call = session.open_stream(None).unwrap();
    tokio::time::advance(INACTIVITY * 2).await;
    assert_eq!(store.sweep_now(Instant::now()), 0, "a call is unanswered");
    let guard = session.hold();
    assert!(session.finish_stream(call, None));
    tokio::time::advance(INACTIVITY * 2).await;
    assert_eq!(store.sweep_now(Instant::now()), 0, "a guard is held");
    drop(guard);
    assert_eq!(store.sweep_now(Instant::now()), 0, "it was in use until now");
    let reader = session.read(StreamId::STANDALONE).unwrap();
    assert_eq!(store.sweep_now(begun + ABSOLUTE), 1, "however much it is used");
    drop(reader);
}

#[tokio::test(start_paused = true)]
async fn deletion_and_expiry_end_the_streams_of_a_session() {
    for deleted in [true, false] {
        let (store, id) = store_of_one();
        let session = store.get(&id, &alice(), Instant::now()).unwrap();
        let call = session.open_stream(None).unwrap();
        let mut readers = [
            session.subscribe_events(),
            session.read(StreamId::STANDALONE).unwrap(),
            session.read(call).unwrap(),
        ];
        let waiting = async {
            for reader in &mut readers {
                assert_eq!(reader.recv().await, Err(Ended::SessionEnded));
            }
        };
        let ending = async {
            if deleted {
                assert!(store.delete(&id, &alice()));
            } else {
                assert_eq!(store.sweep_now(session.created() + ABSOLUTE), 1);
            }
        };
        tokio::join!(waiting, ending);
        assert!(session.ended().is_cancelled(), "what runs for it is told");
    }
}

#[test]
fn another_principals_session_is_as_one_that_is_not_there() {
    let (store, id) = store_of_one();
    let (mallory, now) = (Principal::from("mallory"), Instant::now());
    assert!(store.get(&id, &mallory, now).is_none());
    assert!(!store.delete(&id, &mallory));
    assert!(store.get(&id, &alice(), now).is_some(), "and it is left alone");
}

#[tokio::test(start_paused = true)]
async fn another_principals_requests_do_not_keep_a_session() {
    let (store, id) = store_of_one();
    let begun = Instant::now();
    assert!(store.get(&id, &Principal::from("mallory"), begun + INACTIVITY / 2).is_none());
    assert!(store.get(&id, &alice(), begun + INACTIVITY).is_none());
}
