//! Where typed lines are remembered. The only place of this crate that tells platforms apart.

use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};

/// The history's file in the platform's directory for state; `None` where there is no home.
pub(super) fn path() -> Option<PathBuf> {
    let var = |name: &str| std::env::var_os(name).filter(|value| Path::new(value).is_absolute());
    Some(state_dir(var, std::env::home_dir())?.join("inferd").join("history"))
}

/// Makes the directory of `history`, for nobody else to read.
pub(super) fn make_dir(history: &Path) -> io::Result<()> {
    let mut builder = std::fs::DirBuilder::new();
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.recursive(true).create(history.parent().unwrap_or(history))
}

fn state_dir(var: impl Fn(&str) -> Option<OsString>, home: Option<PathBuf>) -> Option<PathBuf> {
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
