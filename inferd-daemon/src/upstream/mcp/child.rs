//! A program that is a server: started with the environment it may have, heard on its standard error, ended with all it
//! started itself.
//!
//! Invariants:
//! - It gets the variables that are named and no others.
//! - However it ends, and whoever forgets it, nothing of its group is left running.

use std::process::Stdio;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::io::AsyncReadExt;
use tokio::process::{Child as Process, ChildStderr, ChildStdin, ChildStdout, Command};
use tokio::time::{Instant, sleep, timeout};

use super::ear::Ear;
use super::flood::{Flood, Verdict};
use crate::platform::child::{self, Group};

/// The longest line of a standard error that is logged; the rest of it is dropped.
const LINE_BYTES_MAX: usize = 2 * 1024;
/// The most characters of a program's last words that are kept to explain its end.
const LAST_WORDS_CHARS_MAX: usize = 200;
/// How long a program that has ended may still be heard.
const LAST_WORDS: Duration = Duration::from_millis(50);

/// How often it is looked whether all that a program has started is gone.
const POLL: Duration = Duration::from_millis(20);

/// How long what was killed may take to be gone.
const KILLED: Duration = Duration::from_secs(1);

/// A running program.
#[derive(Debug)]
pub(super) struct Child {
    process: tokio::sync::Mutex<Process>,
    stderr: tokio::sync::Mutex<Option<ChildStderr>>,
    group: Group,
    ear: Arc<Ear>,
    last_words: Mutex<Option<String>>,
    /// From the wish that it ends to its being killed.
    patience: Duration,
}

impl Child {
    /// Starts `command` with the variables `env` of this process; what it says and what it hears.
    pub(super) fn start(
        command: &[String],
        env: &[String],
        ear: Arc<Ear>,
        patience: Duration,
    ) -> Result<(Self, ChildStdout, ChildStdin), String> {
        let (program, arguments) = command.split_first().ok_or("it has no program")?;
        let found = child::find(program);
        let mut command = Command::new(found.as_deref().unwrap_or(program.as_ref()));
        command.args(arguments).env_clear().kill_on_drop(true);
        command.envs(env.iter().filter_map(|name| Some((name, std::env::var_os(name)?))));
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let (mut process, group) =
            Group::start(&mut command).map_err(|error| format!("cannot start {program}: {error}"))?;
        let missing = || "a pipe is missing".to_owned();
        let output = process.stdout.take().ok_or_else(missing)?;
        let input = process.stdin.take().ok_or_else(missing)?;
        let stderr = tokio::sync::Mutex::new(process.stderr.take());
        let process = tokio::sync::Mutex::new(process);
        let last_words = Mutex::default();
        Ok((Self { process, stderr, group, ear, last_words, patience }, output, input))
    }

    /// Hears it until it ends; how it ended. May be dropped and begun again.
    pub(super) async fn run(&self) -> String {
        let mut stderr = self.stderr.lock().await;
        let mut process = self.process.lock().await;
        let status = tokio::select! {
            status = process.wait() => status,
            // It may close its standard error and go on.
            () = self.hear(&mut stderr) => process.wait().await,
        };
        let ended = match status {
            Ok(status) => format!("it ended: {status}"),
            Err(error) => format!("it was lost: {error}"),
        };
        // What it said last may still be in the pipe, which others may hold open.
        timeout(LAST_WORDS, self.hear(&mut stderr)).await.ok();
        match self.last_words.lock().unwrap_or_else(PoisonError::into_inner).take() {
            Some(words) => format!("{ended}: {words}"),
            None => ended,
        }
    }

    /// Ends it and all it has started, within the time it has.
    pub(super) async fn close(&self) {
        self.group.terminate();
        let mut process = self.process.lock().await;
        if timeout(self.patience, self.gone(&mut process)).await.is_err() {
            tracing::warn!(server = self.ear.server, "a program did not end when it was told to: killed");
            self.group.kill();
            if timeout(KILLED, self.gone(&mut process)).await.is_err() {
                tracing::warn!(server = self.ear.server, "a program was killed and is not gone");
            }
        }
        self.group.forget();
    }

    /// When nothing of it runs any more.
    async fn gone(&self, process: &mut Process) {
        if let Err(error) = process.wait().await {
            tracing::warn!(server = self.ear.server, %error, "a program cannot be waited for");
        }
        while !self.group.is_gone() {
            sleep(POLL).await;
        }
    }

    /// Puts what it says on its standard error into the log, until it closes that.
    async fn hear(&self, stderr: &mut Option<ChildStderr>) {
        let Some(stderr) = stderr else { return };
        let (mut flood, mut line) = (Flood::new(Instant::now()), Vec::new());
        let mut read = [0; 4096];
        loop {
            let count = match stderr.read(&mut read).await {
                Ok(0) | Err(_) => return,
                Ok(count) => count,
            };
            for &byte in &read[..count] {
                if byte == b'\n' {
                    self.log(&line, &flood.line(Instant::now()));
                    line.clear();
                } else if line.len() < LINE_BYTES_MAX {
                    line.push(byte);
                }
            }
        }
    }

    fn log(&self, line: &[u8], verdict: &Verdict) {
        let text = String::from_utf8_lossy(line.trim_ascii_end());
        let &Verdict::Through { left_out } = verdict else { return };
        if text.is_empty() {
            return;
        }
        let server = self.ear.server.as_str();
        if left_out > 0 {
            tracing::warn!(server, left_out, "an upstream server says too much: lines were left out");
        }
        // As a value with its escapes: it comes from elsewhere, and may hold what a terminal acts on.
        tracing::info!(server, line = ?text, "an upstream server says");
        let words = text.chars().take(LAST_WORDS_CHARS_MAX).collect();
        *self.last_words.lock().unwrap_or_else(PoisonError::into_inner) = Some(words);
    }
}

#[cfg(test)]
#[cfg(target_os = "linux")]
mod tests;
