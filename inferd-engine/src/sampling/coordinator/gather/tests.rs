//! The rules of gathering, whatever comes when.

use std::time::Duration;

use proptest::prelude::*;
use rmcp::model::{CreateMessageRequestParams, SamplingMessage};

use super::*;
use crate::sampling::call::Call;

/// A key of its own for each number.
fn key(number: u8) -> Option<BatchKey> {
    let messages = vec![SamplingMessage::user_text("x")];
    let params = CreateMessageRequestParams::new(messages, 1).with_temperature(f32::from(number));
    BatchKey::of(&Call::from(params), false)
}

#[derive(Debug, Clone)]
enum Step {
    /// An item comes, with this key or, beyond 2, none, and this weight.
    Push(u8, usize),
    /// Time passes, in milliseconds.
    Pass(u64),
    /// The peer answers a request of this key, if it has one.
    Answer(u8),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        3 => (0..4_u8, 1..60_usize).prop_map(|(key, bytes)| Step::Push(key, bytes)),
        2 => (0..8000_u64).prop_map(Step::Pass),
        1 => (0..4_u8).prop_map(Step::Answer),
    ];
    proptest::collection::vec(step, 1..60)
}

fn gathering() -> impl Strategy<Value = Gathering> {
    let ms = Duration::from_millis;
    prop_oneof![
        (1..6000_u64).prop_map(move |window| Gathering::Fixed { window: ms(window) }),
        Just(Gathering::Adaptive { gather: ms(20), window: ms(5000) }),
    ]
}

/// An item: its number, key, weight and time.
type Item = (usize, u8, usize, Instant);

proptest! {
    #[test]
    fn every_item_leaves_once_in_order_in_time_and_within_the_limits(
        steps in steps(),
        gathering in gathering(),
        max_batch in 0..5_usize,
    ) {
        let config = CoordinatorConfig {
            gathering, max_batch, batch_bytes_max: 50, ..CoordinatorConfig::default()
        };
        let window = match gathering {
            Gathering::Fixed { window } | Gathering::Adaptive { window, .. } => window,
        };
        let mut gather = Gather::new(&config, 1000);
        let mut now = Instant::now();
        let (mut pushed, mut left) = (0, Vec::<Item>::new());
        for step in steps {
            match step {
                Step::Push(which, bytes) => {
                    let item = (pushed, which, bytes, now);
                    gather.push(item, key(which).filter(|_| which < 3), Weight { bytes, tokens: 1 }, now);
                    pushed += 1;
                }
                Step::Pass(ms) => now += Duration::from_millis(ms),
                Step::Answer(which) => gather.answered(key(which).as_ref()),
            }
            let promised = gather.next_due();
            let mut due = false;
            while let Some(Batch { key, items: batch }) = gather.take_due(now) {
                due = true;
                gather.sent(key);
                prop_assert!(batch.len() <= max_batch.max(1));
                prop_assert!(batch.len() == 1 || batch.iter().map(|item| item.2).sum::<usize>() <= 50);
                prop_assert!(batch.iter().all(|item| item.1 == batch[0].1));
                left.extend(batch);
            }
            prop_assert_eq!(due, promised.is_some_and(|then| then <= now), "what is promised is kept");
            prop_assert_eq!(gather.room(), 1000 - (pushed - left.len()));
            prop_assert!(gather.groups.iter().all(|group| now < group.since + window), "one waits too long");
        }
        gather.complete();
        while let Some(batch) = gather.take_due(now) {
            left.extend(batch.items);
        }
        prop_assert!(gather.is_empty());
        prop_assert_eq!(gather.room(), 1000);
        let mut numbers: Vec<usize> = left.iter().map(|item| item.0).collect();
        for which in 0..3 {
            // What is too heavy for company does not wait for it.
            let of_key: Vec<usize> =
                left.iter().filter(|item| item.1 == which && item.2 <= 50).map(|item| item.0).collect();
            prop_assert!(of_key.is_sorted(), "{of_key:?}");
        }
        numbers.sort_unstable();
        prop_assert_eq!(numbers, (0..pushed).collect::<Vec<_>>());
    }
}

#[test]
fn with_no_room_left_nothing_is_waited_for() {
    let mut gather = Gather::new(&CoordinatorConfig::default(), 2);
    let now = Instant::now();
    gather.push("a", key(0), Weight::default(), now);
    assert_eq!(gather.take_due(now), None);
    gather.push("b", key(1), Weight::default(), now);
    assert_eq!(gather.room(), 0);
    assert_eq!(gather.take_due(now).map(|batch| batch.items), Some(vec!["a"]));
}

#[test]
fn calls_wait_behind_their_own_kind_alone() {
    let config = CoordinatorConfig::default();
    let mut gather = Gather::new(&config, 10);
    let now = Instant::now();
    let soon = now + Duration::from_millis(20);
    gather.sent(key(0));
    gather.sent(key(0));
    gather.push("own", key(0), Weight::default(), now);
    gather.push("stranger", key(1), Weight::default(), now);
    assert_eq!(gather.take_due(soon), Some(Batch { key: key(1), items: vec!["stranger"] }));
    assert_eq!(gather.take_due(soon), None);
    gather.answered(key(1).as_ref());
    assert_eq!(gather.take_due(soon), None, "that was another's");
    gather.answered(key(0).as_ref());
    assert_eq!(
        gather.take_due(soon).map(|batch| batch.items),
        Some(vec!["own"]),
        "with the other still under way"
    );
    gather.push("later", key(0), Weight::default(), soon);
    assert_eq!(gather.next_due(), Some(soon + Duration::from_secs(5)), "behind that other");
}

#[test]
fn what_cannot_leave_in_time_is_overdue_and_a_fixed_window_knows_no_such_thing() {
    let later = Instant::now() + Duration::from_secs(5);
    let adaptive = CoordinatorConfig::default();
    let fixed = CoordinatorConfig::fixed(Duration::from_secs(5), 10);
    for (config, expected) in [(adaptive, Some(vec!["a"])), (fixed, None)] {
        let mut gather = Gather::new(&config, 10);
        gather.push("a", None, Weight::default(), later - Duration::from_secs(5));
        assert_eq!(gather.take_overdue(later - Duration::from_millis(1)), None);
        assert_eq!(gather.next_overdue(), expected.as_ref().map(|_| later));
        assert_eq!(gather.take_overdue(later).map(|batch| batch.items), expected);
    }
}
