//! What lanes say they serve, and when they are asked.

use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;
use futures_util::FutureExt;
use inferd_engine::TokenStream;
use inferd_proto::Resolved;
use tokio::time::advance;

use super::*;

/// How a backend answers when it is asked what it serves.
#[derive(Debug, Clone)]
enum Says {
    These(&'static [&'static str]),
    Fails,
    Hangs,
    After(Duration, &'static [&'static str]),
}

/// A backend that serves what it says it serves.
struct Lister {
    name: &'static str,
    says: Mutex<Says>,
    asked: AtomicUsize,
}

impl Lister {
    fn new(name: &'static str, models: &'static [&'static str]) -> Arc<Self> {
        Arc::new(Self { name, says: Mutex::new(Says::These(models)), asked: AtomicUsize::new(0) })
    }

    fn now_says(&self, says: Says) {
        *self.says.lock().unwrap() = says;
    }

    fn asked(&self) -> usize {
        self.asked.load(Ordering::Relaxed)
    }
}

fn names(models: &[&str]) -> Vec<String> {
    models.iter().map(ToString::to_string).collect()
}

#[async_trait]
impl Backend for Lister {
    fn name(&self) -> &str {
        self.name
    }

    fn ready(&self) -> bool {
        true
    }

    async fn generate(&self, request: Resolved) -> Result<TokenStream, GenerateError> {
        let says = self.says.lock().unwrap().clone();
        match (says, request.model) {
            (Says::These(models), Some(model)) if !models.contains(&model.as_str()) => {
                Err(GenerateError::ModelNotFound(model))
            }
            _ => Ok(Box::pin(futures_util::stream::iter(answer(&["a"])))),
        }
    }

