//! What embedders compile against stays as it is: this file uses the library's promised names and nothing else of it.
#![cfg(unix)]

use std::io::{BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use inferd_daemon::endpoint::bind_tcp;
use inferd_daemon::lifecycle::{AcceptContext, serve_tcp, wait_for_ready};
use inferd_daemon::lock::{Lock, LockError};
use inferd_daemon::queue::Admission;
use inferd_daemon::router::Router;
use inferd_engine::mock::{Mock, MockConfig, MockError};
use inferd_engine::{Backend, GenerateError, TokenEvent, TokenStream};
use inferd_proto::{
    ErrorCode, MAX_FRAME_BYTES, Message, ProtoError, Request, Response, Role, StopReason, Usage, read_frame,
    write_frame,
};
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::task::{JoinHandle, JoinSet, spawn_blocking};

const PATIENCE: Duration = Duration::from_secs(20);

/// A daemon inside this process. Dropped, it is told to stop.
struct Embedded {
    address: SocketAddr,
    stop: oneshot::Sender<()>,
    served: JoinHandle<std::io::Result<()>>,
}

impl Embedded {
    async fn start(mock: MockConfig, context: AcceptContext) -> Result<Self> {
        let listener: TcpListener = bind_tcp("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let router = Arc::new(Router::new(vec![Arc::new(Mock::with_config(mock))]));
        let took: Duration = wait_for_ready(&router, PATIENCE).await?;
        ensure!(took < PATIENCE);
        let (stop, stopped) = oneshot::channel();
        #[expect(clippy::disallowed_methods, reason = "the test waits for it in `stop`")]
        let served = tokio::spawn(serve_tcp(listener, router, context, stopped));
        Ok(Self { address, stop, served })
    }

    async fn stop(self) -> Result<()> {
        ensure!(self.stop.send(()).is_ok(), "it stopped serving by itself");
        Ok(tokio::time::timeout(PATIENCE, self.served).await???)
    }
}

/// A blocking client made of nothing but the two framing functions.
struct Caller(BufReader<TcpStream>);

impl Caller {
    fn dial(address: SocketAddr) -> Result<Self> {
        let stream = TcpStream::connect(address)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        Ok(Self(BufReader::new(stream)))
    }

    fn send(&mut self, id: &str) -> Result<()> {
        let message = Message { role: Role::User, content: "x".into() };
        let request = Request { id: id.into(), messages: vec![message], ..Default::default() };
        Ok(write_frame(self.0.get_mut(), &request)?)
    }

    fn frame(&mut self) -> Result<Response> {
        read_frame(&mut self.0)?.context("the connection was closed where a frame was due")
    }

    /// The tokens and the last frame of one answer.
    fn answer(&mut self) -> Result<(Vec<String>, Response)> {
        let mut tokens = Vec::new();
        loop {
            match self.frame()? {
                Response::Token { content, .. } => tokens.push(content),
                Response::Status { .. } => bail!("nobody asked for status frames"),
                last @ (Response::Done { .. } | Response::Error { .. }) => return Ok((tokens, last)),
            }
        }
    }
}

fn eight_slow_tokens() -> MockConfig {
    MockConfig {
        tokens: (0..8).map(|n| format!("t{n} ")).collect(),
        token_delay_ms: Some(100),
        ..MockConfig::default()
    }
}

fn behind(admission: Admission) -> AcceptContext {
    AcceptContext { admission: Some(admission), ..AcceptContext::default() }
}

#[tokio::test]
async fn of_three_at_once_past_one_running_and_one_waiting_exactly_one_is_refused() -> Result<()> {
    let daemon = Embedded::start(eight_slow_tokens(), behind(Admission::new(1, 1))).await?;
    let address = daemon.address;
    let mut callers = JoinSet::new();
    for id in ["a", "b", "c"] {
        callers.spawn_blocking(move || -> Result<_> {
            let mut caller = Caller::dial(address)?;
            caller.send(id)?;
            Ok((id, caller.answer()?))
        });
    }
    let (mut complete, mut refused) = (0, 0);
    while let Some(answered) = callers.join_next().await {
        let (asked, (tokens, last)) = answered??;
        match last {
            Response::Done { id, content, usage, stop_reason, backend, .. } => {
                assert_eq!((id.as_str(), tokens.len(), content), (asked, 8, tokens.concat()));
                let Usage { prompt_tokens, completion_tokens, .. } = usage;
                assert_eq!((completion_tokens, stop_reason), (8, StopReason::End));
                assert!(prompt_tokens > 0);
                assert_eq!(backend, "mock");
                complete += 1;
            }
            Response::Error { id, code, .. } => {
                assert_eq!((id.as_str(), code), (asked, ErrorCode::QueueFull));
                assert!(tokens.is_empty(), "{tokens:?}");
                refused += 1;
            }
            other => panic!("{other:?} is no last frame"),
        }
    }
    assert_eq!((complete, refused), (2, 1));
    daemon.stop().await
}

#[tokio::test]
async fn without_a_queue_the_second_is_refused_while_the_first_runs_and_admitted_after_it() -> Result<()> {
    let daemon = Embedded::start(eight_slow_tokens(), behind(Admission::new(1, 0))).await?;
    let address = daemon.address;
    spawn_blocking(move || -> Result<()> {
        let (mut first, mut second) = (Caller::dial(address)?, Caller::dial(address)?);
        first.send("first")?;
        assert!(matches!(first.frame()?, Response::Token { .. }));

        second.send("second")?;
        let (_, last) = second.answer()?;
        assert!(
            matches!(&last, Response::Error { id, code: ErrorCode::QueueFull, .. } if id == "second"),
            "{last:?}"
        );

        let (tokens, last) = first.answer()?;
        assert_eq!(tokens.len(), 7);
        assert!(matches!(last, Response::Done { .. }), "{last:?}");

        second.send("second")?;
        let (tokens, last) = second.answer()?;
        assert_eq!(tokens.len(), 8);
        assert!(matches!(last, Response::Done { .. }), "{last:?}");
        Ok(())
    })
    .await??;
    daemon.stop().await
}

#[tokio::test]
async fn a_listener_with_a_key_serves_who_gives_it_and_nobody_else() -> Result<()> {
    let AcceptContext { expected_api_key, admission } = AcceptContext::default();
    assert!(expected_api_key.is_none() && admission.is_none());
    let context = AcceptContext { expected_api_key: Some("right".to_owned()), admission };
    let daemon = Embedded::start(eight_slow_tokens(), context.clone()).await?;
    let address = daemon.address;
    spawn_blocking(move || -> Result<()> {
        let mut stranger = TcpStream::connect(address)?;
        stranger.set_read_timeout(Some(PATIENCE))?;
        stranger.write_all(b"{\"type\":\"auth\",\"key\":\"wrong\"}\n")?;
        let mut said = Vec::new();
        stranger.read_to_end(&mut said)?;
        assert_eq!(String::from_utf8_lossy(&said), "");

        let mut friend = Caller::dial(address)?;
        friend.0.get_mut().write_all(b"{\"type\":\"auth\",\"key\":\"right\"}\n")?;
        friend.send("known")?;
        let (_, last) = friend.answer()?;
        assert!(matches!(last, Response::Done { .. }), "{last:?}");
        Ok(())
    })
    .await??;
    daemon.stop().await
}

#[tokio::test]
async fn a_backend_that_is_not_ready_is_waited_for_as_long_as_asked() -> Result<()> {
    let mock = Arc::new(Mock::new());
    mock.set_ready(false);
    let router = Router::new(vec![mock.clone()]);
    let late = wait_for_ready(&router, Duration::from_millis(20)).await.unwrap_err();
    assert!(late.to_string().contains("20 ms"), "{late}");
    mock.set_ready(true);
    assert!(wait_for_ready(&router, PATIENCE).await? < PATIENCE);
    Ok(())
}

#[tokio::test]
async fn a_mock_fails_as_it_is_told_to() -> Result<()> {
    for (told, code) in [
        (MockError::NotReady, ErrorCode::BackendUnavailable),
        (MockError::Unavailable, ErrorCode::BackendUnavailable),
        (MockError::InvalidRequest, ErrorCode::InvalidRequest),
    ] {
        let mock = MockConfig { pre_stream_error: Some(told), ..eight_slow_tokens() };
        assert_eq!(refusal(mock).await?, code);
    }
    let mock = MockConfig { mid_stream_drop_after: Some(1), ..eight_slow_tokens() };
    assert_eq!(refusal(mock).await?, ErrorCode::BackendUnavailable);
    Ok(())
}

async fn refusal(mock: MockConfig) -> Result<ErrorCode> {
    let daemon = Embedded::start(mock, AcceptContext::default()).await?;
    let address = daemon.address;
    let asked = spawn_blocking(move || -> Result<_> {
        let mut caller = Caller::dial(address)?;
        caller.send("x")?;
        Ok(caller.answer()?.1)
    });
    let last = asked.await??;
    daemon.stop().await?;
    match last {
        Response::Error { code, .. } => Ok(code),
        other => bail!("{other:?} where an error was due"),
    }
}

#[test]
fn a_lock_is_held_by_one_and_refuses_what_is_no_file() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let at = |name: &str| dir.path().join(name);
    let acquire = |path: &Path| Lock::acquire(path);

    let held = acquire(&at("lock"))?;
    assert!(matches!(acquire(&at("lock")), Err(LockError::AlreadyHeld(_))));
    drop(held);
    drop(acquire(&at("lock"))?);

    std::os::unix::fs::symlink(at("lock"), at("link"))?;
    assert!(matches!(acquire(&at("link")), Err(LockError::Symlink(_))));
    assert!(matches!(acquire(dir.path()), Err(LockError::NotARegularFile(_))));
    assert!(matches!(acquire(&at("missing/lock")), Err(LockError::Io(_))));
    Ok(())
}

#[test]
fn frames_are_written_and_read_back_up_to_the_limit() -> Result<()> {
    let message = |content: String| Message { role: Role::System, content: content.into() };
    let request = Request {
        messages: vec![message("be brief".to_owned())],
        temperature: Some(0.5),
        top_p: Some(0.9),
        top_k: Some(40),
        max_tokens: Some(64),
        stream: Some(false),
        image_token_budget: Some(280),
        grammar: String::new(),
        ..Request::default()
    };
    let mut wire = Vec::new();
    write_frame(&mut wire, &request)?;
    wire.extend_from_slice(br#"{"type":"status","id":"i","status":"queued"}"#);
    let mut reader = wire.as_slice();
    assert_eq!(read_frame::<_, Request>(&mut reader)?, Some(request));
    let status = read_frame::<_, Response>(&mut reader)?;
    assert!(matches!(status, Some(Response::Status { id, status, .. }) if id == "i" && status == "queued"));
    assert!(read_frame::<_, Response>(&mut reader)?.is_none());

    let too_large = "x".repeat(MAX_FRAME_BYTES);
    assert!(matches!(write_frame(&mut Vec::new(), &too_large), Err(ProtoError::FrameTooLarge)));
    assert!(matches!(read_frame::<_, Response>(&mut b"nonsense\n".as_slice()), Err(ProtoError::Decode(_))));
    Ok(())
}

/// What a backend is made of is named by embedders in their own signatures.
const _: fn(&dyn Backend, TokenStream) -> Option<Result<TokenEvent, GenerateError>> = |_, _| None;
