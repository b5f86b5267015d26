//! `models`: what there is to be asked.

use std::io::{self, Write};

use inferd_proto::{Hello, Model};

use crate::args::{ModelsArgs, Reach};
use crate::exit::Exit;
use crate::link::Link;
use crate::table;
use crate::words;

/// Prints the models of the daemon.
pub(crate) async fn run(args: &ModelsArgs, reach: &Reach) -> anyhow::Result<Exit> {
    let link = match Link::open(reach, None, false).await {
        Ok(link) => link,
        Err(error) => {
            eprintln!("inferd-cli: {}", words::chain(&error));
            return Ok(error.exit());
        }
    };
    let hello = link.hello().await;
    link.close().await;
    let hello = match hello {
        Ok(hello) => hello,
        Err(error) => {
            eprintln!("inferd-cli: {}", words::failure(&error));
            return Ok((&error).into());
        }
    };
    let text = if args.json { serde_json::to_string(&hello)? + "\n" } else { list(&hello) };
    match io::stdout().write_all(text.as_bytes()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(error.into()),
        Ok(()) | Err(_) => Ok(Exit::Ok),
    }
}

fn list(hello: &Hello) -> String {
    table::of(["NAME", "BACKEND", "KIND", "READY"], hello.models.iter().map(row))
}

fn row(model: &Model) -> [String; 4] {
    let Model { name, backend, kind, ready } = model;
    [name.clone(), backend.clone(), kind.clone(), if *ready { "yes" } else { "no" }.to_owned()]
}
