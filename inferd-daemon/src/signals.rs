//! Signals to the process. One that comes while nobody waits for it is not lost.

use std::io;

use crate::platform::signals;

/// Listens from now on, so that none of these ends the process by itself any more.
///
/// # Errors
/// [`io::Error`] where the system refuses.
pub fn listen() -> io::Result<(Ends, Reloads)> {
    Ok((Ends(signals::Ends::listen()?), Reloads(signals::Reloads::listen()?)))
}

/// Signals that end the process.
#[derive(Debug)]
pub struct Ends(signals::Ends);

impl Ends {
    /// The next one: the exit code of an impatient end, which is 128 plus the signal's number.
    pub async fn next(&mut self) -> u8 {
        self.0.next().await
    }
}

/// The signal to read the configuration again: SIGHUP, where there is such a thing.
#[derive(Debug)]
pub struct Reloads(signals::Reloads);

impl Reloads {
    /// Waits for the next one.
    pub async fn next(&mut self) {
        self.0.next().await;
    }
}
