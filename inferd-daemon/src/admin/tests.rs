use std::time::Duration;

use inferd_engine::mock::Mock;
use inferd_proto::AdminStatus;
use tokio::io::{AsyncBufReadExt, BufReader, DuplexStream, ReadHalf, WriteHalf};

use super::*;
use crate::agent::Agents;
use crate::audit::Audit;
use crate::queue::Admission;
use crate::router::Router;
use crate::service::{ConnectionLimits, Service, Stop};
use crate::upstream::{Patience, Upstreams};

/// The admin side of a daemon, and a reader of it.
struct Desk {
    admin: Admin,
    stopped: CancellationToken,
    tasks: TaskTracker,
}

impl Desk {
    fn new() -> Self {
        let admin = Admin::new(Reloader::ended());
        Self { admin, stopped: CancellationToken::new(), tasks: TaskTracker::new() }
    }

    fn serve(&self) {
        let service = Service {
            gate: Admission::new(4, 64),
            router: Arc::new(Router::new(vec![Arc::new(Mock::new())])),
            limits: ConnectionLimits::default(),
            stop: Stop::default(),
            audit: Audit::off(),
            agents: Agents::alone(),
        };
        let sockets = Sockets {
            local: "/run/inferd.sock".into(),
            tcp: Some(([127, 0, 0, 1], 47321).into()),
            mcp: None,
        };
        let upstreams = Upstreams::new(Patience::default(), &self.stopped);
        let lenders = tokio::sync::watch::Sender::new(0).subscribe();
        let serving = Serving { service: Arc::new(service), sockets, sessions: None, lenders, upstreams };
        self.admin.serving.set(serving).unwrap();
    }

    fn visit(&self, pipe_bytes: usize) -> Visitor {
        let (ours, theirs) = tokio::io::duplex(pipe_bytes);
        let (admin, stopped) = (self.admin.clone(), self.stopped.clone());
        self.tasks.spawn(async move { attend(theirs, &admin, &stopped).await });
        let (from, to) = tokio::io::split(ours);
        Visitor { from: BufReader::new(from), to }
    }
}

struct Visitor {
    from: BufReader<ReadHalf<DuplexStream>>,
    to: WriteHalf<DuplexStream>,
}

impl Visitor {
    async fn says(&mut self, line: &str) {
        self.to.write_all(format!("{line}\n").as_bytes()).await.unwrap();
    }

    /// The next line; empty when the daemon has closed.
    async fn hears(&mut self) -> String {
        let mut line = String::new();
        self.from.read_line(&mut line).await.unwrap();
        line.trim_end().to_owned()
    }
}

fn loading(backend: &str) -> AdminStatus {
    AdminStatus::LoadingModel { phase: inferd_proto::LoadPhase::CheckingLocal, backend: backend.to_owned() }
}

