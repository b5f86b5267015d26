//! Sessions over a restart.

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio_util::task::TaskTracker;

use super::super::snapshot::RESERVE;
use super::*;
use crate::state::{Settings, State};

fn open(dir: &Path) -> State {
    State::open(Settings::new(dir.join("state.db"), 30)).unwrap()
}

/// A daemon's sessions, and the state they are kept in.
async fn begin(dir: &Path) -> (SessionStore, State) {
    let state = open(dir);
    (SessionStore::on_shelf(state.clone()).await, state)
}

/// What a crash leaves: what was written is there, nothing else is said.
async fn crash((store, state): (SessionStore, State)) {
    drop(store);
    state.close().await;
}

fn insert(store: &SessionStore) -> (SessionId, Arc<SessionState>) {
    let now = Instant::now();
    let id = store.insert(SessionState::new(alice(), Some("lab".into()), now), now).unwrap();
    (id, store.get(&id, &alice(), now).unwrap())
}

async fn restore(store: &SessionStore, id: &SessionId) -> Option<Arc<SessionState>> {
    store.restore(id, &alice(), Instant::now()).await.map(|restored| restored.session)
}

#[tokio::test]
async fn a_session_comes_back_as_it_was_and_its_streams_go_on_from_their_cursors() {
    let dir = tempfile::tempdir().unwrap();
    let (store, state) = begin(dir.path()).await;
    let (id, session) = insert(&store);
    session.set_initialize(json!({ "protocolVersion": "2025-11-25" }));
    publish(&session, 306);
    let (done, open) =
        (session.open_stream(Some(json!(1))).unwrap(), session.open_stream(Some(json!("b"))).unwrap());
    session.publish_on(done, EventKind::Progress, json!({ "progress": 1 })).unwrap();
    session.publish_on(open, EventKind::Message, json!("half")).unwrap();
    session.finish_stream(done, Some(json!("result").into()));
    store.save_now().await.unwrap();
    drop(session);
    crash((store, state)).await;

    let (store, _state) = begin(dir.path()).await;
    assert!(store.get(&id, &alice(), Instant::now()).is_none(), "it sleeps until it is asked for");
    let restored = store.restore(&id, &alice(), Instant::now()).await.unwrap();
    assert!(restored.anew);
    let session = restored.session;
    assert_eq!((session.principal(), session.tenant()), (&alice(), Some("lab")));
    assert_eq!(**session.initialize().unwrap(), json!({ "protocolVersion": "2025-11-25" }));
    assert_eq!(session.unfinished(), [(open, Some(json!("b")))], "the calls that died with the daemon");

    let (events, _) = drain(&mut session.resume("0-300"));
    assert_eq!(ids(&events), [301, 302, 303, 304, 305, 306]);
    let (events, _) = drain(&mut session.resume("0-10"));
    assert_eq!(&*events[0].data, &lagged(40, 10, 51));
    let (events, ended) = drain(&mut session.resume(&format!("{done}-0")));
    let kinds: Vec<_> = events.iter().map(|event| event.kind).collect();
    assert_eq!(kinds, [EventKind::Progress, EventKind::Message]);
    assert_eq!((&*events[1].data, ended), (&json!("result"), Some(Ended::Finished)));

    let again = store.restore(&id, &alice(), Instant::now()).await.unwrap();
    assert!(!again.anew && Arc::ptr_eq(&again.session, &session), "once is enough");
}

#[tokio::test]
async fn what_was_seen_but_not_kept_is_not_seen_again_and_no_id_is_given_twice() {
    let dir = tempfile::tempdir().unwrap();
    let (store, state) = begin(dir.path()).await;
    let (id, session) = insert(&store);
    publish(&session, 5);
    store.save_now().await.unwrap();
    // The client has these, the disk has not.
    publish(&session, 3);
    let unkept = session.open_stream(None).unwrap();
    crash((store, state)).await;

    let (store, _state) = begin(dir.path()).await;
    let session = restore(&store, &id).await.unwrap();
    let mut reader = session.resume("0-8");
    assert_eq!(reader.try_recv(), None, "nothing twice, and nothing is called lost");
    publish(&session, 1);
    let next = reader.try_recv().unwrap().unwrap();
    assert_eq!(next.id, 5 + RESERVE + 1);
    assert!(session.open_stream(None).unwrap() > unkept);
    let (events, ended) = drain(&mut session.resume(&format!("{unkept}-3")));
    assert_eq!((events[0].kind, ended), (EventKind::Lagged, Some(Ended::Finished)), "a stream of before");
}

