//! A program and all it starts are a tree, which `taskkill` can end. There is no signal to ask with: it is asked by closing
//! its standard input.

use std::io;
use std::path::PathBuf;
use std::process::Stdio;
use std::sync::{Mutex, PoisonError};

use tokio::process::{Child, Command};

/// The processes of a program. Dropped, it kills them.
#[derive(Debug)]
pub(crate) struct Group(Mutex<Option<u32>>);

impl Group {
    pub(crate) fn start(command: &mut Command) -> io::Result<(Child, Self)> {
        let child = command.spawn()?;
        let id = child.id();
        Ok((child, Self(Mutex::new(id))))
    }

    pub(crate) fn terminate(&self) {}

    pub(crate) fn kill(&self) {
        let id = *self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(id) = id {
            let mut command = std::process::Command::new("taskkill");
            command.args(["/F", "/T", "/PID", &id.to_string()]);
            command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
            // It fails where none is left, which is what was wanted.
            command.status().ok();
        }
    }

    #[expect(clippy::unused_self, reason = "the signature is the one of all platforms")]
    pub(crate) fn is_gone(&self) -> bool {
        true
    }

    pub(crate) fn forget(&self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Where `program` is found on the path, with any of the endings that programs have.
pub(crate) fn find(program: &str) -> Option<PathBuf> {
    if program.contains(['/', '\\']) {
        return None;
    }
    let path = std::env::var_os("PATH")?;
    let endings = std::env::var("PATHEXT").unwrap_or_else(|_| ".COM;.EXE;.BAT;.CMD".to_owned());
    let endings: Vec<&str> = std::iter::once("").chain(endings.split(';')).collect();
    let names = |dir: PathBuf| endings.iter().map(move |ending| dir.join(format!("{program}{ending}")));
    std::env::split_paths(&path).flat_map(names).find(|file| file.extension().is_some() && file.is_file())
}
