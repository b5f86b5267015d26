//! A `[[backends]]` table becomes what its kind is made of.
//!
//! Invariants:
//! - A key of another kind is refused, never skipped.

use std::ops::RangeInclusive;

use super::super::error::ConfigError;
use super::super::read::{COUNT_MAX, key_source};
use super::super::section::{SECONDS_MAX, Section};
use super::{DaemonAddress, DaemonConfig, EngineConfig, HttpConfig, HttpKind, Priorities, Share, Timeouts};

const MOCK: &str = "mock";
const OPENAI: &str = "openai";
const ANTHROPIC: &str = "anthropic";
const OLLAMA: &str = "ollama";
const INFERD: &str = "inferd";
const SAMPLING: &str = "sampling";

const HTTP: &[&str] = &[OPENAI, ANTHROPIC, OLLAMA];
const REMOTE: &[&str] = &[OPENAI, ANTHROPIC, OLLAMA, INFERD];

/// Keys that not every kind has, and the kinds that have them.
const KEYS: &[(&str, &[&str])] = &[
    ("tokens", &[MOCK]),
    ("token_delay_ms", &[MOCK]),
    ("mid_stream_drop_after", &[MOCK]),
    ("base_url", HTTP),
    ("keep_alive", &[OLLAMA]),
    ("local", &[INFERD]),
    ("tcp", &[INFERD]),
    ("api_key_env", REMOTE),
    ("api_key_file", REMOTE),
    ("connect_timeout_s", REMOTE),
    ("first_token_timeout_s", REMOTE),
    ("idle_timeout_s", REMOTE),
    ("total_timeout_s", REMOTE),
    ("intelligence_priority", &[SAMPLING]),
    ("speed_priority", &[SAMPLING]),
    ("cost_priority", &[SAMPLING]),
];

/// Milliseconds of at most a day.
pub(in super::super) const MS_MAX: i64 = 86_400_000;

const MS: RangeInclusive<i64> = 0..=MS_MAX;

/// What the backend of `section` is made of.
pub(in super::super) fn engine(section: &Section<'_>) -> Result<EngineConfig, ConfigError> {
    let kind = section.text("kind")?.ok_or_else(|| section.wrong("kind", "every backend needs one"))?;
    let kind = kind.as_str();
    let read: fn(&Section<'_>) -> Result<EngineConfig, ConfigError> = match kind {
        MOCK => mock,
        OPENAI => |section| http(section, HttpKind::OpenAi, None),
        ANTHROPIC => |section| http(section, HttpKind::Anthropic, Some("https://api.anthropic.com")),
        OLLAMA => |section| http(section, HttpKind::Ollama, Some("http://127.0.0.1:11434")),
        INFERD => inferd,
        SAMPLING => sampling,
        _ => {
            let kinds = [&[MOCK], REMOTE, &[SAMPLING]].concat();
            return Err(section.wrong("kind", format!("expected {}", list(&kinds))));
        }
    };
    for (key, kinds) in KEYS {
        if section.has(key) && !kinds.contains(&kind) {
            return Err(section.wrong(key, format!("only backends of kind {} have this", list(kinds))));
        }
    }
    read(section)
}

/// Names in a sentence: `a`, `b` or `c`.
fn list(names: &[&str]) -> String {
    let quoted: Vec<String> = names.iter().map(|name| format!("`{name}`")).collect();
    match quoted.split_last() {
        Some((last, [])) => last.clone(),
        Some((last, others)) => format!("{} or {last}", others.join(", ")),
        None => String::new(),
    }
}

fn mock(section: &Section<'_>) -> Result<EngineConfig, ConfigError> {
    let tokens = section.texts("tokens")?.unwrap_or_else(|| vec!["mock-response".to_owned()]);
    if tokens.iter().any(String::is_empty) {
        return Err(section.wrong("tokens", "expected tokens, got an empty one"));
    }
    Ok(EngineConfig::Mock {
        tokens,
        token_delay_ms: section.whole("token_delay_ms", MS)?,
        mid_stream_drop_after: section.whole("mid_stream_drop_after", 0..=COUNT_MAX)?,
    })
}

fn http(section: &Section<'_>, kind: HttpKind, usual_url: Option<&str>) -> Result<EngineConfig, ConfigError> {
    let base_url = match (base_url(section)?, usual_url) {
        (Some(url), _) => url,
        (None, Some(usual)) => usual.to_owned(),
        (None, None) => {
            let reason = "this kind of backend needs one, as in \"http://127.0.0.1:8080\"";
            return Err(section.wrong("base_url", reason));
        }
    };
    Ok(EngineConfig::Http(HttpConfig {
        kind,
        base_url,
        key: key_source(section, "api_key_file")?,
        keep_alive: keep_alive(section)?,
        timeouts: timeouts(section)?,
    }))
}

fn inferd(section: &Section<'_>) -> Result<EngineConfig, ConfigError> {
    let local = section.text("local")?;
    let key = key_source(section, "api_key_file")?;
    let address = match (local, section.text("tcp")?) {
        (Some(_), Some(_)) => {
            return Err(section.wrong("tcp", "there is `local` already: a daemon is at one place"));
        }
        (None, None) => {
            return Err(
                section.wrong("kind", "kind `inferd` needs `local` or `tcp`: where the other daemon is")
            );
        }
        (Some(_), None) if key.is_some() => {
            let file = if section.has("api_key_env") { "api_key_env" } else { "api_key_file" };
            return Err(section.wrong(file, "a local socket asks for no key: only `tcp` does"));
        }
        (Some(local), None) => DaemonAddress::Local((local != "default").then(|| local.into())),
        (None, Some(tcp)) if is_host_and_port(&tcp) => DaemonAddress::Tcp(tcp),
        (None, Some(_)) => {
            return Err(section.wrong("tcp", "expected a host and a port, as in \"gpu.example.com:47321\""));
        }
    };
    Ok(EngineConfig::Inferd(DaemonConfig { address, key, timeouts: timeouts(section)? }))
}

