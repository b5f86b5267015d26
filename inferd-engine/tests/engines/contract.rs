//! Every backend keeps the contract.

mod inferd;
mod mock;
mod sampling;
mod served;

use inferd_engine::backend_contract;

use crate::protocols::anthropic::Anthropic;
use crate::protocols::ollama::Ollama;
use crate::protocols::openai::OpenAi;

use served::ServedRig;

backend_contract!(the_anthropic_engine, ServedRig(Anthropic));
backend_contract!(the_inferd_engine, inferd::InferdRig);
backend_contract!(the_mock, mock::MockRig);
backend_contract!(the_ollama_engine, ServedRig(Ollama));
backend_contract!(the_openai_engine, ServedRig(OpenAi));
backend_contract!(
    the_sampling_engine,
    sampling::SamplingRig;
    without_stream_the_text_is_the_same,
    characters_cut_on_the_way_arrive_whole,
    an_error_before_the_first_token_is_told_at_once,
    generations_side_by_side_do_not_mix
);
