//! A backend as its `[[backends]]` table.

use std::path::Path;

use toml::Value;

use super::super::{BackendConfig, DaemonAddress, EngineConfig, HttpKind, Timeouts};
use super::key;
use super::page::Page;

pub(super) fn backend(page: &mut Page, backend: &BackendConfig) {
    page.heading("[[backends]]");
    page.text("name", &backend.name);
    page.text("kind", backend.engine.kind());
    engine(page, &backend.engine);
    if backend.models.is_empty() {
        page.note(match backend.engine {
            EngineConfig::Sampling(_) => "no models: any, as a hint to whoever lends one",
            _ => "no models: those it says it serves",
        });
    } else {
        page.line("models", backend.models.clone());
    }
    page.line("priority", backend.priority);
    match backend.concurrency {
        Some(limit) => page.whole("concurrency", limit),
        None => page.note("no concurrency of its own"),
    }
    match backend.hedge_after {
        Some(after) => page.whole("hedge_after_ms", after.as_millis()),
        None => page.note("no hedge_after_ms"),
    }
    if !backend.aliases.is_empty() {
        let aliases =
            backend.aliases.iter().map(|(alias, model)| (alias.clone(), Value::from(model.as_str())));
        page.line("aliases", Value::Table(aliases.collect()));
    }
}

fn engine(page: &mut Page, engine: &EngineConfig) {
    match engine {
        EngineConfig::Mock { tokens, token_delay_ms, mid_stream_drop_after } => {
            page.line("tokens", tokens.clone());
            if let Some(ms) = *token_delay_ms {
                page.whole("token_delay_ms", ms);
            }
            if let Some(tokens) = *mid_stream_drop_after {
                page.whole("mid_stream_drop_after", tokens);
            }
        }
        EngineConfig::Http(http) => {
            page.text("base_url", &http.base_url);
            match (&http.keep_alive, http.kind) {
                (Some(span), _) => page.text("keep_alive", span),
                (None, HttpKind::Ollama) => page.note("no keep_alive: as it does by itself"),
                (None, HttpKind::OpenAi | HttpKind::Anthropic) => {}
            }
            key(page, http.key.as_ref(), "api_key_file");
            timeouts(page, &http.timeouts);
        }
        EngineConfig::Inferd(daemon) => {
            match &daemon.address {
                DaemonAddress::Local(path) => {
                    page.text("local", path.as_deref().unwrap_or(Path::new("default")).to_string_lossy());
                }
                DaemonAddress::Tcp(address) => {
                    page.text("tcp", address);
                    key(page, daemon.key.as_ref(), "api_key_file");
                }
            }
            timeouts(page, &daemon.timeouts);
        }
        EngineConfig::Sampling(priorities) => {
            page.line("intelligence_priority", priorities.intelligence.get());
            page.line("speed_priority", priorities.speed.get());
            page.line("cost_priority", priorities.cost.get());
        }
    }
}

fn timeouts(page: &mut Page, timeouts: &Timeouts) {
    page.seconds("connect_timeout_s", timeouts.connect);
    page.seconds("first_token_timeout_s", timeouts.first_token);
    page.seconds("idle_timeout_s", timeouts.idle);
    match timeouts.total {
        Some(total) => page.seconds("total_timeout_s", total),
        None => page.note("no total_timeout_s"),
    }
}
