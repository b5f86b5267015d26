//! Measures sessions: deliveries a second to 256 subscribers, and the memory of 1,024 idle sessions; and what a row of a
//! call costs whoever notes it.
//!
//! `cargo run --release -p inferd-daemon --example sessions`

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use inferd_daemon::audit::{Caller, Door, Kind, Outcome, Row};
use inferd_daemon::mcp::session::{EventKind, Principal, SESSIONS_MAX, SessionState, SessionStore};
use inferd_daemon::queue::ClientKey;
use inferd_daemon::state::{Settings, State};
use serde_json::{Value, json};
use tokio::time::Instant;
use tokio_util::task::TaskTracker;

const SUBSCRIBERS: usize = 256;
const EVENTS: u64 = 20_000;

/// Events published before readers get their turn: less than the ring holds.
const BURST: u64 = 32;

/// Counts what is allocated.
struct Counting;

static ALLOCATED: AtomicUsize = AtomicUsize::new(0);

#[allow(unsafe_code, reason = "counting what is allocated means standing in for the allocator")]
// SAFETY: every call is passed on to the system's allocator as it is.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATED.fetch_add(layout.size(), Ordering::Relaxed);
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        ALLOCATED.fetch_sub(layout.size(), Ordering::Relaxed);
        unsafe { System.dealloc(at, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

#[tokio::main]
async fn main() {
    memory();
    deliveries().await;
    rows().await;
}

async fn rows() {
    const ROWS: u32 = 16_000;
    let dir = tempfile::tempdir().expect("there is room");
    let state = State::open(Settings::new(dir.path().join("state.db"), 30)).expect("a thread is to be had");
    let caller = Caller::new(&ClientKey::Connection(0), Door::Ndjson);
    let mut took = Vec::new();
    for _ in 0..20 {
        let begun = Instant::now();
        for _ in 0..ROWS {
            state.note(row(&caller));
        }
        took.push(begun.elapsed() / ROWS);
        state.ask(|_| Ok(())).await.expect("it is open");
    }
    took.sort_unstable();
    println!("noting a row: {:?} in the median of 20 batches of {ROWS}", took[10]);
    state.close().await;
}

fn row(caller: &Caller) -> Row {
    Row {
        at_ms: 1_800_000_000_000,
        caller: caller.clone(),
        kind: Kind::Generate,
        lane: Some("local".into()),
        model: Some("llama3.1:8b".into()),
        outcome: Outcome::Served,
        queue_ms: Some(1),
        first_token_ms: Some(2),
        total_ms: 3,
        prompt_tokens: 4,
        completion_tokens: 5,
        request_bytes: 64,
        answer_bytes: 64,
    }
}

fn memory() {
    let (store, now) = (SessionStore::new(), Instant::now());
    let before = ALLOCATED.load(Ordering::Relaxed);
    let sessions: Vec<_> = (0..SESSIONS_MAX)
        .map(|n| {
            let principal = Principal::from(format!("key {}", n % 32).as_str());
            let id = store.insert(SessionState::new(principal, None, now), now).expect("there is room");
            store.find(&id, now).expect("it was just made")
        })
        .collect();
    let each = || (ALLOCATED.load(Ordering::Relaxed) - before) / SESSIONS_MAX;
    println!("{SESSIONS_MAX} idle sessions: {} bytes each", each());
    let mut readers: Vec<_> = sessions.iter().map(SessionState::subscribe_events).collect();
    println!("  with a reader each: {} bytes each", each());
    let data: Arc<Value> = Arc::new(json!({}));
    for session in &sessions {
        for _ in 0..256 {
            session.publish_event(EventKind::Message, Arc::clone(&data));
        }
    }
    println!("  with 256 empty events each: {} bytes each", each());
    readers.clear();
}

async fn deliveries() {
    let session = Arc::new(SessionState::new("bench".into(), None, Instant::now()));
    let (readers, read): (_, Vec<_>) =
        (TaskTracker::new(), (0..SUBSCRIBERS).map(|_| Arc::new(AtomicU64::new(0))).collect());
    for read in &read {
        let (mut reader, read) = (session.subscribe_events(), Arc::clone(read));
        readers.spawn(async move {
            let mut last = 0;
            while last < EVENTS {
                let event = reader.recv().await.expect("the session is there");
                assert_eq!(event.id, last + 1, "nothing is missed");
                last = event.id;
                read.store(last, Ordering::Relaxed);
            }
        });
    }
    readers.close();
    let begun = Instant::now();
    let data: Arc<Value> = Arc::new(json!({ "jsonrpc": "2.0", "method": "notifications/message" }));
    for published in 1..=EVENTS {
        session.publish_event(EventKind::Message, Arc::clone(&data));
        if published % BURST == 0 {
            for read in &read {
                while read.load(Ordering::Relaxed) + BURST < published {
                    tokio::task::yield_now().await;
                }
            }
        }
    }
    readers.wait().await;
    let took = begun.elapsed();
    let total = SUBSCRIBERS * usize::try_from(EVENTS).expect("a small number");
    let rate = u128::try_from(total).expect("a small number") * 1_000_000 / took.as_micros().max(1);
    println!("{total} deliveries to {SUBSCRIBERS} subscribers in {took:?}: {rate} a second");
}
