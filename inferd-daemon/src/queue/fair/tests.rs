use proptest::prelude::*;

use super::*;

const AGEING: Duration = Duration::from_secs(30);

fn priority() -> impl Strategy<Value = Priority> {
    prop_oneof![Just(Priority::Interactive), Just(Priority::Normal), Just(Priority::Batch)]
}

proptest! {
    /// What is charged while they run is not known beforehand; their prompts are.
    #[test]
    fn a_position_is_how_many_leave_until_then(
        had in proptest::collection::vec(0u64..50, 3),
        waiters in proptest::collection::vec((0usize..3, priority(), 1u64..20, 0u64..40), 1..20),
    ) {
        let accounts: Vec<Arc<Account>> = had.iter().map(|&had| {
            let account = Arc::new(Account::default());
            account.charge(had);
            account
        }).collect();
        let mut queue = FairQueue::default();
        let mut now = Instant::now();
        let mut spots = Vec::new();
        for (number, &(client, priority, cost, later_s)) in waiters.iter().enumerate() {
            let ahead = queue.ahead_of(&accounts[client], priority, now, AGEING, |_| true);
            let spot = queue.push(&accounts[client], priority, cost, now, number);
            prop_assert_eq!(queue.position(&accounts[client], spot, now, AGEING), Some(ahead + 1));
            spots.push((client, spot));
            now += Duration::from_secs(later_s);
        }
        let mut expected: Vec<(usize, usize)> = spots.iter().enumerate().map(|(number, &(client, spot))| {
            (queue.position(&accounts[client], spot, now, AGEING).unwrap(), number)
        }).collect();
        expected.sort_unstable();

        let mut left = Vec::new();
        while let Some(((), next)) = queue.pop(now, AGEING, |_| Some(())) {
            next.account.begin(next.cost);
            left.push((left.len() + 1, next.payload));
        }
        prop_assert_eq!(left, expected);
        prop_assert_eq!(queue.len(), 0);
    }
}

#[test]
fn who_has_left_has_no_position_and_cannot_be_removed_again() {
    let account = Arc::new(Account::default());
    let mut queue = FairQueue::default();
    let now = Instant::now();
    let spot = queue.push(&account, Priority::Normal, 1, now, ());
    let other = queue.push(&account, Priority::Normal, 1, now, ());
    assert!(queue.remove(&account, spot).is_some());
    assert!(queue.remove(&account, spot).is_none());
    assert_eq!(queue.position(&account, spot, now, AGEING), None);
    assert_eq!(queue.position(&account, other, now, AGEING), Some(1));
    assert!(queue.remove(&account, other).is_some());
    assert!(!queue.holds(&account));
}

#[test]
fn without_ageing_nobody_rises() {
    let account = Arc::new(Account::default());
    let mut queue = FairQueue::default();
    let start = Instant::now();
    queue.push(&account, Priority::Normal, 1, start, "normal");
    let later = start + Duration::from_secs(3600);
    queue.push(&account, Priority::Interactive, 1, later, "interactive");
    assert_eq!(queue.pop(later, Duration::ZERO, |_| Some(())).unwrap().1.payload, "interactive");
}
