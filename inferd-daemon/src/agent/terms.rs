//! How the end of a session that has no answer becomes the error of its request.
//!
//! Invariant: a deadline is the request's own only where the request has set it and it has passed.

use std::time::Duration;

use inferd_engine::servers::{AgentFailure, RuntimeError};
use tokio::time::Instant;

use super::error::AgentError;
use super::turns::Board;
use crate::service::Service;

/// What the errors of one request depend on.
pub(super) struct Terms<'a> {
    pub(super) service: &'a Service,
    pub(super) received: Instant,
    /// Its own.
    pub(super) deadline: Option<Duration>,
}

impl Terms<'_> {
    /// Why there is no session.
    pub(super) fn refused(&self, error: RuntimeError) -> AgentError {
        match error {
            RuntimeError::Limit { .. } => AgentError::TooMany {
                reason: error.to_string(),
                retry_after: self.service.gate.retry_after(),
                queue: self.service.gate.state(),
            },
            RuntimeError::Disposed => self.ended(),
            RuntimeError::SpawnTimedOut { .. } if self.is_over() => self.timed_out(),
            error => AgentError::Refused(error),
        }
    }

    /// Why a session has no answer.
    pub(super) fn failed(&self, failure: AgentFailure, board: &Board) -> AgentError {
        match board.error() {
            // The step was given what is left of the request's time.
            Some(_) if self.is_over() => self.timed_out(),
            Some(error) => AgentError::Turn(error),
            None => AgentError::Failed(failure),
        }
    }

    /// Why a session was ended that its client has not left.
    pub(super) fn ended(&self) -> AgentError {
        if self.service.stop.is_said() { AgentError::Draining } else { AgentError::ServerRemoved }
    }

    pub(super) fn timed_out(&self) -> AgentError {
        match self.deadline {
            Some(after) if self.is_over() => AgentError::DeadlineExceeded { after },
            _ => AgentError::TooSlow { after: self.received.elapsed() },
        }
    }

    /// Whether the time that the request gave itself has passed.
    fn is_over(&self) -> bool {
        self.deadline.is_some_and(|after| self.received.elapsed() >= after)
    }
}
