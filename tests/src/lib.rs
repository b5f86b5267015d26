//! inferd-tests
