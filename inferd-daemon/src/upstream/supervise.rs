//! The life of one server's connection: connect, list, serve until it is lost, wait, again, for ever.
//!
//! Invariants:
//! - There is one attempt at a time, and between two of them at least a second.
//! - When this ends nothing of the server is left.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, sleep, sleep_until, timeout};
use tokio_util::sync::CancellationToken;

use super::Upstreams;
use super::backoff::Backoff;
use super::listing::Listing;
use super::patience::Patience;
use super::session::{Connect, Fault, Session};
use super::slot::Slot;

/// A session that lasted this long was a success: the next wait is the shortest again.
const LASTING: Duration = Duration::from_secs(10);

/// The shortest time between two attempts, however often somebody calls.
const PAUSE_MIN: Duration = Duration::from_secs(1);

/// The supervision of one server.
pub(super) struct Supervisor {
    connector: Box<dyn Connect>,
    slot: Arc<Slot>,
    upstreams: Upstreams,
    patience: Patience,
}

impl Supervisor {
    pub(super) fn new(connector: Box<dyn Connect>, slot: Arc<Slot>, upstreams: Upstreams) -> Self {
        let patience = upstreams.0.patience;
        Self { connector, slot, upstreams, patience }
    }

    /// Goes on until `stop`.
    pub(super) async fn run(self, stop: CancellationToken) {
        let mut backoff = Backoff::new();
        while !stop.is_cancelled() {
            self.slot.connecting();
            self.upstreams.publish();
            let begun = Instant::now();
            let connecting = timeout(self.patience.connect, self.connector.connect());
            let reason = match stop.run_until_cancelled(connecting).await {
                None => return,
                Some(Ok(Ok(session))) => {
                    let reason = self.attend(&session, &stop).await;
                    self.slot.losing(&reason);
                    self.upstreams.publish();
                    session.close().await;
                    reason
                }
                Some(Ok(Err(reason))) => reason,
                Some(Err(_)) => format!("no session within {} s", self.patience.connect.as_secs_f64()),
            };
            if stop.is_cancelled() {
                return;
            }
            if begun.elapsed() >= LASTING {
                backoff = Backoff::new();
            }
            self.wait(reason, &mut backoff, &stop).await;
        }
    }

    /// Waits for the next attempt; somebody who calls meanwhile makes it come at once.
    async fn wait(&self, reason: String, backoff: &mut Backoff, stop: &CancellationToken) {
        let wait = backoff.wait(fastrand::f64());
        let (server, wait_s) = (self.slot.id.as_str(), wait.as_secs_f64());
        if self.slot.lost(reason.clone()) {
            tracing::warn!(server, reason, wait_s, "an upstream server is not connected");
        } else {
            tracing::debug!(server, reason, wait_s, "an upstream server is still not connected");
        }
        self.upstreams.publish();
        let sooner = async {
            sleep(PAUSE_MIN.min(wait)).await;
            self.slot.nudge.notified().await;
        };
        tokio::select! {
            () = sleep(wait) => {}
            () = sooner => {}
            () = stop.cancelled() => {}
        }
    }

    /// Lists what a new session offers, and again whenever that changes; why the session ended.
    async fn attend(&self, session: &Arc<dyn Session>, stop: &CancellationToken) -> String {
        let mut ended = pin!(session.run());
        let mut changes = session.changes();
        let mut first = true;
        loop {
            changes.borrow_and_update();
            let listed = tokio::select! {
                reason = &mut ended => return reason,
                () = stop.cancelled() => return "it is no longer wanted".to_owned(),
                listed = self.list(&**session) => listed,
            };
            match listed {
                Ok((listing, latency)) => {
                    if first || self.slot.offers_other_than(&listing) {
                        self.log(&listing, first);
                        self.slot.ready(session, listing, latency);
                        self.upstreams.publish();
                    }
                    first = false;
                }
                Err(reason) if first => return reason,
                // What was listed before is still the best that is known.
                Err(reason) => tracing::warn!(server = self.slot.id, reason, "cannot list again"),
            }
            let settled = async {
                if changes.changed().await.is_ok() {
                    sleep(self.patience.settle).await;
                } else {
                    std::future::pending::<()>().await;
                }
            };
            tokio::select! {
                reason = &mut ended => return reason,
                () = stop.cancelled() => return "it is no longer wanted".to_owned(),
                reason = self.look_after(&**session) => return reason,
                () = settled => {}
            }
        }
    }

    async fn list(&self, session: &dyn Session) -> Result<(Listing, Duration), String> {
        let begun = Instant::now();
        let limit = self.patience.list;
        // A short question first: lists may be long, and say little of how far away the server is.
        let ping = timeout(limit, session.ping()).await;
        let latency = begun.elapsed();
        match ping {
            Ok(Ok(()) | Err(Fault::Refused { .. })) => {}
            Ok(Err(Fault::Lost(reason))) => return Err(reason),
            Err(_) => return Err(format!("no answer to a ping within {} s", limit.as_secs_f64())),
        }
        match tokio::time::timeout_at(begun + limit, Listing::fetch(session)).await {
            Ok(Ok(listing)) => Ok((listing, latency)),
            Ok(Err(fault)) => Err(format!("cannot list what it offers: {fault}")),
            Err(_) => Err(format!("no list of what it offers within {} s", limit.as_secs_f64())),
        }
    }

    /// Sees from time to time whether the server is still there; why it is not.
    async fn look_after(&self, session: &dyn Session) -> String {
        let mut next = Instant::now() + self.patience.idle;
        loop {
            sleep_until(next).await;
            let begun = Instant::now();
            next = begun + self.patience.idle;
            if self.slot.is_calling() {
                // It may do one thing at a time. Whoever calls will find out.
                continue;
            }
            match timeout(self.patience.list, session.ping()).await {
                Ok(Ok(()) | Err(Fault::Refused { .. })) => {
                    self.slot.answered_within(begun.elapsed());
                    self.upstreams.publish();
                }
                Ok(Err(Fault::Lost(reason))) => return reason,
                Err(_) => {
                    return format!("no answer to a ping within {} s", self.patience.list.as_secs_f64());
                }
            }
        }
    }

    fn log(&self, listing: &Listing, first: bool) {
        let server = self.slot.id.as_str();
        let (tools, resources, prompts) =
            (listing.tools.len(), listing.resources.len(), listing.prompts.len());
        if first {
            tracing::info!(server, tools, resources, prompts, "an upstream server is connected");
        } else {
            tracing::info!(server, tools, resources, prompts, "an upstream server has changed its lists");
        }
        for remark in &listing.remarks {
            tracing::warn!(server, remark, "an upstream server offers what is left out");
        }
    }
}
