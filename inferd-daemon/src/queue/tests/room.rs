//! Room beside the slots: who has none is stepped over, and is next when there is some.

use std::collections::HashMap;
use std::sync::Mutex;

use proptest::prelude::*;

use super::*;

/// So many seats for each model, of which none is ever taken but by the test.
#[derive(Default)]
struct Seating {
    bell: Bell,
    free: Mutex<HashMap<String, usize>>,
    opens_at: Mutex<Option<Instant>>,
}

impl Room for Seating {
    fn seats(&self, need: Need<'_>, now: Instant) -> usize {
        let opened = self.opens_at.lock().unwrap().is_some_and(|at| at <= now);
        let free = self.free.lock().unwrap();
        free.get(need.model.unwrap_or_default()).map_or(usize::MAX, |free| free + usize::from(opened))
    }

    fn opens_at(&self, now: Instant) -> Option<Instant> {
        self.opens_at.lock().unwrap().filter(|at| *at > now)
    }

    fn bell(&self) -> &Bell {
        &self.bell
    }
}

impl Seating {
    fn new(free: &[(&str, usize)]) -> Arc<Self> {
        let room = Self::default();
        room.bell.change(true);
        *room.free.lock().unwrap() = free.iter().map(|(model, free)| ((*model).to_owned(), *free)).collect();
        Arc::new(room)
    }

    fn take(&self, model: &str) {
        *self.free.lock().unwrap().get_mut(model).unwrap() -= 1;
    }

    fn free(&self, model: &str) {
        *self.free.lock().unwrap().get_mut(model).unwrap() += 1;
        self.bell.ring();
    }
}

fn naming(model: &str) -> Resolved {
    Resolved { model: Some(model.to_owned()), ..normal() }
}

fn wants(gate: &Admission, client: &Client, room: &Arc<Seating>, model: &str) -> Turn {
    place_in(gate, client, &naming(model), room).unwrap().turn().boxed()
}

#[tokio::test(start_paused = true)]
async fn who_has_no_room_waits_without_a_slot_and_others_go_by() {
    let gate = Admission::new(2, 8);
    let client = who(&gate, 1);
    let room = Seating::new(&[("full", 0)]);
    let mut waits = wants(&gate, &client, &room, "full");
    assert_eq!(counts(&gate), (0, 1));
    let one = granted(&mut wants(&gate, &client, &room, "free"));
    let two = granted(&mut wants(&gate, &client, &room, "free"));
    let mut third = wants(&gate, &client, &room, "free");
    assert_eq!(counts(&gate), (2, 2));
    drop(one);
    let third = granted(&mut third);
    assert!(look(&mut waits).is_none());
    drop((two, third));
    assert_eq!(counts(&gate), (0, 1));
    room.free("full");
    drop(granted(&mut waits));
    assert_eq!(counts(&gate), (0, 0));
}

#[tokio::test(start_paused = true)]
async fn room_goes_to_whoever_is_next_among_those_it_fits() {
    let gate = Admission::new(1, 8);
    let (heavy, light) = (who(&gate, 1), who(&gate, 2));
    let room = Seating::new(&[("a", 0), ("b", 0)]);
    let mut of_a = [wants(&gate, &heavy, &room, "a"), wants(&gate, &heavy, &room, "a")];
    let mut of_b = wants(&gate, &light, &room, "b");
    let mut of_light = wants(&gate, &light, &room, "a");
    heavy.account().charge(1000);
    room.free("a");
    room.take("a");
    let permit = granted(&mut of_light);
    assert!(look(&mut of_b).is_none());
    room.free("a");
    assert!(of_a.iter_mut().all(|turn| look(turn).is_none()), "there is no slot");
    drop(permit);
    let permit = granted(&mut of_a[0]);
    assert!(look(&mut of_a[1]).is_none());
    drop(permit);
    drop(granted(&mut of_a[1]));
}

