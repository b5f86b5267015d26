use futures_util::future::join_all;
use inferd_engine::TokenEvent;

use super::*;
use crate::scripted::{self, Scripted, Turn, answer, request, token};

mod choice;
mod failover;
mod hedging;
mod leaving;
mod models;
mod peers;
mod reconfiguring;
mod room;
mod shutting;

fn lane(backend: &Arc<Scripted>) -> (Arc<dyn Backend>, LaneConfig) {
    (Arc::clone(backend) as Arc<dyn Backend>, LaneConfig::default())
}

fn with_priority(backend: &Arc<Scripted>, priority: i32) -> (Arc<dyn Backend>, LaneConfig) {
    (lane(backend).0, LaneConfig { priority, ..LaneConfig::default() })
}

fn with_concurrency(backend: &Arc<Scripted>, concurrency: usize) -> (Arc<dyn Backend>, LaneConfig) {
    (lane(backend).0, LaneConfig { concurrency: Some(concurrency), ..LaneConfig::default() })
}

fn router(lanes: impl IntoIterator<Item = (Arc<dyn Backend>, LaneConfig)>) -> Arc<Router> {
    Arc::new(Router::with_lanes(lanes))
}

/// Two lanes, of which `first` is always tried first.
fn first_and_second(first: &Arc<Scripted>, second: &Arc<Scripted>) -> Arc<Router> {
    router([with_priority(first, 0), with_priority(second, 1)])
}

/// Asks for an answer and reads it to its end: the lane that gave it, or the error.
async fn ask_for(router: &Arc<Router>, model: Option<&str>) -> Result<String, RouteError> {
    let asking = tokio::time::timeout(Duration::from_secs(3600), answered(router, model));
    asking.await.expect("nobody waits in vain")
}

async fn answered(router: &Arc<Router>, model: Option<&str>) -> Result<String, RouteError> {
    let ticket = router.route(Need::answer(model), Instant::now()).await?;
    let mut request = request("r");
    request.model = model.map(str::to_owned);
    let mut tokens = ticket.start(Box::new(request), |_| {}).await?;
    let lane = tokens.lane().to_string();
    loop {
        match tokens.next().await {
            TokenEvent::Token(_) | TokenEvent::Thinking(_) => {}
            TokenEvent::Done { .. } => {
                tokens.served();
                return Ok(lane);
            }
            TokenEvent::Failed(error) => {
                let lane = tokens.lane().to_owned();
                tokens.failed(&error);
                return Err(RouteError::Lane { lane, error });
            }
        }
    }
}

async fn ask(router: &Arc<Router>) -> Result<String, RouteError> {
    ask_for(router, None).await
}

/// Where the lane called `name` stands: its breaker's state, and how many requests it runs.
#[track_caller]
fn stands(router: &Router, name: &str) -> (&'static str, usize) {
    let state = router.state().into_iter().find(|lane| lane.name == name).expect("there is such a lane");
    (state.state, state.running)
}

fn unavailable() -> GenerateError {
    GenerateError::Unavailable("down".to_owned())
}
