//! The engine against a daemon that follows a script, over `tokio::io::duplex`.

use std::collections::VecDeque;
use std::sync::Mutex;

use futures_util::StreamExt;
use inferd_proto::{Message, Role, StopReason, Usage};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, DuplexStream, duplex};
use tokio::time::{Instant, advance, sleep};

use super::*;
use crate::TokenEvent;

const HELLO_BACK: &str = "{\"type\":\"hello\"}\n";
const STATUS: &str = "{\"type\":\"status\",\"id\":\"0\",\"status\":\"queued\",\"position\":1}\n";
const TOKEN: &str = "{\"type\":\"token\",\"id\":\"0\",\"content\":\"na\\u00efve 日本\"}\n";
const DONE: &str = "{\"type\":\"done\",\"id\":\"0\",\"content\":\"na\\u00efve 日本\",\"usage\":{\"prompt_tokens\":3,\"completion_tokens\":1},\"stop_reason\":\"end\",\"backend\":\"b\"}\n";

/// The daemon's end of one connection.
struct Script(BufReader<DuplexStream>);

impl Script {
    /// Hears a line of a request, past the hello.
    async fn hears(&mut self) -> String {
        loop {
            let mut line = String::new();
            self.0.read_line(&mut line).await.unwrap();
            if line.as_bytes() != HELLO {
                return line;
            }
        }
    }

    async fn says(&mut self, text: &str) {
        self.0.write_all(text.as_bytes()).await.unwrap();
    }
}

/// A backend that dials these many scripted daemons, one after the other, over pipes that hold so many bytes.
fn engine(connections: usize, pipe_bytes: usize) -> (Inferd, Vec<Script>) {
    let config = InferdConfig::new("lane", InferdAddress::Tcp("scripted:1".into()));
    let mut engine = Inferd::new(config).unwrap();
    let (ours, theirs): (VecDeque<_>, Vec<_>) = (0..connections)
        .map(|_| duplex(pipe_bytes))
        .map(|(ours, theirs)| (ours, Script(BufReader::new(theirs))))
        .unzip();
    let ours = Mutex::new(ours);
    engine.dial = Box::new(move || {
        let next = ours.lock().unwrap().pop_front();
        let nobody = || GenerateError::Unavailable("nobody is left to dial".into());
        Box::pin(async move { next.map(|io| Box::new(io) as _).ok_or_else(nobody) })
    });
    (engine, theirs)
}

fn question(text: impl Into<String>) -> Resolved {
    let messages = vec![Message { role: Role::User, content: text.into().into() }];
    Resolved { messages: messages.into(), stream: true, ..Resolved::default() }
}

async fn events(engine: &Inferd) -> Vec<TokenEvent> {
    match engine.generate(question("why?")).await {
        Ok(stream) => stream.collect().await,
        Err(error) => vec![TokenEvent::Failed(error)],
    }
}

fn whole() -> [TokenEvent; 2] {
    let usage = Usage { prompt_tokens: 3, completion_tokens: 1 };
    let done = TokenEvent::Done { stop_reason: StopReason::End, usage, tool_calls: Vec::new(), model: None };
    [TokenEvent::Token("naïve 日本".into()), done]
}

fn failed(why: &str) -> TokenEvent {
    TokenEvent::Failed(GenerateError::Unavailable(why.into()))
}

