use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

use super::*;

/// A site whose every connection is handled by `serve`, and its tasks.
async fn site<F, S>(key: Option<&str>, serve: F) -> (Site, JoinSet<()>)
where
    F: Fn(TcpStream, usize) -> S + Send + 'static,
    S: Future<Output = ()> + Send + 'static,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/mcp/", listener.local_addr().unwrap());
    let mut tasks = JoinSet::new();
    tasks.spawn(async move {
        for count in 0.. {
            let (stream, _) = listener.accept().await.unwrap();
            serve(stream, count).await;
        }
    });
    let key = key.map(SecretString::from);
    (Site::new(&url, key.as_ref(), Duration::from_secs(5)).unwrap(), tasks)
}

async fn asked(stream: &mut TcpStream) -> String {
    let mut request = vec![0; 4096];
    let count = stream.read(&mut request).await.unwrap();
    String::from_utf8_lossy(&request[..count]).into_owned()
}

#[tokio::test]
async fn a_request_goes_to_the_very_path_with_the_key_and_the_answer_comes_as_events() {
    let (site, _tasks) = site(Some("alpha-1"), |mut stream, _| async move {
        let request = asked(&mut stream).await;
        assert!(request.starts_with("POST /mcp/ HTTP/1.1\r\n"), "{request}");
        assert!(request.contains("authorization: Bearer alpha-1\r\n"), "{request}");
        assert!(request.contains("x-more: 1\r\n") && request.ends_with("\r\n\r\nhello"), "{request}");
        let events = "id: 7\nretry: 250\ndata:\n\n: still here\n\ndata: {}\nid: 8\n\n";
        let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n", events.len());
        stream.write_all(format!("{head}{events}").as_bytes()).await.unwrap();
    })
    .await;
    let headers =
        HeaderMap::from_iter([(http::HeaderName::from_static("x-more"), HeaderValue::from_static("1"))]);
    let reply = site.send(Method::POST, headers, Bytes::from_static(b"hello")).await.unwrap();
    assert_eq!(reply.status, StatusCode::OK);
    let mut events = reply.events(1024);
    assert_eq!(events.next().await.unwrap().unwrap(), b"{}");
    assert_eq!((events.last_id(), events.retry()), (Some("8"), Some(Duration::from_millis(250))));
    assert!(events.next().await.unwrap().is_none());
}

#[tokio::test]
async fn a_request_that_may_have_arrived_is_not_sent_again() {
    // The first connection answers and then takes one more request, which it leaves without an answer.
    let (site, mut tasks) = site(None, |mut stream, count| async move {
        assert_eq!(count, 0, "a second connection was made");
        asked(&mut stream).await;
        stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok").await.unwrap();
        asked(&mut stream).await;
    })
    .await;
    let send = || site.send(Method::POST, HeaderMap::new(), Bytes::from_static(b"{}"));
    assert_eq!(send().await.unwrap().read(10).await.unwrap(), b"ok");
    let lost = send().await.err().expect("it was not answered");
    assert!(matches!(lost, SiteError::Broken(_)), "{lost}");
    tasks.abort_all();
}

#[tokio::test]
async fn a_site_that_is_not_there_is_told_from_one_that_breaks() {
    let (site, mut tasks) = site(None, |_, _| async {}).await;
    let broken = site.send(Method::GET, HeaderMap::new(), Bytes::new()).await.err().unwrap();
    assert!(matches!(broken, SiteError::Broken(_)), "{broken}");
    tasks.shutdown().await;
    let gone = site.send(Method::GET, HeaderMap::new(), Bytes::new()).await.err().unwrap();
    assert!(matches!(gone, SiteError::Unreachable(_)), "{gone}");
}
