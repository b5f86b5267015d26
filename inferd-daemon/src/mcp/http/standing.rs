//! Streams that do not end by themselves: how many of the connections each principal holds with them.
//!
//! Invariant: one principal's leave most connections to all others, and to its own requests that end.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use http_body_util::BodyExt;
use hyper::Method;
use hyper::header::HeaderMap;

use super::Answer;
use crate::mcp::session::Principal;

/// One in so many connections may be taken by streams of the same principal.
const SHARE: usize = 4;

/// Whether the answer to such a request stays open for as long as its client likes.
pub(super) fn is_standing(method: &Method, headers: &HeaderMap) -> bool {
    method == Method::GET || headers.get("mcp-method").is_some_and(|method| method == "subscriptions/listen")
}

/// The streams of all principals.
#[derive(Debug)]
pub(super) struct Standing {
    each_max: usize,
    open: Arc<Open>,
}

#[derive(Debug, Default)]
struct Open(Mutex<HashMap<Principal, usize>>);

impl Open {
    fn by_principal(&self) -> MutexGuard<'_, HashMap<Principal, usize>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Standing {
    /// Those of a listener that has `connections_max`.
    pub(super) fn new(connections_max: usize) -> Self {
        Self { each_max: (connections_max / SHARE).max(1), open: Arc::default() }
    }

    /// Room for one more of `principal`, if there is any.
    pub(super) fn take(&self, principal: &Principal) -> Option<Stand> {
        let mut open = self.open.by_principal();
        let count = open.entry(principal.clone()).or_default();
        if *count >= self.each_max {
            return None;
        }
        *count += 1;
        Some(Stand { open: Arc::clone(&self.open), principal: principal.clone() })
    }
}

/// One stream's part of the room.
#[derive(Debug)]
#[must_use]
pub(super) struct Stand {
    open: Arc<Open>,
    principal: Principal,
}

impl Stand {
    /// Holds the room for as long as there is somebody to write `answer` to.
    pub(super) fn under(self, answer: Answer) -> Answer {
        answer.map(|body| {
            let held = move |frame| {
                let _held = &self;
                frame
            };
            body.map_frame(held).boxed()
        })
    }
}

impl Drop for Stand {
    fn drop(&mut self) {
        let mut open = self.open.by_principal();
        if let Some(count) = open.get_mut(&self.principal) {
            *count -= 1;
            if *count == 0 {
                open.remove(&self.principal);
            }
        }
    }
}
