//! Every frame as it travels, and back.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::io::{BufRead, Cursor, Read};

use inferd_proto::{
    AdminCommand, AdminStatus, Block, Called, Content, DaemonFrame, EmbedUsage, Embeddings, ErrorCode,
    FunctionCall, FunctionTag, Hello, Limits, LoadPhase, MAX_FRAME_BYTES, Message, Model, Progress,
    ProtoError, QueueState, Reloaded, Request, Response, Role, ServerInfo, ServerState, ServerTool, Servers,
    StopReason, Timings, TokenKind, ToolCall, Tools, Usage, Warning, read_frame, write_frame,
};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::json;

/// The line of `frame`, having checked that it reads back as the same.
fn line<T: Serialize + DeserializeOwned + PartialEq + std::fmt::Debug>(frame: &T) -> String {
    let mut bytes = Vec::new();
    write_frame(&mut bytes, frame).unwrap();
    assert_eq!(read_frame::<_, T>(&mut Cursor::new(&bytes)).unwrap().as_ref(), Some(frame));
    String::from_utf8(bytes).unwrap()
}

fn call() -> ToolCall {
    let function = FunctionCall { name: "look".into(), arguments: "{\"at\":1}".into() };
    ToolCall { id: "c1".into(), r#type: FunctionTag::Function, function }
}

#[test]
fn every_frame_of_an_answer() {
    let usage = Usage { prompt_tokens: 3, completion_tokens: 5 };
    let done = |model: Option<&str>, tool_calls, timings| Response::Done {
        id: "r".into(),
        content: "hi \"there\"\n".into(),
        usage,
        stop_reason: if model.is_some() { StopReason::ToolCalls } else { StopReason::End },
        backend: "local".into(),
        model: model.map(str::to_owned),
        tool_calls,
        timings,
        thread: None,
        steps: None,
    };
    let status = |word: &str, position, backend: Option<&str>, step, tool: Option<&str>| Response::Status {
        id: "r".into(),
        status: word.into(),
        position,
        backend: backend.map(str::to_owned),
        step,
        tool: tool.map(str::to_owned),
        progress: None,
    };
    let mut half_way = status("calling", None, None, None, Some("files::read"));
    if let Response::Status { progress, .. } = &mut half_way {
        *progress = Some(Progress { done: 1.5, total: Some(3.0), message: Some("reading".into()) });
    }
    let mut turn = done(Some("m"), vec![], None);
    if let Response::Done { thread, steps, .. } = &mut turn {
        (*thread, *steps) = (Some("t-1".into()), Some(2));
    }
    let timings = Timings { queue_ms: 1, first_token_ms: Some(20), total_ms: 300 };
    let error = |code, retry_after_ms, queue| Response::Error {
        id: "r".into(),
        code,
        message: "said so".into(),
        retry_after_ms,
        queue,
    };
    let lines = [
        status("queued", Some(2), None, None, None),
        status("running", None, Some("local"), None, None),
        status("running", None, Some("local"), Some(1), None),
        status("calling", None, None, Some(1), Some("files::read")),
        half_way,
        Response::Token { id: "r".into(), content: "ü".into(), kind: None },
        Response::Token { id: "r".into(), content: "hm".into(), kind: Some(TokenKind::Thinking) },
        done(None, vec![], None),
        done(Some("llama3.1:8b"), vec![call()], Some(timings)),
        turn,
        error(ErrorCode::QueueFull, Some(250), Some(QueueState { running: 1, waiting: 4, capacity: 4 })),
        error(ErrorCode::BackendUnavailable, None, None),
        error(ErrorCode::InvalidRequest, None, None),
        error(ErrorCode::FrameTooLarge, None, None),
        error(ErrorCode::Internal, None, None),
        error(ErrorCode::DeadlineExceeded, None, None),
        error(ErrorCode::ModelNotFound, None, None),
    ]
    .map(|frame| {
        assert_eq!(frame.id(), "r");
        assert_eq!(frame.is_terminal(), matches!(frame, Response::Done { .. } | Response::Error { .. }));
        assert_eq!(
            DaemonFrame::parse(line(&frame).as_bytes()).unwrap(),
            DaemonFrame::Response(frame.clone())
        );
        line(&frame)
    });
    insta::assert_snapshot!(lines.concat());
}

#[test]
fn what_a_daemon_says_of_itself() {
    let hello = Hello {
        protocol: 1,
        version: "0.3.0".into(),
        features: vec!["cancel".into()],
        limits: Limits { frame_bytes_max: 64, open_requests_max: 2, active: 1, queue_depth: 4 },
        models: vec![Model { name: "*".into(), backend: "mock".into(), ready: true, kind: "mock".into() }],
    };
    let parsed = DaemonFrame::parse(line(&hello).as_bytes()).unwrap();
    assert_eq!(parsed, DaemonFrame::Hello(Box::new(hello.clone())));
    let admin = [
        AdminStatus::Starting,
        AdminStatus::LoadingModel { phase: LoadPhase::CheckingLocal, backend: "local".into() },
        AdminStatus::Capabilities {
            backend: "local".into(),
            vision: true,
            audio: false,
            tools: true,
            thinking: false,
            embed: true,
        },
        AdminStatus::Ready,
        AdminStatus::Restarting,
        AdminStatus::Draining,
    ]
    .map(|status| {
        let frame = serde_json::to_string(&status.frame()).unwrap();
        assert_eq!(serde_json::from_str::<AdminStatus>(&frame).unwrap(), status);
        frame
    });
    let reloaded = Reloaded {
        kept: vec!["local".into()],
        adjusted: vec!["hosted".into()],
        rebuilt: vec!["upstairs".into()],
        added: vec!["new".into()],
        removed: vec!["old".into()],
        settings: vec!["[admission] active".into()],
        needs_restart: vec!["[listen] tcp".into()],
    };
    let frame = serde_json::to_string(&reloaded.frame()).unwrap();
    assert_eq!(serde_json::from_str::<Reloaded>(&frame).unwrap(), reloaded);
    assert_eq!(serde_json::from_str::<Reloaded>("{}").unwrap(), Reloaded::default());
    let commands = [AdminCommand::Snapshot, AdminCommand::Reload, AdminCommand::Drain].map(|c| line(&c));
    insta::assert_snapshot!(format!("{}{}\n{frame}\n{}", line(&hello), admin.join("\n"), commands.concat()));
}

#[test]
fn embeddings_are_told_from_answers() {
    let line = r#"{"type":"embeddings","id":"e","embeddings":[[0.5,1.0]],"dimensions":2,"model":"m","usage":{"prompt_tokens":1},"backend":"b"}"#;
    let expected = Embeddings {
        id: "e".into(),
        embeddings: vec![vec![0.5, 1.0]],
        dimensions: 2,
        model: "m".into(),
        usage: EmbedUsage { prompt_tokens: 1 },
        backend: "b".into(),
    };
    assert_eq!(DaemonFrame::parse(line.as_bytes()).unwrap(), DaemonFrame::Embeddings(expected));
    assert!(DaemonFrame::parse(br#"{"type":"future"}"#).is_err());
}

#[test]
fn servers_tools_and_calls() {
    let info = |server: &str, state, latency_ms, error: Option<&str>| ServerInfo {
        server: server.into(),
        kind: "http".into(),
        state,
        tools: 2,
        latency_ms,
        error: error.map(str::to_owned),
    };
    let servers = Servers {
        id: "s".into(),
        servers: vec![
            info("files", ServerState::Live, Some(12), None),
            info("new", ServerState::Connecting, None, None),
            info("prod", ServerState::Down, None, Some("connection refused")),
        ],
        rooms: vec!["r1".into()],
    };
    let tool = |name: &str, description: Option<&str>, stale| ServerTool {
        name: name.into(),
        server: "files".into(),
        description: description.map(str::to_owned),
        input_schema: json!({"type": "object"}),
        stale,
    };
    let tools = Tools {
        id: "t".into(),
        tools: vec![tool("files::read", Some("Reads a file"), false), tool("files::write", None, true)],
        warnings: vec![Warning { server: "prod".into(), message: "left out: connection refused".into() }],
    };
    let called = |structured, is_error| Called {
        id: "c".into(),
        tool: "files::read".into(),
        content: vec![json!({"type": "text", "text": "hi"})],
        structured,
        is_error,
    };
    let (whole, failed) = (called(Some(json!({"bytes": 2})), false), called(None, true));
    let parse = |line: String| DaemonFrame::parse(line.as_bytes()).unwrap();
    assert_eq!(parse(line(&servers)), DaemonFrame::Servers(servers.clone()));
    assert_eq!(parse(line(&tools)), DaemonFrame::Tools(tools.clone()));
    assert_eq!(parse(line(&whole)), DaemonFrame::Called(whole.clone()));
    insta::assert_snapshot!([line(&servers), line(&tools), line(&whole), line(&failed)].concat());
}

#[test]
fn what_a_later_daemon_says_of_a_server_is_no_error() {
    let line = br#"{"type":"servers","id":"s","servers":[{"server":"x","kind":"k","state":"paused","tools":0,"new":1}]}"#;
    let DaemonFrame::Servers(servers) = DaemonFrame::parse(line).unwrap() else { panic!("not servers") };
    assert_eq!(servers.servers[0].state, ServerState::Unknown);
    assert!(servers.rooms.is_empty());
}

#[test]
fn content_travels_back_in_the_form_it_came() {
    let blocks = vec![
        Block::Text { text: "what is".into() },
        Block::Image { mime: "image/png".into(), data: "aGk=".into() },
        Block::Text { text: "this?".into() },
    ];
    let messages = vec![
        Message { role: Role::System, content: "be brief".into() },
        Message { role: Role::User, content: String::from("plain").into() },
        Message { role: Role::User, content: blocks.into() },
        Message { role: Role::Assistant, content: Content::calling("", vec![call()]) },
        Message { role: Role::Tool, content: Content::answering("c1", "4") },
    ];
    assert_eq!(messages[2].content.text(), "what is\nthis?");
    assert_eq!(messages[2].content.text_bytes(), 12);
    assert!(messages[2].content.has_images() && !messages[1].content.has_images());
    insta::assert_snapshot!(line(&Request { id: "r".into(), messages, ..Request::default() }));
}

#[test]
fn an_assistant_that_only_calls_tools_may_say_nothing() {
    for content in ["", r#""content":null,"#] {
        let said = format!(
            r#"{{"role":"assistant",{content}"tool_calls":[{{"id":"c","type":"function","function":{{"name":"f","arguments":""}}}}]}}"#
        );
        assert_eq!(serde_json::from_str::<Message>(&said).unwrap().content.text(), "", "{said}");
    }
}

#[test]
fn frames_are_read_one_line_at_a_time_and_the_last_may_lack_its_end() {
    let mut lines = Cursor::new("{\"type\":\"hello\"}\r\n\n\r\n1\nnot json\n[2]");
    assert!(read_frame::<_, serde_json::Value>(&mut lines).unwrap().unwrap().is_object());
    assert_eq!(read_frame::<_, u8>(&mut lines).unwrap(), Some(1));
    assert!(matches!(read_frame::<_, u8>(&mut lines), Err(ProtoError::Decode(_))));
    assert_eq!(read_frame::<_, Vec<u8>>(&mut lines).unwrap(), Some(vec![2]));
    assert_eq!(read_frame::<_, u8>(&mut lines).unwrap(), None);
}

/// `a` for ever, without a newline.
struct Endless;

impl Read for Endless {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        buffer.fill(b'a');
        Ok(buffer.len())
    }
}

impl BufRead for Endless {
    fn fill_buf(&mut self) -> std::io::Result<&[u8]> {
        Ok(&[b'a'; 4096])
    }

    fn consume(&mut self, _: usize) {}
}

#[test]
fn a_line_without_end_is_given_up_on_and_one_too_long_is_not_written() {
    assert!(matches!(read_frame::<_, u8>(&mut Endless), Err(ProtoError::FrameTooLarge)));
    let mut out = Vec::new();
    let too_long = "x".repeat(MAX_FRAME_BYTES - 1);
    assert!(matches!(write_frame(&mut out, &too_long), Err(ProtoError::FrameTooLarge)));
    assert!(out.is_empty());
}
