//! What relaying a token costs in the OpenAI engine: `cargo run --release --example relay -- [tokens] [answers]`.
//!
//! A scripted server on another thread sends the same answer in three ways; the time printed is this thread's own.

use std::time::Duration;

use futures_util::StreamExt;
use inferd_engine::RemoteConfig;
use inferd_engine::openai::OpenAi;
use inferd_engine::testing::contract::question;
use inferd_engine::testing::upstream::{Reply, Upstream};
use inferd_engine::{Backend, TokenEvent};
use tokio::runtime::Builder;
use tokio::time::Instant;

const WRITE_BYTES: usize = 16 * 1024;

fn main() {
    let mut args = std::env::args().skip(1).map(|arg| arg.parse().expect("a number"));
    let tokens: usize = args.next().unwrap_or(1000);
    let answers: usize = args.next().unwrap_or(1000);
    println!("{tokens} tokens an answer, {answers} answers, one after another");
    measure("many events a chunk", tokens, answers, Reply::events(events(tokens)).in_writes_of(WRITE_BYTES));
    measure("a chunk an event, many a write", tokens, answers, chunked_in_large_writes(tokens));
    measure("a write an event", tokens, answers, Reply::events(events(tokens)));
}

/// The answer as OpenAI's servers write it.
fn events(tokens: usize) -> Vec<String> {
    let event = |delta: &str, finish: &str| {
        format!(
            r#"{{"id":"chatcmpl-9a8b7c6d5e4f","object":"chat.completion.chunk","created":1763000000,"model":"gpt-x","system_fingerprint":"fp_1","choices":[{{"index":0,"delta":{delta},"logprobs":null,"finish_reason":{finish}}}]}}"#
        )
    };
    let words = ["Hello", " world", ",", " this", " is", " a", " longer", " answer", "\\n\\n", " é"];
    let token = |at: usize| event(&format!(r#"{{"content":"{}"}}"#, words[at % words.len()]), "null");
    (0..tokens).map(token).chain([event("{}", "\"stop\""), "[DONE]".to_owned()]).collect()
}

fn chunked_in_large_writes(tokens: usize) -> Reply {
    let reply = Reply::status(200).header("content-type", "text/event-stream");
    let chunks = events(tokens).into_iter().map(|event| {
        let event = format!("data: {event}\n\n");
        format!("{:x}\r\n{event}\r\n", event.len())
    });
    chunks
        .chain(["0\r\n\r\n".to_owned()])
        .fold(reply.header("transfer-encoding", "chunked").framed(), |reply, chunk| reply.text(&chunk))
        .in_writes_of(WRITE_BYTES)
}

fn measure(name: &str, tokens: usize, answers: usize, reply: Reply) {
    let server = Builder::new_multi_thread().worker_threads(1).enable_all().build().expect("a runtime");
    let upstream = server.block_on(Upstream::start([reply]));
    let mut config = RemoteConfig::new("relay", upstream.url());
    config.models = vec!["m".into()];
    let engine = OpenAi::new(config).expect("a good configuration");
    let runtime = Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        assert_eq!(relay(&engine, tokens).await, tokens, "{name}");
        let (start, cpu) = (Instant::now(), cpu_time());
        for _ in 0..answers {
            relay(&engine, tokens).await;
        }
        let (wall, cpu) = (start.elapsed(), cpu_time().saturating_sub(cpu));
        let all = u128::try_from(tokens * answers).expect("not so many");
        println!(
            "{name:32} {:7} ns cpu a token {:9} tokens/s, {} connections",
            cpu.as_nanos() / all,
            all * 1_000_000_000 / wall.as_nanos(),
            upstream.counts().accepted,
        );
    });
}

async fn relay(engine: &OpenAi, expected: usize) -> usize {
    let mut stream = engine.generate(question(true)).await.expect("an answer begins");
    let mut tokens = 0;
    while let Some(event) = stream.next().await {
        match event {
            TokenEvent::Token(token) => tokens += usize::from(!token.is_empty()),
            TokenEvent::Done { .. } => break,
            other => panic!("{other:?} after {tokens} of {expected}"),
        }
    }
    tokens
}

/// Time this thread has run, where the system tells.
fn cpu_time() -> Duration {
    let stat = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    let nanoseconds = stat.split_whitespace().next().and_then(|first| first.parse().ok()).unwrap_or(0);
    Duration::from_nanos(nanoseconds)
}
