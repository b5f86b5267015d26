//! What a lane that hangs costs: its callers its time-out, others nothing.

use futures_util::future::join_all;

use super::*;
use crate::scripted::answer as whole_answer;

/// What the engine of a lane allows for the first token.
const FIRST_TOKEN_TIMEOUT: Duration = Duration::from_secs(20);

fn times_out(name: &str) -> Arc<Scripted> {
    let late = || GenerateError::Unavailable("no first token within 20 s".to_owned());
    Scripted::new(name, move |_, _| Turn::RefuseAfter(FIRST_TOKEN_TIMEOUT, late()))
}

/// A lane for `models`, the better the lower `priority` is.
fn lane(backend: &Arc<Scripted>, models: &[&str], priority: i32) -> (Arc<dyn Backend>, LaneConfig) {
    let models = models.iter().map(ToString::to_string).collect();
    let config = LaneConfig { models, priority, ..LaneConfig::default() };
    (Arc::clone(backend) as Arc<dyn Backend>, config)
}

fn naming(model: &str) -> Resolved {
    Resolved { model: Some(model.to_owned()), ..request("r") }
}

/// Asks, and says when it ended and how: its lane, or the error.
async fn ask(gate: &Admission, router: &Router, request: Resolved) -> (u64, Result<String, AnswerError>) {
    let who = gate.client(ClientKey::Connection(1));
    let mut notes = Notes::new(gate);
    let began = Instant::now();
    let answered = answer(gate, router, &who, Box::new(request), began, &mut notes);
    let ended = tokio::time::timeout(VAIN, answered).await.expect("nobody waits in vain");
    let lane = notes.events.pop().unwrap_or_default();
    (began.elapsed().as_secs(), ended.map(|()| lane))
}

#[tokio::test(start_paused = true)]
async fn a_lane_that_hangs_costs_its_callers_at_most_its_first_token_timeout_and_others_nothing() {
    let hangs = times_out("hangs");
    let spare = Scripted::saying("spare", &["a"]);
    let other = Scripted::saying("other", &["a"]);
    let router =
        Router::with_lanes([lane(&hangs, &["m"], 0), lane(&spare, &["m"], 1), lane(&other, &["n"], 0)]);
    let gate = Admission::new(64, 64);
    let callers = join_all((0..20).map(|_| ask(&gate, &router, naming("m"))));
    let others = async {
        let mut ended = Vec::new();
        for _ in 0..20 {
            ended.push(ask(&gate, &router, naming("n")).await);
        }
        ended
    };
    let (callers, others) = tokio::join!(callers, others);
    for (took, ended) in callers {
        assert_eq!((took, ended.unwrap().as_str()), (FIRST_TOKEN_TIMEOUT.as_secs(), "done by spare: End"));
    }
    for (took, ended) in others {
        assert_eq!((took, ended.unwrap().as_str()), (0, "done by other: End"));
    }
    // From now on it is known to hang.
    let (took, ended) = ask(&gate, &router, naming("m")).await;
    assert_eq!((took, ended.unwrap().as_str()), (0, "done by spare: End"));
}

#[tokio::test(start_paused = true)]
async fn a_lane_with_a_limit_that_hangs_leaves_the_slots_to_others() {
    let hangs = times_out("hangs");
    let other = Scripted::saying("other", &["a"]);
    let (backend, config) = lane(&hangs, &["m"], 0);
    let router = Router::with_lanes([
        (backend, LaneConfig { concurrency: Some(1), ..config }),
        lane(&other, &["n"], 0),
    ]);
    let gate = Admission::new(2, 64);
    let callers = join_all((0..5).map(|_| ask(&gate, &router, naming("m"))));
    let others = async {
        for _ in 0..20 {
            let (took, ended) = ask(&gate, &router, naming("n")).await;
            assert_eq!((took, ended.is_ok()), (0, true));
        }
    };
    tokio::join!(callers, others);
}

#[tokio::test(start_paused = true)]
async fn moving_on_ends_with_the_deadline() {
    let hangs = times_out("hangs");
    let never = Scripted::hanging("never");
    let router = Router::with_lanes([lane(&hangs, &["m"], 0), lane(&never, &["m"], 1)]);
    let gate = Admission::new(1, 1);
    let hasty = Resolved { deadline: Some(Duration::from_secs(30)), ..naming("m") };
    let (took, ended) = ask(&gate, &router, hasty.clone()).await;
    assert_eq!(took, 30);
    assert_eq!(ended.unwrap_err().to_string(), "deadline_ms of 30000 ms passed");
    assert_eq!((hangs.alive(), never.calls(), never.alive()), (0, 1, 0));
    assert_eq!(router.state()[1].state, "passing", "it had ten seconds, which says nothing");

    // Nor does it wait longer for room on the lane that it would move to.
    let (backend, config) = lane(&never, &["m", "never"], 1);
    router.reconfigure([lane(&hangs, &["m"], 0), (backend, LaneConfig { concurrency: Some(1), ..config })]);
    let _full = router.route(Need::answer(Some("never")), Instant::now()).await.unwrap();
    let (took, ended) = ask(&gate, &router, hasty).await;
    assert_eq!(took, 30);
    assert_eq!(ended.unwrap_err().to_string(), "deadline_ms of 30000 ms passed");
    assert_eq!((hangs.calls(), never.calls()), (2, 1));
}

#[tokio::test(start_paused = true)]
async fn a_deadline_ends_both_attempts_of_a_hedged_request() {
    let lanes = ["a", "b"].map(Scripted::hanging);
    let hedged = |backend| {
        let (backend, config) = lane(backend, &["m"], 0);
        (backend, LaneConfig { hedge_after: Some(Duration::from_secs(1)), ..config })
    };
    let router = Router::with_lanes(lanes.each_ref().map(hedged));
    let gate = Admission::new(1, 1);
    let hasty = Resolved { deadline: Some(Duration::from_secs(5)), ..naming("m") };
    let (took, ended) = ask(&gate, &router, hasty).await;
    assert_eq!((took, ended.is_err()), (5, true));
    assert_eq!(lanes.each_ref().map(|lane| (lane.calls(), lane.alive())), [(1, 0), (1, 0)]);
    assert!(router.state().iter().all(|lane| (lane.state, lane.running) == ("passing", 0)));
}

#[tokio::test(start_paused = true)]
async fn a_hedged_answer_comes_from_one_lane_alone_and_says_which() {
    let slow = Scripted::new("slow", |_, _| Turn::Hang);
    let quick = Scripted::new("quick", |_, _| Turn::Say(whole_answer(&["a", "b"])));
    let (backend, config) = lane(&slow, &["m"], 0);
    let hedge_after = Some(Duration::from_secs(1));
    let router =
        Router::with_lanes([(backend, LaneConfig { hedge_after, ..config }), lane(&quick, &["m"], 1)]);
    let (events, ended) = run(router, naming("m")).await;
    assert_eq!(events, ["running on slow", "retrying on quick", "token a", "token b", "done by quick: End"]);
    assert_eq!(ended, Ok(()));
}
