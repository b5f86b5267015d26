//! `tools`: what the servers can be asked to do.

use std::io::{self, IsTerminal, Write};

use inferd_proto::{ServerTool, Tools};

use crate::args::{Reach, ToolsArgs};
use crate::exit::Exit;
use crate::feature::{self, Feature};
use crate::table;
use crate::words;

/// How much of a description a terminal is shown, in characters.
const SHOWN_CHARS_MAX: usize = 72;

/// Prints the tools, and who should have some and does not answer.
pub(crate) async fn run(args: &ToolsArgs, reach: &Reach) -> anyhow::Result<Exit> {
    let link = match feature::open(reach, None, &[Feature::Servers]).await {
        Ok(link) => link,
        Err(exit) => return Ok(exit),
    };
    let tools = link.tools(args.server.as_deref()).await;
    link.close().await;
    let tools = match tools {
        Ok(tools) => tools,
        Err(error) => {
            eprintln!("inferd-cli: {}", words::failure(&error));
            return Ok((&error).into());
        }
    };
    for warning in &tools.warnings {
        eprintln!("inferd-cli: {}: {}", words::line(&warning.server), words::line(&warning.message));
    }
    let text = if args.json {
        serde_json::to_string(&tools)? + "\n"
    } else {
        let chars_max = if io::stdout().is_terminal() { SHOWN_CHARS_MAX } else { usize::MAX };
        list(&tools, chars_max)
    };
    match io::stdout().write_all(text.as_bytes()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(error.into()),
        Ok(()) | Err(_) => Ok(Exit::Ok),
    }
}

fn list(Tools { tools, .. }: &Tools, chars_max: usize) -> String {
    table::of(["TOOL", "DESCRIPTION"], tools.iter().map(|tool| row(tool, chars_max)))
}

/// A tool and the first line of what it says of itself.
fn row(ServerTool { name, description, stale, .. }: &ServerTool, chars_max: usize) -> [String; 2] {
    let said = description.as_deref().unwrap_or_default().trim();
    let first = words::line(said.lines().next().unwrap_or_default());
    let mut shown = if *stale { format!("(stale) {first}") } else { first };
    if let Some((end, _)) = shown.char_indices().nth(chars_max) {
        shown.truncate(end);
        shown.push('…');
    }
    [words::line(name), shown]
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    #[test]
    fn a_long_description_is_cut_for_a_terminal_on_a_character() {
        let tool = ServerTool {
            name: "a::b".into(),
            server: "a".into(),
            description: Some("é".repeat(10)),
            input_schema: Value::Null,
            stale: true,
        };
        assert_eq!(row(&tool, 10)[1], "(stale) éé…");
        assert_eq!(row(&tool, 18)[1], format!("(stale) {}", "é".repeat(10)));
    }
}
