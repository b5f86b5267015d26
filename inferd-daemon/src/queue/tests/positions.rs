//! What a waiter is told about its place.

use std::sync::mpsc;

use super::*;

/// A turn that is watched, and what it is told.
fn watches(gate: &Admission, client: &Client, priority: Priority) -> (Turn, mpsc::Receiver<u32>) {
    let place = place(gate, client, &request(priority, 1)).unwrap();
    let (tell, told) = mpsc::channel();
    (place.turn_watched(move |position| tell.send(position).unwrap()).boxed(), told)
}

fn told(told: &mpsc::Receiver<u32>) -> Vec<u32> {
    told.try_iter().collect()
}

#[tokio::test(start_paused = true)]
async fn a_waiter_is_told_its_position_at_first_and_at_each_change() {
    let gate = Admission::new(1, 4);
    let client = who(&gate, 1);
    let running = granted(&mut enters(&gate, &client, &normal()).unwrap());
    let mut first = enters(&gate, &client, &normal()).unwrap();
    let second = enters(&gate, &client, &normal()).unwrap();
    let (mut watched, heard) = watches(&gate, &client, Priority::Normal);

    assert!(look(&mut watched).is_none());
    assert_eq!(told(&heard), [3]);
    assert!(look(&mut watched).is_none());
    assert!(told(&heard).is_empty(), "nothing has changed");
    drop(second);
    assert!(look(&mut watched).is_none());
    assert_eq!(told(&heard), [2]);
    drop(running);
    assert!(look(&mut watched).is_none());
    assert_eq!(told(&heard), [1]);
    drop(granted(&mut first));
    drop(granted(&mut watched));
    assert!(told(&heard).is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_waiter_is_told_when_somebody_goes_before_it() {
    let gate = Admission::new(1, 4);
    let client = who(&gate, 1);
    let _running = granted(&mut enters(&gate, &client, &normal()).unwrap());
    let (mut watched, heard) = watches(&gate, &client, Priority::Batch);
    assert!(look(&mut watched).is_none());
    let interactive = enters(&gate, &client, &request(Priority::Interactive, 1)).unwrap();
    assert!(look(&mut watched).is_none());
    drop(interactive);
    assert!(look(&mut watched).is_none());
    assert_eq!(told(&heard), [1, 2, 1]);
}

#[tokio::test(start_paused = true)]
async fn who_runs_at_once_is_told_no_position() {
    let gate = Admission::new(1, 4);
    let (mut watched, heard) = watches(&gate, &who(&gate, 1), Priority::Normal);
    drop(granted(&mut watched));
    assert!(told(&heard).is_empty());
}
