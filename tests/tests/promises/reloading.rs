//! The configuration can be replaced while the daemon runs: whole or not at all, and what runs is not disturbed.

use std::sync::Arc;

use anyhow::Result;
use inferd_tests::{Answer, Daemon, Gate, Home, LineClient, Signal, Upstream, free_address, request};
use serde_json::{Value, json};

use crate::{code, text};

const MOCK: &str = "[[backends]]\nname = \"m\"\nkind = \"mock\"\ntokens = [\"a\"]\n";

/// Names of the lanes, in the order they are tried.
fn lanes(snapshot: &Value) -> Vec<&str> {
    snapshot["lanes"].as_array().map_or(vec![], |all| all.iter().filter_map(|l| l["name"].as_str()).collect())
}

#[tokio::test]
async fn what_changed_is_told_by_name_and_holds_from_then_on() -> Result<()> {
    let daemon = Daemon::start(MOCK).await?;
    let mut client = daemon.connect().await?;
    let file = "drain_timeout_s = 3\nadmission.active = 1\n\
                [[backends]]\nname = \"m\"\nkind = \"mock\"\ntokens = [\"b\"]\naliases = { fast = \"x\" }\n\
                [[backends]]\nname = \"n\"\nkind = \"mock\"\npriority = 5\n";
    daemon.home().configure(file)?;
    let reloaded = daemon.reload().await?;
    assert_eq!(
        reloaded,
        json!({
            "id": "admin", "type": "reloaded", "kept": [], "adjusted": [], "rebuilt": ["m"], "added": ["n"],
            "removed": [], "settings": ["[admission] active", "drain_timeout_s"], "needs_restart": [],
        })
    );
    assert_eq!(client.terminal(&request("same connection")).await?["content"], "b");
    let now = daemon.snapshot().await?;
    assert_eq!((lanes(&now), &now["active"], &now["status"]), (vec!["m", "n"], &json!(1), &json!("ready")));
    assert_eq!(now["lanes"][0]["models"], json!(["*", "fast"]));

    daemon.home().configure(&file.replace("priority = 5", "priority = -5"))?;
    assert_eq!(daemon.reload().await?["adjusted"], json!(["n"]));
    assert_eq!(client.terminal(&request("other lane")).await?["backend"], "n");
    Ok(())
}

#[tokio::test]
async fn a_signal_does_as_the_admin_command_does() -> Result<()> {
    let daemon = Daemon::start(MOCK).await?;
    for name in ["n", "o"] {
        daemon.home().configure(&MOCK.replace("\"m\"", &format!("\"{name}\"")))?;
        daemon.signal(Signal::HUP)?;
        daemon.until(|now| lanes(now) == [name]).await?;
    }
    let mut client = daemon.connect().await?;
    assert_eq!(client.terminal(&request("x")).await?["backend"], "o");
    assert_eq!(daemon.stop().await?.code(), Some(0));
    Ok(())
}

#[tokio::test]
async fn a_signal_that_comes_while_the_daemon_starts_is_not_lost_and_ends_nothing() -> Result<()> {
    let home = Arc::new(Home::new(MOCK)?);
    let daemon = Daemon::spawn_in(&home)?;
    // It listens for signals before it takes its lock, and reads its file before that.
    while !home.lock().exists() {
        tokio::task::yield_now().await;
    }
    home.configure(&MOCK.replace("\"m\"", "\"n\""))?;
    daemon.signal(Signal::HUP)?;
    while LineClient::local(&home.admin_socket()).await.is_err() {
        tokio::task::yield_now().await;
    }
    daemon.until(|now| lanes(now) == ["n"]).await?;
    Ok(())
}

