//! Signals that end the process.

use std::io;

use crate::platform;

/// Waits for the next request to end, and gives the exit code that an impatient end has.
#[derive(Debug)]
pub struct Signals(platform::signals::Signals);

impl Signals {
    /// Listens from now on.
    ///
    /// # Errors
    /// [`io::Error`] where the system refuses.
    pub fn listen() -> io::Result<Self> {
        platform::signals::Signals::listen().map(Self)
    }

    /// The next one: 128 plus the signal's number.
    pub async fn next(&mut self) -> u8 {
        self.0.next().await
    }
}
