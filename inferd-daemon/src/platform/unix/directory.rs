//! Owners and permissions of the runtime directory.

use std::fs::{DirBuilder, Metadata, Permissions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt};
use std::path::Path;

pub(crate) fn user() -> u32 {
    rustix::process::geteuid().as_raw()
}

/// Makes `path` and what is missing above it; what is there already is left for a look.
pub(crate) fn make_dir(path: &Path) -> io::Result<()> {
    match path.symlink_metadata() {
        Ok(_) => Ok(()),
        Err(_) => DirBuilder::new().recursive(true).mode(0o700).create(path),
    }
}

pub(crate) fn owns(found: &Metadata) -> bool {
    found.uid() == user()
}

pub(crate) fn others_write(found: &Metadata) -> bool {
    found.mode() & 0o022 != 0
}

pub(crate) fn tighten(path: &Path, found: &Metadata) -> io::Result<()> {
    if found.mode() & 0o777 == 0o700 {
        return Ok(());
    }
    std::fs::set_permissions(path, Permissions::from_mode(0o700))
}
