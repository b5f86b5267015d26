//! Whose tools there are, and what they are.

use serde_json::{Value, json};

use crate::scripted::{Daemon, ended};

fn servers(id: &Value) -> Value {
    json!({
        "type": "servers", "id": id,
        "servers": [
            {"server": "files", "kind": "stdio", "state": "live", "tools": 11, "latency_ms": 4},
            {"server": "gpu-box", "kind": "inferd", "state": "connecting", "tools": 0},
            {"server": "prod", "kind": "http", "state": "down", "tools": 3, "latency_ms": 120,
             "error": "connection\n\u{1b}[31mrefused"},
        ],
        "rooms": ["r1", "r2"],
    })
}

fn tools(id: &Value) -> Value {
    json!({
        "type": "tools", "id": id,
        "tools": [
            {"name": "files::read_file", "server": "files", "description": "Reads a file.\nAny file.",
             "input_schema": {"type": "object"}},
            {"name": "prod::deploy", "server": "prod", "input_schema": {}, "description": "Deploys", "stale": true},
            {"name": "prod::\u{1b}[2J", "server": "prod", "input_schema": {}},
        ],
        "warnings": [{"server": "gpu-box", "message": "left out: it has not answered yet"}],
    })
}

/// Runs the program against a daemon with servers, which gives `answer` to what is asked of it then.
async fn asked(args: &[&str], answer: impl Fn(&Value) -> Value) -> (Value, (Option<i32>, String, String)) {
    let daemon = Daemon::new();
    let child = daemon.run(args);
    let mut talk = daemon.accept().await;
    talk.greets_with(&["servers"]).await;
    let (request, _) = talk.request().await;
    talk.says(answer(&request["id"])).await;
    (request, ended(child).await)
}

#[tokio::test]
async fn servers_are_a_table_for_people() {
    let (request, (status, stdout, stderr)) = asked(&["servers"], servers).await;
    assert_eq!(request, json!({"type": "servers", "id": request["id"]}));
    assert_eq!((status, stderr.as_str()), (Some(0), ""));
    insta::assert_snapshot!(stdout, @r"
    SERVER   KIND    STATE       LATENCY  TOOLS  ERROR
    files    stdio   live        4 ms     11
    gpu-box  inferd  connecting           0
    prod     http    down        120 ms   3      connection  [31mrefused

    rooms: r1, r2
    ");
}

#[tokio::test]
async fn tools_are_a_table_and_who_is_missing_is_named_beside_it() {
    let (request, (status, stdout, stderr)) = asked(&["tools"], tools).await;
    assert_eq!(request, json!({"type": "tools", "id": request["id"]}));
    assert_eq!(status, Some(0));
    insta::assert_snapshot!(stdout, @r"
    TOOL              DESCRIPTION
    files::read_file  Reads a file.
    prod::deploy      (stale) Deploys
    prod:: [2J
    ");
    insta::assert_snapshot!(stderr, @"inferd-cli: gpu-box: left out: it has not answered yet");
}

#[tokio::test]
async fn the_tools_of_one_server_are_asked_for_by_its_name() {
    let (request, _) = asked(&["tools", "prod"], tools).await;
    assert_eq!(request["server"], "prod");
}

#[tokio::test]
async fn both_are_what_the_daemon_said_where_json_is_wanted() {
    for (command, answer) in [("servers", servers as fn(&Value) -> Value), ("tools", tools)] {
        let (request, (status, stdout, _)) = asked(&[command, "--json"], answer).await;
        let printed: Value = serde_json::from_str(&stdout).unwrap();
        assert_eq!((status, printed), (Some(0), answer(&request["id"])));
    }
}

#[tokio::test]
async fn a_server_that_is_not_there_is_named() {
    let refuse = |id: &Value| json!({"type": "error", "id": id, "code": "invalid_request", "message": "server: no server `x`"});
    let (_, (status, stdout, stderr)) = asked(&["tools", "x"], refuse).await;
    assert_eq!((status, stdout.as_str()), (Some(5), ""));
    insta::assert_snapshot!(stderr, @"inferd-cli: not accepted: server: no server `x`");
}

#[tokio::test]
async fn a_daemon_without_servers_is_asked_for_nothing_more_than_what_it_has() {
    let mut said = String::new();
    for (features, args) in [
        (&[][..], &["servers"][..]),
        (&["agent"], &["tools"]),
        (&["embed"], &["call", "a::b"]),
        (&["servers"], &["agent", "--server", "a", "do it"]),
        (&["agent"], &["agent", "--server", "a", "do it"]),
        (&["servers"], &["ask", "--servers", "a,b", "why?"]),
    ] {
        let daemon = Daemon::new();
        let mut command = daemon.command(args);
        let child = command.stdin(std::process::Stdio::null()).spawn().unwrap();
        let mut talk = daemon.accept().await;
        talk.greets_with(features).await;
        assert_eq!(talk.line().await, None, "{args:?}");
        let (status, stdout, stderr) = ended(child).await;
        assert_eq!((status, stdout.as_str()), (Some(5), ""), "{args:?}");
        said.push_str(&stderr);
    }
    insta::assert_snapshot!(said, @r"
    inferd-cli: this daemon has no servers: its configuration names none, or it is older than they are
    inferd-cli: this daemon has no servers: its configuration names none, or it is older than they are
    inferd-cli: this daemon has no servers: its configuration names none, or it is older than they are
    inferd-cli: this daemon runs no agent turns
    inferd-cli: this daemon has no servers: its configuration names none, or it is older than they are
    inferd-cli: this daemon runs no agent turns
    ");
}
