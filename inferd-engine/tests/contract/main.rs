//! Every backend keeps the contract.

mod anthropic;
mod inferd;
mod mock;
mod ollama;
mod openai;

use inferd_engine::backend_contract;

backend_contract!(the_anthropic_engine, anthropic::AnthropicRig);
backend_contract!(the_inferd_engine, inferd::InferdRig);
backend_contract!(the_mock, mock::MockRig);
backend_contract!(the_ollama_engine, ollama::OllamaRig);
backend_contract!(the_openai_engine, openai::OpenAiRig);
