//! Embeddings take the path of every other request.

use async_trait::async_trait;
use futures_util::FutureExt;
use inferd_engine::{Capabilities, TokenStream};
use inferd_proto::EmbedUsage;

use super::*;

/// What a call of [`Backend::embed`] comes to.
#[derive(Clone, Copy)]
enum Call {
    Works,
    Fails,
    Hangs,
}

/// A backend that makes embeddings and nothing else.
struct Embedder {
    name: &'static str,
    call: Call,
    seen: std::sync::Mutex<Vec<EmbedRequest>>,
}

impl Embedder {
    fn new(name: &'static str, call: Call) -> Arc<Self> {
        Arc::new(Self { name, call, seen: std::sync::Mutex::default() })
    }

    fn calls(&self) -> usize {
        self.seen.lock().unwrap().len()
    }
}

#[async_trait]
impl Backend for Embedder {
    fn name(&self) -> &str {
        self.name
    }

    fn ready(&self) -> bool {
        true
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities { embed: true, ..Capabilities::default() }
    }

    async fn generate(&self, _request: Resolved) -> Result<TokenStream, GenerateError> {
        Err(GenerateError::InvalidRequest("it only embeds".to_owned()))
    }

    async fn embed(&self, request: EmbedRequest) -> Result<Embedded, GenerateError> {
        let model = request.model.clone().unwrap_or_default();
        let embeddings = request.input.iter().map(|_| vec![0.5]).collect();
        self.seen.lock().unwrap().push(request);
        match self.call {
            Call::Works => Ok(Embedded { embeddings, model, usage: EmbedUsage { prompt_tokens: 7 } }),
            Call::Fails => Err(GenerateError::Unavailable("down".to_owned())),
            Call::Hangs => std::future::pending().await,
        }
    }
}

fn lane(backend: &Arc<Embedder>, priority: i32) -> (Arc<dyn Backend>, LaneConfig) {
    (Arc::clone(backend) as Arc<dyn Backend>, LaneConfig { priority, ..LaneConfig::default() })
}

fn texts(input: &[&str]) -> EmbedRequest {
    let input = input.iter().map(ToString::to_string).collect();
    EmbedRequest { input, ..EmbedRequest::default() }
}

/// Embeds by a gate of one slot, which is free again afterwards.
async fn run(router: &Router, request: EmbedRequest) -> Result<(Embedded, String), AnswerError> {
    let gate = Admission::new(1, 1);
    let who = gate.client(ClientKey::Connection(1));
    let embedded = embed(&gate, router, &who, request, Instant::now());
    let ended = tokio::time::timeout(VAIN, embedded).await.expect("nobody waits in vain");
    assert_eq!((gate.state().running, gate.state().waiting), (0, 0));
    assert!(router.state().iter().all(|lane| lane.running == 0));
    ended
}

#[tokio::test(start_paused = true)]
async fn only_lanes_that_embed_are_asked_to_and_by_the_name_they_know() {
    let talks = Scripted::saying("talks", &["a"]);
    let embeds = Embedder::new("embeds", Call::Works);
    let (backend, config) = lane(&embeds, 1);
    let aliases = [("small".to_owned(), "nomic".to_owned())].into();
    let talks_too = (Arc::clone(&talks) as Arc<dyn Backend>, LaneConfig::default());
    let router = Router::with_lanes([talks_too, (backend, LaneConfig { aliases, ..config })]);
    let request = EmbedRequest { model: Some("small".to_owned()), ..texts(&["a", "b"]) };
    let (embedded, by) = run(&router, request).await.unwrap();
    assert_eq!((embedded.embeddings.len(), embedded.model.as_str(), by.as_str()), (2, "nomic", "embeds"));
    assert_eq!(talks.calls(), 0);
}

#[tokio::test(start_paused = true)]
async fn where_no_lane_embeds_that_is_what_is_said() {
    let talks = Scripted::saying("talks", &["a"]);
    let router = one_lane(&talks, None);
    let error = run(&router, texts(&["a"])).await.unwrap_err();
    assert_eq!(error, AnswerError::Route(RouteError::NoEmbeddings));
    assert_eq!(error.to_string(), "no backend here makes embeddings");

    // Where one does but does not know the model, it is the model that is missing.
    let embeds = Embedder::new("embeds", Call::Works);
    let (backend, config) = lane(&embeds, 0);
    let router = Router::with_lanes([(backend, LaneConfig { models: vec!["m".to_owned()], ..config })]);
    let unknown = EmbedRequest { model: Some("n".to_owned()), ..texts(&["a"]) };
    let error = run(&router, unknown).await.unwrap_err();
    assert_eq!(error, AnswerError::Route(RouteError::ModelNotFound("n".to_owned())));
}

