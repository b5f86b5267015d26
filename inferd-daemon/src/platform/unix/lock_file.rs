//! How the lock's file is opened.

use std::fs::OpenOptions;
use std::os::unix::fs::OpenOptionsExt;

use rustix::fs::OFlags;

/// For its owner only; not through a link, and without waiting on a pipe.
pub(crate) fn secure(options: &mut OpenOptions) {
    options.mode(0o600).custom_flags((OFlags::NOFOLLOW | OFlags::NONBLOCK).bits().cast_signed());
}
