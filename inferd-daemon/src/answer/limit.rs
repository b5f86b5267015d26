//! Time limits that a request sets itself.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use pin_project_lite::pin_project;
use tokio::time::{Instant, Sleep, sleep_until};

use super::AnswerError;

/// A limit by its name on the wire; `after` is `None` where the request set none.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limit {
    pub(super) name: &'static str,
    pub(super) after: Option<Duration>,
    pub(super) from: Instant,
}

pin_project! {
    /// Work that ends when its limit passes. The work is held in place, not moved: it is large, and every request's.
    pub(super) struct Bounded<F> {
        #[pin]
        work: F,
        timer: Option<(Pin<Box<Sleep>>, AnswerError)>,
    }
}

impl Limit {
    pub(super) fn bounds<F>(self, work: F) -> Bounded<F> {
        let timer = self.after.map(|after| {
            let passed = AnswerError::DeadlineExceeded { limit: self.name, after };
            (Box::pin(sleep_until(self.from + after)), passed)
        });
        Bounded { work, timer }
    }
}

impl<T, F: Future<Output = Result<T, AnswerError>>> Future for Bounded<F> {
    type Output = Result<T, AnswerError>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        if let done @ Poll::Ready(_) = this.work.poll(cx) {
            return done;
        }
        let Some((timer, passed)) = this.timer else { return Poll::Pending };
        timer.as_mut().poll(cx).map(|()| Err(passed.clone()))
    }
}
