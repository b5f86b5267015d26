//! How long a server may take for what.

use std::time::Duration;

/// How long a server may take for what.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Patience {
    /// From nothing to a session.
    pub connect: Duration,
    /// To list all it offers.
    pub list: Duration,
    /// To say something of a call: its result, or that it goes on.
    pub call: Duration,
    /// To answer a call, whatever it says meanwhile.
    pub call_in_all: Duration,
    /// Changes of a list that come within this of the first are one.
    pub settle: Duration,
    /// Between two looks at whether a server that says nothing is still there.
    pub idle: Duration,
    /// From the wish that a program ends to its being killed.
    pub end: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(10),
            list: Duration::from_secs(30),
            call: Duration::from_secs(60),
            call_in_all: Duration::from_secs(600),
            settle: Duration::from_millis(200),
            idle: Duration::from_secs(30),
            end: Duration::from_secs(5),
        }
    }
}
