//! Four lanes that fail in every way there is, of which one is always sound: nobody who asks is lied to, forgotten or
//! turned away, and no lane that is down is kept down by being asked.

mod caller;
mod lane;
mod plan;
mod shut;
mod verdict;

use std::collections::{BTreeMap, HashMap};
use std::convert::Infallible;
use std::fmt::Write;
use std::time::{Duration, SystemTime};

use anyhow::{Context, Result, ensure};
use fastrand::Rng;
use futures_util::FutureExt;
use futures_util::future::try_join_all;
use inferd_tests::Daemon;
use tokio::time::sleep;

use caller::Transcript;
use lane::Lane;
use plan::{Ask, Asked, Phase};
use shut::{Received, Tally};
use verdict::Verdict;

const REQUESTS: usize = 2000;
/// Of the callers who stay: how many requests each has open at a time, and in all for each of these.
const DEPTHS: [usize; 11] = [1, 1, 1, 1, 1, 1, 1, 1, 4, 6, 8];
const REQUESTS_A_DEPTH: usize = 67;
/// Callers who come and go, one after the other, as many at a time.
const LEAVERS: usize = 3;
const LANES: [&str; 4] = ["north", "east", "south", "west"];
/// The least time a lane stays shut.
const COOLDOWN: Duration = Duration::from_millis(200);
/// How long the lanes stay as they are, in milliseconds.
const PHASE_MS: std::ops::Range<u64> = 150..500;
/// Of those that no lane broke off.
const SERVED_PERCENT_MIN: usize = 99;

#[tokio::test]
async fn whatever_three_of_four_lanes_do_every_request_gets_one_whole_answer_or_one_clear_error() -> Result<()>
{
    let seed = plan::seed()?;
    let mut rng = Rng::with_seed(seed);
    let mut lanes = Vec::new();
    for name in LANES {
        lanes.push(Lane::start(name, seed).await?);
    }
    let daemon = Daemon::start(&configuration(&lanes)).await?;
    let mut history = String::new();
    let transcripts = tokio::select! {
        transcripts = callers(&daemon, rng.fork()) => transcripts,
        failed = fare(&daemon, &mut lanes, rng.fork(), &mut history) => match failed? {},
    };
    let told = || format!("INFERD_CHAOS_SEED={seed}, {LANES:?} were\n{history}");
    let transcripts = transcripts.with_context(told)?;
    daemon.quiet().await.with_context(told)?;
    let (wrong, said) = judged(&daemon, &lanes, &transcripts)?;
    println!("{said}");
    ensure!(wrong.is_empty(), "{}\n{said}\n{}", wrong.join("\n"), told());
    Ok(())
}

fn configuration(lanes: &[Lane]) -> String {
    let cooldown_s = COOLDOWN.as_secs_f64();
    let mut config = format!(
        "[admission]\nactive = 24\nqueue_depth = 256\nclient = \"connection\"\n\
         [breaker]\nfailures = 3\nwindow_s = 5\ncooldown_s = {cooldown_s}\ncooldown_max_s = {}\n",
        4.0 * cooldown_s
    );
    for (at, lane) in lanes.iter().enumerate() {
        config += &lane.upstream.backend(lane.name);
        config += "first_token_timeout_s = 0.8\nidle_timeout_s = 1.2\n";
        if at % 2 == 0 {
            config += "hedge_after_ms = 400\n";
        }
    }
    config
}

/// Everyone who asks, until all have their answers.
async fn callers(daemon: &Daemon, mut rng: Rng) -> Result<Vec<Transcript>> {
    let asks: Vec<_> = (0..REQUESTS).map(|number| Ask::draw(number, &mut rng)).collect();
    let mut rest = asks.into_iter();
    let mut all = Vec::new();
    for depth in DEPTHS {
        let share: Vec<_> = rest.by_ref().take(REQUESTS_A_DEPTH * depth).collect();
        all.push(caller::stays(daemon, share, depth).boxed());
    }
    // The others are asked for by callers who do not stay.
    let mut leavers: [Vec<(Vec<Ask>, usize)>; LEAVERS] = Default::default();
    for turn in 0.. {
        let together: Vec<_> = rest.by_ref().take(rng.usize(1..=3)).collect();
        if together.is_empty() {
            break;
        }
        leavers[turn % LEAVERS].push((together, rng.usize(0..8)));
    }
    for turns in leavers {
        all.push(caller::comes_and_goes(daemon, turns).boxed());
    }
    Ok(try_join_all(all).await?.concat())
}

