//! A configuration as the file that would give it.

use std::path::Path;
use std::time::Duration;

use toml::Value;

use super::{BackendConfig, Config, EngineConfig, HttpKind, KeySource, ListenConfig};
use crate::lifecycle::Identity;

pub(super) fn describe(config: &Config) -> String {
    let mut page = Page::default();
    match &config.file {
        Some(file) => page.note(&format!("read from {}", file.display())),
        None => page.note("no file: these are the defaults"),
    }
    page.seconds("drain_timeout_s", config.drain_timeout);
    listen(&mut page, &config.listen);

    page.heading("[limits]");
    page.whole("frame_bytes_max", config.limits.frame_bytes_max);
    page.whole("connections_max", config.limits.connections_max);
    page.whole("open_requests_max", config.limits.open_requests_max);
    page.seconds("idle_timeout_s", config.limits.idle_timeout);

    page.heading("[admission]");
    page.whole("active", config.admission.active);
    page.whole("queue_depth", config.admission.queue_depth);
    match config.admission.per_client_queue {
        Some(places) => page.whole("per_client_queue", places),
        None => page.note(&format!("per_client_queue: {}", config.admission.per_client_queue())),
    }
    page.seconds("ageing_s", config.admission.ageing);
    page.text(
        "client",
        match config.admission.client {
            Identity::Process => "process",
            Identity::User => "user",
            Identity::Connection => "connection",
        },
    );

    page.heading("[breaker]");
    page.whole("failures", config.breaker.failures);
    page.seconds("window_s", config.breaker.window);
    page.seconds("cooldown_s", config.breaker.cooldown);
    page.seconds("cooldown_max_s", config.breaker.cooldown_max);

    if config.backends.is_empty() {
        page.blank();
        page.note("no [[backends]]: a model server that answers on loopback, else the mock");
    }
    for config in &config.backends {
        backend(&mut page, config);
    }
    page.0
}

fn listen(page: &mut Page, listen: &ListenConfig) {
    page.heading("[listen]");
    page.text("local", listen.local.as_deref().unwrap_or(Path::new("default")).to_string_lossy());
    match &listen.group {
        Some(group) => page.text("group", group),
        None => page.note("no group: only the owner may connect"),
    }
    match listen.tcp {
        Some(tcp) => page.text("tcp", tcp.to_string()),
        None => page.note("no tcp"),
    }
    key(page, listen.keys.as_ref(), "api_keys_file");
}

fn key(page: &mut Page, source: Option<&KeySource>, file_key: &str) {
    match source {
        Some(KeySource::Variable(name)) => page.text("api_key_env", name),
        Some(KeySource::File(path)) => page.text(file_key, path.to_string_lossy()),
        None => page.note("no key"),
    }
}

fn backend(page: &mut Page, backend: &BackendConfig) {
    page.heading("[[backends]]");
    page.text("name", &backend.name);
    match &backend.engine {
        EngineConfig::Mock { tokens, token_delay_ms, mid_stream_drop_after } => {
            page.text("kind", "mock");
            page.line("tokens", tokens.clone());
            if let Some(ms) = *token_delay_ms {
                page.whole("token_delay_ms", ms);
            }
            if let Some(tokens) = *mid_stream_drop_after {
                page.whole("mid_stream_drop_after", tokens);
            }
        }
        EngineConfig::Http(http) => {
            page.text(
                "kind",
                match http.kind {
                    HttpKind::OpenAi => "openai",
                    HttpKind::Ollama => "ollama",
                },
            );
            page.text("base_url", &http.base_url);
            key(page, http.key.as_ref(), "api_key_file");
            page.seconds("connect_timeout_s", http.connect_timeout);
            page.seconds("first_token_timeout_s", http.first_token_timeout);
            page.seconds("idle_timeout_s", http.idle_timeout);
            match http.total_timeout {
                Some(total) => page.seconds("total_timeout_s", total),
                None => page.note("no total_timeout_s"),
            }
        }
    }
    if backend.models.is_empty() {
        page.note("no models: those it says it serves");
    } else {
        page.line("models", backend.models.clone());
    }
    page.line("priority", backend.priority);
    match backend.concurrency {
        Some(limit) => page.whole("concurrency", limit),
        None => page.note("no concurrency of its own"),
    }
    if !backend.aliases.is_empty() {
        let aliases =
            backend.aliases.iter().map(|(alias, model)| (alias.clone(), Value::from(model.as_str())));
        page.line("aliases", Value::Table(aliases.collect()));
    }
}

/// Lines of TOML.
#[derive(Default)]
struct Page(String);

impl Page {
    fn line(&mut self, key: &str, value: impl Into<Value>) {
        self.push(&format!("{key} = {}", value.into()));
    }

    fn text(&mut self, key: &str, value: impl AsRef<str>) {
        self.line(key, value.as_ref());
    }

    fn whole(&mut self, key: &str, value: impl TryInto<i64>) {
        self.line(key, value.try_into().unwrap_or(i64::MAX));
    }

    fn seconds(&mut self, key: &str, span: Duration) {
        self.push(&format!("{key} = {}", span.as_secs_f64()));
    }

    fn heading(&mut self, heading: &str) {
        self.blank();
        self.push(heading);
    }

    fn note(&mut self, note: &str) {
        self.push(&format!("# {note}"));
    }

    fn blank(&mut self) {
        self.push("");
    }

    fn push(&mut self, line: &str) {
        self.0.push_str(line);
        self.0.push('\n');
    }
}
