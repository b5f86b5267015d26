//! An upstream server for tests: the Model Context Protocol on standard input and output, tools that leave a note of each
//! call.
//!
//! `tool-server NAME DIRECTORY`: a call of a tool adds a line to the file NAME in the directory.
//! - `note`: returns NAME and its arguments.
//! - `meet`: returns when so many servers as `with` says have noted a call: only calls that run at once ever return.
//! - `hang`: never returns.

use std::fs::OpenOptions;
use std::io::{BufRead, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use serde_json::{Value, json};

/// Between two looks at who has come.
const LOOK_EVERY: Duration = Duration::from_millis(2);

/// Who it is, and where its notes are.
struct Server {
    name: String,
    notes: PathBuf,
}

fn main() -> Result<()> {
    let mut arguments = std::env::args().skip(1);
    let name = arguments.next().context("expected a name")?;
    let notes = PathBuf::from(arguments.next().context("expected a directory")?);
    std::fs::write(notes.join(format!("{name}.pid")), format!("{}\n", std::process::id()))?;
    let server = Arc::new(Server { name, notes });
    for line in std::io::stdin().lock().lines() {
        let message: Value = serde_json::from_str(&line?)?;
        let Some(id) = message.get("id").cloned() else { continue };
        let server = Arc::clone(&server);
        // A call may wait for others.
        std::thread::spawn(move || {
            let answer = match server.answer(&message) {
                Ok(result) => json!({ "jsonrpc": "2.0", "id": id, "result": result }),
                Err(error) => {
                    let error = json!({ "code": -32603, "message": error.to_string() });
                    json!({ "jsonrpc": "2.0", "id": id, "error": error })
                }
            };
            // Whoever does not read any more has no use for it.
            writeln!(std::io::stdout().lock(), "{answer}").ok();
        });
    }
    Ok(())
}

impl Server {
    fn answer(&self, message: &Value) -> Result<Value> {
        let params = &message["params"];
        Ok(match message["method"].as_str() {
            Some("initialize") => json!({
                "protocolVersion": params["protocolVersion"],
                "serverInfo": { "name": self.name, "version": "1" },
                "capabilities": { "tools": {} },
            }),
            Some("tools/list") => {
                let tools = ["hang", "meet", "note"];
                let tool = |name| json!({ "name": name, "description": format!("Can {name}."), "inputSchema": { "type": "object" } });
                json!({ "tools": tools.map(tool) })
            }
            Some("tools/call") => {
                self.call(params["name"].as_str().unwrap_or_default(), &params["arguments"])?
            }
            _ => json!({}),
        })
    }

    fn call(&self, tool: &str, arguments: &Value) -> Result<Value> {
        let mut file = OpenOptions::new().create(true).append(true).open(self.notes.join(&self.name))?;
        writeln!(file, "{tool} {arguments}")?;
        match tool {
            "meet" => {
                while visited(&self.notes)? < arguments["with"].as_u64().unwrap_or(1) {
                    std::thread::sleep(LOOK_EVERY);
                }
            }
            "hang" => loop {
                std::thread::park();
            },
            _ => {}
        }
        let text = format!("{} {arguments}", self.name);
        Ok(json!({ "content": [{ "type": "text", "text": text }] }))
    }
}

/// How many servers have noted a call.
fn visited(notes: &Path) -> Result<u64> {
    let mut visited = 0;
    for entry in std::fs::read_dir(notes)? {
        visited += u64::from(entry?.path().extension().is_none());
    }
    Ok(visited)
}
