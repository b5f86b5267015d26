//! Whoever made a request, and how what answers it gets to them.

use std::sync::Arc;

use inferd_proto::{DaemonFrame, Response, StopReason};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot};

use super::{Broken, ClientError, Refusal};

/// What an answer holds of frames nobody has read yet, in bytes; see the [module](super) for what follows then.
pub const ANSWER_BYTES_MAX: u32 = 1 << 20;

/// What a held frame costs beside its line, in bytes.
const FRAME_BYTES_MIN: u32 = 128;

/// Statuses kept for who waits for one frame; what is past it is not shown.
const NEWS_MAX: usize = 16;

/// A frame, and the room it takes until it is read or dropped.
pub(super) type Held = (Response, OwnedSemaphorePermit);

/// Who waits for a single frame.
pub(super) type Told<T> = oneshot::Sender<Result<T, ClientError>>;

/// Whoever made a request.
pub(super) enum Asker {
    /// Reads an answer.
    Reads(Inbox),
    /// Waits for the one frame that answers.
    Waits {
        /// Learns of it.
        told: Told<DaemonFrame>,
        /// Shown where the request stands meanwhile, as far as there is room for it.
        news: mpsc::Sender<Response>,
    },
}

/// The waiting end of a request that one frame answers.
pub(super) struct Wait {
    pub(super) told: oneshot::Receiver<Result<DaemonFrame, ClientError>>,
    pub(super) news: mpsc::Receiver<Response>,
}

/// The writing end of an answer.
#[derive(Clone)]
pub(super) struct Inbox {
    held: mpsc::Sender<Held>,
    room: Arc<Semaphore>,
}

impl Inbox {
    /// Hands on a frame whose line had so many `bytes`; waits where the answer holds all it may.
    pub(super) async fn hold(&self, response: Response, bytes: usize) {
        let cost =
            u32::try_from(bytes).unwrap_or(u32::MAX).saturating_add(FRAME_BYTES_MIN).min(ANSWER_BYTES_MAX);
        // Dropping an answer drops what it holds, so that this waits no longer and its frames go nowhere.
        if let Ok(room) = Arc::clone(&self.room).acquire_many_owned(cost).await {
            self.held.try_send((response, room)).ok();
        }
    }
}

/// What a terminal frame of an answer means to who waits for another frame.
pub(super) fn no_answer(response: Response) -> ClientError {
    match response {
        Response::Error { code, message, retry_after_ms, queue, .. } => {
            ClientError::Refused(Box::new(Refusal { code, message, retry_after_ms, queue }))
        }
        Response::Done { stop_reason: StopReason::Cancelled, .. } => ClientError::Cancelled,
        Response::Done { .. } | Response::Token { .. } | Response::Status { .. } => not_asked_for(),
    }
}

/// A frame of another kind than the one that was waited for.
pub(super) fn not_asked_for() -> ClientError {
    ClientError::Broken(Broken::NotProtocol("a request was answered with what it did not ask for".to_owned()))
}

/// Both ends of a request that one frame answers.
pub(super) fn wait() -> (Asker, Wait) {
    let ((told, learns), (news, shown)) = (oneshot::channel(), mpsc::channel(NEWS_MAX));
    (Asker::Waits { told, news }, Wait { told: learns, news: shown })
}

/// Both ends of an answer.
pub(super) fn inbox() -> (Inbox, mpsc::Receiver<Held>) {
    // The room runs out first: the channel is never full.
    let (held, frames) = mpsc::channel((ANSWER_BYTES_MAX / FRAME_BYTES_MIN) as usize);
    (Inbox { held, room: Arc::new(Semaphore::new(ANSWER_BYTES_MAX as usize)) }, frames)
}
