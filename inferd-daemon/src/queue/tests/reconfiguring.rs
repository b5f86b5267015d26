//! The limits change while requests run and wait.

use super::*;

fn waiting(gate: &Admission, client: &Client, count: usize) -> Vec<Turn> {
    (0..count).map(|_| enters(gate, client, &normal()).unwrap()).collect()
}

#[tokio::test(start_paused = true)]
async fn more_slots_let_those_who_wait_in_at_once_and_in_their_order() {
    let gate = Admission::new(1, 8);
    let client = who(&gate, 1);
    let running = granted(&mut enters(&gate, &client, &normal()).unwrap());
    let mut turns = waiting(&gate, &client, 4);
    gate.reconfigure(Limits::new(3, 8));
    assert_eq!(counts(&gate), (3, 2));
    let permits = [granted(&mut turns[0]), granted(&mut turns[1])];
    assert!(turns[2..].iter_mut().all(|turn| look(turn).is_none()));
    assert_eq!(gate.limits().active, 3);
    drop((running, permits, turns));
    assert_eq!(counts(&gate), (0, 0));
}

#[tokio::test(start_paused = true)]
async fn fewer_slots_let_those_who_run_finish_before_anybody_else_begins() {
    let gate = Admission::new(3, 8);
    let client = who(&gate, 1);
    let mut running: Vec<_> = waiting(&gate, &client, 3).iter_mut().map(|turn| granted(turn)).collect();
    let mut turn = enters(&gate, &client, &normal()).unwrap();
    gate.reconfigure(Limits::new(1, 8));
    for still in [2, 1] {
        drop(running.pop());
        assert!(look(&mut turn).is_none());
        assert_eq!(counts(&gate), (still, 1));
    }
    drop(running.pop());
    drop(granted(&mut turn));
    assert_eq!(counts(&gate), (0, 0));
}

#[tokio::test(start_paused = true)]
async fn a_smaller_queue_refuses_newcomers_and_sends_nobody_away() {
    let gate = Admission::with_limits(Limits { per_client_queue: 1, ..Limits::new(1, 4) });
    let (many, few) = (who(&gate, 1), who(&gate, 2));
    let mut running = granted(&mut enters(&gate, &many, &normal()).unwrap());
    let mut turns = waiting(&gate, &many, 4);
    gate.reconfigure(Limits { per_client_queue: 1, ..Limits::new(1, 2) });
    assert!(
        enters(&gate, &few, &normal()).is_err(),
        "not even to one who holds nothing does anybody give way"
    );
    assert_eq!(gate.state(), QueueState { running: 1, waiting: 4, capacity: 2 });
    for turn in &mut turns {
        drop(running);
        running = granted(turn);
    }
}

#[tokio::test(start_paused = true)]
async fn who_has_had_how_much_outlives_a_change_of_limits() {
    let gate = Admission::new(1, 8);
    let (heavy, light) = (who(&gate, 1), who(&gate, 2));
    let running = granted(&mut enters(&gate, &heavy, &normal()).unwrap());
    (0..50).for_each(|_| running.charge_token());
    let mut of_heavy = enters(&gate, &heavy, &normal()).unwrap();
    let mut of_light = enters(&gate, &light, &normal()).unwrap();
    light.account().charge(20);
    gate.reconfigure(Limits::new(1, 16));
    assert_eq!((heavy.account().counter(), light.account().counter()), (101, 121));
    (0..50).for_each(|_| running.charge_token());
    drop(running);
    let first = granted(&mut of_light);
    assert!(look(&mut of_heavy).is_none());
    drop(first);
}
