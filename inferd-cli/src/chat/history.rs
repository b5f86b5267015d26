//! Where typed lines are remembered.

use std::io;
use std::path::{Path, PathBuf};

use crate::platform;

/// The history's file in the platform's directory for state; `None` where there is no home.
pub(super) fn path() -> Option<PathBuf> {
    let var = |name: &str| std::env::var_os(name).filter(|value| Path::new(value).is_absolute());
    Some(platform::state_dir(var, std::env::home_dir())?.join("inferd").join("history"))
}

/// Makes the directory of `history`, for nobody else to read.
pub(super) fn make_dir(history: &Path) -> io::Result<()> {
    platform::make_private_dir(history.parent().unwrap_or(history))
}
