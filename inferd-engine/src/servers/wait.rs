//! Waits for several sessions, of whatever servers.

use std::time::Duration;

use futures_util::StreamExt;
use futures_util::future::join_all;
use futures_util::stream::FuturesUnordered;
use tokio::time::timeout;

use super::error::RuntimeError;
use super::id::ThreadKey;
use super::result::AgentResult;
use super::session::AgentSession;

/// What each came to, in their order; [`AgentResult::TimedOut`] for those that have not ended by then.
pub(super) async fn all(sessions: &[AgentSession], after: Option<Duration>) -> Vec<AgentResult> {
    join_all(
        sessions.iter().map(|session| async move {
            within(after, session.result()).await.unwrap_or(AgentResult::TimedOut)
        }),
    )
    .await
}

/// The first success, or the last of the others if there is none.
pub(super) async fn any(
    sessions: &[AgentSession],
    after: Option<Duration>,
) -> Result<(ThreadKey, AgentResult), RuntimeError> {
    let results = sessions.iter().map(|session| async { (session.thread_key(), session.result().await) });
    let mut results: FuturesUnordered<_> = results.collect();
    let first = async {
        let mut last = Err(RuntimeError::EmptyWait);
        while let Some((key, result)) = results.next().await {
            let is_success = result.is_success();
            last = Ok((key.clone(), result));
            if is_success {
                break;
            }
        }
        last
    };
    within(after, first).await.map_err(RuntimeError::WaitTimedOut)?
}

/// What `future` gives, or the limit that passed first.
async fn within<F: Future>(after: Option<Duration>, future: F) -> Result<F::Output, Duration> {
    match after {
        Some(after) => timeout(after, future).await.map_err(|_elapsed| after),
        None => Ok(future.await),
    }
}
