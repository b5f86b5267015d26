//! Whether anybody reads a stream.

use std::time::Duration;

use tokio::time::{sleep, timeout};
use tokio_util::task::TaskTracker;

use super::*;

const GRACE: Duration = Duration::from_secs(3);

#[tokio::test(start_paused = true)]
async fn a_stream_is_deserted_once_nobody_has_read_it_for_the_grace() {
    let session = session();
    let before = Instant::now();
    session.deserted(StreamId::STANDALONE, GRACE).await;
    assert_eq!(before.elapsed(), GRACE, "nobody has ever read it");
    let reader = session.read(StreamId::STANDALONE);
    timeout(GRACE * 9, session.deserted(StreamId::STANDALONE, GRACE)).await.expect_err("somebody reads it");
    drop(reader);
    let before = Instant::now();
    session.deserted(StreamId::STANDALONE, GRACE).await;
    assert_eq!(before.elapsed(), GRACE);
}

#[tokio::test(start_paused = true)]
async fn who_comes_back_within_the_grace_has_not_left() {
    let session = session();
    let reader = session.read(StreamId::STANDALONE);
    let watched = Arc::clone(&session);
    let mut deserted =
        TaskTracker::new().spawn(async move { watched.deserted(StreamId::STANDALONE, GRACE).await });
    for _ in 0..9 {
        let left = session.read(StreamId::STANDALONE);
        sleep(GRACE / 2).await;
        drop(left);
        sleep(GRACE / 2).await;
    }
    assert!(!deserted.is_finished());
    drop(reader);
    timeout(GRACE * 2, &mut deserted).await.expect("nobody comes back").unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_stream_is_attended_as_soon_as_somebody_reads_it() {
    let session = session();
    let watched = Arc::clone(&session);
    let attended = TaskTracker::new().spawn(async move { watched.attended(StreamId::STANDALONE).await });
    sleep(GRACE).await;
    assert!(!attended.is_finished());
    let _reader = session.read(StreamId::STANDALONE);
    timeout(GRACE, attended).await.expect("it is read").unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_is_not_there_is_deserted_and_never_attended() {
    let session = session();
    session.deserted(StreamId(7), GRACE).await;
    timeout(GRACE, session.attended(StreamId(7))).await.expect_err("it is not there");
}
