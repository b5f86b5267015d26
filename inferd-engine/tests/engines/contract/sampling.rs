//! A peer behind a coordinator.
//!
//! It gives an answer whole or not at all, so there is nothing in the middle of one: the promises about single tokens,
//! about answers cut short and about slow readers have nothing to hold on to. That dropping the wait takes the call back
//! is among its own tests.

use std::sync::Arc;

use inferd_engine::sampling::{
    FakeAnswer, FakeSamplingClient, SamplingBackend, SamplingCoordinator, SamplingError,
};
use inferd_engine::testing::contract::{Ending, Rig, Script, Stage};

pub(super) struct SamplingRig;

impl Rig for SamplingRig {
    async fn play(&self, script: Script, _stream: bool) -> Stage {
        let answer = match script.ending {
            Ending::Done => FakeAnswer::Text(script.tokens.concat()),
            Ending::Hang => FakeAnswer::Never,
            Ending::CutShort | Ending::Unavailable => FakeAnswer::Transport,
            Ending::Invalid => FakeAnswer::Error(SamplingError::said(-32602, "no")),
        };
        let coordinator = SamplingCoordinator::adaptive(Arc::new(FakeSamplingClient::sequence([answer])));
        Stage { backend: Arc::new(SamplingBackend::new("sampling", Arc::new(coordinator))), upstream: None }
    }
}
