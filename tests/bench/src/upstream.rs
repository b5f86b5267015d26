//! A model server that is as fast as it can be: one thread a connection, one answer prepared beforehand.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::Command;
use std::thread;

use anyhow::Result;
use clap::Args;

use crate::process::{Address, Process, free_address};

/// A running one.
pub struct Upstream {
    pub address: SocketAddr,
    _process: Process,
}

impl Upstream {
    pub fn start(tokens: usize, events_per_chunk: usize) -> Result<Self> {
        let address = free_address()?;
        let mut command = Command::new(std::env::current_exe()?);
        command.args(["upstream", "--address", &address.to_string(), "--tokens", &tokens.to_string()]);
        command.args(["--events-per-chunk", &events_per_chunk.to_string()]);
        let process = Process::spawn(&mut command, &Address::Tcp(address))?;
        Ok(Self { address, _process: process })
    }

    pub fn base_url(&self) -> String {
        format!("http://{}", self.address)
    }
}

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
    // Two words in turn: LiteLLM takes the same one a hundred times over for a model that is stuck, and gives up.
    let words = [r#"{"content":"word "}"#, r#"{"content":"term "}"#].map(|delta| event(delta, "null"));
    let mut events: Vec<_> = words.into_iter().cycle().take(tokens).collect();
    events.push(event("{}", r#""stop""#));
    events.push("data: [DONE]\n\n".to_owned());

    let head = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n";
    let chunks = events.chunks(events_per_chunk).map(<[String]>::concat);
    let chunks: Vec<_> = chunks.map(|chunk| format!("{:x}\r\n{chunk}\r\n", chunk.len())).collect();
    format!("{head}{}0\r\n\r\n", chunks.concat()).into_bytes()
}
