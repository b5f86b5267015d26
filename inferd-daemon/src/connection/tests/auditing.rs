//! Every call leaves one row, and no word of it.

use std::path::PathBuf;

use inferd_engine::GenerateError;

use super::*;
use crate::audit::{Logged, Query, read};
use crate::state::{Settings, State};

/// Where the rows of a test go.
pub(super) struct Book {
    dir: tempfile::TempDir,
    state: State,
}

impl Book {
    pub(super) fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let state = State::open(Settings::new(dir.path().join("state.db"), 30)).unwrap();
        Self { dir, state }
    }

    pub(super) fn audit(&self) -> Audit {
        Audit::new(self.state.clone())
    }

    fn path(&self) -> PathBuf {
        self.dir.path().join("state.db")
    }

    /// The rows, once everything is written.
    pub(super) async fn rows(&self) -> Vec<Logged> {
        self.state.close().await;
        read(&self.path(), &Query { since: None, count: 1000 }).unwrap()
    }
}

fn outcomes(rows: &[Logged]) -> Vec<(&str, Option<&str>)> {
    rows.iter().map(|row| (&*row.outcome, row.reason.as_deref())).collect()
}

#[tokio::test(start_paused = true)]
async fn an_answer_leaves_who_asked_and_what_it_took() {
    let (book, (backend, mut called)) = (Book::new(), dictated());
    let rig = Rig::of(&backend).audited(book.audit());
    let mut talk = rig.tcp();
    talk.send(&ask_with("a", r#","model":"small""#)).await;
    let say = called.next().await;
    tokio::time::advance(Duration::from_millis(20)).await;
    say.send(token("sixteen letters.")).await.unwrap();
    talk.frame().await;
    tokio::time::advance(Duration::from_millis(30)).await;
    say.send(token("!")).await.unwrap();
    say.send(done(7)).await.unwrap();
    talk.lines().await;
    let row = book.rows().await.remove(0);
    assert_eq!((&*row.client, &*row.door, &*row.kind), ("connection 0", "tcp", "generate"));
    assert_eq!((row.lane.as_deref(), row.model.as_deref()), (Some("lane"), Some("small")));
    assert_eq!((&*row.outcome, row.reason), ("served", None));
    assert_eq!((row.queue_ms, row.first_token_ms, row.total_ms), (Some(0), Some(20), 50));
    assert_eq!((row.prompt_tokens, row.completion_tokens), (1, 7));
    assert_eq!((row.request_bytes, row.answer_bytes), (2, 32));
}

#[tokio::test(start_paused = true)]
async fn whatever_else_becomes_of_a_call_is_said_with_its_reason() {
    let book = Book::new();
    let backend = Scripted::new("lane", |n, _| match n {
        1 => Turn::Refuse(GenerateError::InvalidRequest("no".to_owned())),
        2 => Turn::Say(vec![token("1")]),
        _ => Turn::Hang,
    });
    let limits = ConnectionLimits { open_requests_max: 2, ..ConnectionLimits::default() };
    let rig = Rig::with(&backend, Admission::new(1, 0), limits).audited(book.audit());
    let mut talk = rig.local();
    talk.send(&ask("hangs")).await;
    backend.called(1).await;
    talk.ask(&ask("too many for the gate")).await;
    talk.ask(&cancel("hangs")).await;
    talk.ask(&ask("not for this lane")).await;
    talk.ask(&ask("breaks off")).await;
    talk.ask(&ask_with("too slow", r#","deadline_ms":10"#)).await;
    let rows = book.rows().await;
    assert_eq!(
        outcomes(&rows),
        [
            ("refused", Some("queue_full")),
            ("cancelled", Some("cancelled")),
            ("failed", Some("invalid_request")),
            ("failed", Some("cut_short")),
            ("failed", Some("deadline_exceeded")),
        ]
    );
    assert_eq!(rows[0].lane, None);
    assert_eq!(rows[3].lane.as_deref(), Some("lane"));
}

#[tokio::test(start_paused = true)]
async fn a_client_that_left_and_a_daemon_that_stopped_leave_rows_too() {
    let (book, backend) = (Book::new(), Scripted::hanging("lane"));
    let limits = ConnectionLimits { open_requests_max: 1, ..ConnectionLimits::default() };
    let rig = Rig::with(&backend, Admission::new(4, 4), limits).audited(book.audit());
    let mut leaves = rig.tcp();
    leaves.send(&ask("a")).await;
    backend.called(1).await;
    drop(leaves);
    backend.let_go().await;
    let mut stays = rig.local();
    stays.send(&ask("b")).await;
    backend.called(2).await;
    stays.ask(&ask("c")).await;
    rig.service.stop.drain();
    stays.send(&ask("d")).await;
    settled().await;
    rig.service.stop.end();
    settled().await;
    assert_eq!(backend.alive(), 0);
    let rows = book.rows().await;
    let left = ("cancelled", Some("client_left"));
    let too_many = ("refused", Some("too_many_open"));
    assert_eq!(outcomes(&rows)[..2], [left, too_many]);
    assert_eq!(outcomes(&rows).last(), Some(&("cancelled", Some("draining"))));
}

#[tokio::test(start_paused = true)]
async fn no_word_of_a_prompt_or_an_answer_is_kept() {
    let (book, backend) = (Book::new(), Scripted::saying("lane", &["the answer is plugh"]));
    let rig = Rig::of(&backend).audited(book.audit());
    let mut talk = rig.local();
    talk.ask(r#"{"id":"xyzzy","messages":[{"role":"user","content":"say xyzzy"}]}"#).await;
    assert_eq!(book.rows().await.len(), 1);
    for file in book.dir.path().read_dir().unwrap() {
        let bytes = std::fs::read(file.unwrap().path()).unwrap();
        for word in ["xyzzy", "plugh"] {
            assert!(!bytes.windows(word.len()).any(|window| window == word.as_bytes()), "{word}");
        }
    }
}
