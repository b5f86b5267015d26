//! The mock, which needs no server.

use std::sync::Arc;

use inferd_engine::mock::{Mock, MockConfig, MockError};
use inferd_engine::testing::contract::{Ending, Rig, Script, Stage};

pub(super) struct MockRig;

impl Rig for MockRig {
    async fn play(&self, script: Script, _stream: bool) -> Stage {
        let mut config = MockConfig { tokens: script.tokens, ..MockConfig::default() };
        match script.ending {
            Ending::Done => {}
            Ending::CutShort => config.mid_stream_drop_after = Some(config.tokens.len()),
            Ending::Hang => config.tokens.extend(std::iter::repeat_n("more".to_owned(), 1000)),
            Ending::Invalid => config.pre_stream_error = Some(MockError::InvalidRequest),
            Ending::Unavailable => config.pre_stream_error = Some(MockError::Unavailable),
        }
        Stage { backend: Arc::new(Mock::with_config(config)), upstream: None }
    }
}