#[tokio::test(start_paused = true)]
async fn a_lane_that_fails_is_blamed_and_the_next_embeds() {
    let (first, second) = (Embedder::new("first", Call::Fails), Embedder::new("second", Call::Works));
    let router = Router::with_lanes([lane(&first, 0), lane(&second, 1)]);
    for _ in 0..10 {
        assert_eq!(run(&router, texts(&["a"])).await.unwrap().1, "second");
    }
    assert_eq!((first.calls(), second.calls()), (3, 10), "three failures shut it");
    assert_eq!(first.seen.lock().unwrap()[0], second.seen.lock().unwrap()[0]);

    let alone = Router::with_lanes([lane(&first, 0)]);
    let error = run(&alone, texts(&["a"])).await.unwrap_err();
    assert!(matches!(error, AnswerError::Route(RouteError::Lane { lane, .. }) if lane == "first"));
}

#[tokio::test(start_paused = true)]
async fn a_lane_that_hangs_gets_a_rival_for_embeddings_too() {
    let (slow, second) = (Embedder::new("slow", Call::Hangs), Embedder::new("second", Call::Works));
    let (backend, config) = lane(&slow, 0);
    let hedge_after = Some(Duration::from_secs(1));
    let router = Router::with_lanes([(backend, LaneConfig { hedge_after, ..config }), lane(&second, 1)]);
    let began = Instant::now();
    assert_eq!(run(&router, texts(&["a"])).await.unwrap().1, "second");
    assert_eq!(began.elapsed().as_secs(), 1);
    assert_eq!(router.state()[0].state, "passing");
}

#[tokio::test(start_paused = true)]
async fn embedding_waits_its_turn_and_is_charged_for_its_texts() {
    let embeds = Embedder::new("embeds", Call::Works);
    let router = Router::with_lanes([lane(&embeds, 0)]);
    let gate = Admission::new(1, 1);
    let who = gate.client(ClientKey::Connection(1));
    let first = normal(&gate, &who, &router);
    let mut embedding = Box::pin(embed(&gate, &router, &who, texts(&["four", "four"]), Instant::now()));
    assert!(embedding.as_mut().now_or_never().is_none());
    assert_eq!((gate.state().waiting, embeds.calls()), (1, 0));
    let error = embed(&gate, &router, &who, texts(&["x"]), Instant::now()).await.unwrap_err();
    assert!(matches!(error, AnswerError::Refused(Refused::QueueFull { .. })));
    drop(first);
    embedding.await.unwrap();
    assert_eq!(gate.state().running, 0);
    assert_eq!(Ask::from(&texts(&["four", "four"])).cost, 2);
}

/// A permit of a request that runs.
fn normal<'g>(gate: &'g Admission, who: &'g Client, router: &Router) -> Permit<'g> {
    let place = gate.enter(who, &Ask::from(&request("r")), router.room(), Instant::now()).unwrap();
    place.turn().now_or_never().expect("it runs at once").unwrap()
}

#[tokio::test(start_paused = true)]
async fn who_leaves_while_its_texts_are_embedded_frees_everything_and_blames_nobody() {
    let slow = Embedder::new("slow", Call::Hangs);
    let (backend, config) = lane(&slow, 0);
    let router = Router::with_lanes([(backend, LaneConfig { concurrency: Some(1), ..config })]);
    let gate = Admission::new(1, 1);
    let who = gate.client(ClientKey::Connection(1));
    let mut embedding = Box::pin(embed(&gate, &router, &who, texts(&["a"]), Instant::now()));
    assert!(embedding.as_mut().now_or_never().is_none());
    assert_eq!((gate.state().running, slow.calls()), (1, 1));
    drop(embedding);
    let lane = &router.state()[0];
    assert_eq!((gate.state().running, lane.running, lane.state), (0, 0, "passing"));
}