#[tokio::test]
async fn a_file_that_cannot_be_used_is_refused_whole_with_its_line_and_the_old_stays() -> Result<()> {
    let daemon = Daemon::start(MOCK).await?;
    let http = "[[backends]]\nname = \"far\"\nkind = \"openai\"\nbase_url = \"http://127.0.0.1:9\"\n";
    std::fs::write(daemon.home().runtime_dir().join("bad.key"), "two\nlines")?;
    for (file, expected) in [
        (
            "[admission]\nactive = 1\nqueue_dept = 3\n".to_owned(),
            "line 3: [admission] queue_dept: unknown key",
        ),
        (format!("{http}[listen\n"), "line 5"),
        (format!("admission.active = 9\n{http}api_key_env = \"NO_SUCH_KEY\"\n"), "NO_SUCH_KEY is not set"),
        (
            format!("admission.active = 9\n{http}api_key_file = \"bad.key\"\n"),
            "cannot build backend `far`: api key",
        ),
        (format!("{http}{http}"), "line 6: [[backends]] name"),
    ] {
        daemon.home().configure(&file)?;
        let refused = daemon.reload().await?;
        assert_eq!((code(&refused)?, text(&refused, "id")?), ("invalid_request", "admin"));
        assert!(text(&refused, "message")?.contains(expected), "{refused}");
        assert!(daemon.log().contains(expected), "{}", daemon.log());
        let now = daemon.snapshot().await?;
        assert_eq!((lanes(&now), &now["active"]), (vec!["m"], &json!(4)), "nothing of it holds");
        let mut client = daemon.connect().await?;
        assert_eq!(client.terminal(&request("x")).await?["content"], "a");
    }
    std::fs::remove_file(daemon.home().config())?;
    assert_eq!(code(&daemon.reload().await?)?, "invalid_request", "no file is no empty file");
    daemon.home().configure(&MOCK.replace("\"a\"", "\"well again\""))?;
    assert_eq!(daemon.reload().await?["rebuilt"], json!(["m"]));
    Ok(())
}

#[tokio::test]
async fn the_command_line_tells_what_changed_what_waits_and_what_is_wrong() -> Result<()> {
    let daemon = Daemon::start(MOCK).await?;
    let (home, tcp) = (daemon.home(), free_address()?);
    home.configure(&format!("admission.active = 2\nlisten.tcp = \"{tcp}\"\n{MOCK}"))?;
    for (changed, stdout) in
        [(true, "kept      m\nsettings  [admission] active\n"), (false, "nothing changed\n")]
    {
        let output = home.run("inferd-cli", &["reload"]).await?;
        assert_eq!((output.status.code(), String::from_utf8(output.stdout)?), (Some(0), stdout.to_owned()));
        let said = String::from_utf8(output.stderr)?;
        assert_eq!(said, "inferd-cli: [listen] tcp has changed and waits for a restart\n", "{changed}");
    }
    assert!(LineClient::tcp(tcp).await.is_err());
    assert!(daemon.log().contains("waits for a restart"), "{}", daemon.log());
    home.configure("nonsense")?;
    let output = home.run("inferd-cli", &["reload"]).await?;
    let said = String::from_utf8(output.stderr)?;
    assert!(output.status.code() == Some(5) && said.contains("line 1"), "{said}");
    Ok(())
}

#[tokio::test]
async fn a_lane_that_is_shut_stays_shut_and_one_that_is_made_anew_is_not() -> Result<()> {
    let failing = Upstream::always(Answer::refusal(500, "out of order")).await?;
    let backend = failing.backend("down");
    let daemon = Daemon::start(&backend).await?;
    let mut client = daemon.connect().await?;
    for n in 0..3 {
        client.terminal(&request(&n.to_string())).await?;
    }
    daemon
        .home()
        .configure(&format!("admission.active = 2\n{MOCK}{backend}priority = -1\nconcurrency = 3\n"))?;
    assert_eq!(daemon.reload().await?["adjusted"], json!(["down"]));
    let lane = daemon.snapshot().await?["lanes"][0].clone();
    assert_eq!((&lane["name"], &lane["state"]), (&json!("down"), &json!("shut")));
    assert!(lane["rests_ms"].as_u64() > Some(20_000), "{lane}");
    for n in 0..5 {
        assert_eq!(client.terminal(&request(&n.to_string())).await?["backend"], "m");
    }
    assert_eq!(failing.seen().requests.len(), 3);

    daemon.home().configure(&format!("{backend}first_token_timeout_s = 9\n"))?;
    assert_eq!(daemon.reload().await?["rebuilt"], json!(["down"]));
    assert_eq!(daemon.snapshot().await?["lanes"][0]["state"], "passing");
    Ok(())
}

