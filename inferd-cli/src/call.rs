//! `call`: a tool's name and arguments in, its result out.

use std::io::{self, Read, Write};

use inferd_proto::{CallRequest, Called, ErrorCode, MAX_FRAME_BYTES};
use serde_json::{Map, Value};

use crate::args::{CallArgs, Reach};
use crate::client::ClientError;
use crate::exit::Exit;
use crate::feature::{self, Feature};
use crate::screen::{Output, Screen};
use crate::turn::interrupt;
use crate::waiting::Waiting;
use crate::words;

/// Calls, prints, and says how it went.
pub(crate) async fn run(args: CallArgs, reach: &Reach) -> anyhow::Result<Exit> {
    let CallArgs { tool, arguments, json, deadline_ms } = args;
    let arguments = match read(&arguments)? {
        Ok(arguments) => arguments,
        Err(error) => {
            eprintln!("inferd-cli: the arguments are no JSON object: {error}");
            return Ok(Exit::Usage);
        }
    };
    let link = match feature::open(reach, None, &[Feature::Servers]).await {
        Ok(link) => link,
        Err(exit) => return Ok(exit),
    };
    let waiting = Waiting::new();
    let progress = waiting.is_seen().then_some(true);
    let request = CallRequest { id: String::new(), tool, arguments, progress, deadline_ms };
    let exit = tokio::select! {
        // In this order, so that Ctrl-C is listened for before the request is sent.
        biased;
        () = interrupt() => Ok(Exit::Interrupted),
        called = link.call(request, |status| waiting.show(status)) => {
            waiting.clear();
            report(called, json)
        }
    };
    drop(waiting);
    link.close().await;
    exit
}

/// The arguments as typed, or from standard input.
fn read(typed: &str) -> anyhow::Result<Result<Map<String, Value>, serde_json::Error>> {
    if typed != "-" {
        return Ok(serde_json::from_str(typed));
    }
    let mut given = Vec::new();
    // One byte past what any daemon takes: then the client says that it is too large.
    io::stdin().lock().take(MAX_FRAME_BYTES as u64 + 1).read_to_end(&mut given)?;
    Ok(serde_json::from_slice(&given))
}

fn report(called: Result<Called, ClientError>, json: bool) -> anyhow::Result<Exit> {
    let called = match called {
        Ok(called) => called,
        Err(error) => {
            eprintln!("inferd-cli: {}", failure(&error));
            return Ok((&error).into());
        }
    };
    let exit = if called.is_error { Exit::Failed } else { Exit::Ok };
    if called.is_error && !json {
        eprintln!("inferd-cli: {} failed: {}", words::line(&called.tool), words::line(text(&called).trim()));
        return Ok(exit);
    }
    match print(&called, json) {
        // A reader that has seen enough, such as `head`, is no fault.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(exit),
        printed => Ok(printed.map(|()| exit)?),
    }
}

fn print(called: &Called, json: bool) -> io::Result<()> {
    if json {
        let mut out = io::stdout().lock();
        serde_json::to_writer(&mut out, called)?;
        return writeln!(out);
    }
    let mut screen = Screen::new(io::stdout(), Output::of_stdout());
    screen.token(&text(called), None)?;
    screen.end()
}

/// Why there is no result. What is unavailable is the tool's server here, not a model.
fn failure(error: &ClientError) -> String {
    match error {
        ClientError::Refused(refused) if refused.code == ErrorCode::BackendUnavailable => {
            format!("the tool cannot be called: {}", refused.message)
        }
        error => words::failure(error),
    }
}

/// A result for people: its blocks, a line or more each; where it has none, what it is in its own shape.
fn text(Called { content, structured, .. }: &Called) -> String {
    match structured {
        Some(structured) if content.is_empty() => format!("{structured:#}"),
        _ => content.iter().map(block).collect::<Vec<_>>().join("\n"),
    }
}

/// A content block of the Model Context Protocol; what is no text is named.
fn block(block: &Value) -> String {
    let text = |value: &Value, field: &str| value[field].as_str().map(str::to_owned);
    let shown = match block["type"].as_str() {
        Some("text") => text(block, "text"),
        Some(kind @ ("image" | "audio")) => text(block, "data").map(|data| {
            let mime = block["mimeType"].as_str().unwrap_or(kind);
            format!("[{mime}, {} bytes]", data.trim_end_matches('=').len() * 3 / 4)
        }),
        Some("resource") => text(&block["resource"], "text").or_else(|| text(&block["resource"], "uri")),
        Some("resource_link") => text(block, "uri"),
        _ => None,
    };
    shown.unwrap_or_else(|| block.to_string())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_is_no_text_is_named() {
        let called = |content: Value, structured: Option<Value>| Called {
            id: "c".into(),
            tool: "a::b".into(),
            content: content.as_array().unwrap().clone(),
            structured,
            is_error: false,
        };
        let blocks = json!([
            {"type": "text", "text": "two\nlines"},
            {"type": "image", "data": "aGk=", "mimeType": "image/png"},
            {"type": "audio", "data": "aGkh"},
            {"type": "resource", "resource": {"uri": "file:///a", "text": "inside"}},
            {"type": "resource", "resource": {"uri": "file:///b", "blob": "aGk="}},
            {"type": "resource_link", "uri": "file:///c", "name": "c"},
            {"type": "later", "x": 1},
        ]);
        insta::assert_snapshot!(text(&called(blocks, Some(json!({"left": "out"})))), @r#"
        two
        lines
        [image/png, 2 bytes]
        [audio, 3 bytes]
        inside
        file:///b
        file:///c
        {"type":"later","x":1}
        "#);
        insta::assert_snapshot!(text(&called(json!([]), Some(json!({"n": 1})))), @r#"
        {
          "n": 1
        }
        "#);
    }
}
