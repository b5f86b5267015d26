use tokio::io::{AsyncWriteExt, DuplexStream};
use tokio::time::Instant;

use super::*;

const KEY: &str = r#"{"type":"auth","key":"right"}"#;

fn keys() -> Keys {
    Keys::from_plain("alice", "right")
}

/// The stranger's end, and the daemon's.
fn meet() -> (DuplexStream, DuplexStream) {
    tokio::io::duplex(1 << 16)
}

/// Who `said` comes from, when nothing follows.
async fn who_says(said: impl AsRef<[u8]>) -> Option<Admitted> {
    let (mut stranger, mut socket) = meet();
    stranger.write_all(said.as_ref()).await.unwrap();
    drop(stranger);
    authenticate(&mut socket, &keys()).await
}

#[tokio::test(start_paused = true)]
async fn the_right_key_names_its_holder_and_what_came_with_it_is_kept() {
    for (said, early) in [
        (format!("{KEY}\n"), ""),
        (format!("{KEY}\r\n"), ""),
        (format!("{KEY}\n{{\"id\":\"a\"}}\n{{\"id\":"), "{\"id\":\"a\"}\n{\"id\":"),
    ] {
        let admitted = who_says(&said).await.expect("it is the right key");
        assert_eq!((&*admitted.name, &*admitted.early), ("alice", early.as_bytes()));
    }
}

#[tokio::test(start_paused = true)]
async fn a_key_may_come_in_pieces() {
    let (mut stranger, mut socket) = meet();
    let keys = keys();
    let say = async {
        for byte in format!("{KEY}\n").bytes() {
            stranger.write_all(&[byte]).await.unwrap();
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    let (admitted, ()) = tokio::join!(authenticate(&mut socket, &keys), say);
    assert!(admitted.is_some());
}

#[tokio::test(start_paused = true)]
async fn whoever_says_anything_else_is_nobody() {
    for said in [
        "",
        "\n",
        "{\"type\":\"auth\",\"key\":\"wrong\"}\n",
        "{\"type\":\"auth\",\"key\":\"\"}\n",
        "{\"type\":\"auth\",\"key\":\"right \"}\n",
        "{\"type\":\"auth\",\"key\":5}\n",
        "{\"type\":\"auth\"}\n",
        "{\"key\":\"right\"}\n",
        "right\n",
        // Cut off before the end of its line.
        KEY,
        "{\"messages\":[{\"role\":\"user\",\"content\":\"hi\"}]}\n{\"type\":\"auth\",\"key\":\"right\"}\n",
    ] {
        assert!(who_says(said).await.is_none(), "{said:?}");
    }
    assert!(who_says(b"{\"type\":\"auth\",\"key\":\"right\xff\"}\n").await.is_none());
}

#[tokio::test(start_paused = true)]
async fn whoever_takes_too_long_is_nobody_however_much_it_says() {
    let (mut stranger, mut socket) = meet();
    let keys = keys();
    let before = Instant::now();
    let say = async {
        for byte in KEY.bytes().cycle() {
            if stranger.write_all(&[byte]).await.is_err() {
                return;
            }
            tokio::time::sleep(Duration::from_millis(400)).await;
        }
    };
    tokio::select! {
        admitted = authenticate(&mut socket, &keys) => assert!(admitted.is_none()),
        () = say => unreachable!("it has much to say"),
    }
    assert_eq!(before.elapsed(), PATIENCE);
    assert_eq!(PATIENCE, Duration::from_secs(5));
}

#[tokio::test(start_paused = true)]
async fn a_stranger_is_listened_to_for_4_kib() {
    let padded = |bytes: usize| format!("{KEY}{}\n", " ".repeat(bytes - KEY.len() - 1));
    assert!(who_says(padded(4096)).await.is_some());

    let (mut stranger, mut socket) = meet();
    stranger.write_all(padded(4097).as_bytes()).await.unwrap();
    let before = Instant::now();
    assert!(authenticate(&mut socket, &keys()).await.is_none());
    assert_eq!(before.elapsed(), Duration::ZERO, "it is not waited for");
    let mut unread = Vec::new();
    drop(stranger);
    socket.read_to_end(&mut unread).await.unwrap();
    assert_eq!(unread, b"\n", "no more than 4 KiB is read");
}
