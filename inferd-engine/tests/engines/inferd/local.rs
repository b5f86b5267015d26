//! Over a real local socket: a Unix socket, or a named pipe.

use std::path::{Path, PathBuf};

use interprocess::local_socket::tokio::prelude::*;
use interprocess::local_socket::{GenericFilePath, ListenerOptions};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};

use super::*;

/// A name of this test's own for a socket.
fn place(dir: &Path) -> PathBuf {
    if cfg!(windows) {
        format!(r"\\.\pipe\inferd-engine-{}", std::process::id()).into()
    } else {
        dir.join("infer.sock")
    }
}

fn listening(path: &Path) -> LocalSocketListener {
    let name = path.to_fs_name::<GenericFilePath>().expect("a name for a socket");
    ListenerOptions::new().name(name).create_tokio().expect("a socket")
}

#[tokio::test]
async fn a_daemon_on_a_local_socket_answers_and_is_given_no_key() {
    let dir = tempfile::tempdir().expect("a directory");
    let path = place(dir.path());
    let listener = listening(&path);
    let serve = async {
        let mut talk = BufReader::new(listener.accept().await.expect("somebody connects"));
        let mut heard = String::new();
        talk.write_all(b"{\"type\":\"hello\"}\n").await.expect("somebody listens");
        for id in ["0", "1"] {
            while !heard.ends_with("\"progress\":true}\n") {
                talk.read_line(&mut heard).await.expect("a line");
            }
            for frame in [token("a"), done("a")] {
                let line = format!("{}\n", named(frame, &json!(id)));
                talk.write_all(line.as_bytes()).await.expect("somebody listens");
            }
            heard.push('-');
        }
        heard
    };
    let mut config = InferdConfig::new("lane", InferdAddress::Local(path.clone()));
    config.api_key = Some(KEY.into());
    let engine = Inferd::new(config).expect("a good configuration");
    let ask = async {
        for _ in 0..2 {
            let events = answered(&engine, question(true)).await;
            assert_eq!(events, [said("a"), ended(StopReason::End)]);
        }
    };
    let (heard, ()) = tokio::join!(serve, ask);
    insta::assert_snapshot!(heard, @r#"
    {"type":"hello"}
    {"id":"0","messages":[{"role":"user","content":"why?"}],"progress":true}
    -{"id":"1","messages":[{"role":"user","content":"why?"}],"progress":true}
    -
    "#);
}

#[tokio::test]
async fn nobody_on_a_local_socket_is_said_without_its_path() {
    let dir = tempfile::tempdir().expect("a directory");
    let config = InferdConfig::new("lane", InferdAddress::Local(place(&dir.path().join("nowhere"))));
    let engine = Inferd::new(config).expect("a good configuration");
    let error = refusal(&engine, question(true)).await;
    let says = "connect to the local socket of another daemon: nobody listens there";
    assert_eq!(error, GenerateError::Unavailable(says.into()));
}

#[cfg(unix)]
#[tokio::test]
async fn a_local_daemon_that_hangs_up_without_a_word_has_refused_no_key() {
    let dir = tempfile::tempdir().expect("a directory");
    let path = place(dir.path());
    let listener = listening(&path);
    let config = InferdConfig::new("lane", InferdAddress::Local(path));
    let engine = Inferd::new(config).expect("a good configuration");
    let hang_up = async { drop(listener.accept().await.expect("somebody connects")) };
    let (refused, ()) = tokio::join!(engine.generate(question(true)), hang_up);
    let error = refused.err().expect("no answer begins").to_string();
    assert!(error.starts_with("the answer was cut short: "), "{error}");
}
