//! One logical call, and what travels with it.

use inferd_proto::Caller;
use rmcp::model::CreateMessageRequestParams;

use super::error::SamplingError;
use super::signs::Signs;

/// What one caller asks of a peer.
#[derive(Debug, Clone)]
pub struct Call {
    /// The request.
    pub params: CreateMessageRequestParams,
    /// Who asks.
    pub caller: Caller,
    /// Never to be merged with others, for reasons that `params` do not show.
    pub alone: bool,
    /// Where the peer's signs of life are told.
    pub signs: Signs,
}

impl From<CreateMessageRequestParams> for Call {
    /// A call of nobody in particular.
    fn from(params: CreateMessageRequestParams) -> Self {
        Self { params, caller: Caller::default(), alone: false, signs: Signs::default() }
    }
}

/// Refuses what came from the session that it would go to.
pub(super) fn refuse_re_entry(caller: &Caller, to: Option<&str>) -> Result<(), SamplingError> {
    match (&caller.session, to) {
        (Some(from), Some(to)) if **from == *to => {
            Err(SamplingError::ReEntry("the request came from the peer that would have to answer it"))
        }
        _ => Ok(()),
    }
}
