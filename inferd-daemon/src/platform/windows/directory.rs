//! What is under a user's profile is the user's own.

use std::fs::Metadata;
use std::io;
use std::path::Path;

pub(crate) fn user() -> u32 {
    0
}

pub(crate) fn make_dir(path: &Path) -> io::Result<()> {
    std::fs::create_dir_all(path)
}

pub(crate) fn owns(_found: &Metadata) -> bool {
    true
}

pub(crate) fn others_write(_found: &Metadata) -> bool {
    false
}

#[expect(clippy::unnecessary_wraps, reason = "the signature is the one of all platforms")]
pub(crate) fn tighten(_path: &Path, _found: &Metadata) -> io::Result<()> {
    Ok(())
}
