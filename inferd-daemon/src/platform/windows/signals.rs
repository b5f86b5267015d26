//! Ctrl-C and Ctrl-Break end; there is no signal to reload by.

use std::io;

use tokio::signal::windows::{CtrlBreak, CtrlC, ctrl_break, ctrl_c};

#[derive(Debug)]
pub(crate) struct Ends {
    interrupt: CtrlC,
    terminate: CtrlBreak,
}

impl Ends {
    pub(crate) fn listen() -> io::Result<Self> {
        Ok(Self { interrupt: ctrl_c()?, terminate: ctrl_break()? })
    }

    pub(crate) async fn next(&mut self) -> u8 {
        tokio::select! {
            _ = self.interrupt.recv() => 128 + 2,
            _ = self.terminate.recv() => 128 + 15,
        }
    }
}

#[derive(Debug)]
pub(crate) struct Reloads;

impl Reloads {
    #[expect(clippy::unnecessary_wraps, reason = "the signature is the one of all platforms")]
    pub(crate) fn listen() -> io::Result<Self> {
        Ok(Self)
    }

    pub(crate) async fn next(&mut self) {
        std::future::pending::<()>().await;
    }
}
