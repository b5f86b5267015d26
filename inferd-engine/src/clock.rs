//! The time-outs of one generation, on a single timer.
//!
//! Events only leave a note that there was life; the clock is read when the stream runs dry, and the timer is set
//! again only after it rang. A token costs neither a clock read nor a timer.

mod timer;

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::time::Instant;

use crate::GenerateError;
use timer::Timer;

/// How long an engine may take.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Timeouts {
    /// From sending to the first event.
    pub(crate) first_token: Duration,
    /// Between events after that.
    pub(crate) idle: Duration,
    /// From sending to the end.
    pub(crate) total: Option<Duration>,
}

/// Watches one generation.
pub(crate) struct Clock {
    limits: Timeouts,
    started: Instant,
    /// Since the last sign of life; `None` before the first token.
    quiet_since: Option<Instant>,
    /// There was life since the clock was last read.
    lively: bool,
    timer: Timer,
}

impl Clock {
    /// Starts counting.
    pub(crate) fn start(limits: Timeouts) -> Self {
        let started = Instant::now();
        let first = limits.first_token.min(limits.total.unwrap_or(Duration::MAX));
        let timer = Timer::ringing_by(after(started, first));
        Self { limits, started, quiet_since: None, lively: false, timer }
    }

    /// Something was generated: from here on silence is counted from the last sign of life.
    pub(crate) fn token(&mut self) {
        self.lively = true;
        if self.quiet_since.is_none() {
            self.quiet_since = Some(Instant::now());
            self.timer.ring_by(self.limit().at);
        }
    }

    /// The server is there. Before the first token that is not enough.
    pub(crate) fn sign_of_life(&mut self) {
        self.lively = self.quiet_since.is_some();
    }

    /// Ready when time has run out. To be asked only when there is nothing else to do.
    pub(crate) fn poll_late(&mut self, cx: &mut Context<'_>) -> Poll<GenerateError> {
        let now = Instant::now();
        if self.lively {
            self.lively = false;
            self.quiet_since = Some(now);
        }
        // A server that never falls silent uses up what tokio lets a task do at a time, and then no timer rings.
        while self.timer.poll_rung(cx).is_ready() || now >= self.timer.deadline() {
            let limit = self.limit();
            if Instant::now() >= limit.at {
                return Poll::Ready(limit.passed());
            }
            self.timer.set(limit.at);
        }
        Poll::Pending
    }

    /// Runs `work` unless time runs out before it is done.
    pub(crate) async fn bound<T>(&mut self, work: impl Future<Output = T>) -> Result<T, GenerateError> {
        let mut work = pin!(work);
        poll_fn(|cx| match work.as_mut().poll(cx) {
            Poll::Ready(done) => Poll::Ready(Ok(done)),
            Poll::Pending => self.poll_late(cx).map(Err),
        })
        .await
    }

    /// The first limit that will have passed if nothing more comes.
    fn limit(&self) -> Limit {
        let (since, wait, what) = match self.quiet_since {
            None => (self.started, self.limits.first_token, "no token within"),
            Some(since) => (since, self.limits.idle, "nothing more for"),
        };
        let limit = Limit { at: after(since, wait), wait, what };
        match self.limits.total {
            Some(wait) if after(self.started, wait) < limit.at => {
                Limit { at: after(self.started, wait), wait, what: "not done within" }
            }
            _ => limit,
        }
    }
}

/// A limit, when it will have passed, and what is to be said then.
struct Limit {
    at: Instant,
    wait: Duration,
    what: &'static str,
}

impl Limit {
    fn passed(&self) -> GenerateError {
        GenerateError::Unavailable(format!("{} {}", self.what, shown(self.wait)))
    }
}

fn after(start: Instant, wait: Duration) -> Instant {
    const FOREVER: Duration = Duration::from_secs(60 * 60 * 24 * 365);
    start + wait.min(FOREVER)
}

