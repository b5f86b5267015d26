//! Signals that end the process.

use std::io;

/// Waits for the next request to end, and gives the exit code that an impatient end has.
#[derive(Debug)]
pub struct Signals(platform::Signals);

impl Signals {
    /// Listens from now on.
    ///
    /// # Errors
    /// [`io::Error`] where the system refuses.
    pub fn listen() -> io::Result<Self> {
        platform::Signals::listen().map(Self)
    }

    /// The next one: 128 plus the signal's number.
    pub async fn next(&mut self) -> u8 {
        self.0.next().await
    }
}

#[cfg(unix)]
mod platform {
    use std::io;

    use tokio::signal::unix::{Signal, SignalKind, signal};

    #[derive(Debug)]
    pub(super) struct Signals {
        terminate: Signal,
        interrupt: Signal,
    }

    impl Signals {
        pub(super) fn listen() -> io::Result<Self> {
            Ok(Self {
                terminate: signal(SignalKind::terminate())?,
                interrupt: signal(SignalKind::interrupt())?,
            })
        }

        pub(super) async fn next(&mut self) -> u8 {
            tokio::select! {
                _ = self.terminate.recv() => 128 + 15,
                _ = self.interrupt.recv() => 128 + 2,
            }
        }
    }
}

#[cfg(windows)]
mod platform {
    use std::io;

    use tokio::signal::windows::{CtrlBreak, CtrlC, ctrl_break, ctrl_c};

    #[derive(Debug)]
    pub(super) struct Signals {
        interrupt: CtrlC,
        terminate: CtrlBreak,
    }

    impl Signals {
        pub(super) fn listen() -> io::Result<Self> {
            Ok(Self { interrupt: ctrl_c()?, terminate: ctrl_break()? })
        }

        pub(super) async fn next(&mut self) -> u8 {
            tokio::select! {
                _ = self.interrupt.recv() => 128 + 2,
                _ = self.terminate.recv() => 128 + 15,
            }
        }
    }
}
