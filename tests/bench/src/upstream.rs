//! A model server that is as fast as it can be: one thread a connection, one answer prepared beforehand.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::thread;

use anyhow::Result;
use clap::Args;

/// What it answers.
#[derive(Args)]
pub struct Arguments {
    #[arg(long)]
    address: String,
    #[arg(long)]
    tokens: usize,
    #[arg(long)]
    events_per_chunk: usize,
}

/// Serves until it is killed.
pub fn serve(arguments: &Arguments) -> Result<()> {
    let answer = streamed(arguments.tokens, arguments.events_per_chunk);
    let answer: &'static [u8] = answer.leak();
    for stream in TcpListener::bind(&arguments.address)?.incoming() {
        let stream = stream?;
        thread::spawn(move || converse(&stream, answer));
    }
    Ok(())
}

/// Answers a connection's requests until its peer leaves; that it left is no error.
fn converse(stream: &TcpStream, answer: &[u8]) -> Option<()> {
    stream.set_nodelay(true).ok()?;
    let mut reader = BufReader::new(stream);
    let mut writer = stream;
    let (mut line, mut body) = (String::new(), Vec::new());
    loop {
        let mut length = 0;
        loop {
            line.clear();
            if reader.read_line(&mut line).ok()? == 0 {
                return None;
            }
            match line.split_once(':') {
                Some((name, value)) if name.eq_ignore_ascii_case("content-length") => {
                    length = value.trim().parse().ok()?;
                }
                _ if line == "\r\n" => break,
                _ => {}
            }
        }
        body.resize(length, 0);
        reader.read_exact(&mut body).ok()?;
        writer.write_all(answer).ok()?;
    }
}

fn streamed(tokens: usize, events_per_chunk: usize) -> Vec<u8> {
    let event = |delta: &str, finish: &str| {
        format!(
            concat!(
                r#"data: {{"id":"chatcmpl-1","object":"chat.completion.chunk","created":1,"model":"m","#,
                r#""choices":[{{"index":0,"delta":{},"finish_reason":{}}}]}}"#,
                "\n\n"
            ),
            delta, finish
        )
    };
    let mut events = vec![event(r#"{"content":"word "}"#, "null"); tokens];
    events.push(event("{}", r#""stop""#));
    events.push("data: [DONE]\n\n".to_owned());

    let head = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n";
    let chunks = events.chunks(events_per_chunk).map(<[String]>::concat);
    let chunks: Vec<_> = chunks.map(|chunk| format!("{:x}\r\n{chunk}\r\n", chunk.len())).collect();
    format!("{head}{}0\r\n\r\n", chunks.concat()).into_bytes()
}
