//! Windows: pipes for sockets, one user, no service manager that is told anything.

pub(crate) mod child;
pub(crate) mod directory;
pub(crate) mod hangup;
pub(crate) mod inherited;
pub(crate) mod lock_file;
pub(crate) mod service_manager;
pub(crate) mod signals;
pub(crate) mod socket;
