//! One answer from its request to its end, shown as it comes. What chat and ask have in common.
//!
//! Ctrl-C ends the answer, not the program: the first asks the daemon to end it, the second stops waiting for that.

use std::io::{self, Write};
use std::pin::pin;

use futures_util::StreamExt;
use inferd_proto::Response;
use tokio::signal::ctrl_c;

use crate::client::{Answer, Broken, ClientError};
use crate::screen::Screen;
use crate::waiting::Waiting;
use crate::words;

/// How an answer ended.
#[derive(Debug)]
pub(crate) enum End {
    /// With its terminal frame.
    Terminal(Response),
    /// Without one: the connection broke.
    Lost(ClientError),
    /// Nobody waits for it any more.
    Abandoned,
    /// Nobody reads it any more.
    Unread(io::Error),
}

/// Shows `answer` to its end.
pub(crate) async fn show<W: Write>(mut answer: Answer, screen: &mut Screen<W>, waiting: &Waiting) -> End {
    let mut interrupted = pin!(interrupt());
    let mut stopping = false;
    loop {
        let frame = tokio::select! {
            // In this order, so that Ctrl-C is listened for before the first frame is shown.
            biased;
            () = &mut interrupted => {
                if stopping {
                    return End::Abandoned;
                }
                stopping = true;
                answer.cancel();
                interrupted.set(interrupt());
                continue;
            }
            frame = answer.next() => frame.unwrap_or(Err(ClientError::Broken(Broken::Closed))),
        };
        let shown = match frame {
            Ok(frame @ Response::Status { .. }) => match between(&frame, screen, waiting) {
                Ok(()) => continue,
                Err(error) => Err(error),
            },
            Ok(Response::Token { content, kind, .. }) => {
                waiting.clear();
                screen.token(&content, kind)
            }
            Ok(terminal) => {
                waiting.clear();
                return finish(terminal, screen).unwrap_or_else(End::Unread);
            }
            Err(error) => {
                waiting.clear();
                return screen.end().map_or_else(End::Unread, |()| End::Lost(error));
            }
        };
        // Tokens that are here together are shown together.
        let shown = if answer.has_frame() { shown } else { shown.and_then(|()| screen.flush()) };
        if let Err(error) = shown {
            return End::Unread(error);
        }
    }
}

/// Shows where the request stands; what a tool has to do with it stands on lines of its own.
fn between<W: Write>(status: &Response, screen: &mut Screen<W>, waiting: &Waiting) -> io::Result<()> {
    if matches!(status, Response::Status { tool: Some(_), .. }) {
        screen.pause()?;
        waiting.again();
    }
    if let Some(line) = words::ended(status) {
        waiting.leave(&line);
    }
    waiting.show(status);
    Ok(())
}

fn finish<W: Write>(terminal: Response, screen: &mut Screen<W>) -> io::Result<End> {
    if let Response::Done { content, .. } = &terminal
        && screen.said().is_empty()
    {
        // Not streamed: all of it is here.
        screen.token(content, None)?;
    }
    screen.end()?;
    Ok(End::Terminal(terminal))
}

/// Resolves at the next Ctrl-C; never where the system has no such thing.
pub(crate) async fn interrupt() {
    if ctrl_c().await.is_err() {
        std::future::pending::<()>().await;
    }
}