#[tokio::test]
async fn a_lane_that_is_gone_or_made_anew_finishes_what_it_runs() -> Result<()> {
    for changed in [MOCK.to_owned(), String::new()] {
        let gate = Gate::shut();
        let upstream = Upstream::always(Answer::held(&["begun"], &gate, &[" and ", "ended"])).await?;
        let backend = upstream.backend("old");
        let daemon = Daemon::start(&backend).await?;
        let mut client = daemon.connect().await?;
        client.send(&request("open")).await?;
        client.frame_of("token").await?;
        let anew = format!("{backend}first_token_timeout_s = 9\n");
        daemon.home().configure(if changed.is_empty() { &anew } else { &changed })?;
        let reloaded = daemon.reload().await?;
        assert_eq!(reloaded["type"], "reloaded", "{reloaded}");
        if !changed.is_empty() {
            assert_eq!(lanes(&daemon.snapshot().await?), ["m"]);
            assert_eq!(daemon.connect().await?.terminal(&request("new")).await?["content"], "a");
        }
        assert_eq!(daemon.snapshot().await?["running"], 1);
        gate.open();
        let done = client.frame_of("done").await?;
        assert_eq!((text(&done, "content")?, text(&done, "backend")?), ("begun and ended", "old"));
        assert_eq!(daemon.stop().await?.code(), Some(0));
    }
    Ok(())
}

#[tokio::test]
async fn a_key_that_changed_is_asked_of_the_next_connection() -> Result<()> {
    // The digests of "old-key" and "new-key".
    const OLD: &str = "762c08fc17a1cc5f00d248f8b50f2f2f4d17ff2934ac31e64deacb3f5bb3f2ec";
    const NEW: &str = "479a61d5370a0351ad498a8f324e0f9ad50bfafbe4c044ea49cbe3981e8cb573";
    let listen = format!("[listen]\ntcp = \"{}\"\napi_keys_file = \"keys.toml\"\n", free_address()?);
    let home = Arc::new(Home::new(&(listen + MOCK))?);
    let write_keys =
        |digest: &str| std::fs::write(home.runtime_dir().join("keys.toml"), format!("k = \"{digest}\""));
    write_keys(OLD)?;
    let daemon = Daemon::start_in(&home).await?;
    let present = async |key: &str| {
        let mut client = daemon.connect_tcp().await?;
        client.send(&json!({"type": "auth", "key": key})).await?;
        anyhow::Ok(client)
    };
    let mut inside = present("old-key").await?;
    assert_eq!(inside.terminal(&request("x")).await?["content"], "a");

    write_keys(NEW)?;
    assert_eq!(daemon.reload().await?["settings"], json!(["[listen] api_keys_file"]));
    present("old-key").await?.closed().await?;
    assert_eq!(present("new-key").await?.terminal(&request("y")).await?["content"], "a");
    assert_eq!(inside.terminal(&request("z")).await?["content"], "a", "who is in stays in");
    Ok(())
}

#[tokio::test]
async fn the_key_of_a_listener_beyond_loopback_is_not_taken_away_before_the_listener() -> Result<()> {
    let port = free_address()?.port();
    let listen = |address: &str, key: &str| format!("[listen]\ntcp = \"{address}:{port}\"\n{key}\n{MOCK}");
    let open = listen("0.0.0.0", "api_key_env = \"THE_KEY\"");
    let daemon = Daemon::start_in(&Arc::new(Home::new(&open)?.env("THE_KEY", "k"))).await?;
    daemon.home().configure(&listen("127.0.0.1", ""))?;
    let refused = daemon.reload().await?;
    assert!(text(&refused, "message")?.contains("until a restart"), "{refused}");
    LineClient::tcp(([127, 0, 0, 1], port).into()).await?.send(&request("x")).await?;
    daemon.home().configure(&listen("127.0.0.1", "api_key_env = \"THE_KEY\""))?;
    assert_eq!(daemon.reload().await?["needs_restart"], json!(["[listen] tcp"]));
    Ok(())
}