#[tokio::test(start_paused = true)]
async fn changes_are_written_behind_without_anybody_asking() {
    let dir = tempfile::tempdir().unwrap();
    let (store, state) = begin(dir.path()).await;
    let tasks = TaskTracker::new();
    tasks.spawn(store.keeper());
    let (id, session) = insert(&store);
    for round in 1..=3 {
        publish(&session, 1);
        while state.load(id).await.unwrap().is_none_or(|saved| saved.streams[0].next <= round) {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }
    drop((session, store));
    tasks.close();
    tasks.wait().await;
}

#[tokio::test]
async fn what_is_gone_from_the_ring_and_streams_that_are_forgotten_leave_the_shelf() {
    let dir = tempfile::tempdir().unwrap();
    let (store, state) = begin(dir.path()).await;
    let (id, session) = insert(&store);
    let mut last = StreamId::STANDALONE;
    for _ in 0..STREAMS_KEPT_MAX + 5 {
        publish(&session, 100);
        last = session.open_stream(None).unwrap();
        session.finish_stream(last, Some(json!("result").into()));
        store.save_now().await.unwrap();
    }
    let saved = state.load(id).await.unwrap().unwrap();
    assert_eq!(saved.streams.len(), 1 + STREAMS_KEPT_MAX);
    assert_eq!(saved.streams.last().unwrap().id, last);
    assert_eq!(saved.streams[0].events, session.snapshot_replay_buffer());
    let rows = state.ask(|db| db.query_row("SELECT count(*) FROM event", [], |row| row.get(0))).await;
    assert_eq!(rows, Ok(i64::try_from(BUFFER + STREAMS_KEPT_MAX).unwrap()));
}

#[tokio::test]
async fn deleted_and_evicted_sessions_do_not_come_back() {
    let dir = tempfile::tempdir().unwrap();
    let (store, state) = begin(dir.path()).await;
    let [(deleted, _), (expired, _), (asleep, _), (kept, _)] = [(); 4].map(|()| insert(&store));
    store.save_now().await.unwrap();
    assert!(store.delete(&deleted, &alice()));
    assert!(store.get(&expired, &alice(), Instant::now() + INACTIVITY).is_none());
    store.save_now().await.unwrap();
    crash((store, state)).await;

    let (store, state) = begin(dir.path()).await;
    assert!(restore(&store, &deleted).await.is_none());
    assert!(restore(&store, &expired).await.is_none());
    let mallory = Principal::from("mallory");
    assert!(!store.delete(&asleep, &mallory), "another's, asleep or not");
    assert!(store.restore(&asleep, &mallory, Instant::now()).await.is_none());
    assert!(store.delete(&asleep, &alice()), "one that sleeps is deleted too");
    assert!(!store.delete(&asleep, &alice()));
    store.close().await;
    crash((store, state)).await;

    let (store, _state) = begin(dir.path()).await;
    assert!(restore(&store, &asleep).await.is_none());
    assert!(restore(&store, &kept).await.is_some(), "stopping ends streams, not sessions");
}

#[tokio::test]
async fn a_session_that_sleeps_expires_all_the_same() {
    let dir = tempfile::tempdir().unwrap();
    let (store, state) = begin(dir.path()).await;
    let (id, _) = insert(&store);
    store.save_now().await.unwrap();
    crash((store, state)).await;

    let (store, state) = begin(dir.path()).await;
    let later = Instant::now() + INACTIVITY;
    assert!(store.restore(&id, &alice(), later).await.is_none());
    assert_eq!(store.sweep_now(later), 0);
    store.save_now().await.unwrap();
    assert_eq!(state.load(id).await, Ok(None));
    crash((store, state)).await;

    let (store, state) = begin(dir.path()).await;
    let (id, _) = insert(&store);
    store.save_now().await.unwrap();
    let long_ago = "UPDATE session SET touched_ms = touched_ms - 30 * 60 * 1000";
    state.ask(|database| database.execute(long_ago, [])).await.unwrap();
    crash((store, state)).await;
    let (store, _state) = begin(dir.path()).await;
    assert!(restore(&store, &id).await.is_none(), "the time between two daemons counts");
}

/// A shelf that fails when it is told to.
struct Flaky {
    state: State,
    fails: Arc<AtomicBool>,
}

impl Shelf for Flaky {
    fn save(&self, changes: Vec<Changes>, ended: Vec<SessionId>) -> Keeping<'_, ()> {
        if self.fails.load(Ordering::Relaxed) {
            return Box::pin(async { Err(ShelfError) });
        }
        self.state.save(changes, ended)
    }

    fn load(&self, id: SessionId) -> Keeping<'_, Option<Saved>> {
        self.state.load(id)
    }

    fn known(&self) -> Keeping<'_, Vec<Known>> {
        self.state.known()
    }
}

#[tokio::test]
async fn a_shelf_that_fails_costs_no_request_and_gets_everything_later() {
    let dir = tempfile::tempdir().unwrap();
    let (state, fails) = (open(dir.path()), Arc::new(AtomicBool::new(false)));
    let store = SessionStore::on_shelf(Flaky { state: state.clone(), fails: Arc::clone(&fails) }).await;
    let (deleted, _) = insert(&store);
    store.save_now().await.unwrap();
    fails.store(true, Ordering::Relaxed);
    let (id, session) = insert(&store);
    publish(&session, 3);
    assert!(store.delete(&deleted, &alice()));
    assert_eq!(store.save_now().await, Err(ShelfError));
    publish(&session, 3);
    assert_eq!(ids(&session.snapshot_replay_buffer()), [1, 2, 3, 4, 5, 6]);
    fails.store(false, Ordering::Relaxed);
    store.save_now().await.unwrap();
    assert_eq!(state.load(id).await.unwrap().unwrap().streams[0].events, session.snapshot_replay_buffer());
    assert_eq!(state.load(deleted).await, Ok(None));
}

#[tokio::test]
async fn a_state_that_cannot_be_opened_costs_sessions_nothing_but_their_return() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("state.db"), "no database".repeat(1000)).unwrap();
    let (store, state) = begin(dir.path()).await;
    let (id, session) = insert(&store);
    publish(&session, 1);
    assert_eq!(store.save_now().await, Err(ShelfError));
    assert!(restore(&store, &id).await.is_some());
    crash((store, state)).await;
}
