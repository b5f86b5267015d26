use std::time::Duration;

use inferd_engine::sampling::{FakeAnswer, FakeSamplingClient, SamplingBackend};
use inferd_engine::{Backend, GenerateError, TokenEvent};
use inferd_proto::{Caller, Message, Request, Resolved, Role};
use rmcp::model::SamplingMessage;
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout};
use tokio_util::task::TaskTracker;

use super::*;

/// A call of `program`, on behalf of whoever the daemon belongs to.
fn call(program: &str, text: &str) -> Call {
    let messages = vec![SamplingMessage::user_text(text)];
    let caller = Caller { program: Some(program.into()), ..Caller::default() };
    Call { caller, ..Call::from(CreateMessageRequestParams::new(messages, 10)) }
}

fn of_principal(name: &str) -> Call {
    let caller = Caller { principal: Some(name.into()), ..Caller::default() };
    Call { caller, ..call("p", "hi") }
}

fn lend(pool: &Pool, peer: &Arc<FakeSamplingClient>, terms: Terms) -> Lease {
    pool.lend(Arc::clone(peer) as _, terms)
}

/// The terms of `session` of whoever the daemon belongs to.
fn own(session: &str) -> Terms {
    Terms { session: session.into(), principal: None, scope: Scope::Own }
}

fn canned(text: &str) -> Arc<FakeSamplingClient> {
    Arc::new(FakeSamplingClient::canned(text))
}

fn never() -> Arc<FakeSamplingClient> {
    Arc::new(FakeSamplingClient::sequence([FakeAnswer::Never]))
}

async fn said(pool: &Pool, call: Call) -> Result<String, SamplingError> {
    let result = pool.call(call).await?;
    let text = result.message.content.first().and_then(|block| block.as_text());
    Ok(text.expect("the fake peer answers with text").text.clone())
}

fn begin(pool: &Pool, call: Call) -> JoinHandle<Result<String, SamplingError>> {
    let pool = pool.clone();
    TaskTracker::new().spawn(async move { said(&pool, call).await })
}

#[tokio::test(start_paused = true)]
async fn nobody_is_there_before_a_peer_comes_and_after_it_leaves() {
    let (pool, peer) = (Pool::default(), canned("a"));
    let mut present = pool.watch();
    assert!(!pool.offer().available);
    assert_eq!(said(&pool, call("p", "hi")).await, Err(SamplingError::NoPeer));
    let lease = lend(&pool, &peer, own("s"));
    assert!(pool.offer().available);
    assert_eq!(said(&pool, call("p", "hi")).await.as_deref(), Ok("a"));
    assert_eq!(*present.borrow_and_update(), 1);
    drop(lease);
    assert!(!pool.offer().available && *present.borrow_and_update() == 0);
    assert_eq!(said(&pool, call("p", "hi")).await, Err(SamplingError::NoPeer));
}