#[tokio::test]
async fn more_slots_go_to_who_waits_and_other_limits_to_who_comes() -> Result<()> {
    let gate = Gate::shut();
    let upstream = Upstream::always(Answer::held(&["a"], &gate, &[])).await?;
    let backend = upstream.backend("m");
    let daemon = Daemon::start(&format!("admission.active = 1\n{backend}")).await?;
    let mut client = daemon.connect().await?;
    for id in ["1", "2", "3"] {
        client.send(&request(id)).await?;
    }
    daemon.until(|now| now["running"] == 1 && now["waiting"] == 2).await?;
    daemon.home().configure(&format!("admission.active = 2\nlimits.open_requests_max = 1\n{backend}"))?;
    daemon.reload().await?;
    daemon.until(|now| now["running"] == 2 && now["waiting"] == 1).await?;

    let mut newcomer = daemon.connect().await?;
    for id in ["4", "5"] {
        newcomer.send(&request(id)).await?;
    }
    let refused = newcomer.frame_of("error").await?;
    assert_eq!((code(&refused)?, text(&refused, "id")?), ("queue_full", "5"));
    client.send(&request("6")).await?;
    gate.open();
    for _ in 0..4 {
        client.frame_of("done").await?;
    }
    newcomer.frame_of("done").await?;
    Ok(())
}

#[tokio::test]
async fn a_lower_limit_of_connections_sends_nobody_away_and_a_higher_one_lets_in_who_waits() -> Result<()> {
    let daemon = Daemon::start(MOCK).await?;
    let mut clients = Vec::new();
    for _ in 0..3 {
        let mut client = daemon.connect().await?;
        client.terminal(&request("x")).await?;
        clients.push(client);
    }
    daemon.home().configure(&format!("limits.connections_max = 2\n{MOCK}"))?;
    daemon.reload().await?;
    for client in &mut clients {
        assert_eq!(client.terminal(&request("y")).await?["content"], "a");
    }
    // The listener was already waiting for one when it was told, and takes that one in once there is room.
    let mut waiting = daemon.connect().await?;
    waiting.send(&request("waiting")).await?;
    for n in 0..50 {
        clients[0].terminal(&request(&n.to_string())).await?;
    }
    let early = tokio::time::timeout(std::time::Duration::from_millis(20), waiting.frame()).await;
    assert!(early.is_err(), "it was served past the limit: {early:?}");
    daemon.home().configure(&format!("limits.connections_max = 4\n{MOCK}"))?;
    daemon.reload().await?;
    assert_eq!(waiting.answer().await?.pop().unwrap_or_default()["content"], "a");
    Ok(())
}

#[tokio::test]
async fn a_daemon_that_drains_reloads_no_more() -> Result<()> {
    let gate = Gate::shut();
    let upstream = Upstream::always(Answer::held(&["a"], &gate, &[])).await?;
    let mut daemon = Daemon::start(&upstream.backend("m")).await?;
    let mut client = daemon.connect().await?;
    client.send(&request("open")).await?;
    client.frame_of("token").await?;
    let mut admin = LineClient::local(&daemon.admin_socket()).await?;
    daemon.signal(Signal::TERM)?;
    while admin.frame().await?["status"] != "draining" {}
    daemon.home().configure(MOCK)?;
    daemon.signal(Signal::HUP)?;
    let refused = daemon.reload().await?;
    assert_eq!((code(&refused)?, text(&refused, "message")?), ("backend_unavailable", "draining"));
    gate.open();
    assert_eq!(client.frame_of("done").await?["backend"], "m");
    assert_eq!(daemon.ended().await?.code(), Some(0));
    Ok(())
}

#[tokio::test]
async fn without_a_file_the_machine_is_searched_again() -> Result<()> {
    let address = free_address()?;
    let home = Arc::new(Home::new("")?.env("OLLAMA_HOST", address.to_string()));
    let daemon = Daemon::start_in(&home).await?;
    assert!(!lanes(&daemon.snapshot().await?).contains(&"ollama"));
    let said = json!({"model": "scripted", "message": {"role": "assistant", "content": "here"}, "done": true,
        "done_reason": "stop", "prompt_eval_count": 1, "eval_count": 1});
    let answer = Answer::http("200 OK\r\ncontent-type: application/x-ndjson", &format!("{said}\n"));
    let _found = Upstream::at(address, answer).await?;
    let reloaded = daemon.reload().await?;
    assert_eq!(
        reloaded["added"].as_array().and_then(|added| added.first()),
        Some(&json!("ollama")),
        "{reloaded}"
    );
    let mut client = daemon.connect().await?;
    assert_eq!(client.terminal(&request("x")).await?["content"], "here");
    assert_eq!(daemon.reload().await?["added"], json!([]), "what is found again is what it was");
    Ok(())
}
