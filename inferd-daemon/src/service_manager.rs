//! What systemd is told: that the daemon serves, that it reloads, that it stops, that it is alive (`sd_notify(3)`).
//!
//! Without a service manager nothing is said. A message that cannot be sent is logged, and changes nothing.

use std::time::Duration;

use crate::platform::service_manager;

/// What there is to say.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Word {
    /// Requests are served.
    Ready,
    /// The configuration is being read again; `Ready` follows, whatever came of it.
    Reloading,
    /// No more are taken.
    Stopping,
    /// Still here.
    Alive,
}

/// Says it.
pub(crate) fn tell(word: Word) {
    if let Err(error) = service_manager::tell(word) {
        tracing::warn!(?word, %error, "cannot reach the service manager");
    }
}

/// Says for ever that the daemon is alive, at half the interval asked for; at once over if none was.
pub(crate) async fn keep_watchdog() {
    let Some(interval) = service_manager::watchdog() else { return };
    let mut ticks = tokio::time::interval((interval / 2).max(Duration::from_millis(1)));
    loop {
        ticks.tick().await;
        tell(Word::Alive);
    }
}
