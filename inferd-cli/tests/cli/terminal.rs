//! The chat at a terminal, as far as that is more than a pipe.

use std::io::{Read, Write};
use std::os::fd::OwnedFd;
use std::process::Stdio;
use std::time::Duration;

use rustix::fs::{Mode, OFlags, open};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{LocalModes, tcgetattr};
use tokio::process::{Child, Command};
use tokio::time::timeout;

use crate::scripted::Daemon;

/// Nothing here takes as long; a test that waits longer has failed.
const PATIENCE: Duration = Duration::from_secs(20);

/// A terminal of two ends: where a person sits, and what a program has for its standard input and output.
struct Terminal {
    person: std::fs::File,
    program: OwnedFd,
}

impl Terminal {
    fn new() -> Self {
        let person = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
        grantpt(&person).unwrap();
        unlockpt(&person).unwrap();
        let name = ptsname(&person, Vec::new()).unwrap();
        let program = open(name, OFlags::RDWR | OFlags::NOCTTY, Mode::empty()).unwrap();
        Self { person: person.into(), program }
    }

    /// Starts a chat with `daemon` here.
    fn chat(&self, daemon: &Daemon) -> Child {
        let end = || Stdio::from(self.program.try_clone().unwrap());
        let mut command = daemon.command(&["chat"]);
        command.env("TERM", "xterm").env("XDG_STATE_HOME", "/nonexistent");
        command.stdin(end()).stdout(end()).spawn().unwrap()
    }

    /// Whether what is typed is shown and comes in whole lines.
    fn is_as_found(&self) -> bool {
        let modes = tcgetattr(&self.program).unwrap().local_modes;
        modes.contains(LocalModes::ICANON | LocalModes::ECHO)
    }

    /// Waits until the program has shown `wanted`.
    async fn shows(&self, wanted: &'static str) {
        let mut person = self.person.try_clone().unwrap();
        let reading = tokio::task::spawn_blocking(move || {
            let (mut shown, mut bytes) = (String::new(), [0; 256]);
            while !shown.contains(wanted) {
                let read = person.read(&mut bytes).unwrap();
                shown.push_str(&String::from_utf8_lossy(&bytes[..read]));
            }
        });
        timeout(PATIENCE, reading).await.expect("it is not shown").unwrap();
    }
}

async fn code(mut child: Child) -> Option<i32> {
    timeout(PATIENCE, child.wait()).await.expect("the program does not end").unwrap().code()
}

#[tokio::test]
async fn a_chat_that_is_terminated_at_its_prompt_leaves_the_terminal_as_it_was() {
    let (daemon, terminal) = (Daemon::new(), Terminal::new());
    assert!(terminal.is_as_found());
    let child = terminal.chat(&daemon);
    let mut talk = daemon.accept().await;
    talk.greets().await;
    terminal.shows("> ").await;
    assert!(!terminal.is_as_found(), "a line is edited");
    let pid = child.id().expect("the program runs").to_string();
    assert!(Command::new("kill").args(["-TERM", &pid]).status().await.unwrap().success());
    assert_eq!(code(child).await, Some(143));
    assert!(terminal.is_as_found());
    // What is pasted is marked no more.
    terminal.shows("\x1b[?2004l").await;
}

#[tokio::test]
async fn a_chat_that_is_left_leaves_the_terminal_as_it_was() {
    let (daemon, mut terminal) = (Daemon::new(), Terminal::new());
    let child = terminal.chat(&daemon);
    let mut talk = daemon.accept().await;
    talk.greets().await;
    terminal.shows("> ").await;
    terminal.person.write_all(b"\x04").unwrap();
    assert_eq!(code(child).await, Some(0));
    assert!(terminal.is_as_found());
}
