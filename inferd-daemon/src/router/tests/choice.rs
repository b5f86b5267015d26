//! Which lane is picked.

use inferd_engine::mock::{Mock, MockConfig};

use super::*;

fn serving(
    backend: &Arc<Scripted>,
    models: &[&str],
    aliases: &[(&str, &str)],
) -> (Arc<dyn Backend>, LaneConfig) {
    let models = models.iter().map(ToString::to_string).collect();
    let aliases = aliases.iter().map(|(alias, model)| ((*alias).to_owned(), (*model).to_owned())).collect();
    (lane(backend).0, LaneConfig { models, aliases, ..LaneConfig::default() })
}

#[tokio::test(start_paused = true)]
async fn a_model_selects_the_lanes_that_serve_it() {
    let small = Scripted::saying("small", &["a"]);
    let large = Scripted::saying("large", &["a"]);
    let any = Scripted::saying("any", &["a"]);
    let router = router([serving(&small, &["s1", "s2"], &[]), serving(&large, &["l1"], &[("best", "l1")])]);
    for (model, lane) in [("s1", "small"), ("s2", "small"), ("l1", "large"), ("best", "large")] {
        assert_eq!(ask_for(&router, Some(model)).await.unwrap(), lane, "{model}");
    }
    let error = ask_for(&router, Some("gpt")).await.unwrap_err();
    assert_eq!(error, RouteError::ModelNotFound("gpt".to_owned()));
    assert_eq!(error.to_string(), "model `gpt` is not served here");

    let with_any = self::router([serving(&small, &["s1"], &[]), serving(&any, &["*"], &[])]);
    assert_eq!(ask_for(&with_any, Some("gpt")).await.unwrap(), "any");
}

#[tokio::test(start_paused = true)]
async fn an_alias_reaches_the_backend_as_the_name_it_stands_for_on_each_lane() {
    let first = Scripted::refusing("first", unavailable());
    let second = Scripted::saying("second", &["a"]);
    let (backend, config) = serving(&first, &[], &[("best", "one")]);
    let router = router([
        (backend, LaneConfig { priority: -1, ..config }),
        serving(&second, &["two"], &[("best", "two")]),
    ]);
    assert_eq!(ask_for(&router, Some("best")).await.unwrap(), "second");
    let models = |backend: &Scripted| backend.seen().into_iter().map(|seen| seen.model).collect::<Vec<_>>();
    assert_eq!(models(&first), [Some("one".to_owned())]);
    assert_eq!(models(&second), [Some("two".to_owned())]);
    ask(&router).await.unwrap();
    assert_eq!(models(&second)[1], None, "who names no model asks for none");
}

#[tokio::test(start_paused = true)]
async fn the_less_loaded_lane_takes_the_next_request() {
    let lanes = [Scripted::hanging("a"), Scripted::hanging("b")];
    let router = router(lanes.each_ref().map(lane));
    let mut tickets = Vec::new();
    for held in 1..=10 {
        tickets.push(router.route(Need::default(), Instant::now()).await.unwrap());
        let (a, b) = (stands(&router, "a").1, stands(&router, "b").1);
        assert_eq!(a + b, held);
        assert!(a.abs_diff(b) <= 1, "{a} and {b}");
    }
    drop(tickets);
    assert_eq!((stands(&router, "a").1, stands(&router, "b").1), (0, 0));
}

#[tokio::test(start_paused = true)]
async fn among_many_lanes_load_spreads() {
    let lanes: Vec<_> = ('a'..='h').map(|name| Scripted::hanging(&name.to_string())).collect();
    let router = router(lanes.iter().map(lane));
    let mut tickets = Vec::new();
    for _ in 0..80 {
        tickets.push(router.route(Need::default(), Instant::now()).await.unwrap());
    }
    // Two random choices keep the fullest lane within a few of the mean of ten; one choice would not.
    let running: Vec<usize> = router.state().iter().map(|lane| lane.running).collect();
    assert!(running.iter().all(|running| (6..=14).contains(running)), "{running:?}");
}

#[tokio::test(start_paused = true)]
async fn of_two_idle_lanes_the_quicker_one_is_preferred() {
    let mock = |name: &str, delay| -> Arc<dyn Backend> {
        let config =
            MockConfig { tokens: vec!["a".to_owned()], token_delay_ms: Some(delay), ..MockConfig::default() };
        Arc::new(Mock::named(name, config))
    };
    let router = Arc::new(Router::new(vec![mock("slow", 50), mock("quick", 10)]));
    let mut served = Vec::new();
    for _ in 0..20 {
        served.push(ask(&router).await.unwrap());
    }
    assert!(served[2..].iter().all(|lane| lane == "quick"), "{served:?}");
}

#[tokio::test(start_paused = true)]
async fn a_better_group_goes_first_whatever_its_load_and_order() {
    let worse = Scripted::hanging("worse");
    let better = Scripted::hanging("better");
    let router = router([with_priority(&worse, 5), with_priority(&better, 1)]);
    let tickets = join_all((0..5).map(|_| router.route(Need::default(), Instant::now()))).await;
    assert!(tickets.iter().all(|ticket| ticket.as_ref().unwrap().lane() == "better"));
}

#[tokio::test(start_paused = true)]
async fn what_is_served_is_listed_with_its_lane() {
    let small = Scripted::saying("small", &["a"]);
    let any = Scripted::saying("any", &["a"]);
    any.set_ready(false);
    let router = router([serving(&small, &["s1"], &[("best", "s1")]), serving(&any, &[], &[])]);
    assert!(!router.all_ready());
    let listed = router.models().into_iter().map(|model| (model.name, model.backend, model.ready));
    let model = |name: &str, lane: &str, ready| (name.to_owned(), lane.to_owned(), ready);
    assert!(listed.eq([model("s1", "small", true), model("best", "small", true), model("*", "any", false)]));
}
