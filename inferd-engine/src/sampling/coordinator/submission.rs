//! A call on its way through a coordinator, and where its answer goes.

use rmcp::model::CreateMessageResult;
use tokio::sync::oneshot;
use tokio::time::Instant;

use crate::sampling::call::Call;
use crate::sampling::error::SamplingError;

/// What a call comes to.
pub(super) type Answered = Result<CreateMessageResult, SamplingError>;

/// See the module. Dropped without an answer, its caller learns that it was lost.
#[derive(Debug)]
pub(super) struct Submission {
    pub(super) call: Call,
    reply: oneshot::Sender<Answered>,
    pub(super) since: Instant,
    /// Whether it may be sent once more, alone.
    retry_alone: bool,
}

impl Submission {
    /// A submission made at `since`, and where its answer comes.
    pub(super) fn new(call: Call, since: Instant, retry_alone: bool) -> (Self, oneshot::Receiver<Answered>) {
        let (reply, answer) = oneshot::channel();
        (Self { call, reply, since, retry_alone }, answer)
    }

    /// Whether nobody waits for the answer any more.
    pub(super) fn is_left(&self) -> bool {
        self.reply.is_closed()
    }

    /// Waits until nobody waits for the answer.
    pub(super) async fn left(&mut self) {
        self.reply.closed().await;
    }

    /// Gives the caller its answer. A caller that has left wants none.
    pub(super) fn answer(self, answer: Answered) {
        self.reply.send(answer).ok();
    }

    /// Gives the caller its failure, unless it is to be sent once more, alone.
    pub(super) fn fail(mut self, error: SamplingError) -> Option<Self> {
        if !self.retry_alone || !error.blames_the_merging() {
            self.answer(Err(error));
            return None;
        }
        self.call.alone = true;
        Some(self)
    }
}
