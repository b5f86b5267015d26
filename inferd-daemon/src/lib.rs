//! inferd-daemon
