//! One request to the peer: a batch goes out, its callers get their answers.
//!
//! Invariants:
//! - Every submission is answered, handed back to be sent once more, or has been left by its caller.
//! - The request is dropped when its time is over or when nobody waits for it any more.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use futures_util::FutureExt;
use inferd_proto::Caller;
use rmcp::model::{CreateMessageRequestParams, CreateMessageResult};

use super::answer::{read, split};
use super::batch::merge;
use super::submission::{Answered, Submission};
use crate::sampling::call::Call;
use crate::sampling::client::SamplingClient;
use crate::sampling::error::SamplingError;
use crate::sampling::patience::Patience;
use crate::sampling::signs::Signs;

/// Sends `batch`, which is not empty, and gives back what is to be sent once more.
pub(super) async fn flush(
    client: &dyn SamplingClient,
    mut batch: Vec<Submission>,
    patience: Patience,
) -> Vec<Submission> {
    let call = request(&mut batch);
    let answered = tokio::select! {
        biased;
        () = all_left(&mut batch) => return Vec::new(),
        answered = ask(client, call, patience) => answered,
    };
    match <[Submission; 1]>::try_from(batch) {
        Ok([only]) => {
            only.answer(answered);
            Vec::new()
        }
        Err(batch) => distribute(batch, answered),
    }
}

/// One call as it is; several as one.
fn request(batch: &mut [Submission]) -> Call {
    if let [only] = batch {
        let nothing = CreateMessageRequestParams::default();
        return std::mem::replace(&mut only.call, Call::from(nothing));
    }
    let params: Vec<&CreateMessageRequestParams> = batch.iter().map(|one| &one.call.params).collect();
    let signs = Signs::default().and(batch.iter().map(|one| &one.call.signs));
    let caller = Caller {
        principal: common(batch, |it| &it.principal),
        program: common(batch, |it| &it.program),
        session: common(batch, |it| &it.session),
    };
    Call { params: merge(&params), caller, alone: true, signs }
}

/// What all callers of `batch` have in common.
fn common(batch: &[Submission], of: fn(&Caller) -> &Option<Arc<str>>) -> Option<Arc<str>> {
    let mut each = batch.iter().map(|one| of(&one.call.caller));
    let first = each.next()?;
    first.clone().filter(|_| each.all(|other| other == first))
}

async fn all_left(batch: &mut [Submission]) {
    for submission in batch {
        submission.left().await;
    }
}

/// Asks the peer. A client that panics is an error of ours.
async fn ask(client: &dyn SamplingClient, mut call: Call, patience: Patience) -> Answered {
    let (own, heard) = Signs::pair();
    call.signs = own.and([&call.signs]);
    call.signs.alive();
    let answer = AssertUnwindSafe(async { client.call(call).await }).catch_unwind();
    let answer = answer.map(|answer| answer.unwrap_or(Err(SamplingError::Internal)));
    patience.wait(heard, answer).await
}

/// Each task's answer to its caller.
fn distribute(batch: Vec<Submission>, answered: Answered) -> Vec<Submission> {
    let read = answered.and_then(|result| Ok((read(&result, batch.len())?, result)));
    let (answers, result) = match read {
        Ok(read) => read,
        Err(error) => {
            return batch.into_iter().filter_map(|submission| submission.fail(error.clone())).collect();
        }
    };
    let mut again = Vec::new();
    for (index, (submission, answer)) in batch.into_iter().zip(answers).enumerate() {
        match answer {
            Ok(text) => {
                let own = own_result(&result, text, &submission);
                submission.answer(Ok(own));
            }
            Err(fault) => again.extend(submission.fail(SamplingError::Task { index, fault })),
        }
    }
    again
}

fn own_result(result: &CreateMessageResult, text: String, submission: &Submission) -> CreateMessageResult {
    let stop = submission.call.params.stop_sequences.as_deref().unwrap_or_default();
    split(result, text, stop)
}
