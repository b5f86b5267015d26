//! The admin socket's client: where the daemon stands, and the commands it takes.

use std::io;
use std::path::Path;
use std::time::Duration;

use inferd_proto::{AdminCommand, AdminStatus, ErrorCode, Reloaded};
use interprocess::local_socket::tokio::prelude::LocalSocketStream;
use serde::Deserialize;
use serde_json::Value;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt, ReadHalf, WriteHalf};
use tokio::time::timeout;

use crate::client::{LineReader, is_absence, local};

/// How long a daemon has to answer a command.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(5);

/// A connection to the admin socket. The daemon sends its state on connect and with every change.
pub struct Admin<T = LocalSocketStream> {
    lines: LineReader<ReadHalf<T>>,
    writer: WriteHalf<T>,
}

/// What comes on the admin socket.
#[derive(Debug, Clone, PartialEq)]
pub enum AdminFrame {
    /// Where the daemon stands.
    Status(AdminStatus),
    /// The answer to [`AdminCommand::Snapshot`].
    Snapshot(Value),
    /// The answer to [`AdminCommand::Reload`].
    Reloaded(Reloaded),
    /// A frame this version does not know, or the answer to another command.
    Other(Value),
}

/// Why there is no answer from the admin socket.
#[derive(Debug, thiserror::Error)]
pub enum AdminError {
    /// Nobody listens there, or not for us.
    #[error("cannot connect to {path}")]
    Connect {
        /// Where.
        path: String,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// The connection failed.
    #[error("the connection to the daemon was lost")]
    Io(#[from] io::Error),
    /// What came is not JSON.
    #[error("what answers there is no admin socket: {0}")]
    NotAdmin(serde_json::Error),
    /// The daemon closed the connection.
    #[error("the daemon closed the connection")]
    Closed,
    /// No answer within five seconds.
    #[error("the daemon does not answer")]
    Silent,
    /// The daemon did not do it.
    #[error("the daemon refused: {reason}")]
    Refused {
        /// What it is, as far as this version knows the code.
        code: Option<ErrorCode>,
        /// The daemon's reason.
        reason: String,
    },
}

impl AdminError {
    /// Whether no daemon runs there, as far as the system tells.
    #[must_use]
    pub fn is_absent(&self) -> bool {
        matches!(self, Self::Connect { source, .. } if is_absence(source))
    }
}

impl Admin {
    /// Connects to the admin socket at `path`.
    ///
    /// # Errors
    /// [`AdminError::Connect`]
    pub async fn connect(path: &Path) -> Result<Self, AdminError> {
        let connected = local(path).await;
        let refused = |source| AdminError::Connect { path: path.display().to_string(), source };
        connected.map(Self::over).map_err(refused)
    }
}

impl<T: AsyncRead + AsyncWrite> Admin<T> {
    fn over(transport: T) -> Self {
        let (reader, writer) = tokio::io::split(transport);
        Self { lines: LineReader::new(reader), writer }
    }

    /// The next frame; `None` when the daemon closed the connection. Cancel safe.
    ///
    /// # Errors
    /// [`AdminError::Io`], [`AdminError::NotAdmin`]
    pub async fn next(&mut self) -> Result<Option<AdminFrame>, AdminError> {
        match self.lines.next(|line| serde_json::from_slice(line)).await? {
            None => Ok(None),
            Some(frame) => frame.map(AdminFrame::of).map(Some).map_err(AdminError::NotAdmin),
        }
    }

    /// Sends a command; what it answers comes by [`Admin::next`].
    ///
    /// # Errors
    /// [`AdminError::Io`]
    pub async fn send(&mut self, command: AdminCommand) -> Result<(), AdminError> {
        let mut line = serde_json::to_vec(&command).map_err(io::Error::from)?;
        line.push(b'\n');
        Ok(self.writer.write_all(&line).await?)
    }

    /// Asks for the state of lanes, queue and clients, passing over what else comes meanwhile.
    ///
    /// # Errors
    /// [`AdminError`]; [`AdminError::Silent`] after five seconds.
    pub async fn snapshot(&mut self) -> Result<Value, AdminError> {
        self.ask(AdminCommand::Snapshot, |frame| match frame {
            AdminFrame::Snapshot(snapshot) => Some(snapshot),
            _ => None,
        })
        .await
    }

    /// Has the configuration read again, and says what that changed.
    ///
    /// # Errors
    /// [`AdminError`]; [`AdminError::Refused`] where the daemon keeps to the configuration it has.
    pub async fn reload(&mut self) -> Result<Reloaded, AdminError> {
        self.ask(AdminCommand::Reload, |frame| match frame {
            AdminFrame::Reloaded(reloaded) => Some(reloaded),
            _ => None,
        })
        .await
    }

    /// Sends a command and waits for what `answers` it, passing over what else comes meanwhile.
    async fn ask<A>(
        &mut self,
        command: AdminCommand,
        answers: impl Fn(AdminFrame) -> Option<A>,
    ) -> Result<A, AdminError> {
        self.send(command).await?;
        let answer = async {
            loop {
                match self.next().await?.ok_or(AdminError::Closed)? {
                    AdminFrame::Other(frame) if frame["type"] == "error" => {
                        let code = ErrorCode::deserialize(&frame["code"]).ok();
                        let reason = frame["message"].as_str().unwrap_or_default().to_owned();
                        return Err(AdminError::Refused { code, reason });
                    }
                    frame => {
                        if let Some(answer) = answers(frame) {
                            return Ok(answer);
                        }
                    }
                }
            }
        };
        timeout(ANSWER_TIMEOUT, answer).await.unwrap_or(Err(AdminError::Silent))
    }
}

impl AdminFrame {
    fn of(frame: Value) -> Self {
        match frame["type"].as_str() {
            Some("status") => match AdminStatus::deserialize(&frame) {
                Ok(status) => Self::Status(status),
                // A state of a later version.
                Err(_) => Self::Other(frame),
            },
            Some("snapshot") => Self::Snapshot(frame),
            Some("reloaded") => match Reloaded::deserialize(&frame) {
                Ok(reloaded) => Self::Reloaded(reloaded),
                Err(_) => Self::Other(frame),
            },
            _ => Self::Other(frame),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use tokio::io::{AsyncBufReadExt, BufReader, duplex};

    use super::*;

    #[tokio::test]
    async fn a_snapshot_is_found_among_the_states_pushed_meanwhile() {
        let (ours, theirs) = duplex(1 << 12);
        let mut admin = Admin::over(ours);
        let mut daemon = BufReader::new(theirs);
        let script = async {
            let mut command = String::new();
            daemon.read_line(&mut command).await.unwrap();
            assert_eq!(command, "{\"type\":\"snapshot\"}\n");
            for frame in [
                json!(AdminStatus::Ready.frame()),
                json!({"id": "admin", "type": "status", "status": "dreaming"}),
                json!({"id": "admin", "type": "snapshot", "running": 1}),
            ] {
                daemon.write_all(format!("{frame}\n").as_bytes()).await.unwrap();
            }
        };
        let (snapshot, ()) = tokio::join!(admin.snapshot(), script);
        assert_eq!(snapshot.unwrap()["running"], 1);
    }

    #[tokio::test]
    async fn states_are_read_as_they_are_pushed() {
        let (ours, mut theirs) = duplex(1 << 12);
        let mut admin = Admin::over(ours);
        for status in [AdminStatus::Starting, AdminStatus::Draining] {
            theirs.write_all(format!("{}\n", json!(status.frame())).as_bytes()).await.unwrap();
            assert_eq!(admin.next().await.unwrap(), Some(AdminFrame::Status(status)));
        }
        drop(theirs);
        assert_eq!(admin.next().await.unwrap(), None);
    }

    #[tokio::test(start_paused = true)]
    async fn a_daemon_that_takes_no_commands_is_not_waited_for_for_ever() {
        let (ours, _theirs) = duplex(1 << 12);
        assert!(matches!(Admin::over(ours).snapshot().await, Err(AdminError::Silent)));
    }
}
