//! One daemon is a backend of another, beside it on the machine or on TCP with a key.

use std::sync::Arc;

use anyhow::Result;
use inferd_tests::{Daemon, Home, free_address, request};
use serde_json::json;

use crate::{code, text};

const KEY: &str = "correct horse battery staple";

#[tokio::test]
async fn a_daemon_is_reached_at_its_socket_and_by_tcp_with_its_key() -> Result<()> {
    let tcp = free_address()?;
    let listen = format!("[listen]\ntcp = \"{tcp}\"\napi_key_env = \"THE_KEY\"\n");
    let mock = "[[backends]]\nname = \"m\"\nkind = \"mock\"\ntokens = [\"far\"]\n";
    let far = Daemon::start_in(&Arc::new(Home::new(&(listen + mock))?.env("THE_KEY", KEY))).await?;
    for (place, kept) in [
        (format!("local = \"{}\"\n", far.socket().display()), true),
        (format!("tcp = \"{tcp}\"\napi_key_env = \"FAR_KEY\"\n"), true),
        (format!("tcp = \"{tcp}\"\napi_key_env = \"WRONG_KEY\"\n"), false),
    ] {
        let config = format!("[[backends]]\nname = \"upstairs\"\nkind = \"inferd\"\n{place}");
        let home = Home::new(&config)?.env("FAR_KEY", KEY).env("WRONG_KEY", "wrong");
        let near = Daemon::start_in(&Arc::new(home)).await?;
        let last = near.connect().await?.terminal(&request("x")).await?;
        if kept {
            assert_eq!((&last["content"], &last["backend"]), (&json!("far"), &json!("upstairs")), "{place}");
        } else {
            assert_eq!(code(&last)?, "backend_unavailable");
            assert!(text(&last, "message")?.contains("credentials"), "{last}");
        }
        assert_eq!(near.snapshot().await?["lanes"][0]["kind"], "inferd");
    }
    Ok(())
}

#[tokio::test]
async fn a_daemon_that_would_call_itself_does_not_start() -> Result<()> {
    let home = Home::new("\n[[backends]]\nname = \"me\"\nkind = \"inferd\"\nlocal = \"default\"\n")?;
    let own = home.socket();
    for (config, expected) in [
        (None, "line 5: [[backends]] local: this daemon itself is there"),
        (Some(own.display().to_string()), "line 5: [[backends]] local: this daemon itself is there"),
        // The same place, seen from the file's own directory.
        (Some("inferd/infer.sock".to_owned()), "backend `me`: local: this daemon itself is there"),
    ] {
        if let Some(path) = config {
            home.configure(&format!(
                "\n[[backends]]\nname = \"me\"\nkind = \"inferd\"\nlocal = \"{path}\"\n"
            ))?;
        }
        let output = home.run("inferd-daemon", &[]).await?;
        let said = String::from_utf8(output.stderr)?;
        assert_eq!(output.status.code(), Some(1), "{said}");
        assert!(said.contains(expected), "{said}");
    }
    Ok(())
}
