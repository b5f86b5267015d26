//! What one platform does otherwise than another: the only room of this crate that asks where it runs.
//!
//! Each platform has the same names with the same signatures; the rest of the crate calls them and does not ask.

#[cfg(unix)]
mod unix;
#[cfg(windows)]
mod windows;

#[cfg(unix)]
pub(crate) use unix::{child, directory, hangup, inherited, lock_file, service_manager, signals, socket};
#[cfg(windows)]
pub(crate) use windows::{child, directory, hangup, inherited, lock_file, service_manager, signals, socket};
