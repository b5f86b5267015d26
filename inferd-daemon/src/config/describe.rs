//! A configuration as the file that would give it, and as the settings it makes.

mod backend;
mod page;
mod server;

use std::collections::BTreeMap;
use std::path::Path;

use super::{Config, KeySource, ListenConfig, McpConfig};
use crate::lifecycle::Identity;
use page::Page;

pub(super) fn describe(config: &Config) -> String {
    let mut page = Page::default();
    settings_onto(&mut page, config);
    if config.backends.is_empty() {
        page.blank();
        page.note("no [[backends]]: a model server that answers on loopback, else the mock");
    }
    for config in &config.backends {
        backend::backend(&mut page, config);
    }
    config.servers.iter().for_each(|config| server::server(&mut page, config));
    config.rooms.iter().for_each(|config| server::room(&mut page, config));
    page.text
}

/// Every setting but those of backends, servers and rooms, as `[section] key`, and its value as TOML.
pub(super) fn settings(config: &Config) -> BTreeMap<String, String> {
    let mut page = Page::default();
    settings_onto(&mut page, config);
    page.settings
}

fn settings_onto(page: &mut Page, config: &Config) {
    match &config.file {
        Some(file) => page.note(&format!("read from {}", file.display())),
        None => page.note("no file: these are the defaults"),
    }
    page.seconds("drain_timeout_s", config.drain_timeout);
    listen(page, &config.listen);

    page.heading("[limits]");
    page.whole("frame_bytes_max", config.limits.frame_bytes_max);
    page.whole("connections_max", config.limits.connections_max);
    page.whole("open_requests_max", config.limits.open_requests_max);
    page.seconds("idle_timeout_s", config.limits.idle_timeout);

    mcp(page, &config.mcp);

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

    page.heading("[state]");
    page.text("path", config.state.path.as_deref().unwrap_or(Path::new("default")).to_string_lossy());
    page.whole("audit_days", config.state.audit_days);
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

fn mcp(page: &mut Page, mcp: &McpConfig) {
    page.heading("[mcp]");
    match mcp.listen {
        Some(listen) => page.text("listen", listen.to_string()),
        None => page.note("no listen: MCP clients are not taken"),
    }
    match &*mcp.allowed_origins {
        [] => page.note("no allowed_origins: only web pages of this machine may come"),
        origins => page.line("allowed_origins", origins.to_vec()),
    }
    key(page, mcp.keys.as_ref(), "api_keys_file");
    page.line("persist", mcp.persist);
    page.line("standalone", mcp.standalone);
}

fn key(page: &mut Page, source: Option<&KeySource>, file_key: &str) {
    match source {
        Some(KeySource::Variable(name)) => page.text("api_key_env", name),
        Some(KeySource::File(path)) => page.text(file_key, path.to_string_lossy()),
        None => page.note("no key"),
    }
}
