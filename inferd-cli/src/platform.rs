//! What one platform does otherwise than another: the only room of this crate that asks where it runs.
//!
//! Each platform has the same names with the same signatures; the rest of the crate calls them and does not ask.

use std::ffi::OsString;
use std::path::PathBuf;

#[cfg(unix)]
mod unix;
#[cfg(windows)]
mod windows;

#[cfg(unix)]
pub(crate) use unix::{TerminalState, make_private_dir, terminated};
#[cfg(windows)]
pub(crate) use windows::{TerminalState, make_private_dir, terminated};

/// Where programs keep their state; `None` where there is no home.
pub(crate) fn state_dir(var: impl Fn(&str) -> Option<OsString>, home: Option<PathBuf>) -> Option<PathBuf> {
    if cfg!(windows) {
        return var("LOCALAPPDATA").map(PathBuf::from);
    }
    if let Some(state) = var("XDG_STATE_HOME") {
        return Some(state.into());
    }
    let under_home = if cfg!(target_os = "macos") { "Library/Application Support" } else { ".local/state" };
    Some(home?.join(under_home))
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn state_is_kept_where_the_platform_keeps_it() {
        let home = || Some(PathBuf::from("/home/ada"));
        assert_eq!(state_dir(|_| Some("/state".into()), home()), Some("/state".into()));
        assert_eq!(state_dir(|_| None, home()), Some("/home/ada/.local/state".into()));
        assert_eq!(state_dir(|_| None, None), None);
    }
}
