use std::sync::atomic::{AtomicUsize, Ordering};

use inferd_engine::tools::Report;
use tokio::sync::Barrier;
use tokio::time::{Instant, sleep, timeout};

use super::*;

#[tokio::test]
async fn tools_of_one_turn_run_at_once_and_their_results_keep_the_order_of_the_calls() {
    // Nobody gets past it alone, and who came first ends last.
    let barrier = Arc::new(Barrier::new(3));
    let tools = ["a", "b", "c"].map(|name| {
        let barrier = Arc::clone(&barrier);
        tool(name, move |_call: ToolInvocation| {
            let barrier = Arc::clone(&barrier);
            async move {
                barrier.wait().await;
                if name == "a" {
                    tokio::task::yield_now().await;
                }
                Ok(name.into())
            }
        })
    });
    let runs = calling(["a", "b", "c"]);
    let runtime = runtime(runs.clone(), having(tools), Limits::default());
    let ended = timeout(Duration::from_secs(20), run(&runtime)).await.expect("one waited for the other");
    assert_eq!(ended.text(), Some("done"));
    assert_eq!(results(&runs.requests()[1]), ["a", "b", "c"]);
}

#[tokio::test(start_paused = true)]
async fn whatever_goes_wrong_with_a_call_is_its_result_and_the_model_goes_on() {
    let calls = [
        ("echo", r#"{"n":1}"#),
        ("nope", "{}"),
        ("echo", r#"{"n":"#),
        ("echo", "[1]"),
        ("echo", "null"),
        ("echo", " "),
        ("fails", "{}"),
        ("panics", "{}"),
        ("panics_early", "{}"),
        ("silent", "{}"),
    ];
    let calls = calls.map(|(name, arguments)| (name.to_owned(), arguments.to_owned()));
    let runs = model([ScriptedTurn::Call(calls.into()), ScriptedTurn::say("done")]);
    let tools = having([
        echo("echo"),
        tool("fails", |_call: ToolInvocation| async { Err(ToolError::Failed("no disk".to_owned())) }),
        tool("panics", |_call: ToolInvocation| async { panic!("as it was told to") }),
        tool("panics_early", |_call: ToolInvocation| -> std::future::Ready<_> {
            panic!("as it was told to")
        }),
        silent("silent"),
    ]);
    let began = Instant::now();
    assert_eq!(run(&runtime(runs.clone(), tools, Limits::default())).await.text(), Some("done"));
    assert_eq!(began.elapsed(), Limits::default().tool_timeout);
    let results = results(&runs.requests()[1]);
    assert_eq!(results[0], r#"{"n":1}"#);
    assert_eq!(results[1], "error: there is no tool named \"nope\"");
    assert!(
        results[2].starts_with("error: the arguments are not as expected: they are no JSON: "),
        "{results:?}"
    );
    assert_eq!(results[3], "error: the arguments are not as expected: they are no JSON object");
    assert_eq!(results[4..7], ["{}", "{}", "error: no disk"]);
    assert_eq!(results[7..9], ["error: the tool broke down"; 2]);
    assert_eq!(results[9], "error: no result within 60000 ms");
}

#[tokio::test(start_paused = true)]
async fn a_tool_that_says_something_has_more_time_but_not_for_ever() {
    for (reports, elapsed, result) in
        [(5, ms(6 * 50_000), "slow but sure"), (1000, ms(600_000), "error: no result within 600000 ms")]
    {
        let slow = tool("slow", move |call: ToolInvocation| async move {
            for _ in 0..=reports {
                sleep(ms(50_000)).await;
                call.progress.report(Report::default());
            }
            Ok("slow but sure".into())
        });
        let runs = calling(["slow"]);
        let limits = Limits { deadline: None, ..Limits::default() };
        let runtime = runtime(runs.clone(), having([slow]), limits);
        let began = Instant::now();
        run(&runtime).await;
        assert_eq!(began.elapsed(), elapsed);
        assert_eq!(results(&runs.requests()[1]), [result]);
    }
}

#[tokio::test]
async fn a_result_of_any_size_costs_the_model_no_more_than_the_limit() {
    let large = tool("large", |_call: ToolInvocation| async { Ok("x".repeat(10_000_000).into()) });
    let runs = calling(["large"]);
    let limits = Limits { result_bytes_max: 10, ..Limits::default() };
    run(&runtime(runs.clone(), having([large]), limits)).await;
    assert_eq!(results(&runs.requests()[1]), ["xxxxxxxxxx\n[cut: 10 of 10000000 bytes are shown]"]);
}

#[tokio::test]
async fn calls_past_the_limit_of_a_turn_are_not_made() {
    let ran = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&ran);
    let counting = tool("counting", move |_call: ToolInvocation| {
        counted.fetch_add(1, Ordering::Relaxed);
        async { Ok("ran".into()) }
    });
    let runs = calling(["counting"; 5]);
    let limits = Limits { calls_max: 2, ..Limits::default() };
    run(&runtime(runs.clone(), having([counting]), limits)).await;
    let results = results(&runs.requests()[1]);
    assert_eq!(results[..2], ["ran"; 2]);
    assert_eq!(results[2..], ["error: at most 2 calls are made in one turn"; 3]);
    assert_eq!(ran.load(Ordering::Relaxed), 2);
}