/// A time as people write it: `120 s`, `250 ms`.
pub(crate) fn shown(time: Duration) -> String {
    if time.subsec_millis() == 0 {
        format!("{} s", time.as_secs())
    } else {
        format!("{} ms", time.as_millis())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: Timeouts =
        Timeouts { first_token: Duration::from_secs(120), idle: Duration::from_millis(1500), total: None };

    async fn late(clock: &mut Clock) -> (Duration, String) {
        let start = Instant::now();
        let error = poll_fn(|cx| clock.poll_late(cx)).await;
        (start.elapsed(), error.to_string())
    }

    #[tokio::test(start_paused = true)]
    async fn the_first_token_has_its_own_time_and_signs_of_life_do_not_lengthen_it() {
        let mut clock = Clock::start(LIMITS);
        tokio::time::advance(Duration::from_secs(100)).await;
        clock.sign_of_life();
        let (waited, error) = late(&mut clock).await;
        assert_eq!(error, "no token within 120 s");
        assert_eq!(waited.as_secs(), 20);
    }

    #[tokio::test(start_paused = true)]
    async fn after_a_token_silence_counts_from_the_last_sign_of_life() {
        let mut clock = Clock::start(LIMITS);
        clock.token();
        assert!(clock.bound(tokio::time::sleep(Duration::from_secs(1))).await.is_ok());
        clock.sign_of_life();
        let (waited, error) = late(&mut clock).await;
        assert_eq!(error, "nothing more for 1500 ms");
        assert!((1.5..1.6).contains(&waited.as_secs_f64()), "{waited:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_total_limit_ends_even_a_lively_generation() {
        let mut clock = Clock::start(Timeouts { total: Some(Duration::from_secs(3)), ..LIMITS });
        let lively = async {
            loop {
                clock.token();
                if let Err(error) = clock.bound(tokio::time::sleep(Duration::from_secs(1))).await {
                    return error;
                }
            }
        };
        assert_eq!(lively.await.to_string(), "not done within 3 s");
    }

    #[tokio::test(start_paused = true)]
    async fn a_server_that_never_falls_silent_is_late_all_the_same() {
        let mut clock = Clock::start(LIMITS);
        tokio::time::advance(LIMITS.first_token).await;
        let flood = async {
            for _ in 0..10_000 {
                tokio::task::coop::consume_budget().await;
            }
        };
        assert_eq!(clock.bound(flood).await.unwrap_err().to_string(), "no token within 120 s");
    }

    #[tokio::test(start_paused = true)]
    async fn a_reader_that_was_slow_does_not_make_the_server_late() {
        let mut clock = Clock::start(LIMITS);
        clock.token();
        tokio::time::advance(Duration::from_secs(600)).await;
        let (waited, _) = late(&mut clock).await;
        assert!((1.5..1.6).contains(&waited.as_secs_f64()), "{waited:?}");
    }
    #[tokio::test(start_paused = true)]
    async fn a_timer_that_rings_early_enough_is_used_again_as_it_is() {
        let first = Timer::ringing_by(Instant::now() + Duration::from_secs(60));
        let set_at = first.deadline();
        drop(first);
        tokio::time::advance(Duration::from_secs(30)).await;
        let second = Timer::ringing_by(Instant::now() + Duration::from_secs(60));
        assert_eq!(second.deadline(), set_at);
        drop(second);
        let third = Timer::ringing_by(Instant::now() + Duration::from_secs(1));
        assert_eq!(third.deadline(), Instant::now() + Duration::from_secs(1));
    }

    #[tokio::test(start_paused = true)]
    async fn a_limit_holds_on_a_timer_that_has_rung_before() {
        drop(Clock::start(Timeouts { first_token: Duration::from_secs(1), ..LIMITS }));
        let mut clock = Clock::start(LIMITS);
        let (waited, error) = late(&mut clock).await;
        assert_eq!((waited.as_secs(), error.as_str()), (120, "no token within 120 s"));
    }

    #[test]
    fn a_timer_is_not_used_again_in_another_runtime() {
        let wait = || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
            runtime.block_on(async {
                let mut clock = Clock::start(Timeouts { first_token: Duration::from_millis(1), ..LIMITS });
                late(&mut clock).await.1
            })
        };
        assert_eq!((wait(), wait()), ("no token within 1 ms".to_owned(), "no token within 1 ms".to_owned()));
    }
}
