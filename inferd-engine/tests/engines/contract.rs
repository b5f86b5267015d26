//! Every backend keeps the contract.

mod anthropic;
mod inferd;
mod mock;
mod ollama;
mod openai;
mod sampling;

use inferd_engine::backend_contract;

backend_contract!(the_anthropic_engine, anthropic::AnthropicRig);
backend_contract!(the_inferd_engine, inferd::InferdRig);
backend_contract!(the_mock, mock::MockRig);
backend_contract!(the_ollama_engine, ollama::OllamaRig);
backend_contract!(the_openai_engine, openai::OpenAiRig);
backend_contract!(
    the_sampling_engine,
    sampling::SamplingRig;
    without_stream_the_text_is_the_same,
    characters_cut_on_the_way_arrive_whole,
    an_error_before_the_first_token_is_told_at_once,
    generations_side_by_side_do_not_mix
);
