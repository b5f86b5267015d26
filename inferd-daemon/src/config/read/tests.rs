use std::fmt::Write;
use std::time::Duration;

use super::*;

/// Each text and what it is refused with, for a snapshot.
fn refusals(texts: &[&str]) -> String {
    let mut page = String::new();
    for text in texts {
        let error = Config::parse(text).expect_err(text);
        writeln!(page, "{text}\n  => {error}\n").unwrap();
    }
    page
}

fn backend(keys: &str) -> Result<BackendConfig, String> {
    let text = format!("[[backends]]\nname = \"b\"\n{keys}");
    let config = Config::parse(&text).map_err(|error| error.to_string())?;
    Ok(config.backends.into_iter().next().unwrap())
}

#[test]
fn an_unknown_key_is_refused_with_the_nearest_known_one() {
    let refused = refusals(&[
        "drain_timeout = 30",
        "[admision]\nactive = 1",
        "[admission]\nactive = 1\n\nqueue_dept = 3",
        "[listen]\ndrain_timeout_s = 3",
        "queue_depth = 3",
        "[limits]\nfoo = 1",
        "[[backends]]\nnmae = \"x\"\nkind = \"mock\"",
        "[[backends]]\nname = \"x\"\nkind = \"mock\"\n[backends.alias]\na = \"b\"",
        "[mcp]\nport = 1",
        "[breaker]\nzzz = 1\naaa = 2",
    ]);
    insta::assert_snapshot!(refused);
}

#[test]
fn a_value_of_the_wrong_type_is_refused_with_what_was_expected() {
    let refused = refusals(&[
        "drain_timeout_s = \"30\"",
        "drain_timeout_s = true",
        "listen = 3",
        "backends = 3",
        "[backends]\nname = \"x\"",
        "[admission]\nactive = 1.5",
        "[admission]\nclient = [\"process\"]",
        "[limits]\nframe_bytes_max = 2024-01-01",
        "[[backends]]\nname = \"x\"\nkind = \"mock\"\ntokens = \"a\"",
        "[[backends]]\nname = \"x\"\nkind = \"mock\"\nmodels = [\"a\", 3]",
        "[[backends]]\nname = \"x\"\nkind = \"mock\"\naliases = [\"a\"]",
        "[[backends]]\nname = \"x\"\nkind = \"mock\"\n[backends.aliases]\nfast = 3",
    ]);
    insta::assert_snapshot!(refused);
}

#[test]
fn a_value_that_makes_no_sense_is_refused() {
    let refused = refusals(&[
        "drain_timeout_s = -1",
        "drain_timeout_s = 1e300",
        "drain_timeout_s = nan",
        "[limits]\nframe_bytes_max = 0",
        "[limits]\nframe_bytes_max = 67108865",
        "[limits]\nconnections_max = 0",
        "[limits]\nidle_timeout_s = 0",
        "[admission]\nqueue_depth = -1",
        "[admission]\nqueue_depth = 99999999999999999999",
        "[admission]\nper_client_queue = 0",
        "[admission]\nclient = \"machine\"",
        "[breaker]\nfailures = 0",
        "[breaker]\ncooldown_s = 10\ncooldown_max_s = 9",
        "[listen]\nlocal = \"\"",
        "[listen]\ntcp = \"example.com:80\"",
        "[listen]\ntcp = \"0.0.0.0:47321\"",
        "[listen]\ntcp = \"127.0.0.1\"",
        "[listen]\napi_key_env = \"A\"\napi_keys_file = \"b\"",
    ]);
    insta::assert_snapshot!(refused);
}

#[test]
fn a_backend_that_cannot_work_is_refused() {
    let of = |keys: &str| format!("[[backends]]\nname = \"x\"\n{keys}");
    let texts = [
        "[[backends]]\nkind = \"mock\"".to_owned(),
        of(""),
        of("kind = \"mock\"\n\n[[backends]]\nname = \"x\"\nkind = \"mock\""),
        of("kind = \"gpt\""),
        of("kind = \"sampling\"\ncost_priority = 1.5"),
        of("kind = \"sampling\"\ncost_priority = \"high\""),
        of("kind = \"mock\"\ncost_priority = 1"),
        of("kind = \"openai\""),
        of("kind = \"openai\"\nbase_url = \"127.0.0.1:80\""),
        of("kind = \"openai\"\nbase_url = \"http://:80\""),
        of("kind = \"openai\"\nbase_url = \"http://user:password@host\""),
        of("kind = \"openai\"\nbase_url = \"http://host/?key=5\""),
        of("kind = \"openai\"\nbase_url = \"http://host\"\ntokens = []"),
        of("kind = \"openai\"\nbase_url = \"http://host\"\nconnect_timeout_s = 0"),
        of("kind = \"openai\"\nbase_url = \"http://host\"\nhedge_after_ms = 0"),
        of("kind = \"openai\"\nbase_url = \"http://host\"\nkeep_alive = \"5m\""),
        of("kind = \"ollama\"\nkeep_alive = \"5 minutes\""),
        of("kind = \"ollama\"\nkeep_alive = -2"),
        of("kind = \"openai\"\nbase_url = \"http://host\"\napi_key_env = \"A\"\napi_key_file = \"b\""),
        of("kind = \"mock\"\nbase_url = \"http://host\""),
        of("kind = \"mock\"\nidle_timeout_s = 3"),
        of("kind = \"mock\"\ntokens = [\"a\", \"\"]"),
        of("kind = \"mock\"\nmodels = [\"\"]"),
        of("kind = \"mock\"\nconcurrency = 0"),
        of("kind = \"mock\"\nmodels = [\"a\"]\naliases = { fast = \"b\" }"),
    ];
    let refused = refusals(&texts.each_ref().map(String::as_str));
    insta::assert_snapshot!(refused);
}

