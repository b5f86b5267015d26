//! While programs ask without a pause the configuration is replaced a hundred times, and nobody notices.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use inferd_tests::{Answer, Daemon, Home, LineClient, PATIENCE, Upstream};
use serde_json::{Value, json};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout};

use crate::{report, text};

const RELOADS: usize = 100;
const CLIENTS: usize = 24;

/// Requests after which a client leaves and another comes.
const STAY: usize = 5;

const TOKENS: [&str; 4] = ["one ", "two ", "three ", "four"];

/// Lanes that come, go and change, with everything else that may change beside them. Each serves what is asked for.
fn configurations(lanes: &[Upstream; 3]) -> [String; 4] {
    let lane = |at: usize, name: &str, more: &str| {
        let url = lanes[at].base_url();
        format!(
            "[[backends]]\nname = \"{name}\"\nkind = \"openai\"\nbase_url = \"{url}\"\nmodels = [\"m\"]\n\
             aliases = {{ fast = \"m\" }}\n{more}\n"
        )
    };
    [
        format!("admission.active = 8\n{}{}", lane(0, "a", ""), lane(1, "b", "")),
        format!(
            "admission.active = 2\nadmission.queue_depth = 100\nlimits.idle_timeout_s = 9\n{}{}",
            lane(0, "a", "first_token_timeout_s = 9"),
            lane(2, "c", "concurrency = 1\npriority = -1"),
        ),
        format!(
            "admission.client = \"connection\"\nbreaker.failures = 1\n{}{}",
            lane(1, "b", "api_key_file = \"key\""),
            lane(2, "c", "concurrency = 3"),
        ),
        format!("limits.open_requests_max = 2\nlimits.connections_max = 64\n{}", lane(0, "b", "")),
    ]
}

/// What the clients have got so far, and whether that will do.
#[derive(Debug, Default)]
struct Tally {
    answers: usize,
    enough: bool,
}

/// Asks until there are enough answers.
async fn ask(home: Arc<Home>, number: usize, tally: watch::Sender<Tally>) -> Result<()> {
    while !tally.borrow().enough {
        let mut client = LineClient::local(&home.socket()).await?;
        for turn in 0..STAY {
            let id = format!("{number}.{turn}");
            let mut asked = json!({"id": id, "messages": [{"role": "user", "content": "count"}]});
            match number % 3 {
                0 => asked["model"] = json!("fast"),
                1 => asked["model"] = json!("m"),
                _ => {}
            }
            let frames = client.ask(&asked).await?;
            whole(&frames, &id)?;
            tally.send_modify(|tally| tally.answers += 1);
        }
    }
    Ok(())
}

/// Holds an answer to every token in its order and one end.
fn whole(frames: &[Value], id: &str) -> Result<()> {
    let (done, tokens) = frames.split_last().context("an answer has an end")?;
    ensure!(done["type"] == "done", "{id} was not answered: {done}");
    let tokens: String = tokens.iter().map(|token| text(token, "content")).collect::<Result<_>>()?;
    ensure!(tokens == TOKENS.concat() && text(done, "content")? == tokens, "{id} got {tokens:?} and {done}");
    ensure!(frames.iter().all(|frame| frame["id"] == id), "{id} got the frames of another: {frames:?}");
    Ok(())
}

#[tokio::test]
async fn no_request_is_lost_while_the_configuration_is_replaced_a_hundred_times() -> Result<()> {
    let answer = || Answer::slow_tokens(&TOKENS, Duration::from_millis(1));
    let lanes = [
        Upstream::always(answer()).await?,
        Upstream::always(answer()).await?,
        Upstream::always(answer()).await?,
    ];
    let files = configurations(&lanes);
    let home = Arc::new(Home::new(&files[0])?);
    let write_key = |round: usize| std::fs::write(home.runtime_dir().join("key"), format!("key {round}"));
    write_key(0)?;
    let daemon = Daemon::start_in(&home).await?;

    let tally = watch::Sender::new(Tally::default());
    let mut clients = JoinSet::new();
    for number in 0..CLIENTS {
        clients.spawn(ask(Arc::clone(&home), number, tally.clone()));
    }
    let mut told = tally.subscribe();
    let mut took = Vec::new();
    for round in 1..=RELOADS {
        home.configure(&files[round % files.len()])?;
        write_key(round)?;
        let begun = Instant::now();
        let reloaded = daemon.reload().await?;
        took.push(begun.elapsed());
        ensure!(reloaded["type"] == "reloaded", "round {round}: {reloaded}");
        // Every one of them is in force for a while.
        let enough = told.borrow().answers + CLIENTS / 2;
        tokio::select! {
            asked = timeout(PATIENCE, told.wait_for(|tally| tally.answers >= enough)) => asked?.map(drop)?,
            Some(ended) = clients.join_next() => return ended?.context("a client left early"),
        }
    }
    tally.send_modify(|tally| tally.enough = true);
    while let Some(ended) = clients.join_next().await {
        ended??;
    }
    report("a reload under load took", &took);
    println!("{} requests were answered meanwhile, each whole", tally.borrow().answers);
    for lane in &lanes {
        assert!(lane.seen().abandoned.is_empty(), "a generation was given up");
    }
    daemon.quiet().await?;
    assert_eq!(daemon.stop().await?.code(), Some(0));
    Ok(())
}
