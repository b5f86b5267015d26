use std::net::Ipv4Addr;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::{RootCertStore, ServerConfig};

use super::*;
use crate::http::tls::trusting;

mod wakes;

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

/// How long a condition that must come may take before the test gives up on it.
const PATIENCE: Duration = Duration::from_secs(10);
/// More than any buffer on the way holds.
const BODY_BYTES: usize = 32 * 1024 * 1024;

/// Reads the head of a request, and what comes along with it.
async fn read_head(stream: &mut TcpStream) -> Vec<u8> {
    let mut request = Vec::new();
    while !request.windows(4).any(|end| end == b"\r\n\r\n") {
        assert_ne!(stream.read_buf(&mut request).await.unwrap(), 0);
    }
    request
}

#[tokio::test]
async fn a_server_may_refuse_what_it_has_not_read() {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let client = client(&format!("http://{}", listener.local_addr().unwrap()), &[]);
    let refuse = async {
        let mut held = Vec::new();
        for _ in 0..2 {
            let (mut stream, _) = listener.accept().await.unwrap();
            read_head(&mut stream).await;
            let answer = "HTTP/1.1 413 Too Much\r\ncontent-length: 8\r\n\r\ntoo much";
            stream.write_all(answer.as_bytes()).await.unwrap();
            held.push(stream);
        }
        held
    };
    let (target, headers) = (Uri::from_static("/"), client.headers());
    let ask = || Ask {
        method: Method::POST,
        target: &target,
        headers: &headers,
        body: vec![b'x'; BODY_BYTES].into(),
    };
    let asking = async {
        for _ in 0..2 {
            let answer = client.send(ask()).await.unwrap();
            assert_eq!(answer.status, StatusCode::PAYLOAD_TOO_LARGE);
            assert_eq!(answer.body.read(100).await.unwrap(), b"too much");
        }
    };
    let both = timeout(PATIENCE, async { tokio::join!(refuse, asking) });
    both.await.expect("neither waits for the other");
}

#[tokio::test]
async fn an_interim_answer_does_not_end_the_request() {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let client = client(&format!("http://{}", listener.local_addr().unwrap()), &[]);
    let serve = async {
        let (mut stream, _) = listener.accept().await.unwrap();
        let request = read_head(&mut stream).await;
        stream.write_all(b"HTTP/1.1 102 Processing\r\n\r\n").await.unwrap();
        let head = request.windows(4).position(|end| end == b"\r\n\r\n").unwrap() + 4;
        let mut rest = vec![0; BODY_BYTES - (request.len() - head)];
        stream.read_exact(&mut rest).await.unwrap();
        stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok").await.unwrap();
        String::from_utf8(request[..head].to_vec()).unwrap()
    };
    let (target, headers) = (Uri::from_static("/v1/chat"), client.headers());
    let ask =
        Ask { method: Method::POST, target: &target, headers: &headers, body: vec![b'x'; BODY_BYTES].into() };
    let both = timeout(PATIENCE, async { tokio::join!(serve, client.send(ask)) });
    let (head, answer) = both.await.expect("neither waits for the other");
    assert_eq!(answer.unwrap().body.read(100).await.unwrap(), b"ok");
    let (host, version) = (listener.local_addr().unwrap(), env!("CARGO_PKG_VERSION"));
    let expected = format!(
        "POST /v1/chat HTTP/1.1\r\nhost: {host}\r\nuser-agent: inferd/{version}\r\ncontent-length: {BODY_BYTES}\r\n\r\n"
    );
    assert_eq!(head, expected);
}