#[tokio::test(start_paused = true)]
async fn one_seat_is_given_to_one_however_many_slots_are_free() {
    let gate = Admission::new(8, 8);
    let client = who(&gate, 1);
    let room = Seating::new(&[("m", 0), ("n", 1)]);
    let mut turns: Vec<Turn> = (0..3).map(|_| wants(&gate, &client, &room, "m")).collect();
    room.free("m");
    assert_eq!(counts(&gate), (1, 2));
    let mut first = granted(&mut turns[0]);
    // It has not taken the seat yet, and so nobody else may.
    room.bell.ring();
    let mut newcomer = wants(&gate, &client, &room, "m");
    assert!(turns[1..].iter_mut().chain([&mut newcomer]).all(|turn| look(turn).is_none()));
    room.take("m");
    first.seated();
    assert_eq!(counts(&gate), (1, 3));
    room.free("m");
    let second = granted(&mut turns[1]);
    // It leaves without having sat down.
    drop(second);
    drop(granted(&mut turns[2]));
    drop(granted(&mut newcomer));
    drop(first);
    assert_eq!(counts(&gate), (0, 0));
}

#[tokio::test(start_paused = true)]
async fn a_seat_promised_to_whoever_leaves_unheard_is_passed_on() {
    let gate = Admission::new(8, 8);
    let client = who(&gate, 1);
    let room = Seating::new(&[("m", 0)]);
    let leaves = wants(&gate, &client, &room, "m");
    let mut stays = wants(&gate, &client, &room, "m");
    room.free("m");
    assert!(look(&mut stays).is_none());
    drop(leaves);
    drop(granted(&mut stays));
    assert_eq!(counts(&gate), (0, 0));
}

#[tokio::test(start_paused = true)]
async fn a_queue_full_of_those_who_have_no_room_refuses_more_of_them_and_lets_others_run() {
    let gate = Admission::new(2, 2);
    let client = who(&gate, 1);
    let room = Seating::new(&[("full", 0)]);
    let mut waiting = [wants(&gate, &client, &room, "full"), wants(&gate, &client, &room, "full")];
    let refused = place_in(&gate, &client, &naming("full"), &room).unwrap_err();
    assert!(matches!(refused, Refused::QueueFull { .. }));
    let one = granted(&mut wants(&gate, &client, &room, "free"));
    let two = granted(&mut wants(&gate, &client, &room, "free"));
    assert!(place_in(&gate, &client, &naming("free"), &room).is_err());
    assert!(waiting.iter_mut().all(|turn| look(turn).is_none()));
    drop((one, two));
}

#[tokio::test(start_paused = true)]
async fn those_who_have_no_room_count_in_nobodys_estimate_who_has() {
    let gate = Admission::new(1, 8);
    let client = who(&gate, 1);
    let room = Seating::new(&[("full", 0)]);
    let first = granted(&mut wants(&gate, &client, &room, "free"));
    tokio::time::advance(Duration::from_secs(10)).await;
    drop(first);
    let _stuck: Vec<Turn> = (0..4).map(|_| wants(&gate, &client, &room, "full")).collect();
    let _running = granted(&mut wants(&gate, &client, &room, "free"));
    let patient = |model| Resolved { max_wait: Some(Duration::from_secs(15)), ..naming(model) };
    let refused = place_in(&gate, &client, &patient("full"), &room).unwrap_err();
    assert_eq!(refused, Refused::TooLate { wait_ms: 50_000 });
    assert!(place_in(&gate, &client, &patient("free"), &room).is_ok());
}

#[tokio::test(start_paused = true)]
async fn room_that_comes_with_time_is_given_when_it_comes() {
    let gate = Admission::new(2, 2);
    let client = who(&gate, 1);
    let room = Seating::new(&[("m", 0)]);
    let mut turn = wants(&gate, &client, &room, "m");
    assert!(look(&mut turn).is_none());
    // Only now is it known that there will be some.
    let began = Instant::now();
    let after = Duration::from_secs(30);
    *room.opens_at.lock().unwrap() = Some(began + after);
    room.bell.retime();
    let came = tokio::time::timeout(2 * after, turn).await.expect("it comes with time");
    drop(came.unwrap());
    assert_eq!(began.elapsed().as_secs(), after.as_secs());
}

