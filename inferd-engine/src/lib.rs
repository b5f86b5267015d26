//! inferd-engine
