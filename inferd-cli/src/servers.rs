//! `servers`: whose tools there are, and whether they answer.

use std::fmt::Write as _;
use std::io::{self, Write};

use inferd_proto::{ServerInfo, Servers};

use crate::args::{Reach, ServersArgs};
use crate::exit::Exit;
use crate::feature::{self, Feature};
use crate::table;
use crate::words;

/// Prints the servers of the daemon.
pub(crate) async fn run(args: &ServersArgs, reach: &Reach) -> anyhow::Result<Exit> {
    let link = match feature::open(reach, None, &[Feature::Servers]).await {
        Ok(link) => link,
        Err(exit) => return Ok(exit),
    };
    let servers = link.servers().await;
    link.close().await;
    let servers = match servers {
        Ok(servers) => servers,
        Err(error) => {
            eprintln!("inferd-cli: {}", words::failure(&error));
            return Ok((&error).into());
        }
    };
    let text = if args.json { serde_json::to_string(&servers)? + "\n" } else { page(&servers) };
    match io::stdout().write_all(text.as_bytes()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(error.into()),
        Ok(()) | Err(_) => Ok(Exit::Ok),
    }
}

fn page(Servers { servers, rooms, .. }: &Servers) -> String {
    let mut page =
        table::of(["SERVER", "KIND", "STATE", "LATENCY", "TOOLS", "ERROR"], servers.iter().map(row));
    if !rooms.is_empty() {
        let rooms: Vec<_> = rooms.iter().map(|room| words::line(room)).collect();
        writeln!(page, "\nrooms: {}", rooms.join(", ")).expect("a String takes every text");
    }
    page
}

fn row(info: &ServerInfo) -> [String; 6] {
    let ServerInfo { server, kind, state, tools, latency_ms, error } = info;
    let latency = latency_ms.map(|ms| format!("{ms} ms")).unwrap_or_default();
    let error = error.as_deref().map(words::line).unwrap_or_default();
    [words::line(server), words::line(kind), state.as_str().to_owned(), latency, tools.to_string(), error]
}
