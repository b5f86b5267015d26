use std::sync::Mutex;

use inferd_engine::mock::Mock;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};
use tokio::sync::mpsc;

use super::*;
use crate::agent::Agents;
use crate::endpoint::Hangup;
use crate::scripted::{Scripted, Turn, token};

impl Socket for DuplexStream {
    const TELLS_HALF_CLOSED_FROM_GONE: bool = false;

    fn hangup(&self) -> io::Result<Hangup> {
        Ok(Hangup::Untold)
    }
}

type Accepted = io::Result<(DuplexStream, Peer)>;

/// A listener that accepts what the test sends, and notes when it was asked to.
struct Gate {
    comes: tokio::sync::Mutex<mpsc::Receiver<Accepted>>,
    asked: Arc<Mutex<Vec<Instant>>>,
}

impl Listener for Gate {
    type Socket = DuplexStream;

    async fn accept(&self) -> Accepted {
        self.asked.lock().unwrap().push(Instant::now());
        match self.comes.lock().await.recv().await {
            Some(accepted) => accepted,
            None => std::future::pending().await,
        }
    }
}

/// A listener under way, and who knocks.
struct Street {
    knock: mpsc::Sender<Accepted>,
    asked: Arc<Mutex<Vec<Instant>>>,
    stop: Stop,
    terms: watch::Sender<Terms>,
    listens: tokio::task::JoinHandle<()>,
}

const LOCAL: Peer = Peer::Local { uid: Some(1), pid: Some(2) };

fn tcp() -> Peer {
    Peer::Tcp(([127, 0, 0, 1], 1).into())
}

impl Street {
    fn new(router: Router, connections_max: usize, key: Option<&str>) -> Self {
        let stop = Stop::default();
        let service = Arc::new(Service {
            gate: Admission::unlimited(),
            router: Arc::new(router),
            limits: ConnectionLimits::default(),
            stop: stop.clone(),
            audit: Audit::off(),
            agents: Agents::alone(),
        });
        let keys = |key| Some(Arc::new(Keys::from_plain("default", key)));
        let terms = Terms { service, keys: key.and_then(keys), identity: Identity::default() };
        let terms = watch::Sender::new(terms);
        let door = Door::new(terms.subscribe(), Room::new(connections_max));
        let (knock, comes) = mpsc::channel(64);
        let asked = Arc::default();
        let gate = Gate { comes: tokio::sync::Mutex::new(comes), asked: Arc::clone(&asked) };
        Self { knock, asked, stop, terms, listens: TaskTracker::new().spawn(listen(gate, door)) }
    }

    fn open(connections_max: usize) -> Self {
        Self::new(Router::new(vec![Arc::new(Mock::new())]), connections_max, None)
    }

    async fn enter(&self, peer: Peer) -> DuplexStream {
        let (ours, theirs) = tokio::io::duplex(1 << 16);
        self.knock.send(Ok((theirs, peer))).await.unwrap();
        ours
    }

    async fn fail(&self) {
        // What a process out of descriptors gets.
        self.knock.send(Err(io::Error::from_raw_os_error(24))).await.unwrap();
    }
}

const ASK: &[u8] = b"{\"id\":\"a\",\"messages\":[{\"role\":\"user\",\"content\":\"hi\"}]}\n";

/// Reads to the end of an answer.
async fn answer(socket: &mut DuplexStream) -> String {
    let mut text = String::new();
    let mut buffer = [0; 1024];
    while !text.contains("\"done\"") {
        let read = tokio::time::timeout(Duration::from_secs(60), socket.read(&mut buffer));
        let read = read.await.expect("it is served").unwrap();
        assert!(read > 0, "it closed after {text:?}");
        text += std::str::from_utf8(&buffer[..read]).unwrap();
    }
    text
}

async fn is_served(socket: &mut DuplexStream) -> bool {
    socket.write_all(ASK).await.unwrap();
    answer(socket).await.contains("mock-response")
}

/// Waits for the end of what the daemon sends; what that was.
async fn rest(mut socket: DuplexStream) -> String {
    let mut text = String::new();
    socket.read_to_string(&mut text).await.unwrap();
    text
}

#[tokio::test(start_paused = true)]
async fn no_failed_accept_ends_a_listener_and_each_in_a_row_is_waited_for_longer() {
    let street = Street::open(16);
    for _ in 0..10 {
        street.fail().await;
    }
    assert!(is_served(&mut street.enter(LOCAL).await).await);
    street.fail().await;
    assert!(is_served(&mut street.enter(LOCAL).await).await);
    let asked = street.asked.lock().unwrap().clone();
    let pauses: Vec<u128> = asked.windows(2).map(|pair| (pair[1] - pair[0]).as_millis()).collect();
    assert_eq!(pauses, [5, 10, 20, 40, 80, 160, 320, 640, 1000, 1000, 0, 5, 0]);
}