#[tokio::test(start_paused = true)]
async fn a_visitor_is_told_where_the_daemon_stands_and_every_change_after_that() {
    let desk = Desk::new();
    let mut early = desk.visit(1 << 16);
    let mut told = vec![early.hears().await];
    desk.admin.hub.publish(loading("a"));
    desk.admin.hub.publish(AdminStatus::Ready);
    told.push(early.hears().await);
    told.push(early.hears().await);
    insta::assert_snapshot!(told.join("\n"), @r#"
    {"id":"admin","type":"status","status":"starting"}
    {"id":"admin","type":"status","status":"loading_model","phase":"checking_local","backend":"a"}
    {"id":"admin","type":"status","status":"ready"}
    "#);

    let mut late = desk.visit(1 << 16);
    assert_eq!(late.hears().await, told[2]);
    desk.admin.hub.publish(AdminStatus::Draining);
    desk.stopped.cancel();
    for visitor in [&mut early, &mut late] {
        assert_eq!(visitor.hears().await, told[2].replace("ready", "draining"));
        assert_eq!(visitor.hears().await, "", "the last change is told before the end");
    }
}

#[tokio::test(start_paused = true)]
async fn a_visitor_that_stopped_writing_or_is_far_behind_is_told_where_the_daemon_stands() {
    let desk = Desk::new();
    let mut visitor = desk.visit(128);
    visitor.to.shutdown().await.unwrap();
    visitor.hears().await;
    // Far more than the pipe and the changes kept for a slow reader.
    for number in 0..2000 {
        desk.admin.hub.publish(loading(&number.to_string()));
        tokio::task::yield_now().await;
    }
    desk.admin.hub.publish(AdminStatus::Ready);
    let mut heard = 0;
    while !visitor.hears().await.contains("ready") {
        heard += 1;
    }
    assert!(heard < 100, "{heard}");
}

#[tokio::test(start_paused = true)]
async fn a_snapshot_shows_lanes_queue_and_sockets_once_there_are_any() {
    let desk = Desk::new();
    let mut visitor = desk.visit(1 << 16);
    visitor.hears().await;
    visitor.says(r#"{"type":"snapshot"}"#).await;
    insta::assert_snapshot!(visitor.hears().await, @r#"{"type":"error","id":"admin","code":"invalid_request","message":"snapshot: the daemon is still starting"}"#);
    desk.serve();
    desk.admin.hub.publish(AdminStatus::Ready);
    visitor.hears().await;
    tokio::time::advance(Duration::from_secs(61)).await;
    visitor.says(r#"{"type":"snapshot"}"#).await;
    let snapshot = visitor.hears().await;
    let snapshot = snapshot.replace(&format!("\"pid\":{}", std::process::id()), "\"pid\":PID");
    insta::assert_snapshot!(snapshot.replace(env!("CARGO_PKG_VERSION"), "VERSION"), @r#"{"id":"admin","type":"snapshot","version":"VERSION","pid":PID,"uptime_s":61,"status":"ready","sockets":{"local":"/run/inferd.sock","tcp":"127.0.0.1:47321"},"running":0,"waiting":0,"active":4,"queue_depth":64,"clients":0,"lanes":[{"name":"mock","kind":"","state":"passing","ready":true,"running":0,"models":["*"],"first_token_ms":0.0}]}"#);
}

#[tokio::test(start_paused = true)]
async fn what_is_no_command_is_answered_and_the_connection_goes_on() {
    let desk = Desk::new();
    let mut visitor = desk.visit(1 << 16);
    let mut heard = vec![visitor.hears().await];
    for line in ["nonsense", r#"{"type":"explode"}"#, r#"{"type":"reload"}"#] {
        visitor.says(line).await;
        heard.push(visitor.hears().await);
    }
    insta::assert_snapshot!(heard.join("\n"), @r#"
    {"id":"admin","type":"status","status":"starting"}
    {"type":"error","id":"admin","code":"invalid_request","message":"expected a command such as {\"type\":\"snapshot\"}: expected ident at line 1 column 2"}
    {"type":"error","id":"admin","code":"invalid_request","message":"expected a command such as {\"type\":\"snapshot\"}: unknown variant `explode`, expected one of `snapshot`, `reload`, `drain` at line 1 column 17"}
    {"type":"error","id":"admin","code":"backend_unavailable","message":"draining"}
    "#);
    visitor.says(r#"{"type":"drain"}"#).await;
    desk.admin.drain.cancelled().await;
}

#[tokio::test(start_paused = true)]
async fn after_the_daemon_has_said_that_it_drains_nothing_else_is_said() {
    let desk = Desk::new();
    desk.admin.hub.publish(AdminStatus::Draining);
    desk.admin.hub.publish(AdminStatus::Ready);
    assert!(desk.visit(1 << 16).hears().await.contains("draining"));
}

#[tokio::test(start_paused = true)]
async fn a_command_that_is_too_long_closes_the_connection() {
    let desk = Desk::new();
    let mut visitor = desk.visit(1 << 16);
    visitor.hears().await;
    visitor.says(&"x".repeat(COMMAND_BYTES_MAX + 1)).await;
    assert_eq!(visitor.hears().await, "");
}

#[tokio::test(start_paused = true)]
async fn a_visitor_that_does_not_read_does_not_keep_the_daemon_from_stopping() {
    let desk = Desk::new();
    desk.serve();
    let mut visitor = desk.visit(256);
    for _ in 0..4 {
        visitor.says(r#"{"type":"snapshot"}"#).await;
    }
    tokio::time::sleep(Duration::from_millis(1)).await;
    desk.stopped.cancel();
    desk.tasks.close();
    let before = Instant::now();
    let stopped = tokio::time::timeout(Duration::from_secs(60), desk.tasks.wait());
    stopped.await.expect("it is not waited for");
    assert!(before.elapsed() <= Duration::from_secs(1), "{:?}", before.elapsed());
}
