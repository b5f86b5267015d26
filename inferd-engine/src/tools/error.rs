//! Why a tool gave no result, or there are no tools.

use std::time::Duration;

/// See the module. The texts are fit to be shown to a model.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ToolError {
    /// There is none of this name.
    #[error("there is no tool named {0:?}")]
    Unknown(String),
    /// There is one of this name already.
    #[error("there is a tool named {0:?} already")]
    Duplicate(String),
    /// Two tools would have one name before a model.
    #[error("the tools {one:?} and {other:?} would both be named {portable:?} before a model")]
    Collision {
        /// The first, as the registry has it.
        one: String,
        /// The second.
        other: String,
        /// What both would be called.
        portable: String,
    },
    /// The arguments are not what the tool takes.
    #[error("the arguments are not as expected: {0}")]
    InvalidArguments(String),
    /// The tool, or the list of tools, is out of reach now.
    #[error("{0}")]
    Unavailable(String),
    /// The tool ran and failed.
    #[error("{0}")]
    Failed(String),
    /// Nothing was heard of it for so long, or it took longer than any may.
    #[error("no result within {} ms", .0.as_millis())]
    TimedOut(Duration),
    /// The code that runs it broke down: a fault of ours.
    #[error("the tool broke down")]
    Panicked,
}
