use std::pin::Pin;

use futures_util::FutureExt;
use inferd_proto::Resolved;

use super::*;

mod fairness;
mod law;
mod leaving;
mod positions;
mod reconfiguring;
mod refusal;
mod room;
mod threads;

/// Room for everybody.
#[derive(Default)]
struct Everywhere(Bell);

impl Room for Everywhere {
    fn seats(&self, _: Need<'_>, _: Instant) -> usize {
        panic!("nothing is limited here")
    }

    fn opens_at(&self, _: Instant) -> Option<Instant> {
        None
    }

    fn bell(&self) -> &Bell {
        &self.0
    }
}

type Turn = Pin<Box<dyn Future<Output = Result<Permit<'static>, Refused>> + Send>>;

fn who(gate: &Admission, number: u64) -> Client {
    gate.client(ClientKey::Connection(number))
}

/// A request whose prompt is charged `cost`.
fn request(priority: Priority, cost: u64) -> Resolved {
    let text = "four".repeat(usize::try_from(cost).unwrap());
    let mut request = crate::scripted::request("r");
    let message = inferd_proto::Message { role: inferd_proto::Role::User, content: text.into() };
    request.messages = [message].into();
    request.priority = priority;
    request
}

fn normal() -> Resolved {
    request(Priority::Normal, 1)
}

/// A place borrows its gate and its client; here these may well outlive the test.
fn place(gate: &Admission, client: &Client, request: &Resolved) -> Result<Place<'static>, Refused> {
    place_in(gate, client, request, &Arc::new(Everywhere::default()))
}

/// The same, where there may be no room.
fn place_in(
    gate: &Admission,
    client: &Client,
    request: &Resolved,
    room: &Arc<impl Room + 'static>,
) -> Result<Place<'static>, Refused> {
    let (gate, client) = (Box::leak(Box::new(gate.clone())), Box::leak(Box::new(client.clone())));
    gate.enter(client, &Ask::from(request), room, Instant::now())
}

/// Enters, and waits without being polled yet.
fn enters(gate: &Admission, client: &Client, request: &Resolved) -> Result<Turn, Refused> {
    place(gate, client, request).map(|place| place.turn().boxed())
}

/// What has become of a turn: `None` while it waits.
fn look(turn: &mut Turn) -> Option<Result<Permit<'static>, Refused>> {
    turn.now_or_never()
}

/// The permit of a turn that has come.
#[track_caller]
fn granted(turn: &mut Turn) -> Permit<'static> {
    look(turn).expect("its turn has come").expect("it was let in")
}

#[track_caller]
fn counts(gate: &Admission) -> (usize, usize) {
    let QueueState { running, waiting, .. } = gate.state();
    (running, waiting)
}

#[tokio::test(start_paused = true)]
async fn with_active_1_and_depth_4_one_of_five_runs_and_four_wait() {
    let gate = Admission::new(1, 4);
    let client = who(&gate, 1);
    let mut turns: Vec<Turn> = (0..5).map(|_| enters(&gate, &client, &normal()).unwrap()).collect();
    assert_eq!(counts(&gate), (1, 4));
    assert!(matches!(enters(&gate, &client, &normal()), Err(Refused::QueueFull { .. })));

    // First in, first out.
    for at in 0..5 {
        let permit = granted(&mut turns[at]);
        assert!(turns[at + 1..].iter_mut().all(|turn| look(turn).is_none()));
        drop(permit);
    }
    assert_eq!(counts(&gate), (0, 0));
}

#[tokio::test(start_paused = true)]
async fn active_0_counts_as_1() {
    let gate = Admission::new(0, 0);
    let client = who(&gate, 1);
    let mut turn = enters(&gate, &client, &normal()).unwrap();
    let permit = granted(&mut turn);
    assert!(enters(&gate, &client, &normal()).is_err());
    drop(permit);
    assert!(enters(&gate, &client, &normal()).is_ok());
}

#[tokio::test(start_paused = true)]
async fn a_newcomer_never_runs_before_those_who_wait() {
    let gate = Admission::new(1, 4);
    let (early, late) = (who(&gate, 1), who(&gate, 2));
    let mut running = enters(&gate, &early, &normal()).unwrap();
    let mut waiting = enters(&gate, &early, &normal()).unwrap();
    drop(granted(&mut running));
    // The slot is the waiter's before it was polled again.
    let mut newcomer = enters(&gate, &late, &normal()).unwrap();
    assert!(look(&mut newcomer).is_none());
    drop(granted(&mut waiting));
    drop(granted(&mut newcomer));
    assert_eq!(counts(&gate), (0, 0));
}

#[tokio::test(start_paused = true)]
async fn a_slot_freed_while_somebody_goes_to_wait_for_it_is_taken() {
    let gate = Admission::new(1, 4);
    let client = who(&gate, 1);
    // By the time it has the lock the slot is free, and nobody is left who would pass it on.
    let (normal, room) = (normal(), Arc::new(Everywhere::default()));
    let (ask, account) = (Ask::from(&normal), client.account());
    let place =
        gate.0.enqueue(Newcomer { account, ask: &ask, room, slot: true, now: Instant::now() }).unwrap();
    let permit = place.turn().now_or_never().expect("its turn has come").unwrap();
    assert_eq!(counts(&gate), (1, 0));
    drop(permit);
    assert_eq!(counts(&gate), (0, 0));
}

#[tokio::test]
async fn connections_of_one_client_share_an_account_that_outlives_them() {
    let gate = Admission::new(1, 0);
    let first = who(&gate, 1);
    let second = who(&gate, 1);
    assert!(Arc::ptr_eq(first.account(), second.account()));
    assert_eq!(gate.clients(), 1);
    first.account().charge(7);
    drop((first, second));
    assert_eq!(gate.clients(), 0);
    assert_eq!(who(&gate, 1).account().counter(), 7);
}
