//! Hedging: a lane that has not begun to answer in time gets a rival, and the first to begin has the request.
//!
//! Two attempts enter; the use of one lane leaves, with what its attempt came to. What happens when that failed is not
//! decided here.
//!
//! Invariants:
//! - At most two attempts at once, the second paid for out of the retry budget.
//! - The attempt that lost is cancelled and its lane blamed for nothing; one that failed is settled as any other.
//! - While either runs, no lane is tried beside it because the other failed.

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use inferd_engine::GenerateError;
use tokio::time::{Instant, sleep};

use super::Router;
use super::job::Job;
use super::lane::{Lane, Use};

/// What one attempt came to.
pub(super) type Ended<J> = Result<<J as Job>::Begun, GenerateError>;

/// One attempt under way. Dropped, it is cancelled, and then its use of the lane is abandoned.
struct Runner<'a, J: Job> {
    ended: Pin<Box<dyn Future<Output = Ended<J>> + Send + 'a>>,
    using: Use,
}

impl<'a, J: Job + 'a> Runner<'a, J> {
    fn start(using: Use, job: Box<J>) -> Self {
        let lane = Arc::clone(using.lane());
        Self { ended: Box::pin(async move { job.attempt(&lane).await }), using }
    }

    async fn finish(self) -> (Use, Ended<J>) {
        let ended = self.ended.await;
        (self.using, ended)
    }

    /// The other was quicker.
    fn lose(self) {
        drop(self.ended);
        self.using.outpaced(Instant::now());
    }
}

/// Runs `job` on the lane of `using`, and after the lane's `patience` a copy of it on another, if there is one for it.
/// The use and the end of the one that began first, or of the last that failed; another that failed was settled and is
/// in `tried`. `moved` is told the lane of the second when it is the one that has the request.
pub(super) async fn race<J: Job>(
    router: &Router,
    using: Use,
    patience: Duration,
    (job, spare): (Box<J>, &J),
    tried: &mut Vec<Arc<Lane>>,
    moved: &mut impl FnMut(&str),
) -> (Use, Ended<J>) {
    let mut first = Runner::start(using, job);
    let patience = sleep(patience);
    tokio::select! {
        biased;
        ended = &mut first.ended => return (first.using, ended),
        () = patience => {}
    }
    let Some(using) = router.rival(spare.need(), tried, first.using.lane()) else {
        return first.finish().await;
    };
    tracing::debug!(slow = first.using.lane().name(), rival = using.lane().name(), "lane is slow to begin");
    let mut second = Runner::start(using, Box::new(spare.clone()));
    tokio::select! {
        biased;
        ended = &mut first.ended => match ended {
            Ok(begun) => {
                second.lose();
                (first.using, Ok(begun))
            }
            Err(error) => {
                router.settle_failed(first.using, &error, tried);
                moved(second.using.lane().name());
                second.finish().await
            }
        },
        ended = &mut second.ended => match ended {
            Ok(begun) => {
                moved(second.using.lane().name());
                first.lose();
                (second.using, Ok(begun))
            }
            Err(error) => {
                router.settle_failed(second.using, &error, tried);
                first.finish().await
            }
        },
    }
}
