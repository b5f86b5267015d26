use std::future::poll_fn;
use std::net::Ipv4Addr;
use std::pin::pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Wake, Waker};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::{RootCertStore, ServerConfig};

use super::*;
use crate::http::tls::trusting;

/// A server for `localhost` whose certificate the authority beside this file has signed. It answers every request
/// with the number of requests its connection has carried.
async fn tls_server(tasks: &mut JoinSet<()>) -> u16 {
    let key = PrivateKeyDer::Pkcs8(include_bytes!("localhost.key.der").as_slice().into());
    let certificate = CertificateDer::from(include_bytes!("localhost.der").as_slice());
    let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate], key)
        .unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tasks.spawn(async move {
        while let Ok((tcp, _)) = listener.accept().await {
            let Ok(mut stream) = acceptor.accept(tcp).await else { continue };
            let mut request = [0; 4096];
            let mut count = 0;
            while matches!(stream.read(&mut request).await, Ok(1..)) {
                count += 1;
                let answer = format!("HTTP/1.1 200 OK\r\ncontent-length: 1\r\n\r\n{count}");
                stream.write_all(answer.as_bytes()).await.unwrap();
                stream.flush().await.unwrap();
            }
        }
    });
    port
}

fn client(url: &str, authorities: &[&'static [u8]]) -> Client {
    let mut roots = RootCertStore::empty();
    for authority in authorities {
        roots.add(CertificateDer::from(*authority)).unwrap();
    }
    let mut client = Client::new(Origin::parse(url, "/v1").unwrap(), Duration::from_secs(5));
    client.trust = Some(trusting(roots).unwrap());
    client
}

async fn get(client: &Client) -> Result<Vec<u8>, HttpError> {
    let (target, headers) = (Uri::from_static("/v1/models"), client.headers());
    let ask = Ask { method: Method::GET, target: &target, headers: &headers, body: Bytes::new() };
    client.send(ask).await?.body.read(100).await
}

#[tokio::test]
async fn tls_works_and_its_connection_is_used_again() {
    let mut tasks = JoinSet::new();
    let port = tls_server(&mut tasks).await;
    let client = client(&format!("https://localhost:{port}"), &[include_bytes!("authority.der")]);
    assert_eq!(get(&client).await.unwrap(), b"1");
    assert_eq!(get(&client).await.unwrap(), b"2");
}

#[tokio::test]
async fn a_certificate_that_is_not_trusted_or_not_the_hosts_is_refused() {
    let mut tasks = JoinSet::new();
    let port = tls_server(&mut tasks).await;
    for (host, authorities) in
        [("localhost", &[][..]), ("127.0.0.1", &[include_bytes!("authority.der").as_slice()])]
    {
        let error =
            get(&client(&format!("https://{host}:{port}"), authorities)).await.unwrap_err().to_string();
        assert!(
            error.starts_with(&format!("connect to {host}:{port}: tls: invalid peer certificate")),
            "{error}"
        );
    }
}

#[tokio::test]
async fn a_server_that_never_completes_the_handshake_is_left_after_the_time_out() {
    let silent = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let address = silent.local_addr().unwrap();
    let mut client = client(&format!("https://{address}"), &[]);
    client.connect_timeout = Duration::from_millis(50);
    let error = get(&client).await.unwrap_err().to_string();
    assert_eq!(error, format!("connect to {address}: no connection within 50 ms"));
}

#[tokio::test]
async fn a_body_beyond_the_limit_is_not_held() {
    let mut tasks = JoinSet::new();
    let port = tls_server(&mut tasks).await;
    let client = client(&format!("https://localhost:{port}"), &[include_bytes!("authority.der")]);
    let (target, headers) = (Uri::from_static("/v1/models"), client.headers());
    let ask = Ask { method: Method::GET, target: &target, headers: &headers, body: Bytes::new() };
    let body = client.send(ask).await.unwrap().body;
    assert!(matches!(body.read(0).await, Err(HttpError::TooLarge(0))));
}

#[tokio::test]
async fn whoever_waits_is_woken_once_for_each_piece_that_comes_alone() {
    const HEAD: &[u8] = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n";
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let (awaited, mut next) = mpsc::channel(1);
    let mut tasks = JoinSet::new();
    tasks.spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        assert_ne!(stream.read(&mut [0; 4096]).await.unwrap(), 0);
        stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await.unwrap();
        assert_ne!(stream.read(&mut [0; 4096]).await.unwrap(), 0);
        for piece in std::iter::once(HEAD).chain(std::iter::repeat(b"5\r\npiece\r\n".as_slice())) {
            let Some(()) = next.recv().await else { return };
            stream.write_all(piece).await.unwrap();
        }
    });

    let client =
        Client::new(Origin::parse(&format!("http://127.0.0.1:{port}"), "").unwrap(), Duration::from_secs(5));
    assert_eq!(get(&client).await.unwrap(), b"");
    let (target, headers) = (Uri::from_static("/"), client.headers());
    let ask = Ask { method: Method::GET, target: &target, headers: &headers, body: Bytes::new() };
    let mut answer = pin!(client.send(ask));
    let (answer, woken) = watched(&awaited, |cx| answer.as_mut().poll(cx)).await;
    assert_eq!(woken, 1);
    let mut body = answer.unwrap().body;
    for _ in 0..3 {
        let (piece, woken) = watched(&awaited, |cx| body.poll_chunk(cx)).await;
        assert_eq!(piece.unwrap().unwrap(), "piece");
        assert_eq!(woken, 1);
    }
}

/// Says that it waits once it does; what came, and how often the task was woken for it.
async fn watched<T>(
    waits: &mpsc::Sender<()>,
    mut poll: impl FnMut(&mut Context<'_>) -> Poll<T>,
) -> (T, usize) {
    let mut task: Option<Arc<Woken>> = None;
    let came = poll_fn(|cx| {
        if let Some(task) = &task {
            return poll(&mut Context::from_waker(&Arc::clone(task).into()));
        }
        let first = task.insert(Arc::new(Woken { times: AtomicUsize::new(0), task: cx.waker().clone() }));
        assert!(poll(&mut Context::from_waker(&Arc::clone(first).into())).is_pending());
        waits.try_send(()).unwrap();
        Poll::Pending
    });
    let came = came.await;
    (came, task.unwrap().times.load(Ordering::Relaxed))
}

/// Passes on that something came, and counts.
struct Woken {
    times: AtomicUsize,
    task: Waker,
}

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.times.fetch_add(1, Ordering::Relaxed);
        self.task.wake_by_ref();
    }
}
