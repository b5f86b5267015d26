//! `embed`: texts in, a vector a line out.
//!
//! Invariant: the vectors come in the order of the texts; where one part fails, those before it were printed.

use std::io::{self, BufWriter, IsTerminal, Write};

use inferd_proto::{EmbedRequest, Embeddings, TEXTS_MAX};

use crate::args::{EmbedArgs, Reach};
use crate::client::ClientError;
use crate::exit::Exit;
use crate::link::Link;
use crate::turn::interrupt;
use crate::words;

/// Embeds, prints, and says how it went.
pub(crate) async fn run(args: EmbedArgs, reach: &Reach) -> anyhow::Result<Exit> {
    let EmbedArgs { texts, model, dimensions, json } = args;
    let texts = if texts.is_empty() { lines()? } else { texts };
    if texts.is_empty() {
        eprintln!("inferd-cli: nothing to embed: give texts as arguments or lines on standard input");
        return Ok(Exit::Usage);
    }
    if let Some(at) = texts.iter().position(String::is_empty) {
        eprintln!("inferd-cli: text {} is empty", at + 1);
        return Ok(Exit::Usage);
    }
    let link = match Link::open(reach, model.as_deref(), false).await {
        Ok(link) => link,
        Err(error) => {
            eprintln!("inferd-cli: {}", words::chain(&error));
            return Ok(error.exit());
        }
    };
    let mut exit = Ok(Exit::Ok);
    // More than a daemon takes at once are sent in parts.
    for part in texts.chunks(TEXTS_MAX) {
        let request = EmbedRequest {
            input: part.to_vec(),
            model: model.clone(),
            dimensions,
            ..EmbedRequest::default()
        };
        exit = tokio::select! {
            // In this order, so that Ctrl-C is listened for before the request is sent.
            biased;
            () = interrupt() => Ok(Exit::Interrupted),
            embedded = link.embed(request) => report(embedded, json),
        };
        if !matches!(exit, Ok(Exit::Ok)) {
            break;
        }
    }
    link.close().await;
    exit
}

/// The lines of standard input, unless somebody would have to type them.
fn lines() -> anyhow::Result<Vec<String>> {
    let stdin = io::stdin();
    if stdin.is_terminal() {
        return Ok(Vec::new());
    }
    let lines: io::Result<_> = stdin.lines().collect();
    lines.map_err(|error| match error.kind() {
        io::ErrorKind::InvalidData => anyhow::anyhow!("standard input is not UTF-8 text"),
        _ => error.into(),
    })
}

fn report(embedded: Result<Embeddings, ClientError>, json: bool) -> anyhow::Result<Exit> {
    let embeddings = match embedded {
        Ok(embeddings) => embeddings,
        Err(error) => {
            eprintln!("inferd-cli: {}", words::failure(&error));
            return Ok((&error).into());
        }
    };
    match print(&embeddings, json) {
        // A reader that has seen enough, such as `head`, is no fault.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(Exit::Ok),
        printed => Ok(printed.map(|()| Exit::Ok)?),
    }
}

fn print(embeddings: &Embeddings, json: bool) -> io::Result<()> {
    let mut out = BufWriter::new(io::stdout().lock());
    if json {
        serde_json::to_writer(&mut out, embeddings)?;
        writeln!(out)?;
    } else {
        for vector in &embeddings.embeddings {
            serde_json::to_writer(&mut out, vector)?;
            writeln!(out)?;
        }
    }
    out.flush()
}
