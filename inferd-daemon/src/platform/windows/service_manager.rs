//! Nobody to tell.

use std::io;
use std::time::Duration;

use crate::service_manager::Word;

#[expect(clippy::unnecessary_wraps, reason = "the signature is the one of all platforms")]
pub(crate) fn tell(_word: Word) -> io::Result<()> {
    Ok(())
}

pub(crate) fn watchdog() -> Option<Duration> {
    None
}