#[tokio::test(start_paused = true)]
async fn past_the_limit_nobody_is_accepted_until_somebody_leaves() {
    let street = Street::open(2);
    let mut first = street.enter(LOCAL).await;
    let mut second = street.enter(LOCAL).await;
    let mut third = street.enter(LOCAL).await;
    assert!(is_served(&mut first).await && is_served(&mut second).await);
    third.write_all(ASK).await.unwrap();
    let early = tokio::time::timeout(Duration::from_secs(60), third.read_u8()).await;
    assert!(early.is_err(), "it has to wait");
    drop(first);
    assert!(answer(&mut third).await.contains("mock-response"));
    assert!(is_served(&mut second).await);
}

#[tokio::test(start_paused = true)]
async fn on_tcp_a_key_is_needed_where_one_is_configured_and_nowhere_else() {
    let street = Street::new(Router::new(vec![Arc::new(Mock::new())]), 16, Some("k"));
    assert!(is_served(&mut street.enter(LOCAL).await).await);

    let mut holder = street.enter(tcp()).await;
    holder.write_all(b"{\"type\":\"auth\",\"key\":\"k\"}\n").await.unwrap();
    assert!(is_served(&mut holder).await);

    for said in [ASK, b"{\"type\":\"auth\",\"key\":\"x\"}\n"] {
        let mut stranger = street.enter(tcp()).await;
        stranger.write_all(said).await.unwrap();
        assert_eq!(rest(stranger).await, "", "a stranger is told nothing");
    }
    assert_eq!(rest(street.enter(tcp()).await).await, "");
    assert!(is_served(&mut Street::open(1).enter(tcp()).await).await);
}

#[tokio::test(start_paused = true)]
async fn new_terms_are_those_of_the_next_connection() {
    let street = Street::new(Router::new(vec![Arc::new(Mock::new())]), 16, Some("old"));
    let auth = |key: &str| format!("{{\"type\":\"auth\",\"key\":\"{key}\"}}\n").into_bytes();
    let mut inside = street.enter(tcp()).await;
    inside.write_all(&auth("old")).await.unwrap();
    assert!(is_served(&mut inside).await);
    street.terms.send_modify(|terms| terms.keys = Some(Arc::new(Keys::from_plain("default", "new"))));
    assert!(is_served(&mut inside).await, "who is in stays in");
    let mut late = street.enter(tcp()).await;
    late.write_all(&auth("old")).await.unwrap();
    assert_eq!(rest(late).await, "");
    let mut next = street.enter(tcp()).await;
    next.write_all(&auth("new")).await.unwrap();
    assert!(is_served(&mut next).await);
}

#[tokio::test(start_paused = true)]
async fn a_listener_that_drains_waits_for_open_requests_and_for_no_stranger() {
    let hanging = Scripted::new("lane", |_, _| Turn::SayAndHang(vec![token("1")]));
    let street = Street::new(Router::new(vec![hanging]), 16, Some("k"));
    let mut open = street.enter(LOCAL).await;
    open.write_all(ASK).await.unwrap();
    open.read_u8().await.unwrap();
    let stranger = street.enter(tcp()).await;
    let idle = street.enter(LOCAL).await;
    tokio::time::sleep(Duration::from_millis(1)).await;

    let before = Instant::now();
    street.stop.drain();
    assert_eq!((rest(stranger).await, rest(idle).await), (String::new(), String::new()));
    assert_eq!(before.elapsed(), Duration::ZERO);
    tokio::time::sleep(Duration::from_secs(20)).await;
    assert!(!street.listens.is_finished());
    street.stop.end();
    street.listens.await.unwrap();
    assert!(rest(open).await.ends_with("\"code\":\"backend_unavailable\",\"message\":\"draining\"}\n"));
}

#[test]
fn a_client_is_a_process_a_user_or_a_connection() {
    let unknown = Peer::Local { uid: Some(1), pid: None };
    assert_eq!(client_key(LOCAL, Identity::Process), ClientKey::Process { uid: 1, pid: 2 });
    assert_eq!(client_key(LOCAL, Identity::User), ClientKey::User { uid: 1 });
    assert_eq!(client_key(unknown, Identity::User), ClientKey::User { uid: 1 });
    for (peer, identity) in
        [(LOCAL, Identity::Connection), (unknown, Identity::Process), (tcp(), Identity::User)]
    {
        let [one, other] = [0; 2].map(|_| client_key(peer, identity));
        assert!(matches!(one, ClientKey::Connection(_)));
        assert_ne!(one, other);
    }
}

#[tokio::test(start_paused = true)]
async fn readiness_is_waited_for_and_not_for_ever() {
    let backend = Scripted::saying("lane", &["1"]);
    backend.set_ready(false);
    let router = Router::new(vec![backend.clone()]);
    let patience = Duration::from_secs(1);
    let error = wait_for_ready(&router, patience).await.unwrap_err();
    assert_eq!(
        (error, &*error.to_string()),
        (ReadyTimeout(patience), "backends are not ready after 1000 ms")
    );
    let becomes_ready = async {
        tokio::time::sleep(Duration::from_millis(95)).await;
        backend.set_ready(true);
    };
    let (took, ()) = tokio::join!(wait_for_ready(&router, patience), becomes_ready);
    assert_eq!(took.unwrap(), Duration::from_millis(100));
    assert_eq!(wait_for_ready(&router, patience).await.unwrap(), Duration::ZERO);
}
