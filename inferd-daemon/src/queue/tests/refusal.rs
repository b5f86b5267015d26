//! Who is refused, and what it is told.

use super::*;

/// A gate with one running request of a client that nobody else is.
fn busy(active: usize, queue_depth: usize, per_client_queue: usize) -> (Admission, Permit<'static>) {
    let gate = Admission::with_limits(Limits { per_client_queue, ..Limits::new(active, queue_depth) });
    let permit = granted(&mut enters(&gate, &who(&gate, 99), &normal()).unwrap());
    (gate, permit)
}

fn refusal(gate: &Admission, client: &Client, request: &Resolved) -> Refused {
    enters(gate, client, request).err().expect("it is refused")
}

fn is_refused(turn: &mut Turn) -> bool {
    matches!(look(turn), Some(Err(Refused::QueueFull { .. })))
}

#[tokio::test(start_paused = true)]
async fn without_a_queue_the_second_is_refused_and_let_in_when_the_first_has_ended() {
    let (gate, running) = busy(1, 0, 1);
    assert!(enters(&gate, &who(&gate, 1), &normal()).is_err());
    drop(running);
    drop(granted(&mut enters(&gate, &who(&gate, 1), &normal()).unwrap()));
    assert_eq!(counts(&gate), (0, 0));
}

#[tokio::test(start_paused = true)]
async fn a_lone_client_may_fill_the_queue_and_the_newest_of_its_places_gives_way() {
    let (gate, _running) = busy(1, 4, 2);
    let (many, few) = (who(&gate, 1), who(&gate, 2));
    let mut places: Vec<Turn> = (0..4).map(|_| enters(&gate, &many, &normal()).unwrap()).collect();
    assert!(enters(&gate, &many, &normal()).is_err());

    let mut newcomers = vec![enters(&gate, &few, &normal()).unwrap()];
    assert!(is_refused(&mut places[3]));
    newcomers.push(enters(&gate, &few, &normal()).unwrap());
    assert!(is_refused(&mut places[2]));
    assert_eq!(counts(&gate), (1, 4));
    // Both hold their share now.
    assert!(enters(&gate, &few, &normal()).is_err());
    assert!(enters(&gate, &who(&gate, 3), &normal()).is_err(), "nobody holds more than a share");
    assert!(places[..2].iter_mut().chain(&mut newcomers).all(|turn| look(turn).is_none()));
}

#[tokio::test(start_paused = true)]
async fn of_a_clients_bands_the_place_that_came_last_gives_way() {
    let (gate, _running) = busy(1, 3, 1);
    let many = who(&gate, 1);
    let wait = |priority| enters(&gate, &many, &request(priority, 1)).unwrap();
    let mut batch = wait(Priority::Batch);
    let mut interactive = wait(Priority::Interactive);
    let mut newest = wait(Priority::Normal);
    let _newcomer = enters(&gate, &who(&gate, 2), &normal()).unwrap();
    assert!(is_refused(&mut newest));
    assert!(look(&mut batch).is_none() && look(&mut interactive).is_none());
}

#[tokio::test(start_paused = true)]
async fn the_client_with_the_most_places_gives_way() {
    let (gate, _running) = busy(1, 5, 1);
    let (most, more) = (who(&gate, 1), who(&gate, 2));
    let mut of_most: Vec<Turn> = (0..3).map(|_| enters(&gate, &most, &normal()).unwrap()).collect();
    let mut of_more: Vec<Turn> = (0..2).map(|_| enters(&gate, &more, &normal()).unwrap()).collect();
    let _newcomer = enters(&gate, &who(&gate, 3), &normal()).unwrap();
    assert!(is_refused(&mut of_most[2]));
    assert!(of_most[..2].iter_mut().chain(&mut of_more).all(|turn| look(turn).is_none()));
}

#[tokio::test(start_paused = true)]
async fn a_refusal_says_how_full_it_is_and_when_to_come_back() {
    let (gate, running) = busy(1, 1, 1);
    let client = who(&gate, 1);
    let mut waiting = enters(&gate, &client, &normal()).unwrap();
    let refused = refusal(&gate, &client, &normal());
    let queue = QueueState { running: 1, waiting: 1, capacity: 1 };
    // Nothing is known yet about how long a slot is held.
    assert_eq!(refused, Refused::QueueFull { retry_after: RETRY_AFTER_MIN, queue });
    assert_eq!(refused.to_string(), "queue is full");

    tokio::time::advance(Duration::from_secs(4)).await;
    drop(running);
    let _second = granted(&mut waiting);
    let _waiting = enters(&gate, &client, &normal()).unwrap();
    let refused = refusal(&gate, &client, &normal());
    assert_eq!(refused, Refused::QueueFull { retry_after: Duration::from_secs(4), queue });
    assert_eq!(gate.retry_after(), Duration::from_secs(4));
}

/// A gate where a slot is held for `held` and one is held now.
async fn seasoned(active: usize, held: Duration) -> (Admission, Vec<Permit<'static>>) {
    let gate = Admission::new(active, 8);
    let client = who(&gate, 99);
    let first = granted(&mut enters(&gate, &client, &normal()).unwrap());
    tokio::time::advance(held).await;
    drop(first);
    let running = (0..active).map(|_| granted(&mut enters(&gate, &client, &normal()).unwrap())).collect();
    (gate, running)
}

fn patient(max_wait_s: Option<u64>, deadline_s: Option<u64>) -> Resolved {
    Resolved {
        max_wait: max_wait_s.map(Duration::from_secs),
        deadline: deadline_s.map(Duration::from_secs),
        ..normal()
    }
}

#[tokio::test(start_paused = true)]
async fn a_request_whose_limit_cannot_be_met_is_refused_at_once() {
    let (gate, _running) = seasoned(2, Duration::from_secs(10)).await;
    let client = who(&gate, 1);
    // Two slots of ten seconds: the next is free in five, the one after in ten.
    for too_hasty in [patient(Some(4), None), patient(None, Some(4)), patient(Some(60), Some(4))] {
        let refused = refusal(&gate, &client, &too_hasty);
        assert_eq!(refused, Refused::TooLate { wait_ms: 5000 });
        assert_eq!(refused.to_string(), "cannot start in time: about 5000 ms of waiting");
    }
    assert_eq!(counts(&gate), (2, 0));
    let _turn = enters(&gate, &client, &patient(Some(5), Some(5))).unwrap();
    assert_eq!(refusal(&gate, &client, &patient(Some(5), None)), Refused::TooLate { wait_ms: 10_000 });
}

#[tokio::test(start_paused = true)]
async fn only_those_who_go_first_count_in_the_estimate() {
    let (gate, _running) = seasoned(1, Duration::from_secs(10)).await;
    let client = who(&gate, 1);
    let _batch: Vec<Turn> =
        (0..3).map(|_| enters(&gate, &client, &request(Priority::Batch, 1)).unwrap()).collect();
    let interactive = Resolved { priority: Priority::Interactive, ..patient(Some(10), None) };
    assert!(enters(&gate, &client, &interactive).is_ok());
}

#[tokio::test(start_paused = true)]
async fn a_limit_is_no_reason_to_refuse_whom_nobody_keeps_waiting() {
    let (gate, running) = seasoned(1, Duration::from_secs(10)).await;
    drop(running);
    assert!(enters(&gate, &who(&gate, 1), &patient(Some(0), Some(1))).is_ok());
}