fn sampling(section: &Section<'_>) -> Result<EngineConfig, ConfigError> {
    let usual = Priorities::default();
    let share = |key, usual| match section.number(key)?.map(Share::new) {
        None => Ok(usual),
        Some(Some(share)) => Ok(share),
        Some(None) => Err(section.wrong(key, "expected a number from 0 to 1")),
    };
    Ok(EngineConfig::Sampling(Priorities {
        intelligence: share("intelligence_priority", usual.intelligence)?,
        speed: share("speed_priority", usual.speed)?,
        cost: share("cost_priority", usual.cost)?,
    }))
}

fn timeouts(section: &Section<'_>) -> Result<Timeouts, ConfigError> {
    let usual = Timeouts::default();
    Ok(Timeouts {
        connect: section.seconds("connect_timeout_s")?.unwrap_or(usual.connect),
        first_token: section.seconds("first_token_timeout_s")?.unwrap_or(usual.first_token),
        idle: section.seconds("idle_timeout_s")?.unwrap_or(usual.idle),
        total: section.seconds("total_timeout_s")?,
    })
}

fn base_url(section: &Section<'_>) -> Result<Option<String>, ConfigError> {
    let url = http_url(section, "base_url", "`api_key_env` or `api_key_file`")?;
    Ok(url.map(|url| url.trim_end_matches('/').to_owned()))
}

/// The URL under `key`, which has a host; what a user or password in it should be is said by `instead`.
pub(in super::super) fn http_url(
    section: &Section<'_>,
    key: &str,
    instead: &str,
) -> Result<Option<String>, ConfigError> {
    let wrong = |reason: &str| Err(section.wrong(key, reason));
    let Some(url) = section.text(key)? else { return Ok(None) };
    let Some(rest) = url.strip_prefix("http://").or_else(|| url.strip_prefix("https://")) else {
        return wrong("expected a URL that begins with http:// or https://");
    };
    let host = rest.split('/').next().unwrap_or_default();
    if host.contains('@') {
        return wrong(&format!("a URL here holds no user or password: use {instead}"));
    }
    if host.is_empty() || host.starts_with(':') {
        return wrong("expected a host after http:// or https://");
    }
    if rest.contains(['?', '#']) || rest.contains(|c: char| c.is_whitespace() || c.is_control()) {
        return wrong("expected a URL without spaces, query or fragment");
    }
    Ok(Some(url))
}

/// A name or an address (one of version 6 in brackets), a colon, and a port that somebody can listen on.
pub(in super::super) fn is_host_and_port(text: &str) -> bool {
    let Some((host, port)) = text.rsplit_once(':') else { return false };
    let name = |c: char| c.is_ascii_alphanumeric() || "-._".contains(c);
    let is_host = match host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
        Some(address) => address.parse::<std::net::Ipv6Addr>().is_ok(),
        None => !host.is_empty() && host.chars().all(name),
    };
    is_host && port.parse::<u16>().is_ok_and(|port| port > 0)
}

fn keep_alive(section: &Section<'_>) -> Result<Option<String>, ConfigError> {
    const EXPECTED: &str =
        "expected seconds, or a span as Ollama writes it: \"5m\", \"1h30m\", \"-1s\" for ever";
    if section.holds_whole("keep_alive") {
        #[expect(clippy::cast_possible_truncation, reason = "a year in seconds")]
        let most = SECONDS_MAX as i64;
        let seconds: Option<i64> = section.whole("keep_alive", -1..=most)?;
        return Ok(seconds.map(|seconds| format!("{seconds}s")));
    }
    match section.text("keep_alive")? {
        Some(span) if !is_span(&span) => Err(section.wrong("keep_alive", EXPECTED)),
        span => Ok(span),
    }
}

/// Whether Go's `time.ParseDuration`, which reads it at the other end, takes it: numbers, each with its unit.
fn is_span(text: &str) -> bool {
    let unsigned = text.strip_prefix(['-', '+']).unwrap_or(text);
    if unsigned == "0" {
        return true;
    }
    let mut rest = unsigned;
    while !rest.is_empty() {
        let unit = rest.trim_start_matches(|c: char| c.is_ascii_digit() || c == '.');
        let number = &rest[..rest.len() - unit.len()];
        let units = ["ns", "us", "µs", "ms", "s", "m", "h"];
        let longest = units.iter().filter(|known| unit.starts_with(**known)).max_by_key(|known| known.len());
        match longest {
            Some(known) if number.parse::<f64>().is_ok() => rest = &unit[known.len()..],
            _ => return false,
        }
    }
    !unsigned.is_empty()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_span_is_what_ollama_takes() {
        for span in ["5m", "1h30m", "-1s", "0", "300ms", "1.5h", "+2m"] {
            assert!(is_span(span), "{span}");
        }
        for nonsense in ["", "5", "m", "5 minutes", "5d", "-", "1h30", "1.2.3s", "for ever"] {
            assert!(!is_span(nonsense), "{nonsense}");
        }
    }

    #[test]
    fn a_host_and_port_is_a_name_or_an_address() {
        for address in ["gpu.example.com:1", "10.0.0.1:47321", "[::1]:5", "localhost:65535"] {
            assert!(is_host_and_port(address), "{address}");
        }
        for nonsense in
            ["gpu", ":1", "gpu:0", "gpu:65536", "gpu:", "::1:5", "user@gpu:1", "http://gpu:1", "[gpu]:1"]
        {
            assert!(!is_host_and_port(nonsense), "{nonsense}");
        }
    }
}