/// Has the lanes go through their phases for ever. One of them is always sound, and its successor takes its place only
/// once the daemon uses that one.
async fn fare(daemon: &Daemon, lanes: &mut [Lane], mut rng: Rng, history: &mut String) -> Result<Infallible> {
    let (mut sound, mut next) = (0, 1);
    loop {
        for (at, lane) in lanes.iter_mut().enumerate() {
            // A stall has to last to be noticed.
            let chance = if lane.phase() == Phase::Stalling { 4 } else { 2 };
            if at != sound && at != next && rng.usize(..chance) == 0 {
                lane.turn(Phase::draw(&mut rng)).await?;
            }
        }
        let phases: Vec<_> = lanes.iter().map(Lane::phase).collect();
        writeln!(history, "{phases:?}")?;
        sleep(Duration::from_millis(rng.u64(PHASE_MS))).await;
        if lanes[next].is_settled() && daemon.snapshot().await?["lanes"][next]["state"] == "passing" {
            sound = next;
            next = (sound + rng.usize(1..lanes.len())) % lanes.len();
            lanes[next].turn(Phase::Sound).await?;
        }
    }
}

/// What is wrong with all that came back, and a summary.
fn judged(daemon: &Daemon, lanes: &[Lane], transcripts: &[Transcript]) -> Result<(Vec<String>, String)> {
    let mut wrong = Vec::new();
    let mut failures = Vec::new();
    let mut count = BTreeMap::<Verdict, usize>::new();
    let broken_off: Vec<_> = lanes.iter().map(|lane| (lane.name, lane.broken_off())).collect();
    for transcript in transcripts {
        match verdict::judge(transcript, &broken_off) {
            Ok(verdict) => {
                *count.entry(verdict).or_default() += 1;
                failures.extend(transcript.terminal.as_ref().filter(|_| verdict == Verdict::Failed));
            }
            Err(error) => wrong.push(format!("{error:#}: {transcript:?}")),
        }
    }
    let served = count.get(&Verdict::Served).copied().unwrap_or_default();
    if served * 100 < (served + failures.len()) * SERVED_PERCENT_MIN {
        wrong.push(format!("{} failed beside {served} that were served", failures.len()));
    }

    let mut said = format!("{count:?}; failed: {failures:?}");
    let mut total = Tally::default();
    let asked: HashMap<_, _> = transcripts.iter().map(|one| (one.ask.number, one.asked)).collect();
    for lane in lanes {
        let received = received(lane, &asked);
        let (intruders, tally) = shut::intruders(lane.name, &daemon.log(), &received, COOLDOWN)?;
        wrong.extend(intruders);
        write!(said, "; {}: {} requests, {tally:?}", lane.name, received.len())?;
        total = Tally { shut: total.shut + tally.shut, back: total.back + tally.back };
    }
    if total.shut < 2 * lanes.len() || total.back < lanes.len() {
        wrong.push(format!("the lanes had it too easy for this to show anything: {total:?}"));
    }
    Ok((wrong, said))
}

fn received(lane: &Lane, asked: &HashMap<usize, SystemTime>) -> Vec<Received> {
    let seen = lane.upstream.seen();
    let visits = seen.requests.iter().zip(&seen.visits);
    let received = visits.filter_map(|(body, visit)| {
        let number = Asked::read(lane.name, body)?.number;
        Some(Received {
            number,
            asked: *asked.get(&number)?,
            began: visit.began,
            ended: visit.ended.map(|(ended, _)| ended),
        })
    });
    received.collect()
}