#[test]
fn another_daemon_is_at_one_place_that_is_not_this_one() {
    let of = |keys: &str| format!("[[backends]]\nname = \"x\"\nkind = \"inferd\"\n{keys}");
    let own_tcp = of("tcp = \"localhost:5\"\n[listen]\ntcp = \"127.0.0.1:5\"");
    let own_local = of("local = \"here.sock\"\n[listen]\nlocal = \"./here.sock\"");
    let texts = [
        of(""),
        of("local = \"a.sock\"\ntcp = \"host:5\""),
        of("local = \"a.sock\"\napi_key_env = \"KEY\""),
        of("local = \"a.sock\"\napi_key_file = \"key\""),
        of("tcp = \"host\""),
        of("tcp = \"http://host:5\""),
        of("base_url = \"http://host\""),
        of("local = \"default\""),
        own_local,
        own_tcp,
    ];
    let refused = refusals(&texts.each_ref().map(String::as_str));
    insta::assert_snapshot!(refused);
    assert!(Config::parse(&of("local = \"default\"\n[listen]\nlocal = \"elsewhere.sock\"")).is_ok());
    assert!(Config::parse(&of("tcp = \"localhost:5\"\n[listen]\ntcp = \"127.0.0.1:6\"")).is_ok());
}

#[test]
fn what_is_not_toml_is_refused_with_its_line() {
    let refused = refusals(&["a = 1\nb = ", "[listen\n", "a = 1\na = 2", "[listen]\nlocal = \"C:\\pipe\""]);
    insta::assert_snapshot!(refused);
}

#[test]
fn a_key_in_the_file_is_refused_and_never_repeated() {
    let texts = [
        "[listen]\napi_key = \"sk-secret\"",
        "[listen]\napi_key_env = \"sk-secret\"",
        "[[backends]]\nname = \"x\"\nkind = \"openai\"\nbase_url = \"http://h\"\napi_key = \"sk-secret\"",
        "[[backends]]\nname = \"x\"\nkind = \"openai\"\nbase_url = \"http://h\"\napi_key_env = \"sk-secret\"",
        "[[backends]]\nname = \"x\"\nkind = \"openai\"\nbase_url = \"http://u:sk-secret@h\"",
        "[admission]\nactive = \"sk-secret\"",
    ];
    let messages: Vec<_> = texts.iter().map(|text| Config::parse(text).unwrap_err().to_string()).collect();
    assert!(messages.iter().all(|message| !message.contains("secret")), "{messages:#?}");
    insta::assert_debug_snapshot!(messages);
}

#[test]
fn tcp_on_loopback_needs_no_key() {
    for address in ["127.0.0.1:1", "127.8.8.8:1", "[::1]:1", "[::ffff:127.0.0.1]:1", "localhost:1"] {
        let config = Config::parse(&format!("[listen]\ntcp = \"{address}\""));
        assert!(config.is_ok_and(|config| config.listen.tcp.unwrap().port() == 1), "{address}");
    }
}

#[test]
fn an_mcp_listener_goes_by_the_rules_of_the_tcp_listener() {
    let config = Config::parse("[mcp]\nlisten = \"localhost:1\"").unwrap();
    assert_eq!(config.mcp.listen, Some("127.0.0.1:1".parse().unwrap()));
    let refused = refusals(&[
        "[mcp]\nlisten = \"host:1\"",
        "[mcp]\nlisten = \"0.0.0.0:1\"",
        "[mcp]\napi_key_env = \"K\"\napi_keys_file = \"keys.toml\"",
        "[mcp]\napi_key_env = \"sk-secret\"",
        "[mcp]\npersist = \"no\"",
        "[mcp]\nallowed_origins = [\"app.example.com\"]",
        "[mcp]\nallowed_origins = [\"https://app.example.com/page\"]",
        "[mcp]\nallowed_origins = [\"https://app.example.com\", \"*\"]",
    ]);
    insta::assert_snapshot!(refused);
    assert!(Config::parse("[mcp]\nlisten = \"0.0.0.0:1\"\napi_key_env = \"K\"").is_ok());
}

#[test]
fn a_client_keeps_half_the_queue_but_never_nothing() {
    let places = |text: &str| Config::parse(text).unwrap().admission.per_client_queue();
    assert_eq!(places(""), 32);
    assert_eq!(places("[admission]\nqueue_depth = 9"), 4);
    assert_eq!(places("[admission]\nqueue_depth = 0"), 1);
    assert_eq!(places("[admission]\nqueue_depth = 9\nper_client_queue = 9"), 9);
}

#[test]
fn a_longer_cooldown_raises_the_longest() {
    let breaker = Config::parse("[breaker]\ncooldown_s = 900").unwrap().breaker;
    assert_eq!(breaker.cooldown_max, Duration::from_secs(900));
}

#[test]
fn an_alias_may_stand_for_any_model_where_the_server_is_to_be_asked() {
    assert!(backend("kind = \"mock\"\naliases = { fast = \"b\" }").is_ok());
    assert!(backend("kind = \"mock\"\nmodels = [\"*\"]\naliases = { fast = \"b\" }").is_ok());
}
