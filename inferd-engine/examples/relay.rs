//! What relaying a token costs in the engines that speak HTTP: `cargo run --release --example relay -- [tokens] [answers]`.
//!
//! A scripted server on another thread sends the same answer in three ways, by each protocol; the time printed is this
//! thread's own.

use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;
use inferd_engine::RemoteConfig;
use inferd_engine::anthropic::Anthropic;
use inferd_engine::ollama::Ollama;
use inferd_engine::openai::OpenAi;
use inferd_engine::testing::contract::question;
use inferd_engine::testing::upstream::{Reply, Upstream};
use inferd_engine::{Backend, TokenEvent};
use tokio::runtime::Builder;
use tokio::time::Instant;

const WRITE_BYTES: usize = 16 * 1024;

const WORDS: [&str; 10] =
    ["Hello", " world", ",", " this", " is", " a", " longer", " answer", "\\n\\n", " é"];

/// An engine, and how its servers write an answer of so many tokens.
struct Wire {
    name: &'static str,
    engine: fn(RemoteConfig) -> Arc<dyn Backend>,
    content_type: &'static str,
    pieces: fn(usize) -> Vec<String>,
}

const WIRES: [Wire; 3] = [
    Wire {
        name: "openai",
        engine: |config| Arc::new(OpenAi::new(config).expect("a good configuration")),
        content_type: "text/event-stream",
        pieces: openai_events,
    },
    Wire {
        name: "anthropic",
        engine: |config| Arc::new(Anthropic::new(config).expect("a good configuration")),
        content_type: "text/event-stream",
        pieces: anthropic_events,
    },
    Wire {
        name: "ollama",
        engine: |config| Arc::new(Ollama::new(config.into()).expect("a good configuration")),
        content_type: "application/x-ndjson",
        pieces: ollama_lines,
    },
];

fn main() {
    let mut args = std::env::args().skip(1).map(|arg| arg.parse().expect("a number"));
    let tokens: usize = args.next().unwrap_or(1000);
    let answers: usize = args.next().unwrap_or(1000);
    println!("{tokens} tokens an answer, {answers} answers, one after another");
    for wire in &WIRES {
        let head = || Reply::status(200).header("content-type", wire.content_type);
        let pieces = (wire.pieces)(tokens);
        let in_chunks = pieces.iter().fold(head(), |reply, piece| reply.text(piece));
        let many = in_chunks.clone().in_writes_of(WRITE_BYTES);
        measure(wire, "many events a chunk", tokens, answers, many);
        measure(wire, "a chunk an event, many a write", tokens, answers, in_large_writes(head(), &pieces));
        measure(wire, "a write an event", tokens, answers, in_chunks);
    }
}

fn openai_events(tokens: usize) -> Vec<String> {
    let event = |delta: &str, finish: &str| {
        format!(
            "data: {{\"id\":\"chatcmpl-9a8b7c6d5e4f\",\"object\":\"chat.completion.chunk\",\"created\":1763000000,\
             \"model\":\"gpt-x\",\"system_fingerprint\":\"fp_1\",\"choices\":[{{\"index\":0,\"delta\":{delta},\
             \"logprobs\":null,\"finish_reason\":{finish}}}]}}\n\n"
        )
    };
    let token = |at: usize| event(&format!(r#"{{"content":"{}"}}"#, WORDS[at % WORDS.len()]), "null");
    (0..tokens).map(token).chain([event("{}", "\"stop\""), "data: [DONE]\n\n".to_owned()]).collect()
}

fn anthropic_events(tokens: usize) -> Vec<String> {
    let event = |name: &str, rest: &str| format!("event: {name}\ndata: {{\"type\":\"{name}\",{rest}}}\n\n");
    let token = |at: usize| {
        let text = WORDS[at % WORDS.len()];
        let delta = format!(r#""index":0,"delta":{{"type":"text_delta","text":"{text}"}}"#);
        event("content_block_delta", &delta)
    };
    let start = r#""message":{"id":"msg_01","type":"message","model":"x","usage":{"input_tokens":7}}"#;
    let end = r#""delta":{"stop_reason":"end_turn"},"usage":{"output_tokens":7}"#;
    let last = "event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n".to_owned();
    [event("message_start", start)]
        .into_iter()
        .chain((0..tokens).map(token))
        .chain([event("message_delta", end), last])
        .collect()
}

fn ollama_lines(tokens: usize) -> Vec<String> {
    let line = |at: usize, text: &str, done: &str| {
        let second = at / 50 % 60;
        let micros = at * 20_011 % 1_000_000;
        format!(
            "{{\"model\":\"llama3.1:8b\",\"created_at\":\"2025-11-13T09:26:{second:02}.{micros:06}Z\",\
             \"message\":{{\"role\":\"assistant\",\"content\":\"{text}\"}},\"done\":{done}}}\n"
        )
    };
    let token = |at: usize| line(at, WORDS[at % WORDS.len()], "false");
    (0..tokens)
        .map(token)
        .chain([line(tokens, "", "true,\"done_reason\":\"stop\",\"eval_count\":7")])
        .collect()
}

fn in_large_writes(head: Reply, pieces: &[String]) -> Reply {
    let chunks = pieces.iter().map(|piece| format!("{:x}\r\n{piece}\r\n", piece.len()));
    chunks
        .chain(["0\r\n\r\n".to_owned()])
        .fold(head.header("transfer-encoding", "chunked").framed(), |reply, chunk| reply.text(&chunk))
        .in_writes_of(WRITE_BYTES)
}

fn measure(wire: &Wire, name: &str, tokens: usize, answers: usize, reply: Reply) {
    let server = Builder::new_multi_thread().worker_threads(1).enable_all().build().expect("a runtime");
    let upstream = server.block_on(Upstream::start([reply]));
    let mut config = RemoteConfig::new("relay", upstream.url());
    config.models = vec!["m".into()];
    let engine = (wire.engine)(config);
    let runtime = Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        assert_eq!(relay(&*engine, tokens).await, tokens, "{} {name}", wire.name);
        let (start, cpu) = (Instant::now(), cpu_time());
        for _ in 0..answers {
            relay(&*engine, tokens).await;
        }
        let (wall, cpu) = (start.elapsed(), cpu_time().saturating_sub(cpu));
        let all = u128::try_from(tokens * answers).expect("not so many");
        println!(
            "{} {name:32} {:7} ns cpu a token {:9} tokens/s, {} connections",
            wire.name,
            cpu.as_nanos() / all,
            all * 1_000_000_000 / wall.as_nanos(),
            upstream.counts().accepted,
        );
    });
}

async fn relay(engine: &dyn Backend, expected: usize) -> usize {
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
