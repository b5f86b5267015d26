//! inferd-cli
