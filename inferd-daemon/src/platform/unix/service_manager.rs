//! systemd.

use std::io;
use std::time::Duration;

use sd_notify::NotifyState;

use crate::service_manager::Word;

pub(crate) fn tell(word: Word) -> io::Result<()> {
    sd_notify::notify(&[match word {
        Word::Ready => NotifyState::Ready,
        Word::Stopping => NotifyState::Stopping,
        Word::Alive => NotifyState::Watchdog,
    }])
}

pub(crate) fn watchdog() -> Option<Duration> {
    sd_notify::watchdog_enabled()
}
