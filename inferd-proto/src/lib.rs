//! inferd-proto
