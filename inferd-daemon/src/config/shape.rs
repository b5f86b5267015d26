//! Every section and every key there is.

/// A section's heading and keys.
#[derive(Debug)]
pub(super) struct Shape {
    /// As it is written in the file; empty for what stands above the first heading.
    pub(super) heading: &'static str,
    pub(super) keys: &'static [&'static str],
}

pub(super) const TOP: Shape = Shape {
    heading: "",
    keys: &[
        "drain_timeout_s",
        "listen",
        "limits",
        "mcp",
        "admission",
        "breaker",
        "state",
        "backends",
        "servers",
        "rooms",
    ],
};

pub(super) const LISTEN: Shape =
    Shape { heading: "[listen]", keys: &["local", "group", "tcp", "api_key_env", "api_keys_file"] };

pub(super) const LIMITS: Shape = Shape {
    heading: "[limits]",
    keys: &["frame_bytes_max", "connections_max", "open_requests_max", "idle_timeout_s"],
};

pub(super) const MCP: Shape = Shape {
    heading: "[mcp]",
    keys: &["listen", "allowed_origins", "api_key_env", "api_keys_file", "persist", "standalone"],
};

pub(super) const ADMISSION: Shape = Shape {
    heading: "[admission]",
    keys: &["active", "queue_depth", "per_client_queue", "ageing_s", "client"],
};

pub(super) const BREAKER: Shape =
    Shape { heading: "[breaker]", keys: &["failures", "window_s", "cooldown_s", "cooldown_max_s"] };

pub(super) const STATE: Shape = Shape { heading: "[state]", keys: &["path", "audit_days"] };

pub(super) const BACKENDS: Shape = Shape {
    heading: "[[backends]]",
    keys: &[
        "name",
        "kind",
        "models",
        "aliases",
        "priority",
        "concurrency",
        "hedge_after_ms",
        "base_url",
        "keep_alive",
        "local",
        "tcp",
        "api_key_env",
        "api_key_file",
        "connect_timeout_s",
        "first_token_timeout_s",
        "idle_timeout_s",
        "total_timeout_s",
        "tokens",
        "token_delay_ms",
        "mid_stream_drop_after",
        "intelligence_priority",
        "speed_priority",
        "cost_priority",
    ],
};

pub(super) const SERVERS: Shape = Shape {
    heading: "[[servers]]",
    keys: &["id", "command", "env", "url", "bearer_env", "inferd", "api_key_env", "api_key_file"],
};

pub(super) const ROOMS: Shape = Shape { heading: "[[rooms]]", keys: &["id", "system", "model", "tools"] };

pub(super) const ALL: &[Shape] =
    &[TOP, LISTEN, LIMITS, MCP, ADMISSION, BREAKER, STATE, BACKENDS, SERVERS, ROOMS];
