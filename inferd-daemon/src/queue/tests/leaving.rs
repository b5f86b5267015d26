//! Places and permits free themselves, at whatever moment they are dropped.

use super::*;

#[tokio::test(start_paused = true)]
async fn a_place_dropped_at_any_moment_leaves_no_trace() {
    type Moment = fn(&Admission, &Client, Permit) -> Option<Turn>;
    let moments: [(&str, Moment); 4] = [
        ("before it is polled", |gate, client, running| {
            drop(enters(gate, client, &normal()).unwrap());
            drop(running);
            None
        }),
        ("while it waits", |gate, client, running| {
            let mut turn = enters(gate, client, &normal()).unwrap();
            assert!(look(&mut turn).is_none());
            drop(turn);
            drop(running);
            None
        }),
        ("when its turn has come and it does not know", |gate, client, running| {
            let turn = enters(gate, client, &normal()).unwrap();
            drop(running);
            assert_eq!(counts(gate), (1, 0));
            drop(turn);
            None
        }),
        ("when its turn has come and another waits", |gate, client, running| {
            let turn = enters(gate, client, &normal()).unwrap();
            let after = enters(gate, client, &normal()).unwrap();
            drop(running);
            assert_eq!(counts(gate), (1, 1));
            drop(turn);
            Some(after)
        }),
    ];
    for (name, moment) in moments {
        let gate = Admission::new(1, 4);
        let client = who(&gate, 1);
        let running = granted(&mut enters(&gate, &client, &normal()).unwrap());
        if let Some(mut after) = moment(&gate, &client, running) {
            assert_eq!(counts(&gate), (1, 0), "{name}");
            drop(granted(&mut after));
        }
        assert_eq!(counts(&gate), (0, 0), "{name}");
        assert!(!gate.0.lock().waiting.holds(client.account()), "{name}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_watched_place_dropped_at_any_moment_leaves_no_trace() {
    let gate = Admission::new(1, 4);
    let client = who(&gate, 1);
    for polled in [false, true] {
        for comes in [false, true] {
            let running = granted(&mut enters(&gate, &client, &normal()).unwrap());
            let place = place(&gate, &client, &normal()).unwrap();
            let mut turn: Turn = place.turn_watched(|_| {}).boxed();
            if polled {
                assert!(look(&mut turn).is_none());
            }
            if comes {
                drop(running);
                drop(turn);
            } else {
                drop(turn);
                drop(running);
            }
            assert_eq!(counts(&gate), (0, 0), "polled: {polled}, its turn came: {comes}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_place_that_is_given_up_makes_room_at_once() {
    let gate = Admission::new(1, 1);
    let client = who(&gate, 1);
    let _running = granted(&mut enters(&gate, &client, &normal()).unwrap());
    let waiting = enters(&gate, &client, &normal()).unwrap();
    assert!(enters(&gate, &client, &normal()).is_err());
    drop(waiting);
    assert!(enters(&gate, &client, &normal()).is_ok());
}

#[tokio::test(start_paused = true)]
async fn a_place_that_gave_way_unnoticed_is_not_freed_twice() {
    let gate = Admission::new(1, 2);
    let (many, few) = (who(&gate, 1), who(&gate, 2));
    let running = granted(&mut enters(&gate, &many, &normal()).unwrap());
    let first = enters(&gate, &many, &normal()).unwrap();
    let gives_way = enters(&gate, &many, &normal()).unwrap();
    let newcomer = enters(&gate, &few, &normal()).unwrap();
    drop(gives_way);
    assert_eq!(counts(&gate), (1, 2));
    drop((first, newcomer));
    assert_eq!(counts(&gate), (1, 0));
    drop(running);
    assert_eq!(counts(&gate), (0, 0));
}
