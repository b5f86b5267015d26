//! Whether anybody reads a stream: what is said to a client that does not listen reaches nobody.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use super::event::StreamId;
use super::state::SessionState;

impl SessionState {
    /// Waits until `stream` has the reader that it is delivered to. For ever, if it is forgotten.
    pub async fn attended(&self, stream: StreamId) {
        self.until(stream, true).await;
    }

    /// Waits until `stream` has had no reader for as long as `grace`, or is forgotten.
    pub async fn deserted(&self, stream: StreamId, grace: Duration) {
        loop {
            self.until(stream, false).await;
            if tokio::time::timeout(grace, self.until(stream, true)).await.is_err() {
                return;
            }
        }
    }

    async fn until(&self, stream: StreamId, attended: bool) {
        loop {
            let found = self.streams().get(stream).map(|stream| Arc::clone(&stream.news));
            let Some(news) = found else {
                if attended {
                    std::future::pending::<()>().await;
                }
                return;
            };
            let mut news = pin!(news.notified());
            // Asked once more after signing up: what changes in between wakes nobody.
            news.as_mut().enable();
            if self.streams().get(stream).is_some_and(|stream| stream.attached.is_some()) == attended {
                return;
            }
            news.await;
        }
    }
}
