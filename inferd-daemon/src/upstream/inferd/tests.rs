use serde_json::Map;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::net::TcpListener;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};

use super::*;

/// A daemon that the test plays, on a socket.
struct Played {
    from: Lines<BufReader<OwnedReadHalf>>,
    to: OwnedWriteHalf,
}

impl Played {
    async fn hears(&mut self) -> Value {
        let line = self.from.next_line().await.unwrap().expect("the connection is open");
        serde_json::from_str(&line).unwrap()
    }

    async fn says(&mut self, frame: Value) {
        self.to.write_all(format!("{frame}\n").as_bytes()).await.unwrap();
    }

    /// Answers the next question with `frame`, and gives the question.
    async fn answers(&mut self, mut frame: Value) -> Value {
        let question = self.hears().await;
        frame["id"] = question["id"].clone();
        self.says(frame).await;
        question
    }
}

/// A session with a played daemon that has servers.
async fn connected(key: Option<&str>) -> (Arc<dyn Session>, Played) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let key = key.map(|key| SecretString::from(key.to_owned()));
    let connector = Connector { id: "box".to_owned(), address, key };
    let play = async {
        let (socket, _) = listener.accept().await.unwrap();
        let (from, to) = socket.into_split();
        let mut played = Played { from: BufReader::new(from).lines(), to };
        if connector.key.is_some() {
            assert_eq!(played.hears().await, json!({ "type": "auth", "key": "k" }));
        }
        assert_eq!(played.hears().await, json!({ "type": "hello" }));
        let limits = json!({ "frame_bytes_max": 1, "open_requests_max": 1, "active": 1, "queue_depth": 1 });
        let hello = json!({ "type": "hello", "protocol": 1, "version": "1", "features": ["servers"],
            "limits": limits, "models": [] });
        played.says(hello).await;
        played
    };
    let (session, played) = tokio::join!(connector.connect(), play);
    (session.unwrap(), played)
}

fn servers(tools: usize) -> Value {
    json!({ "type": "servers", "servers": [
        { "server": "files", "kind": "stdio", "state": "live", "tools": tools },
        { "server": "third", "kind": "inferd", "state": "live", "tools": 1 },
    ] })
}

#[tokio::test]
async fn its_tools_are_offered_without_those_of_a_third_daemon_and_those_that_are_stale() {
    let (session, mut played) = connected(Some("k")).await;
    let tool = |name: &str, server: &str, stale: bool| json!({ "name": name, "server": server, "description": "d", "input_schema": { "type": "object" }, "stale": stale });
    let tools = [
        tool("files::read", "files", false),
        tool("files::old", "files", true),
        tool("third::a::b", "third", false),
    ];
    let asked = async {
        tokio::select! {
            page = session.page(List::Tools, None) => page,
            reason = session.run() => panic!("{reason}"),
        }
    };
    let (page, ()) = tokio::join!(asked, async {
        played.answers(servers(2)).await;
        played.answers(json!({ "type": "tools", "tools": tools })).await;
    });
    let entry = json!({ "name": "files::read", "inputSchema": { "type": "object" }, "description": "d" });
    assert_eq!(page.unwrap(), json!({ "tools": [entry] }));
    assert!(session.has(List::Tools) && !session.has(List::Prompts));
}

#[tokio::test]
async fn a_call_is_answered_shows_its_progress_and_is_cancelled_when_it_is_dropped() {
    let (session, mut played) = connected(None).await;
    let (tell, mut told) = mpsc::channel(4);
    let call = |name: &str| {
        let arguments = Map::from_iter([("q".to_owned(), json!(1))]);
        session.ask(Ask::Tool { name: name.to_owned(), arguments: Some(arguments) }, tell.clone())
    };
    let work = async {
        let (result, ()) = tokio::join!(call("files::read"), async {
            let asked = played.hears().await;
            assert_eq!((&asked["tool"], &asked["arguments"]), (&json!("files::read"), &json!({ "q": 1 })));
            let progress = json!({ "done": 1.0 });
            played
                .says(
                    json!({ "type": "status", "id": asked["id"], "status": "calling", "progress": progress }),
                )
                .await;
            played
                .says(json!({ "type": "called", "id": asked["id"], "tool": "files::read", "content": [],
                "structured": { "a": 1 }, "is_error": false }))
                .await;
        });
        assert_eq!(
            result.unwrap(),
            json!({ "content": [], "isError": false, "structuredContent": { "a": 1 } })
        );
        assert_eq!(told.recv().await.map(|said| said.progress), Some(1.0));

        let error = json!({ "type": "error", "code": "invalid_request", "message": "no such tool" });
        let (refused, _) = tokio::join!(call("files::none"), played.answers(error));
        assert_eq!(refused, Err(Fault::Refused { code: -32602, message: "no such tool".to_owned() }));

        let asked = tokio::select! {
            _ = call("files::slow") => panic!("nobody answers"),
            asked = played.hears() => asked,
        };
        assert_eq!(played.hears().await, json!({ "type": "cancel", "id": asked["id"] }));
    };
    tokio::select! {
        () = work => {}
        reason = session.run() => panic!("{reason}"),
    }
}

#[tokio::test]
async fn what_is_open_when_it_is_lost_ends_with_the_reason_and_changes_are_noticed() {
    let (session, mut played) = connected(None).await;
    let mut changes = session.changes();
    let work = async {
        for tools in [1, 1, 2] {
            let (pinged, _) = tokio::join!(session.ping(), played.answers(servers(tools)));
            pinged.unwrap();
        }
        changes.changed().await.unwrap();
        assert_eq!(*changes.borrow(), 1, "only what is otherwise is a change");
        let (lost, ()) = tokio::join!(session.ping(), async {
            played.hears().await;
            drop(played);
        });
        assert_eq!(lost, Err(Fault::Lost("it closed the connection".to_owned())));
    };
    let (reason, ()) = tokio::join!(session.run(), work);
    assert_eq!(reason, "it closed the connection");
    assert!(matches!(session.ping().await, Err(Fault::Lost(_))));
}

#[tokio::test]
async fn a_key_that_is_refused_is_said_to_be() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let connector =
        Connector { id: "box".to_owned(), address, key: Some(SecretString::from("wrong".to_owned())) };
    let (session, ()) = tokio::join!(connector.connect(), async {
        let (socket, _) = listener.accept().await.unwrap();
        let mut lines = BufReader::new(socket).lines();
        lines.next_line().await.unwrap();
        lines.next_line().await.unwrap();
    });
    assert_eq!(session.err().unwrap(), "it refused our key");
}
