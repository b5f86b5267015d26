use std::future::Future;

use futures_util::StreamExt;
use inferd_engine::TokenEvent;
use inferd_proto::{Message, Resolved, Role};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::time::Instant;

use super::*;
use crate::backends::build;
use crate::secrets::Secrets;

/// A server on loopback that gives every request for its models this answer; `None`: it takes connections and says
/// nothing.
struct Server(TcpListener, Option<String>, HttpKind);

impl Server {
    async fn json(body: &str) -> Self {
        Self::http("200 OK", "application/json", body).await
    }

    async fn http(status: &str, content_type: &str, body: &str) -> Self {
        let length = body.len();
        let head = format!("HTTP/1.1 {status}\r\ncontent-type: {content_type}\r\ncontent-length: {length}");
        let answer = format!("{head}\r\nconnection: close\r\n\r\n{body}");
        Self(Self::bind().await, Some(answer), HttpKind::OpenAi)
    }

    async fn silent() -> Self {
        Self(Self::bind().await, None, HttpKind::OpenAi)
    }

    fn speaking(self, kind: HttpKind) -> Self {
        Self(self.0, self.1, kind)
    }

    async fn bind() -> TcpListener {
        TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap()
    }

    fn candidate(&self, name: &'static str) -> Candidate {
        Candidate { name, address: self.0.local_addr().unwrap(), kind: self.2 }
    }

    async fn serve(&self) {
        let asked: &[u8] = match self.2 {
            HttpKind::OpenAi | HttpKind::Anthropic => b"GET /v1/models ",
            HttpKind::Ollama => b"GET /api/tags ",
        };
        let mut held = Vec::new();
        loop {
            let (mut io, _) = self.0.accept().await.unwrap();
            if let Some(answer) = &self.1 {
                let mut request = [0; 4096];
                let read = io.read(&mut request).await.unwrap();
                assert!(request[..read].starts_with(asked), "{:?}", &request[..read]);
                io.write_all(answer.as_bytes()).await.unwrap();
            }
            held.push(io);
        }
    }
}

/// What is found among `servers`, which are called after their places in the alphabet.
async fn found(servers: &[Server]) -> Vec<BackendConfig> {
    let names = ["a", "b", "c", "d", "e"];
    let candidates: Vec<_> = servers.iter().zip(names).map(|(server, name)| server.candidate(name)).collect();
    while_serving(servers, find(&candidates)).await
}

async fn while_serving<T>(servers: &[Server], work: impl Future<Output = T>) -> T {
    tokio::select! {
        done = work => done,
        _ = join_all(servers.iter().map(Server::serve)) => unreachable!("servers do not end"),
    }
}

#[tokio::test]
async fn servers_that_answer_are_found_in_order_with_their_models() {
    let servers = [
        Server::json(r#"{"object":"list","data":[{"id":"all-minilm"},{"id":"m1"},{"id":"m2"}]}"#).await,
        Server::json(r#"{"data":[{"id":"m3","object":"model"}]}"#).await,
    ];
    let found = found(&servers).await;
    let shown: Vec<_> = found.iter().map(|b| (b.name.as_str(), b.priority, b.models.join(" "))).collect();
    assert_eq!(shown, [("a", 0, "m1 m2 all-minilm".to_owned()), ("b", 1, "m3".to_owned())]);
    let EngineConfig::Http(http) = &found[0].engine else { panic!("{found:?}") };
    assert_eq!(
        http,
        &HttpConfig::new(HttpKind::OpenAi, format!("http://{}", servers[0].0.local_addr().unwrap()))
    );
}

#[tokio::test]
async fn what_answers_where_ollama_is_looked_for_is_spoken_to_as_ollama() {
    assert_eq!(Candidate::usual()[0].kind, HttpKind::Ollama);
    let tags = r#"{"models":[{"name":"all-minilm:latest"},{"name":"qwen3:4b"},{"name":"llama3.1:latest"}]}"#;
    let server = Server::json(tags).await.speaking(HttpKind::Ollama);
    let found = found(std::slice::from_ref(&server)).await;
    assert_eq!(
        found[0].models,
        ["qwen3:4b", "llama3.1:latest", "llama3.1", "all-minilm:latest", "all-minilm"]
    );
    assert_eq!(found[0].engine.kind(), "ollama");
}

#[tokio::test]
async fn a_server_that_is_no_model_server_is_not_used() {
    let servers = [
        Server::http("200 OK", "text/html", "<html>a router's page</html>").await,
        Server::json(r#"{"models":[]}"#).await,
        Server::json(r#"{"data":[]}"#).await,
        Server::http("404 Not Found", "text/plain", "no").await,
        Server::json(r#"{"data":[{"id":"m"}]}"#).await,
    ];
    let found = found(&servers).await;
    assert_eq!(found.iter().map(|backend| backend.name.as_str()).collect::<Vec<_>>(), ["e"]);
    assert_eq!(found[0].priority, 0);
}

#[tokio::test]
async fn servers_that_say_nothing_cost_the_time_of_one() {
    let servers =
        [Server::silent().await, Server::silent().await, Server::silent().await, Server::silent().await];
    let begun = Instant::now();
    assert_eq!(found(&servers).await, []);
    let took = begun.elapsed();
    assert!((PROBE_TIME..3 * PROBE_TIME).contains(&took), "{took:?}");
}

#[tokio::test]
async fn where_nobody_listens_nothing_is_found() {
    let closed = Server::silent().await.candidate("closed");
    assert_eq!(find(&[closed]).await, []);
}

#[test]
fn ollama_host_counts_where_it_is_on_loopback() {
    #[track_caller]
    fn check(host: &str, address: &str) {
        let found = loopback(host.into()).map_or("elsewhere".to_owned(), |address| address.to_string());
        assert_eq!(found, address, "{host}");
    }
    check("127.0.0.1", "127.0.0.1:11434");
    check("127.0.0.1:5000", "127.0.0.1:5000");
    check("http://localhost:5000/", "127.0.0.1:5000");
    check("http://127.0.0.1", "127.0.0.1:80");
    check("localhost", "127.0.0.1:11434");
    check("0.0.0.0", "127.0.0.1:11434");
    check("0.0.0.0:5000", "127.0.0.1:5000");
    check("[::1]:5000", "[::1]:5000");
    check("::1", "[::1]:11434");
    for elsewhere in
        ["", "192.168.1.5", "gpu.example.com:11434", "localhost.example.com", "https://127.0.0.1"]
    {
        check(elsewhere, "elsewhere");
    }
}

#[tokio::test(start_paused = true)]
async fn the_mock_says_that_it_is_one_and_streams_it() {
    let mock = build(&fallback_mock(), &Secrets::default()).unwrap();
    let messages = vec![Message { role: Role::User, content: "hello".into() }];
    let begun = Instant::now();
    let events: Vec<_> = mock
        .generate(Resolved { messages: messages.into(), ..Resolved::default() })
        .await
        .unwrap()
        .collect()
        .await;
    let tokens = events.iter().filter_map(|event| match event {
        TokenEvent::Token(token) => Some(token.as_str()),
        _ => None,
    });
    let text: String = tokens.clone().collect();
    assert!(text.contains("mock, not a language model"), "{text}");
    assert!(tokens.count() > 20);
    assert!(begun.elapsed() > Duration::from_millis(300));
}
