//! Past both limits callers are refused at once; those that wait are served in fair order, never two at a time.

use std::time::Duration;

use anyhow::{Result, ensure};
use inferd_tests::{Answer, Daemon, Gate, LineClient, Upstream, request};
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::{code, report, text};

/// A daemon that runs one request and queues ten, each connection a client, in front of an upstream whose first
/// answer waits for the gate.
async fn one_at_a_time() -> Result<(Daemon, Upstream, Gate)> {
    let gate = Gate::shut();
    let held = Answer::held(&[], &gate, &["a", "b"]);
    let upstream = Upstream::start(
        move |number, _| if number == 0 { held.clone() } else { Answer::tokens(&["a", "b"]) },
    )
    .await?;
    let limits = "[admission]\nactive = 1\nqueue_depth = 10\nclient = \"connection\"\n";
    let daemon = Daemon::start(&format!("{limits}{}", upstream.backend("m"))).await?;
    Ok((daemon, upstream, gate))
}

/// Sends a request and waits until the daemon says where it stands.
async fn stand(client: &mut LineClient, id: &str) -> Result<String> {
    let mut asked = request(id);
    asked["progress"] = json!(true);
    client.send(&asked).await?;
    Ok(text(&client.frame().await?, "status")?.to_owned())
}

/// What the upstream was asked, in the order it was asked.
fn order(requests: &[Value]) -> Vec<&str> {
    requests.iter().filter_map(|request| request["messages"][0]["content"].as_str()).collect()
}

#[tokio::test]
async fn of_fourteen_clients_eleven_are_served_in_order_one_at_a_time_and_three_refused_at_once() -> Result<()>
{
    let (daemon, upstream, gate) = one_at_a_time().await?;
    let mut served = Vec::new();
    let ids: Vec<String> = (1..=11).map(|n| format!("client {n}")).collect();
    for id in &ids {
        let mut client = daemon.connect().await?;
        let status = stand(&mut client, id).await?;
        assert_eq!(status, if served.is_empty() { "running" } else { "queued" }, "{id}");
        served.push(client);
    }
    let now = daemon.snapshot().await?;
    assert_eq!((&now["running"], &now["waiting"]), (&json!(1), &json!(10)));

    let mut refused_after = Vec::new();
    for id in ["client 12", "client 13", "client 14"] {
        let mut client = daemon.connect().await?;
        let asked = Instant::now();
        let refused = client.terminal(&request(id)).await?;
        refused_after.push(asked.elapsed());
        assert_eq!((code(&refused)?, text(&refused, "id")?), ("queue_full", id));
        assert_eq!(refused["queue"], json!({"running": 1, "waiting": 10, "capacity": 10}));
        assert!(refused["retry_after_ms"].as_u64() > Some(0), "{refused}");
    }
    report("refused after", &refused_after);
    let quickest = refused_after.iter().min();
    assert!(quickest < Some(&Duration::from_millis(5)), "{refused_after:?}");
    assert!(refused_after.iter().all(|after| *after < Duration::from_millis(100)), "{refused_after:?}");

    gate.open();
    for client in &mut served {
        assert_eq!(client.frame_of("done").await?["content"], "ab");
    }
    let seen = upstream.seen();
    assert_eq!(order(&seen.requests), ids);
    assert_eq!(seen.most_open, 1);
    daemon.quiet().await?;
    Ok(())
}

#[tokio::test]
async fn a_client_with_many_requests_does_not_hold_up_one_with_few() -> Result<()> {
    let (daemon, upstream, gate) = one_at_a_time().await?;
    let (mut greedy, mut modest) = (daemon.connect().await?, daemon.connect().await?);
    for n in 1..=6 {
        stand(&mut greedy, &format!("greedy {n}")).await?;
    }
    for n in 1..=2 {
        stand(&mut modest, &format!("modest {n}")).await?;
    }
    gate.open();
    let seen = upstream.until(|seen| seen.requests.len() == 8 && seen.open == 0).await?;
    let order = order(&seen.requests);
    let place = |id: &str| order.iter().position(|asked| *asked == id);
    assert_eq!(place("greedy 1"), Some(0), "{order:?}");
    assert_eq!(place("modest 1"), Some(1), "the one that had nothing yet comes next: {order:?}");
    assert!(place("modest 2") < place("greedy 4"), "turns alternate: {order:?}");
    let own: Vec<_> = order.iter().filter(|id| id.starts_with("greedy")).collect();
    assert!(own.is_sorted(), "one client's requests stay in order: {order:?}");
    assert_eq!(seen.most_open, 1);
    Ok(())
}

#[tokio::test]
async fn a_full_queue_makes_room_for_a_client_that_holds_no_place() -> Result<()> {
    let (daemon, upstream, gate) = one_at_a_time().await?;
    let mut greedy = daemon.connect().await?;
    for n in 0..=10 {
        stand(&mut greedy, &format!("greedy {n}")).await?;
    }
    let mut newcomer = daemon.connect().await?;
    assert_eq!(stand(&mut newcomer, "newcomer").await?, "queued");
    let gave_way = greedy.frame_of("error").await?;
    assert_eq!((code(&gave_way)?, text(&gave_way, "id")?), ("queue_full", "greedy 10"));
    let refused = greedy.terminal(&request("greedy 11")).await?;
    assert_eq!((code(&refused)?, text(&refused, "id")?), ("queue_full", "greedy 11"));

    gate.open();
    assert_eq!(newcomer.frame_of("done").await?["id"], "newcomer");
    let seen = upstream.until(|seen| seen.requests.len() == 11 && seen.open == 0).await?;
    ensure!(!order(&seen.requests).contains(&"greedy 10"), "a refused request was run");
    Ok(())
}
