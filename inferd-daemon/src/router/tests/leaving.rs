//! Whoever leaves blames nobody and frees what it held.

use super::*;

#[tokio::test(start_paused = true)]
async fn a_caller_that_leaves_at_any_moment_blames_nobody_and_frees_the_lane() {
    let backend = Scripted::new("only", |call, _| match call % 3 {
        0 => Turn::Hang,
        1 => Turn::SayAndHang(vec![token("a")]),
        _ => Turn::Say(answer(&["a", "b"])),
    });
    let router = router([with_concurrency(&backend, 1)]);
    // Often enough to shut the lane three times over, were it blamed.
    for round in 0..9 {
        drop(router.route(Need::default(), Instant::now()).await.unwrap());
        assert_eq!(stands(&router, "only"), ("passing", 0), "with its ticket");

        let ticket = router.route(Need::default(), Instant::now()).await.unwrap();
        let mut start = Box::pin(ticket.start(Box::new(request("r")), |_| {}));
        tokio::select! {
            biased;
            tokens = &mut start => drop(tokens.unwrap()),
            () = backend.called(round + 1) => assert_eq!(backend.alive(), 1),
        }
        drop(start);
        assert_eq!(stands(&router, "only"), ("passing", 0), "in round {round}");
        assert_eq!(backend.alive(), 0, "the generation went with it");
    }
}

#[tokio::test(start_paused = true)]
async fn a_caller_that_leaves_in_the_middle_does_not_make_failures_forgotten() {
    let backend = Scripted::new("only", |call, _| match call {
        2 => Turn::Hang,
        _ => Turn::Refuse(unavailable()),
    });
    let router = router([lane(&backend)]);
    ask(&router).await.unwrap_err();
    ask(&router).await.unwrap_err();
    tokio::select! {
        biased;
        _ = ask(&router) => panic!("it hangs"),
        () = backend.called(3) => {}
    }
    assert_eq!(stands(&router, "only"), ("passing", 0));
    ask(&router).await.unwrap_err();
    assert_eq!(stands(&router, "only"), ("shut", 0));
}