#[tokio::test(start_paused = true)]
async fn a_peer_answers_its_own_principal_unless_it_lends_to_all() {
    let (pool, anns, everyones) = (Pool::default(), canned("ann's"), canned("everyone's"));
    let terms = |principal: &str, scope| Terms {
        session: principal.into(),
        principal: Some(principal.into()),
        scope,
    };
    let _anns = lend(&pool, &anns, terms("ann", Scope::Own));
    assert_eq!(said(&pool, of_principal("ann")).await.as_deref(), Ok("ann's"));
    for stranger in [of_principal("bob"), call("p", "hi")] {
        assert!(matches!(said(&pool, stranger).await, Err(SamplingError::Unsuited(_))));
    }
    let _everyones = lend(&pool, &everyones, terms("eve", Scope::All));
    assert_eq!(said(&pool, of_principal("bob")).await.as_deref(), Ok("everyone's"));
    assert_eq!(anns.requests().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_call_is_never_sent_to_the_session_it_came_from() {
    let (pool, first, second) = (Pool::default(), canned("first"), canned("second"));
    let _first = lend(&pool, &first, own("s1"));
    let from = |session: &str| {
        let caller = Caller { session: Some(session.into()), ..Caller::default() };
        Call { caller, ..call("p", "hi") }
    };
    assert!(matches!(said(&pool, from("s1")).await, Err(SamplingError::ReEntry(_))));
    let _second = lend(&pool, &second, own("s2"));
    assert_eq!(said(&pool, from("s1")).await.as_deref(), Ok("second"));
    assert_eq!(said(&pool, from("s2")).await.as_deref(), Ok("first"));
}

#[tokio::test(start_paused = true)]
async fn what_needs_tools_goes_to_a_peer_that_takes_them() {
    let (pool, plain, able) = (Pool::default(), canned("plain"), canned("able"));
    able.set_offer(Offer { available: true, tools: true });
    let _plain = lend(&pool, &plain, own("s1"));
    let mut with_tools = call("p", "hi");
    with_tools.params.tools = Some(Vec::new());
    assert!(matches!(said(&pool, with_tools.clone()).await, Err(SamplingError::Unsuited(_))));
    assert!(!pool.offer().tools);
    let _able = lend(&pool, &able, own("s2"));
    assert!(pool.offer().tools);
    for _ in 0..3 {
        assert_eq!(said(&pool, with_tools.clone()).await.as_deref(), Ok("able"));
    }
}

#[tokio::test(start_paused = true)]
async fn work_goes_to_the_least_busy_peer() {
    let (pool, slow, other) = (Pool::default(), never(), canned("other"));
    let _slow = lend(&pool, &slow, own("s1"));
    let _waiting = begin(&pool, call("p", "one"));
    slow.until_asked(1).await;
    let _other = lend(&pool, &other, own("s2"));
    for _ in 0..5 {
        assert_eq!(said(&pool, call("p", "more")).await.as_deref(), Ok("other"));
    }
    assert_eq!(slow.requests().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn two_idle_peers_take_turns() {
    let (pool, one, other) = (Pool::default(), canned("one"), canned("other"));
    let _leases = [lend(&pool, &one, own("s1")), lend(&pool, &other, own("s2"))];
    for _ in 0..4 {
        said(&pool, call("p", "hi")).await.unwrap();
    }
    assert_eq!((one.requests().len(), other.requests().len()), (2, 2));
}

#[tokio::test(start_paused = true)]
async fn a_burst_of_one_program_is_one_request_to_one_peer() {
    let pool = Pool::default();
    let peer =
        || Arc::new(FakeSamplingClient::sequence([FakeAnswer::Each(|text| Some(text.to_uppercase()))]));
    let (one, other) = (peer(), peer());
    let _leases = [lend(&pool, &one, own("s1")), lend(&pool, &other, own("s2"))];
    let calls: Vec<_> = (0..10).map(|n| begin(&pool, call("p", &format!("call {n}")))).collect();
    for (n, call) in calls.into_iter().enumerate() {
        assert_eq!(call.await.unwrap().unwrap(), format!("CALL {n}"));
    }
    assert_eq!(one.requests().len() + other.requests().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn strangers_are_not_mixed_though_the_peer_answers_both() {
    let (pool, peer) = (Pool::default(), canned("a"));
    let _lease = lend(&pool, &peer, own("s"));
    let calls = ["p", "q"].map(|program| begin(&pool, call(program, "hi")));
    for call in calls {
        assert_eq!(call.await.unwrap().as_deref(), Ok("a"));
    }
    assert_eq!(peer.requests().len(), 2);
}

#[tokio::test(start_paused = true)]
async fn what_a_leaver_has_not_answered_goes_to_the_next() {
    let (pool, leaver, next) = (Pool::default(), never(), canned("next"));
    let lease = lend(&pool, &leaver, own("s1"));
    let calls: Vec<_> = ["p", "q", "r"].map(|program| begin(&pool, call(program, "hi"))).into();
    leaver.until_asked(3).await;
    let _next = lend(&pool, &next, own("s2"));
    drop(lease);
    for call in calls {
        assert_eq!(call.await.unwrap().as_deref(), Ok("next"));
    }
    leaver.until_cancelled(3).await;
}

#[tokio::test(start_paused = true)]
async fn with_nobody_left_it_is_a_typed_error() {
    let (pool, leaver) = (Pool::default(), never());
    let lease = lend(&pool, &leaver, own("s1"));
    let waiting = begin(&pool, call("p", "hi"));
    leaver.until_asked(1).await;
    drop(lease);
    let error = waiting.await.unwrap().unwrap_err();
    assert_eq!(error, SamplingError::Transport("the peer left before it answered".to_owned()));
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_fails_is_followed_by_another_but_a_no_is_final() {
    let (pool, next) = (Pool::default(), canned("next"));
    let closed = SamplingError::said(-32000, "Connection closed");
    for fault in [FakeAnswer::Transport, FakeAnswer::Error(closed)] {
        let _lost = lend(&pool, &Arc::new(FakeSamplingClient::sequence([fault])), own("s1"));
        let _next = lend(&pool, &next, own("s2"));
        assert_eq!(said(&pool, call("p", "hi")).await.as_deref(), Ok("next"));
    }
    let _next = lend(&pool, &next, own("s2"));
    let refuses = Arc::new(FakeSamplingClient::refused());
    let _refuses = lend(&pool, &refuses, own("s3"));
    assert_eq!(said(&pool, call("p", "hi")).await.as_deref(), Ok("next"));
    assert!(matches!(said(&pool, call("p", "hi")).await, Err(SamplingError::Refused(_))));
    assert_eq!(next.requests().len(), 3);
}

#[tokio::test(start_paused = true)]
async fn a_stuck_peer_delays_nobody_else_and_is_asked_last_from_then_on() {
    let (pool, stuck) = (Pool::default(), never());
    let _stuck = lend(&pool, &stuck, own("s1"));
    let waiting = begin(&pool, call("p", "hi"));
    stuck.until_asked(1).await;
    let good = canned("good");
    let _good = lend(&pool, &good, own("s2"));
    let before = Instant::now();
    assert_eq!(said(&pool, call("q", "hi")).await.as_deref(), Ok("good"));
    assert!(before.elapsed() <= Duration::from_millis(25), "{:?}", before.elapsed());
    assert!(matches!(waiting.await.unwrap(), Err(SamplingError::TimedOut(_))));
    // Neither is busy now, and the good one was asked later.
    for _ in 0..3 {
        assert_eq!(said(&pool, call("q", "hi")).await.as_deref(), Ok("good"));
    }
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_runs_out_answers_what_it_was_asked_and_its_session_stays_as_busy_as_it_is() {
    let pool = Pool::default();
    let slow = Arc::new(FakeSamplingClient::slow("slow", Duration::from_secs(9)));
    let (again, other) = (canned("again"), canned("other"));
    let lease = lend(&pool, &slow, own("s1"));
    let waiting = begin(&pool, call("p", "hi"));
    slow.until_asked(1).await;
    let run_out = TaskTracker::new().spawn(lease.run_out());
    let _leases = [lend(&pool, &again, own("s1")), lend(&pool, &other, own("s2"))];
    pool.watch().wait_for(|present| *present == 2).await.unwrap();
    for _ in 0..3 {
        assert_eq!(said(&pool, call("q", "hi")).await.as_deref(), Ok("other"));
    }
    assert_eq!(waiting.await.unwrap().as_deref(), Ok("slow"));
    run_out.await.unwrap();
    assert_eq!(said(&pool, call("q", "hi")).await.as_deref(), Ok("again"));
}

#[tokio::test(start_paused = true)]
async fn a_caller_that_leaves_takes_its_call_back() {
    let (pool, peer) = (Pool::default(), never());
    let _lease = lend(&pool, &peer, own("s"));
    let waiting = begin(&pool, call("p", "hi"));
    peer.until_asked(1).await;
    waiting.abort();
    timeout(Duration::from_secs(1), peer.until_cancelled(1)).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_request_of_a_peers_own_does_not_wait_while_the_peer_is_waited_for() {
    let (pool, peer) = (Pool::default(), never());
    let _lease = lend(&pool, &peer, own("s"));
    let backend = SamplingBackend::new("lent", Arc::new(pool.clone()));
    drop(backend.stand_off("s").unwrap());
    let _waiting = begin(&pool, call("p", "hi"));
    peer.until_asked(1).await;
    assert!(matches!(backend.stand_off("s"), Err(GenerateError::Declined(_))));
    assert_eq!(backend.stand_off("another").unwrap().len(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_model_is_a_hint_and_the_lanes_own_name_is_none() {
    use futures_util::StreamExt;

    let (pool, peer) = (Pool::default(), canned("a"));
    let _lease = lend(&pool, &peer, own("s"));
    let backend = SamplingBackend::new("lent", Arc::new(pool));
    let request = |model: &str| -> Resolved {
        let messages = vec![Message { role: Role::User, content: "hi".into() }];
        Request { messages, model: Some(model.to_owned()), ..Request::default() }.resolve().unwrap()
    };
    for model in ["claude", "lent"] {
        let events: Vec<_> = backend.generate(request(model)).await.unwrap().collect().await;
        assert_eq!(events[0], TokenEvent::Token("a".to_owned()));
    }
    let hints = |n: usize| {
        let preferences = peer.requests()[n].model_preferences.clone().unwrap();
        preferences.hints.unwrap_or_default().into_iter().map(|hint| hint.name).collect::<Vec<_>>()
    };
    assert_eq!((hints(0), hints(1)), (vec![Some("claude".to_owned())], Vec::new()));
}