    async fn models(&self) -> Result<Vec<String>, GenerateError> {
        self.asked.fetch_add(1, Ordering::Relaxed);
        let says = self.says.lock().unwrap().clone();
        match says {
            Says::These(models) => Ok(names(models)),
            Says::Fails => Err(unavailable()),
            Says::Hangs => std::future::pending().await,
            Says::After(time, models) => {
                tokio::time::sleep(time).await;
                Ok(names(models))
            }
        }
    }
}

fn listing(backend: &Arc<Lister>) -> (Arc<dyn Backend>, LaneConfig) {
    (Arc::clone(backend) as Arc<dyn Backend>, LaneConfig::default())
}

fn served(router: &Router) -> Vec<String> {
    router.models().into_iter().map(|model| model.name).collect()
}

const TEN: Duration = Duration::from_secs(10);

#[tokio::test(start_paused = true)]
async fn lists_are_asked_for_every_five_minutes_and_a_failure_keeps_the_old() {
    let lister = Lister::new("only", &["m"]);
    let configured = Lister::new("configured", &["other"]);
    let (backend, config) = listing(&configured);
    let router =
        router([listing(&lister), (backend, LaneConfig { models: vec!["fixed".to_owned()], ..config })]);
    let mut keeping = Box::pin(router.keep_models_fresh());
    let mut five_minutes = async || {
        tokio::time::timeout(Duration::from_secs(300) + Duration::from_millis(1), &mut keeping)
            .await
            .unwrap_err();
    };
    five_minutes().await;
    assert_eq!((served(&router), lister.asked()), (names(&["m", "fixed"]), 2), "at once, and after");
    lister.now_says(Says::Fails);
    five_minutes().await;
    assert_eq!((served(&router), lister.asked()), (names(&["m", "fixed"]), 3));
    lister.now_says(Says::These(&["m", "n"]));
    five_minutes().await;
    assert_eq!((served(&router), lister.asked()), (names(&["m", "n", "fixed"]), 4));
    assert_eq!(configured.asked(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_lane_that_was_down_at_the_start_is_asked_again_within_half_a_minute() {
    let lister = Lister::new("only", &["m"]);
    lister.now_says(Says::Fails);
    let router = router([listing(&lister)]);
    router.learn_models().await;
    assert_eq!(served(&router), names(&["*"]));
    lister.now_says(Says::These(&["m"]));
    let half_a_minute = Duration::from_secs(30) + Duration::from_millis(1);
    tokio::time::timeout(half_a_minute, router.keep_models_fresh()).await.unwrap_err();
    assert_eq!((served(&router), lister.asked()), (names(&["m"]), 2));
}

#[tokio::test(start_paused = true)]
async fn a_lane_that_does_not_list_its_models_keeps_no_other_from_it() {
    let (hangs, lists) = (Lister::new("hangs", &["h"]), Lister::new("lists", &["m"]));
    let router = router([listing(&hangs), listing(&lists)]);
    router.learn_models().await;
    hangs.now_says(Says::Hangs);
    lists.now_says(Says::These(&["n"]));
    let began = Instant::now();
    router.refresh_models().await;
    assert_eq!(served(&router), names(&["h", "n"]));
    assert_eq!(began.elapsed().as_secs(), TEN.as_secs(), "it is not waited for for ever");
}

#[tokio::test(start_paused = true)]
async fn who_has_said_what_it_serves_is_not_asked_to_learn_it() {
    let lister = Lister::new("only", &["m"]);
    let router = router([listing(&lister)]);
    tokio::join!(router.learn_models(), router.learn_models());
    router.learn_models().await;
    assert_eq!(lister.asked(), 1);
    router.refresh_models().await;
    assert_eq!(lister.asked(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_lane_that_does_not_know_a_model_is_asked_what_it_serves_at_most_once_in_ten_seconds() {
    let lister = Lister::new("only", &["m", "gone"]);
    let router = router([listing(&lister)]);
    router.learn_models().await;
    lister.now_says(Says::These(&["m"]));
    advance(TEN).await;
    let mut keeping = Box::pin(router.keep_models_fresh());
    let missing =
        RouteError::Lane { lane: "only".to_owned(), error: GenerateError::ModelNotFound("gone".to_owned()) };
    assert_eq!(ask_for(&router, Some("gone")).await.unwrap_err(), missing);
    assert!(keeping.as_mut().now_or_never().is_none());
    assert_eq!((served(&router), lister.asked()), (names(&["m"]), 2));

    // It is back, and gone again, and the lane is not asked each time.
    lister.now_says(Says::These(&["m", "gone"]));
    router.refresh_models().await;
    lister.now_says(Says::These(&["m"]));
    for _ in 0..5 {
        assert_eq!(ask_for(&router, Some("gone")).await.unwrap_err(), missing);
        assert!(keeping.as_mut().now_or_never().is_none());
    }
    assert_eq!(lister.asked(), 3);
    advance(TEN).await;
    assert_eq!(ask_for(&router, Some("gone")).await.unwrap_err(), missing);
    assert!(keeping.as_mut().now_or_never().is_none());
    assert_eq!((served(&router), lister.asked()), (names(&["m"]), 4));
}

#[tokio::test(start_paused = true)]
async fn a_new_lane_is_asked_what_it_serves() {
    let (old, new) = (Lister::new("old", &["m"]), Lister::new("new", &["n"]));
    let router = router([listing(&old)]);
    let mut keeping = Box::pin(router.keep_models_fresh());
    assert!(keeping.as_mut().now_or_never().is_none());
    router.reconfigure([listing(&old), listing(&new)]);
    assert!(keeping.as_mut().now_or_never().is_none());
    assert_eq!(served(&router), names(&["m", "n"]));
    assert_eq!((old.asked(), new.asked()), (1, 1));
}

#[tokio::test(start_paused = true)]
async fn a_model_that_was_just_pulled_works_at_once() {
    let lister = Lister::new("only", &["m"]);
    let router = router([listing(&lister)]);
    router.learn_models().await;
    let unknown = RouteError::ModelNotFound("pulled".to_owned());
    assert_eq!(ask_for(&router, Some("pulled")).await.unwrap_err(), unknown);
    assert_eq!(lister.asked(), 1, "its word is a moment old");

    lister.now_says(Says::These(&["m", "pulled"]));
    advance(TEN).await;
    assert_eq!(ask_for(&router, Some("pulled")).await.unwrap(), "only");
    assert_eq!(ask_for(&router, Some("pulled")).await.unwrap(), "only");
    assert_eq!(lister.asked(), 2);
    assert_eq!(ask_for(&router, Some("m")).await.unwrap(), "only");
}

#[tokio::test(start_paused = true)]
async fn many_who_name_an_unknown_model_ask_once_and_all_hear_the_answer() {
    let lister = Lister::new("only", &["m"]);
    let router = router([listing(&lister)]);
    router.learn_models().await;
    advance(TEN).await;
    lister.now_says(Says::After(Duration::from_secs(1), &["m", "pulled"]));
    let asking = join_all((0..20).map(|_| ask_for(&router, Some("pulled"))));
    assert!(asking.await.into_iter().all(|lane| lane.unwrap() == "only"));
    assert_eq!(lister.asked(), 2);
}

#[tokio::test(start_paused = true)]
async fn nobody_waits_longer_than_two_seconds_to_hear_that_a_model_is_unknown() {
    let lister = Lister::new("only", &["m"]);
    let other = Lister::new("other", &["n"]);
    let router = router([listing(&lister), listing(&other)]);
    router.learn_models().await;
    advance(TEN).await;
    lister.now_says(Says::Hangs);
    let began = Instant::now();
    let error = ask_for(&router, Some("unknown")).await.unwrap_err();
    assert_eq!(error, RouteError::ModelNotFound("unknown".to_owned()));
    assert_eq!(began.elapsed().as_secs(), 2);

    // What another lane has said meanwhile counts.
    advance(TEN).await;
    other.now_says(Says::These(&["n", "pulled"]));
    assert_eq!(ask_for(&router, Some("pulled")).await.unwrap(), "other");
    // And whoever knows its model waits for nobody.
    let began = Instant::now();
    assert_eq!(ask_for(&router, Some("m")).await.unwrap(), "only");
    assert_eq!(began.elapsed(), Duration::ZERO);
}

#[tokio::test(start_paused = true)]
async fn an_alias_of_one_lane_and_the_name_on_another_are_both_served() {
    let (aliased, named) = (Lister::new("aliased", &["x"]), Lister::new("named", &["m"]));
    let (backend, config) = listing(&aliased);
    let aliases = [("m".to_owned(), "x".to_owned())].into();
    let router = router([(backend, LaneConfig { aliases, kind: "ollama", ..config }), listing(&named)]);
    router.learn_models().await;
    let need = Need::answer(Some("m"));
    let one = router.route(need, Instant::now()).await.unwrap();
    let other = router.route(need, Instant::now()).await.unwrap();
    let mut lanes = [one.lane(), other.lane()];
    lanes.sort_unstable();
    assert_eq!(lanes, ["aliased", "named"]);
    let kinds: Vec<_> = router.models().into_iter().map(|model| (model.name, model.kind)).collect();
    let kind = |name: &str, kind: &str| (name.to_owned(), kind.to_owned());
    assert_eq!(kinds, [kind("x", "ollama"), kind("m", "ollama"), kind("m", "")]);
}
