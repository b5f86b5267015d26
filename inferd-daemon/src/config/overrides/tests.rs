use clap::Parser;

use super::super::tests::EVERY_KEY;
use super::*;

#[derive(Parser)]
struct Flags {
    #[command(flatten)]
    overrides: Overrides,
}

fn flags(args: &[&str]) -> Result<Overrides, String> {
    let args = [&["inferd-daemon"], args].concat();
    Flags::try_parse_from(args).map(|flags| flags.overrides).map_err(|error| error.to_string())
}

#[test]
fn flags_beat_the_file() {
    let config = Config::parse(EVERY_KEY).unwrap();
    let untouched = config.clone().apply(&flags(&[]).unwrap()).unwrap();
    assert_eq!(untouched, config);
    let args = [
        "--listen",
        "/x",
        "--tcp",
        "[::1]:5",
        "--active",
        "9",
        "--queue-depth",
        "0",
        "--drain-timeout-s",
        "0.5",
    ];
    let config = config.apply(&flags(&args).unwrap()).unwrap();
    assert_eq!(config.listen.local, Some("/x".into()));
    assert_eq!(config.listen.tcp, Some("[::1]:5".parse().unwrap()));
    assert_eq!((config.admission.active, config.admission.queue_depth), (9, 0));
    assert_eq!(config.drain_timeout, Duration::from_millis(500));
    // One of these is at the default place itself.
    let config = Config { backends: Vec::new(), ..config };
    let config = config.apply(&flags(&["--listen", "default"]).unwrap()).unwrap();
    assert_eq!(config.listen.local, None);
}

#[test]
fn a_flag_cannot_open_tcp_to_the_world_without_a_key() {
    let open = flags(&["--tcp", "0.0.0.0:1"]).unwrap();
    let error = Config::default().apply(&open).unwrap_err();
    insta::assert_snapshot!(error, @"--tcp: beyond loopback a key is needed: set `api_key_env` or `api_keys_file`");
    let keyed = flags(&["--tcp", "0.0.0.0:1", "--api-key-env", "KEY"]).unwrap();
    let config = Config::default().apply(&keyed).unwrap();
    assert_eq!(config.listen.keys, Some(KeySource::Variable("KEY".into())));
    let pasted = Config::default().apply(&flags(&["--api-key-env", "sk-secret"]).unwrap()).unwrap_err();
    insta::assert_snapshot!(pasted, @"--api-key-env: expected the name of an environment variable, not a key");
}

#[test]
fn the_flag_for_mcp_takes_the_address_of_the_file_else_the_usual_one() {
    let mcp = flags(&["--mcp"]).unwrap();
    assert_eq!(Config::default().apply(&mcp).unwrap().mcp.listen, Some("127.0.0.1:47324".parse().unwrap()));
    let config = Config::parse("[mcp]\nlisten = \"[::1]:5\"").unwrap();
    assert_eq!(config.apply(&mcp).unwrap().mcp.listen, Some("[::1]:5".parse().unwrap()));
}

#[test]
fn a_flag_cannot_make_the_daemon_call_itself() {
    let text = "[[backends]]\nname = \"x\"\nkind = \"inferd\"\ntcp = \"localhost:5\"";
    let config = Config::parse(text).unwrap();
    let error = config.apply(&flags(&["--tcp", "127.0.0.1:5"]).unwrap()).unwrap_err();
    insta::assert_snapshot!(error, @"backend `x`: tcp: this daemon itself is there: it would call itself");
}

#[test]
fn a_flag_out_of_range_is_refused() {
    for args in
        [["--active", "-1"], ["--queue-depth", "many"], ["--drain-timeout-s", "inf"], ["--tcp", "here"]]
    {
        let message = flags(&args).unwrap_err();
        assert!(message.contains("expected") || message.contains("unexpected argument"), "{message}");
    }
}
