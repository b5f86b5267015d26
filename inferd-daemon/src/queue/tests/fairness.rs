//! Who goes first: bands, ageing, and the virtual token counter.

use proptest::prelude::*;

use super::*;

const AGEING: Duration = Duration::from_secs(30);

/// Lets all of `turns` run one after the other; the order they ran in, by name.
fn order(running: Permit, mut turns: Vec<(&'static str, Turn)>) -> Vec<&'static str> {
    let mut order = Vec::new();
    let mut permit = running;
    while !turns.is_empty() {
        drop(permit);
        let (at, next) = turns
            .iter_mut()
            .enumerate()
            .find_map(|(at, (_, turn))| Some((at, look(turn)?.unwrap())))
            .expect("somebody is next");
        order.push(turns.remove(at).0);
        permit = next;
    }
    order
}

#[tokio::test(start_paused = true)]
async fn a_better_band_goes_first() {
    let gate = Admission::new(1, 8);
    let client = who(&gate, 1);
    let running = granted(&mut enters(&gate, &client, &normal()).unwrap());
    let wait = |name, priority| (name, enters(&gate, &client, &request(priority, 1)).unwrap());
    let turns = vec![
        wait("batch", Priority::Batch),
        wait("normal", Priority::Normal),
        wait("interactive", Priority::Interactive),
        wait("normal too", Priority::Normal),
    ];
    assert_eq!(order(running, turns), ["interactive", "normal", "normal too", "batch"]);
}

#[tokio::test(start_paused = true)]
async fn a_waiter_rises_one_band_each_time_it_has_waited_for_the_ageing() {
    for (waited, expected) in [
        (AGEING.checked_sub(Duration::from_millis(1)).unwrap(), ["interactive", "normal", "batch"]),
        (AGEING, ["interactive", "batch", "normal"]),
        (2 * AGEING, ["batch", "interactive", "normal"]),
    ] {
        let gate = Admission::new(1, 8);
        let client = who(&gate, 1);
        let running = granted(&mut enters(&gate, &client, &normal()).unwrap());
        let batch = enters(&gate, &client, &request(Priority::Batch, 1)).unwrap();
        tokio::time::advance(waited).await;
        let normal = enters(&gate, &client, &request(Priority::Normal, 1)).unwrap();
        let interactive = enters(&gate, &client, &request(Priority::Interactive, 1)).unwrap();
        let turns = vec![("batch", batch), ("normal", normal), ("interactive", interactive)];
        assert_eq!(order(running, turns), expected, "after {waited:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn the_client_with_less_service_goes_first_however_late_it_came() {
    let gate = Admission::new(1, 8);
    let (heavy, light) = (who(&gate, 1), who(&gate, 2));
    let running = granted(&mut enters(&gate, &heavy, &normal()).unwrap());
    let light_waits = enters(&gate, &light, &normal()).unwrap();
    let mut turns = vec![("heavy", enters(&gate, &heavy, &normal()).unwrap())];
    turns.push(("heavy again", enters(&gate, &heavy, &normal()).unwrap()));
    (0..50).for_each(|_| running.charge_token());
    turns.push(("light", light_waits));
    turns.push(("light again", enters(&gate, &light, &normal()).unwrap()));
    assert_eq!(order(running, turns), ["light", "light again", "heavy", "heavy again"]);
}

#[tokio::test(start_paused = true)]
async fn a_client_that_returns_starts_at_the_least_counter_of_those_active() {
    let gate = Admission::new(1, 8);
    let [one, two, idle, returning] = [1, 2, 3, 4].map(|number| who(&gate, number));
    let counter = |client: &Client| client.account().counter();
    let running = granted(&mut enters(&gate, &one, &normal()).unwrap());
    let _waiting = enters(&gate, &two, &normal()).unwrap();
    one.account().charge(500);
    two.account().charge(300);
    idle.account().charge(10);

    let _turn = enters(&gate, &returning, &normal()).unwrap();
    assert_eq!(counter(&returning), counter(&two));
    assert_eq!(counter(&idle), 10, "who is not active is not lifted");
    // Who is there already is not lifted again.
    two.account().charge(1000);
    let _turn = enters(&gate, &returning, &normal()).unwrap();
    assert!(counter(&returning) < counter(&two));
    drop(running);
}

#[tokio::test(start_paused = true)]
async fn a_prompt_is_charged_as_estimated_until_the_engine_has_counted_it() {
    let gate = Admission::new(1, 0);
    let client = who(&gate, 1);
    let mut permit = granted(&mut enters(&gate, &client, &request(Priority::Normal, 40)).unwrap());
    assert_eq!(client.account().counter(), 40);
    permit.charge_token();
    assert_eq!(client.account().counter(), 42);
    permit.correct_prompt(0);
    assert_eq!(client.account().counter(), 42, "an engine that does not count changes nothing");
    permit.correct_prompt(25);
    permit.correct_prompt(25);
    assert_eq!(client.account().counter(), 27);
}

proptest! {
    /// Whenever a client is given a slot it has had no more than the other, and then its running requests, of which there
    /// are at most `active`, can each cost it one request more: so it is never further ahead than that.
    #[test]
    fn two_backlogged_clients_are_never_further_apart_than_what_runs_at_once(
        active in 1usize..4,
        served in proptest::collection::vec((1u64..100, 0u64..100), 40..80),
    ) {
        const COST_MAX: u64 = 100 + 2 * 100;
        let gate = Admission::new(active, 16);
        let clients = [who(&gate, 1), who(&gate, 2)];
        let mut running: std::collections::VecDeque<(Permit, u64)> = std::collections::VecDeque::new();
        let mut turns: Vec<(usize, u64, Turn)> = Vec::new();
        let mut costs = served.iter();
        'script: loop {
            for (at, client) in clients.iter().enumerate() {
                while turns.iter().filter(|turn| turn.0 == at).count() < 3 {
                    let Some(&(prompt, generated)) = costs.next() else { break 'script };
                    turns.push((at, generated, enters(&gate, client, &request(Priority::Normal, prompt)).unwrap()));
                }
            }
            turns.retain_mut(|(_, generated, turn)| match look(turn) {
                Some(permit) => {
                    running.push_back((permit.unwrap(), *generated));
                    false
                }
                None => true,
            });
            if let Some((permit, generated)) = running.pop_front() {
                (0..generated).for_each(|_| permit.charge_token());
            }
            let [one, two] = clients.each_ref().map(|client| client.account().counter());
            prop_assert!(one.abs_diff(two) <= active as u64 * COST_MAX, "{one} and {two}");
        }
    }
}
