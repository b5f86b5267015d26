//! Who waits is woken for what comes and for nothing else: each wake-up more is a poll for nothing, and another thread
//! roused to do it.

use std::future::poll_fn;
use std::pin::pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Wake, Waker};

use tokio::sync::mpsc;

use super::*;

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

    let client = client(&format!("http://127.0.0.1:{port}"), &[]);
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