#[tokio::test(start_paused = true)]
async fn where_nothing_is_limited_any_more_everybody_runs() {
    let gate = Admission::unlimited();
    let client = who(&gate, 1);
    let room = Seating::new(&[("m", 0)]);
    let mut turns: Vec<Turn> = (0..3).map(|_| wants(&gate, &client, &room, "m")).collect();
    assert_eq!(counts(&gate), (0, 3));
    room.bell.change(false);
    let permits: Vec<_> = turns.iter_mut().map(|turn| granted(turn)).collect();
    assert_eq!(counts(&gate), (3, 0));
    drop(permits);
}

#[derive(Debug, Clone)]
enum Step {
    Enter {
        client: u64,
        model: usize,
    },
    Leave(usize),
    /// Those whose turn has come sit down.
    Collect,
    Finish(usize),
}

const MODELS: [&str; 3] = ["a", "b", "any"];

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => (0u64..3, 0..MODELS.len()).prop_map(|(client, model)| Step::Enter { client, model }),
        2 => any::<usize>().prop_map(Step::Leave),
        4 => Just(Step::Collect),
        4 => any::<usize>().prop_map(Step::Finish),
    ]
}

/// Those whose turn has come sit down, and are told by number.
fn collect(
    room: &Seating,
    turns: &mut Vec<(u64, usize, usize, Turn)>,
    running: &mut Vec<(usize, Permit<'static>)>,
) -> Vec<(u64, usize, usize)> {
    let mut came = Vec::new();
    while let Some((at, permit)) =
        turns.iter_mut().enumerate().find_map(|(at, turn)| Some((at, look(&mut turn.3)?.unwrap())))
    {
        let (client, model, number, _) = turns.remove(at);
        running.push(sit(room, model, permit));
        came.push((client, model, number));
    }
    came
}

fn sit(room: &Seating, model: usize, mut permit: Permit<'static>) -> (usize, Permit<'static>) {
    if MODELS[model] != "any" {
        room.take(MODELS[model]);
    }
    permit.seated();
    (model, permit)
}

proptest! {
    #[test]
    fn nobody_waits_who_could_run_and_nobody_runs_who_has_no_seat(
        active in 1usize..5,
        seats in (0usize..3, 1usize..3),
        steps in proptest::collection::vec(step(), 0..80),
    ) {
        let gate = Admission::new(active, 100);
        let clients = [0, 1, 2].map(|number| who(&gate, number));
        let room = Seating::new(&[("a", seats.0), ("b", seats.1)]);
        let (mut turns, mut running, mut came) = (Vec::new(), Vec::new(), Vec::new());
        for (number, step) in steps.into_iter().enumerate() {
            match step {
                Step::Enter { client, model } => {
                    let mut turn = wants(&gate, &clients[usize::try_from(client).unwrap()], &room, MODELS[model]);
                    match look(&mut turn) {
                        // Who runs at once sits down at once.
                        Some(permit) => running.push(sit(&room, model, permit.unwrap())),
                        None => turns.push((client, model, number, turn)),
                    }
                }
                Step::Leave(at) if !turns.is_empty() => drop(turns.remove(at % turns.len())),
                Step::Finish(at) if !running.is_empty() => {
                    let (model, permit) = running.remove(at % running.len());
                    drop(permit);
                    if MODELS[model] != "any" {
                        room.free(MODELS[model]);
                    }
                }
                Step::Collect => {
                    came.extend(collect(&room, &mut turns, &mut running));
                    let (runs, waits) = counts(&gate);
                    prop_assert_eq!((runs, waits), (running.len(), turns.len()));
                    let free = room.free.lock().unwrap();
                    let could = |model: usize| MODELS[model] == "any" || free[MODELS[model]] > 0;
                    prop_assert!(
                        runs == active || !turns.iter().any(|turn| could(turn.1)),
                        "somebody waits who could run"
                    );
                }
                Step::Leave(_) | Step::Finish(_) => {}
            }
            prop_assert!(running.len() <= active);
        }
        let mut last = HashMap::new();
        for (client, model, number) in came {
            let before = last.insert((client, model), number);
            prop_assert!(before < Some(number), "one client's requests of one need stay in order");
        }
    }
}
