//! A program and all it starts are a process group.

use std::io;
use std::path::PathBuf;
use std::sync::Mutex;
use std::sync::PoisonError;

use rustix::process::{Pid, Signal, kill_process_group, test_kill_process_group};
use tokio::process::{Child, Command};

/// The processes of a program. Dropped, it kills them.
#[derive(Debug)]
pub(crate) struct Group(Mutex<Option<Pid>>);

impl Group {
    /// Starts a program in a group of its own.
    pub(crate) fn start(command: &mut Command) -> io::Result<(Child, Self)> {
        let child = command.process_group(0).spawn()?;
        let pid = child.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw);
        Ok((child, Self(Mutex::new(pid))))
    }

    /// Asks them to end.
    pub(crate) fn terminate(&self) {
        self.signal(Signal::TERM);
    }

    /// Ends them.
    pub(crate) fn kill(&self) {
        self.signal(Signal::KILL);
    }

    /// Whether none is left. The first of them counts until it has been waited for.
    pub(crate) fn is_gone(&self) -> bool {
        self.pid().is_none_or(|group| test_kill_process_group(group).is_err())
    }

    /// They are gone, and their number may be that of others from now on.
    pub(crate) fn forget(&self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    fn signal(&self, signal: Signal) {
        if let Some(group) = self.pid() {
            // It fails where none is left, which is what was wanted.
            kill_process_group(group, signal).ok();
        }
    }

    fn pid(&self) -> Option<Pid> {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Where `program` is found on the path of this process, which is not the one it is started with.
pub(crate) fn find(program: &str) -> Option<PathBuf> {
    if program.contains('/') {
        return None;
    }
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).map(|dir| dir.join(program)).find(|file| file.is_file())
}
