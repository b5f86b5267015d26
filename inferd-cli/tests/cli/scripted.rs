//! A daemon that says what the test tells it to, and the program run against it.

use std::process::{Output, Stdio};
use std::time::Duration;

use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncWrite, AsyncWriteExt, BufReader};
use tokio::net::{UnixListener, UnixStream};
use tokio::process::{Child, Command};
use tokio::time::timeout;

/// Nothing here takes as long; a test that waits longer has failed.
const PATIENCE: Duration = Duration::from_secs(20);

pub(crate) struct Daemon {
    dir: TempDir,
    listener: UnixListener,
}

/// One connection, the daemon's side.
pub(crate) struct Talk<S = UnixStream>(BufReader<S>);

impl Daemon {
    pub(crate) fn listening_at(socket: &str) -> Self {
        Self::listening_in(TempDir::new().unwrap(), socket)
    }

    pub(crate) fn listening_in(dir: TempDir, socket: &str) -> Self {
        let listener = UnixListener::bind(dir.path().join(socket)).unwrap();
        Self { dir, listener }
    }

    pub(crate) fn new() -> Self {
        Self::listening_at("infer.sock")
    }

    /// Listens no more; the socket stays, as after a crash.
    pub(crate) async fn close(self) -> TempDir {
        drop(self.listener);
        // A program that another test starts at this moment holds the listener until it is exec'd.
        while UnixStream::connect(self.dir.path().join("infer.sock")).await.is_ok() {
            tokio::task::yield_now().await;
        }
        self.dir
    }

    /// Runs the program with `args` and this daemon as the one to use.
    pub(crate) fn run(&self, args: &[&str]) -> Child {
        self.command(args).spawn().unwrap()
    }

    /// What [`Daemon::run`] runs.
    pub(crate) fn command(&self, args: &[&str]) -> Command {
        let mut command = program(args);
        command.env("INFERD_CONNECT", self.dir.path().join("infer.sock"));
        command
    }

    pub(crate) async fn accept(&self) -> Talk {
        let (stream, _) = timeout(PATIENCE, self.listener.accept()).await.expect("nobody connects").unwrap();
        Talk::over(stream)
    }
}

/// The program, with pipes to it and no daemon it could find by itself.
pub(crate) fn program(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_inferd-cli"));
    command
        .args(args)
        .env_remove("INFERD_CONNECT")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true);
    command
}

/// Closes the program's standard input after `text`.
pub(crate) async fn give(child: &mut Child, text: &str) {
    child.stdin.take().unwrap().write_all(text.as_bytes()).await.unwrap();
}

pub(crate) async fn output(child: Child) -> Output {
    timeout(PATIENCE, child.wait_with_output()).await.expect("the program does not end").unwrap()
}

/// The exit code, standard output and standard error.
pub(crate) async fn ended(child: Child) -> (Option<i32>, String, String) {
    let Output { status, stdout, stderr } = output(child).await;
    (status.code(), String::from_utf8(stdout).unwrap(), String::from_utf8(stderr).unwrap())
}

impl<S: AsyncRead + AsyncWrite + Unpin> Talk<S> {
    pub(crate) fn over(stream: S) -> Self {
        Self(BufReader::new(stream))
    }

    /// The next line; `None` when the program hung up.
    pub(crate) async fn line(&mut self) -> Option<Value> {
        let mut line = String::new();
        let read =
            timeout(PATIENCE, self.0.read_line(&mut line)).await.expect("the program says nothing").unwrap();
        (read > 0).then(|| serde_json::from_str(&line).unwrap())
    }

    pub(crate) async fn hears(&mut self) -> Value {
        self.line().await.expect("the program hung up")
    }

    pub(crate) async fn says(&mut self, frame: Value) {
        self.0.write_all(format!("{frame}\n").as_bytes()).await.unwrap();
    }

    /// Hears a request, and returns it with its id.
    pub(crate) async fn request(&mut self) -> (Value, String) {
        let request = self.hears().await;
        let id = request["id"].as_str().expect("a request with an id").to_owned();
        (request, id)
    }

    pub(crate) async fn greets(&mut self) {
        self.greets_with(&[]).await;
    }

    /// Answers a hello as a daemon of these features.
    pub(crate) async fn greets_with(&mut self, features: &[&str]) {
        assert_eq!(self.hears().await, json!({"type": "hello"}));
        self.says(json!({
            "type": "hello", "protocol": 1, "version": "0.3.0", "features": features,
            "limits": {"frame_bytes_max": 1, "open_requests_max": 1, "active": 1, "queue_depth": 1},
            "models": [{"name": "llama3.1:8b", "backend": "ollama-11434", "ready": true}],
        }))
        .await;
    }

    pub(crate) async fn token(&mut self, id: &str, content: &str) {
        self.says(json!({"type": "token", "id": id, "content": content})).await;
    }

    pub(crate) async fn done(&mut self, id: &str, content: &str, stop_reason: &str) {
        self.says(json!({
            "type": "done", "id": id, "content": content, "stop_reason": stop_reason, "backend": "ollama-11434",
            "usage": {"prompt_tokens": 1, "completion_tokens": 1},
        }))
        .await;
    }

    pub(crate) async fn error(&mut self, id: &str, code: &str, message: &str) {
        self.says(json!({"type": "error", "id": id, "code": code, "message": message})).await;
    }
}

/// Sends the program what Ctrl-C sends it.
pub(crate) async fn interrupt(child: &Child) {
    let pid = child.id().expect("the program runs").to_string();
    assert!(Command::new("kill").args(["-INT", &pid]).status().await.unwrap().success());
}
