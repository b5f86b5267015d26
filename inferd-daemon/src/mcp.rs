//! The door of the Model Context Protocol: its clients enter, their sessions and streams live here.
//!
//! Invariant: nothing is generated here; what a client asks for goes through [`crate::answer`] as from every door.

pub mod session;
