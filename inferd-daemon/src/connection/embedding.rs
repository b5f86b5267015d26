//! A call that asks for vectors: admitted and routed as every other, answered in one frame.
//!
//! Invariant: the answer is one frame that a reader of this protocol takes, or an error that says why not.

use std::sync::Arc;

use inferd_engine::Embedded;
use inferd_proto::{EmbedRequest, Embeddings};
use tokio::time::Instant;

use super::call::{Call, Stage};
use super::dispatch::Desk;
use super::wire::{cancelled, put_whole, refuse};
use crate::answer::embed;
use crate::audit::{Asked, Entry, Outcome};

/// Runs a call to its terminal frame.
pub(super) async fn run(
    call: Arc<Call>,
    desk: Arc<Desk>,
    request: EmbedRequest,
    received: Instant,
) -> Arc<Call> {
    let Desk { service, client, caller, .. } = &*desk;
    let mut entry = Entry::open(service, caller, received, || Asked::from(&request));
    let named_model = request.model.is_some();
    let outcome = tokio::select! {
        biased;
        outcome = embed(&service.gate, &service.router, client, request, received) => Some(outcome),
        () = call.cancelled() => None,
    };
    match outcome {
        Some(Ok((embedded, lane))) => {
            entry.embedded(&embedded, &lane);
            answer(&desk, call.id(), embedded, lane);
        }
        Some(Err(error)) => {
            tracing::debug!(id = call.id(), %error, "embedding failed");
            entry.ended(Outcome::from(&error));
            refuse(&desk, call.id(), error.said(named_model), &error);
        }
        None => {
            entry.ended(Outcome::CANCELLED);
            cancelled(&desk, call.id());
        }
    }
    call.set_stage(Stage::Speaking);
    call
}

fn answer(desk: &Desk, id: &str, Embedded { embeddings, model, usage }: Embedded, backend: String) {
    let dimensions = embeddings.first().map_or(0, Vec::len);
    let frame = Embeddings { id: id.to_owned(), embeddings, dimensions, model, usage, backend };
    put_whole(desk, id, &frame, |max| {
        format!("input: the vectors exceed a frame of {max} bytes, ask in parts")
    });
}
