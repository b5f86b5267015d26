//! Lending a model in 2026-07-28, which has no requests of the server: `lend_model` is answered with the calls that wait,
//! and made again with their answers.
//!
//! A call of the tool enters. What leaves is a round of calls to be answered together, or a result: nothing waited for as
//! long as a poll lasts, or there were as many rounds as clients go through by themselves. After a result the lender
//! is waited for a little, so that calls which come before it lends again wait and do not fail.
//!
//! Invariants:
//! - A round is answered once, by whoever it was given to. A call of the tool that is let go, and a lender that does not
//!   come back in time, have left: their calls are given back.
//! - No round has more calls than a person can look through, and none is empty.

mod visitors;

use std::time::Duration;

use inferd_engine::sampling::CreateMessageRequestParams;
use rmcp::ErrorData;
use rmcp::model::{
    CallToolResponse, CallToolResult, ClientCapabilities, ContentBlock, CreateMessageRequest, InputRequest,
    InputRequiredResult, SamplingCapability,
};
use serde_json::json;
use tokio::time::{Instant, sleep};
use tokio_util::task::{AbortOnDropHandle, TaskTracker};

use super::mailbox::Key;
use super::pool::{Pool, Scope};
use super::seal::{Seal, SealError};
use crate::mcp::tools::{Call, Failure};
use visitors::{Owner, Visit, Visitors};

/// How long a call of the tool waits for work.
const POLL: Duration = Duration::from_secs(25);

/// How long a lender may take for a round. Less than the 30 s for which a silent peer is waited for, so that there is time
/// to ask another one.
const ANSWER_WITHIN: Duration = Duration::from_secs(25);

/// How long a lender is waited for after a result.
const AGAIN_WITHIN: Duration = Duration::from_secs(10);

/// The most rounds in a row. Clients that go through them by themselves give up after ten calls.
const ROUNDS_IN_A_ROW_MAX: u32 = 8;

/// What cannot be gone on with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
enum StateError {
    #[error("requestState: {0}; its calls were given to others, call lend_model without it to lend again")]
    Sealed(#[from] SealError),
    #[error("requestState: it was used before; each is good for one call")]
    Used,
}

impl StateError {
    fn word(self) -> &'static str {
        match self {
            Self::Sealed(SealError::Foreign) => "foreign",
            Self::Sealed(SealError::Expired) => "expired",
            Self::Used => "used",
        }
    }
}

impl From<StateError> for ErrorData {
    fn from(error: StateError) -> Self {
        Self::invalid_params(error.to_string(), Some(json!({ "requestState": error.word() })))
    }
}

/// See the module.
#[derive(Debug)]
pub(crate) struct Rounds {
    pool: Pool,
    seal: Seal,
    visitors: Visitors,
    /// Takes out lenders that do not come back, for as long as there are rounds.
    _keeper: AbortOnDropHandle<()>,
}

impl Rounds {
    /// Lends to `pool`. To be called within a runtime.
    pub(crate) fn new(pool: Pool) -> Self {
        let visitors = Visitors::default();
        let keeper = AbortOnDropHandle::new(TaskTracker::new().spawn(visitors.clone().keep()));
        Self { pool, seal: Seal::new(Instant::now()), visitors, _keeper: keeper }
    }

    /// Serves one call of the tool, whose client lends its model to `scope`.
    ///
    /// # Errors
    /// Of the protocol: the client does not say that it can generate, or comes back with what is not good (any more).
    pub(crate) async fn serve(&self, call: Call, scope: Scope) -> Result<CallToolResponse, ErrorData> {
        let capabilities = call.caller.context.client_capabilities();
        let Some(sampling) = capabilities.and_then(|can| can.sampling) else {
            let mut needed = ClientCapabilities::default();
            needed.sampling = Some(SamplingCapability::default());
            return Err(ErrorData::missing_required_client_capability(needed));
        };
        let owner =
            Owner { principal: call.caller.asker.principal.clone(), scope, tools: sampling.tools.is_some() };
        let stop = &call.caller.service.stop;
        let mut visit = match &call.state {
            Some(state) => self.come_back(state, &owner)?,
            None if stop.is_said() => return Ok(CallToolResult::from(Failure::draining()).into()),
            None => match self.visitors.begin(&self.pool, owner, Instant::now()) {
                Some(visit) => visit,
                None => return Ok(CallToolResult::from(Failure::busy("too many models are lent")).into()),
            },
        };
        visit.answered += visit.mailbox.answer(call.answers.unwrap_or_default());
        let work = async {
            if visit.rounds < ROUNDS_IN_A_ROW_MAX { visit.mailbox.round().await } else { Vec::new() }
        };
        let round = tokio::select! {
            biased;
            round = work => round,
            () = call.caller.cancelled() => return Ok(CallToolResult::from(Failure::cancelled()).into()),
            () = stop.draining() => Vec::new(),
            () = sleep(POLL) => Vec::new(),
        };
        Ok(if round.is_empty() { done(visit).into() } else { self.ask(visit, round).into() })
    }

    /// Lets in a lender that was here before.
    fn come_back(&self, state: &str, owner: &Owner) -> Result<Visit, StateError> {
        let now = Instant::now();
        let handle = self.seal.open(state, &owner.bound(), now)?;
        self.visitors.back(handle, now)
    }

    fn ask(&self, visit: Visit, round: Vec<(Key, CreateMessageRequestParams)>) -> InputRequiredResult {
        let until = Instant::now() + ANSWER_WITHIN;
        let owner = visit.owner.clone();
        let state = self.seal.seal(visit.asked(until), &owner.bound(), until);
        let requests = round
            .into_iter()
            .map(|(key, params)| (key, InputRequest::CreateMessage(CreateMessageRequest::new(params))));
        InputRequiredResult::new(Some(requests.collect()), Some(state))
    }
}

/// What a lender is told in the end, who may begin anew.
fn done(visit: Visit) -> CallToolResult {
    let answered = visit.answered;
    visit.idle(Instant::now() + AGAIN_WITHIN);
    let text = format!(
        "{answered} calls were answered. To go on lending, call lend_model again within {} s.",
        AGAIN_WITHIN.as_secs()
    );
    let within = u64::try_from(AGAIN_WITHIN.as_millis()).expect("a few seconds");
    let mut result = CallToolResult::structured(json!({ "answered": answered, "again_within_ms": within }));
    result.content = vec![ContentBlock::text(text)];
    result
}

#[cfg(test)]
mod tests;
