use super::shape::ALL;
use super::*;

#[test]
fn an_empty_file_is_the_defaults() {
    let config = Config::parse("").unwrap();
    assert_eq!(config, Config::default());
    insta::assert_snapshot!(config.describe());
}

/// A file that sets every key there is.
pub(super) const EVERY_KEY: &str = r#"
drain_timeout_s = 2.5

[listen]
local = "/run/inferd/infer.sock"
group = "inferd"
tcp = "0.0.0.0:47321"
api_key_env = "INFERD_API_KEY"

[limits]
frame_bytes_max = 65_536
connections_max = 12
open_requests_max = 3
idle_timeout_s = 0.25

[mcp]
listen = "0.0.0.0:47324"
allowed_origins = ["https://app.example.com"]
api_keys_file = "mcp-keys.toml"
persist = false
standalone = false

[admission]
active = 0
queue_depth = 7
per_client_queue = 2
ageing_s = 5
client = "user"

[breaker]
failures = 4
window_s = 10
cooldown_s = 20
cooldown_max_s = 20

[state]
path = "/var/lib/inferd/state.db"
audit_days = 7

[[backends]]
name = "script \"quoted\""
kind = "mock"
models = ["one", "two"]
tokens = ["Hello", ", world"]
token_delay_ms = 5
mid_stream_drop_after = 1

[[backends]]
name = "local"
kind = "ollama"
base_url = "http://127.0.0.1:11434/"
models = ["llama3.1:8b"]
priority = -1
concurrency = 8
hedge_after_ms = 1_500
keep_alive = "1h30m"
connect_timeout_s = 1
first_token_timeout_s = 2
idle_timeout_s = 3
total_timeout_s = 4
api_key_file = "ollama.key"
aliases = { fast = "llama3.1:8b" }

[[backends]]
name = "far"
kind = "openai"
base_url = "https://api.example.com/v1"
api_key_env = "EXAMPLE_KEY"

[[backends]]
name = "hosted"
kind = "anthropic"

[[backends]]
name = "usual"
kind = "ollama"
keep_alive = -1

[[backends]]
name = "neighbour"
kind = "inferd"
tcp = "gpu.example.com:47321"
api_key_file = "neighbour.key"
idle_timeout_s = 30

[[backends]]
name = "beside"
kind = "inferd"
local = "default"

[[backends]]
name = "lent"
kind = "sampling"
intelligence_priority = 0.5
speed_priority = 1
cost_priority = 0.125

[[servers]]
id = "files"
command = ["npx", "-y", "server-filesystem", "/home/me"]
env = ["PATH", "HOME"]

[[servers]]
id = "prod"
url = "https://tools.example/mcp/"
bearer_env = "PROD_TOKEN"

[[servers]]
id = "gpu-box"
inferd = "tcp://10.0.0.7:47321"
api_key_file = "gpu.key"

[[servers]]
id = "near"
url = "http://127.0.0.1:9/mcp"

[[rooms]]
id = "r1"
system = "You are terse."
model = "fast"
tools = ["prod::*", "files::read_*"]

[[rooms]]
id = "r2"
"#;

#[test]
fn every_key_is_read() {
    insta::assert_debug_snapshot!(Config::parse(EVERY_KEY).unwrap());
}

#[test]
fn what_is_described_is_a_file_that_says_the_same() {
    let config = Config::parse(EVERY_KEY).unwrap();
    insta::assert_snapshot!(config.describe());
    assert_eq!(Config::parse(&config.describe()).unwrap(), config);
    assert_eq!(Config::parse(&Config::default().describe()).unwrap(), Config::default());
}

#[test]
fn where_a_running_daemon_listens_is_what_another_configuration_has_to_do_with() {
    let now = Config::parse("[listen]\nlocal = \"/a\"\ntcp = \"0.0.0.0:1\"\napi_key_env = \"K\"").unwrap();
    let meets =
        |text: &str| Config::parse(text).unwrap().listening_as(&now).map_err(|error| error.to_string());
    let config = meets("[listen]\nlocal = \"/b\"\napi_key_env = \"L\"").unwrap();
    let keys = Some(KeySource::Variable("L".into()));
    assert_eq!(config.listen, ListenConfig { keys, ..now.listen.clone() });
    insta::assert_snapshot!(meets("[listen]\nlocal = \"/b\"").unwrap_err(), @"[listen] tcp: 0.0.0.0:1 is listened on until a restart, and beyond loopback a key is needed");
    let mcp = Config::parse("[mcp]\nlisten = \"0.0.0.0:2\"\napi_key_env = \"K\"").unwrap();
    let bare = Config::default().listening_as(&mcp).unwrap_err();
    insta::assert_snapshot!(bare, @"[mcp] listen: 0.0.0.0:2 is listened on until a restart, and beyond loopback a key is needed");
    let itself = "[listen]\nlocal = \"/b\"\napi_key_env = \"L\"\n[[backends]]\nname = \"x\"\nkind = \"inferd\"\nlocal = \"/a\"";
    insta::assert_snapshot!(meets(itself).unwrap_err(), @"backend `x`: local: this daemon itself is there: it would call itself");
}

const DOCUMENT: &str = include_str!("../../../docs/CONFIGURATION.md");

#[test]
fn every_example_in_the_documentation_is_read() {
    let mut examples = DOCUMENT.split("```toml\n").skip(1).map(|rest| rest.split("```").next().unwrap());
    for example in examples.by_ref() {
        Config::parse(example).unwrap_or_else(|error| panic!("{error} in\n{example}"));
    }
    assert!(DOCUMENT.matches("```toml\n").count() >= 6);
}

#[test]
fn every_key_is_documented() {
    for shape in ALL {
        for key in shape.keys {
            assert!(DOCUMENT.contains(&format!("`{key}`")), "{} {key} is not documented", shape.heading);
        }
    }
}
