//! Programs nobody here wrote, behind the built daemon: a llama.cpp server, and servers made of vendors' own client
//! libraries. `tests/run` starts them and says where they are.
#![cfg(unix)]

mod anthropic_types;
mod lending;
mod llama;
mod llama_contract;
mod mcp;
mod mcp_rounds;
mod ollama_types;
mod openai_types;
mod relay;
mod vendor;

use anyhow::{Context, Result};
use serde_json::Value;

fn llama_url() -> Result<String> {
    std::env::var("INFERD_TEST_LLAMA_URL").context("INFERD_TEST_LLAMA_URL is not set: run tests/run")
}

fn types_url() -> Result<String> {
    std::env::var("INFERD_TEST_TYPES_URL").context("INFERD_TEST_TYPES_URL is not set: run tests/run")
}

/// The Python that has this major of the MCP SDK.
fn mcp_python(major: u32) -> Result<String> {
    let sdks =
        std::env::var("INFERD_TEST_MCP_SDKS").context("INFERD_TEST_MCP_SDKS is not set: run tests/run")?;
    Ok(format!("{sdks}/mcp_sdk_{major}/bin/python"))
}

/// `base` with the fields of `more`.
fn with(mut base: Value, more: Value) -> Value {
    if let (Value::Object(base), Value::Object(more)) = (&mut base, more) {
        base.extend(more);
    }
    base
}
