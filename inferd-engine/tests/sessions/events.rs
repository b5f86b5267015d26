use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;
use futures_util::{FutureExt, StreamExt, stream};
use inferd_engine::servers::{AgentEvent, AgentEvents, RunStream};
use inferd_engine::tools::Report;
use inferd_engine::{GenerateError, TokenEvent, TokenStream};
use tokio::sync::Notify;
use tokio::task::yield_now;

use super::*;

async fn all(events: AgentEvents) -> Vec<AgentEvent> {
    events.collect().await
}

/// What happened, in a few words each.
fn told(events: &[AgentEvent]) -> Vec<String> {
    let told = events.iter().map(|event| match event {
        AgentEvent::Step { step } => format!("step {step}"),
        AgentEvent::Token(text) => format!("says {text}"),
        AgentEvent::Thinking(text) => format!("thinks {text}"),
        AgentEvent::Turned { step, usage } => format!("turned {step} {}", usage.completion_tokens),
        AgentEvent::Calling { step, tool, call } => {
            format!("calling {step} {tool} {} {}", call.id, call.function.arguments)
        }
        AgentEvent::Progress { step, tool, call_id, report } => {
            format!("progress {step} {tool} {call_id} {}", report.progress)
        }
        AgentEvent::Called { step, tool, call_id, is_error, .. } => {
            format!("called {step} {tool} {call_id} {is_error}")
        }
        AgentEvent::Ended(result) => format!("ended {:?}", result.text()),
    });
    told.collect()
}

#[tokio::test]
async fn a_session_tells_its_steps_in_order_and_ends_with_its_result() {
    let thinking = vec![
        TokenEvent::Thinking("hm".to_owned()),
        TokenEvent::Token("well".to_owned()),
        TokenEvent::Failed(GenerateError::NotReady),
    ];
    let calls = vec![("prod__echo".to_owned(), "{}".to_owned()), ("nope".to_owned(), "x".to_owned())];
    let turns = [ScriptedTurn::Call(calls), ScriptedTurn::Events(thinking)];
    let runtime = runtime(model(turns), having([echo("prod::echo")]), Limits::default());
    let session = runtime.spawn("r1", "hi").await.unwrap();
    assert_eq!(
        told(&all(session.events().unwrap()).await),
        [
            "step 1",
            "turned 1 1",
            "calling 1 prod::echo c0 {}",
            "calling 1 nope c1 x",
            "called 1 prod::echo c0 false",
            "called 1 nope c1 true",
            "step 2",
            "thinks hm",
            "says well",
            "ended None",
        ]
    );
    assert_eq!(session.ended(), Some(session.result().await));
    assert!(session.events().is_none(), "they had their reader");
}

#[tokio::test]
async fn who_comes_after_the_end_reads_all_of_it() {
    let words: Vec<String> = (0..1000).map(|n| format!("{n} ")).collect();
    let runtime = runtime(model([ScriptedTurn::Say(words.clone())]), having([]), Limits::default());
    let session = runtime.spawn("r1", "hi").await.unwrap();
    assert!(session.result().await.is_success(), "nobody reads, and it goes on");
    let text = words.concat();
    let expected = [
        "step 1".to_owned(),
        format!("says {text}"),
        "turned 1 1000".to_owned(),
        format!("ended {:?}", Some(&text)),
    ];
    assert_eq!(told(&all(session.events().unwrap()).await), expected);
}

/// Says numbers for ever, and counts how many were taken.
#[derive(Default)]
struct Counting(Arc<AtomicUsize>);

#[async_trait]
impl RunStream for Counting {
    async fn run(&self, _turn: Resolved) -> Result<TokenStream, GenerateError> {
        let taken = Arc::clone(&self.0);
        Ok(Box::pin(stream::repeat_with(move || {
            TokenEvent::Token(taken.fetch_add(1, Ordering::Relaxed).to_string())
        })))
    }
}

#[tokio::test]
async fn a_slow_reader_slows_the_model_and_loses_nothing() {
    let runs = Arc::new(Counting::default());
    let taken = Arc::clone(&runs.0);
    let limits = Limits { events_max: 8, ..Limits::default() };
    let runtime = runtime(runs, having([]), limits);
    let session = runtime.spawn("r1", "hi").await.unwrap();
    let mut events = session.events().unwrap();
    assert_eq!(events.next().await, Some(AgentEvent::Step { step: 1 }));
    for n in 0..500 {
        // Far more time than the model needs to run ahead, if it could.
        for _ in 0..20 {
            yield_now().await;
        }
        let ahead = taken.load(Ordering::Relaxed) - n;
        assert!(ahead <= 8 + 1, "{ahead} tokens wait for the reader");
        assert_eq!(events.next().await, Some(AgentEvent::Token(n.to_string())));
    }
    session.cancel();
    let rest = all(events).await;
    let (end, rest) = rest.split_last().unwrap();
    assert_eq!(*end, AgentEvent::Ended(AgentResult::Cancelled));
    let expected: Vec<_> = (500..500 + rest.len()).map(|n| AgentEvent::Token(n.to_string())).collect();
    assert_eq!(rest, expected, "what was there before the end is passed on before it");
}

#[tokio::test]
async fn a_reader_that_leaves_while_somebody_waits_for_the_result_holds_nothing_up() {
    let words: Vec<String> = (0..1000).map(|n| n.to_string()).collect();
    let limits = Limits { events_max: 1, ..Limits::default() };
    let runtime = runtime(model([ScriptedTurn::Say(words)]), having([]), limits);
    let session = runtime.spawn("r1", "hi").await.unwrap();
    let mut events = session.events().unwrap();
    events.next().await.unwrap();
    assert!(session.result().now_or_never().is_none());
    drop(events);
    assert!(session.result().await.is_success());
}

#[tokio::test]
async fn progress_is_passed_on_and_never_piles_up() {
    let (go_on, told_to) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let (wait, tell) = (Arc::clone(&go_on), Arc::clone(&told_to));
    let reporting = tool("reporting", move |call: ToolInvocation| {
        let (wait, tell) = (Arc::clone(&wait), Arc::clone(&tell));
        async move {
            call.progress.report(Report { progress: 1.0, ..Report::default() });
            tell.notify_one();
            wait.notified().await;
            for n in 2..10_000 {
                call.progress.report(Report { progress: f64::from(n), ..Report::default() });
            }
            wait.notified().await;
            Ok("".into())
        }
    });
    let runtime = runtime(calling(["reporting"]), having([reporting]), Limits::default());
    let session = runtime.spawn("r1", "hi").await.unwrap();
    let mut events = session.events().unwrap();
    let mut seen = Vec::new();
    told_to.notified().await;
    while let Some(event) = events.next().await {
        if let AgentEvent::Progress { report, call_id, tool, step } = event {
            assert_eq!((call_id.as_str(), tool.as_str(), step), ("c0", "reporting", 1));
            seen.push(report.progress);
            go_on.notify_one();
        }
    }
    assert_eq!(seen, [1.0, 9999.0]);
}
