use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use inferd_engine::Backend;
use tokio::sync::mpsc;

use super::*;
use crate::queue::{ClientKey, Need};
use crate::router::LaneConfig;
use crate::scripted::{Scripted, Turn, done, request, token};

mod embedding;
mod hanging;
mod peers;
mod room;

/// Notes the events of one request, and how many ran when each came. Whatever needs room has to wait for it once.
struct Notes<'g> {
    gate: &'g Admission,
    events: Vec<String>,
    running: Vec<usize>,
}

impl<'g> Notes<'g> {
    fn new(gate: &'g Admission) -> Self {
        Self { gate, events: Vec::new(), running: Vec::new() }
    }
}

impl Replies for Notes<'_> {
    fn tell(&mut self, event: Event<'_>) {
        self.running.push(self.gate.state().running);
        self.events.push(match event {
            Event::Queued(position) => format!("queued {position}"),
            Event::Running(lane) => format!("running on {lane}"),
            Event::Retrying(lane) => format!("retrying on {lane}"),
            Event::Token(text) => format!("token {text}"),
            Event::Thinking(text) => format!("thinking {text}"),
            Event::Done(done) => format!("done by {}: {:?}", done.lane, done.stop_reason),
        });
    }

    async fn room(&self) {
        tokio::task::yield_now().await;
    }
}

fn one_lane(backend: &Arc<Scripted>, concurrency: Option<usize>) -> Router {
    let config = LaneConfig { concurrency, ..LaneConfig::default() };
    Router::with_lanes([(Arc::clone(backend) as Arc<dyn Backend>, config)])
}

/// Longer than anything takes here.
const VAIN: Duration = Duration::from_secs(3600);

/// Answers one request; what happened, and how it ended.
async fn run(router: Router, request: Resolved) -> (Vec<String>, Result<(), AnswerError>) {
    let gate = Admission::new(1, 1);
    let who = gate.client(ClientKey::Connection(1));
    let mut notes = Notes::new(&gate);
    let answered = answer(&gate, &router, &who, Box::new(request), Instant::now(), &mut notes);
    let ended = tokio::time::timeout(VAIN, answered).await.expect("nobody waits in vain");
    assert!(notes.running.iter().all(|&running| running == 1), "the permit is held to the last event");
    assert_eq!(gate.state().running, 0);
    (notes.events, ended)
}

#[tokio::test(start_paused = true)]
async fn a_request_runs_speaks_and_is_done_once() {
    let backend = Scripted::new("lane", |_, _| {
        Turn::SayAndHang(vec![TokenEvent::Thinking("hm".to_owned()), token("a"), token("b"), done(3)])
    });
    let (events, ended) = run(one_lane(&backend, None), request("r")).await;
    assert_eq!(events, ["running on lane", "thinking hm", "token a", "token b", "done by lane: End"]);
    assert_eq!(ended, Ok(()));
    assert_eq!(backend.alive(), 0);
}

#[tokio::test(start_paused = true)]
async fn an_error_is_the_only_end_of_its_request() {
    let refused = GenerateError::InvalidRequest("no".to_owned());
    let backend = Scripted::refusing("lane", refused.clone());
    let (events, ended) = run(one_lane(&backend, None), request("r")).await;
    assert_eq!(events, ["running on lane"]);
    assert_eq!(ended, Err(AnswerError::Route(RouteError::Lane { lane: "lane".to_owned(), error: refused })));

    let backend = Scripted::new("lane", |_, _| Turn::Say(vec![token("a")]));
    let (events, ended) = run(one_lane(&backend, None), request("r")).await;
    assert_eq!(events, ["running on lane", "token a"]);
    let error = ended.unwrap_err();
    assert_eq!(error.to_string(), "the answer was cut short");
    assert!(matches!(error, AnswerError::CutShort { lane, .. } if lane == "lane"));

    let backend = Scripted::hanging("lane");
    let hasty = Resolved { deadline: Some(Duration::from_millis(20)), ..request("r") };
    let (_, ended) = run(one_lane(&backend, None), hasty).await;
    assert_eq!(ended.unwrap_err().to_string(), "deadline_ms of 20 ms passed");
    assert_eq!(backend.alive(), 0);
}

/// A request that has to wait everywhere: for its turn, for room on its lane, for each event, for its reader.
#[tokio::test(start_paused = true)]
async fn a_request_dropped_at_any_moment_frees_everything_and_blames_nobody() {
    let mut dropped_at = 0;
    loop {
        let (say, said) = mpsc::channel(16);
        let said = std::sync::Mutex::new(Some(said));
        let backend = Scripted::new("lane", move |_, _| Turn::Follow(said.lock().unwrap().take().unwrap()));
        let router = one_lane(&backend, Some(1));
        let gate = Admission::new(1, 4);
        let who = gate.client(ClientKey::Connection(1));
        let runs = gate
            .enter(&who, &Ask::from(&request("first")), router.room(), Instant::now())
            .unwrap()
            .turn()
            .await
            .unwrap();
        let taken = router.route(Need::default(), Instant::now()).await.unwrap();

        let wanted = Resolved { progress: true, deadline: Some(Duration::from_secs(60)), ..request("r") };
        let mut notes = Notes::new(&gate);
        let mut answering =
            Box::pin(answer(&gate, &router, &who, Box::new(wanted), Instant::now(), &mut notes));
        let mut world: Vec<Box<dyn FnOnce() + '_>> = vec![Box::new(|| drop(runs)), Box::new(|| drop(taken))];
        for event in [token("a"), token("b"), done(2)] {
            // Nobody hears it once the answer was dropped.
            world.push(Box::new(|| drop(say.try_send(event))));
        }
        let mut world = world.into_iter();
        let finished = (0..dropped_at).any(|_| {
            let ended = Pin::new(&mut answering).poll(&mut Context::from_waker(Waker::noop()));
            if let Some(next) = world.next() {
                next();
            }
            matches!(ended, Poll::Ready(Ok(())))
        });
        drop(answering);
        world.for_each(|next| next());
        let queue = gate.state();
        assert_eq!((queue.running, queue.waiting, backend.alive()), (0, 0, 0), "dropped at {dropped_at}");
        let lane = &router.state()[0];
        assert_eq!((lane.running, lane.state), (0, "passing"), "dropped at {dropped_at}");
        if finished {
            break;
        }
        dropped_at += 1;
    }
    assert!(dropped_at >= 7, "it had to wait {dropped_at} times");
}