#[tokio::test(start_paused = true)]
async fn an_answer_split_at_any_byte_is_the_same_and_leaves_its_connection() {
    let answer = [HELLO_BACK, STATUS, TOKEN, DONE].concat();
    for at in 0..=answer.len() {
        let (engine, mut daemons) = engine(1, 1 << 16);
        let daemon = &mut daemons[0];
        let (first, second) = answer.as_bytes().split_at(at);
        let speak = async {
            daemon.hears().await;
            daemon.0.write_all(first).await.unwrap();
            // Time stands still until everything that came was read.
            sleep(Duration::from_millis(1)).await;
            daemon.0.write_all(second).await.unwrap();
        };
        let (events, ()) = tokio::join!(events(&engine), speak);
        assert_eq!(events, whole(), "split at {at}");
        assert!(engine.idle.take().is_some(), "split at {at}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_comes_byte_by_byte_through_a_narrow_pipe_is_whole() {
    let (engine, mut daemons) = engine(1, 1);
    let speak = async {
        daemons[0].hears().await;
        daemons[0].says(&[HELLO_BACK, TOKEN, DONE].concat()).await;
    };
    let (events, ()) = tokio::join!(events(&engine), speak);
    assert_eq!(events, whole());
}

#[tokio::test(start_paused = true)]
async fn a_daemon_that_refuses_a_request_while_it_is_sent_is_heard() {
    let (engine, mut daemons) = engine(1, 1 << 10);
    let mut daemon = daemons.remove(0);
    let refuse = async {
        daemon
            .says("{\"type\":\"error\",\"id\":\"\",\"code\":\"frame_too_large\",\"message\":\"too long\"}\n")
            .await;
        drop(daemon);
    };
    let large = "x".repeat(1 << 20);
    let (refused, ()) = tokio::join!(engine.generate(question(large)), refuse);
    assert_eq!(refused.err(), Some(GenerateError::InvalidRequest("too long".into())));
    assert!(engine.idle.take().is_none(), "half a request is still to be sent there");
}

#[tokio::test(start_paused = true)]
async fn a_key_refused_while_a_large_request_is_sent_is_a_key_refused() {
    let (engine, mut daemons) = engine(1, 1 << 10);
    let daemon = daemons.remove(0);
    let large = "x".repeat(1 << 20);
    let (refused, ()) = tokio::join!(engine.generate(question(large)), async { drop(daemon) });
    assert_eq!(refused.err(), Some(GenerateError::RefusedCredentials));
}

#[tokio::test(start_paused = true)]
async fn the_queue_over_there_is_part_of_the_time_to_the_first_token() {
    let (engine, mut daemons) = engine(1, 1 << 16);
    let began = Instant::now();
    let speak = async {
        daemons[0].hears().await;
        loop {
            daemons[0].says(STATUS).await;
            sleep(Duration::from_secs(1)).await;
        }
    };
    tokio::select! {
        events = events(&engine) => assert_eq!(events, [failed("no token within 120 s")]),
        () = speak => {}
    }
    assert_eq!(began.elapsed().as_secs(), 120);
}

#[tokio::test(start_paused = true)]
async fn after_the_first_token_a_daemon_that_says_it_is_there_is_waited_for() {
    let (engine, mut daemons) = engine(1, 1 << 16);
    let speak = async {
        daemons[0].hears().await;
        daemons[0].says(&[HELLO_BACK, TOKEN].concat()).await;
        for _ in 0..10 {
            sleep(Duration::from_secs(59)).await;
            daemons[0].says(STATUS).await;
        }
        daemons[0].says(DONE).await;
    };
    let (events, ()) = tokio::join!(events(&engine), speak);
    assert_eq!(events, whole());
}

#[tokio::test(start_paused = true)]
async fn after_the_first_token_silence_has_its_limit() {
    let (engine, mut daemons) = engine(1, 1 << 16);
    let began = Instant::now();
    let speak = async {
        daemons[0].hears().await;
        daemons[0].says(&[HELLO_BACK, TOKEN].concat()).await;
    };
    let (events, ()) = tokio::join!(events(&engine), speak);
    assert_eq!(events, [whole()[0].clone(), failed("nothing more for 60 s")]);
    assert_eq!(began.elapsed().as_secs(), 60);
    assert_eq!(daemons[0].hears().await, "", "the connection is closed");
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_never_ends_has_an_end_in_total() {
    let (mut engine, mut daemons) = engine(1, 1 << 16);
    engine.timeouts.total = Some(Duration::from_secs(300));
    let speak = async {
        daemons[0].hears().await;
        loop {
            daemons[0].says(TOKEN).await;
            sleep(Duration::from_secs(1)).await;
        }
    };
    tokio::select! {
        events = events(&engine) => {
            assert!(events.len() >= 300, "{}", events.len());
            assert_eq!(events.last(), Some(&failed("not done within 300 s")));
        }
        () = speak => {}
    }
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_was_idle_for_too_long_is_not_used_again() {
    let (engine, mut daemons) = engine(2, 1 << 16);
    for (turn, daemon) in daemons.iter_mut().enumerate() {
        let speak = async {
            let asked = daemon.hears().await;
            assert!(asked.contains(&format!("\"id\":\"{turn}\"")), "{asked}");
            let named = |line: &str| line.replace("\"0\"", &format!("\"{turn}\""));
            daemon.says(&[HELLO_BACK, &named(TOKEN), &named(DONE)].concat()).await;
        };
        let (events, ()) = tokio::join!(events(&engine), speak);
        assert_eq!(events, whole());
        advance(Duration::from_secs(91)).await;
    }
}

#[tokio::test(start_paused = true)]
async fn what_comes_after_the_end_spoils_the_connection_and_not_the_answer() {
    for (at_once, later) in [(DONE, ""), (TOKEN, ""), ("{\"ty", ""), ("", DONE), ("", HELLO_BACK)] {
        let (engine, mut daemons) = engine(1, 1 << 16);
        let speak = async {
            daemons[0].hears().await;
            daemons[0].says(&[HELLO_BACK, TOKEN, DONE, at_once].concat()).await;
        };
        let (events, ()) = tokio::join!(events(&engine), speak);
        assert_eq!(events, whole());
        daemons[0].says(later).await;
        assert!(engine.idle.take().is_none(), "{at_once}{later}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_connection_whose_hello_is_still_unanswered_is_not_used_again() {
    let (engine, mut daemons) = engine(1, 1 << 16);
    let speak = async {
        daemons[0].hears().await;
        daemons[0].says(&[TOKEN, DONE].concat()).await;
    };
    let (events, ()) = tokio::join!(events(&engine), speak);
    assert_eq!(events, whole());
    assert!(engine.idle.take().is_none());
}

#[tokio::test(start_paused = true)]
async fn a_reader_that_stops_stops_the_daemon() {
    let (engine, mut daemons) = engine(1, 1 << 10);
    let mut daemon = daemons.remove(0);
    let speak = async {
        daemon.hears().await;
        let mut said = 0;
        while tokio::time::timeout(Duration::from_secs(1), daemon.says(TOKEN)).await.is_ok() {
            said += TOKEN.len();
        }
        said
    };
    let read_one = async {
        let mut stream = engine.generate(question("why?")).await.unwrap();
        assert_eq!(stream.next().await, Some(whole()[0].clone()));
        stream
    };
    let (said, _stream) = tokio::join!(speak, read_one);
    assert!(said < 32 * 1024, "{said} bytes were taken for a reader that reads nothing");
}
