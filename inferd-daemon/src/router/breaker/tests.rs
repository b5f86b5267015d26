use std::fmt::Write;

use proptest::prelude::*;

use super::*;

/// No jitter: times are exact.
const EXACT: f64 = 0.0;

const CONFIG: BreakerConfig = BreakerConfig {
    failures: 3,
    window: Duration::from_secs(60),
    cooldown: Duration::from_secs(30),
    cooldown_max: Duration::from_secs(100),
};

fn seconds(count: u64) -> Duration {
    Duration::from_secs(count)
}

/// A breaker that has just been made passing, shut or probing; the pass is the probe's, or a straggler's.
fn in_state(state: BreakerState, now: Instant) -> (Breaker, Pass) {
    let mut breaker = Breaker::new(CONFIG);
    let pass = breaker.admit(now).unwrap();
    if state == BreakerState::Passing {
        return (breaker, pass);
    }
    breaker.settle(pass, Outcome::Rest(Some(Duration::ZERO)), now, EXACT);
    if state == BreakerState::Shut {
        return (breaker, pass);
    }
    let probe = breaker.admit(now).unwrap();
    (breaker, probe)
}

fn fail(breaker: &mut Breaker, now: Instant) {
    let pass = breaker.admit(now).expect("it passes");
    breaker.settle(pass, Outcome::Failed, now, EXACT);
}

/// Fails the probe that is due at `now`; how long the breaker rests then.
fn fail_probe(breaker: &mut Breaker, now: Instant) -> Duration {
    assert_eq!(breaker.rests_for(now), None);
    let probe = breaker.admit(now).expect("the cooldown is over");
    assert!(probe.is_probe());
    breaker.settle(probe, Outcome::Failed, now, EXACT);
    breaker.rests_for(now).unwrap()
}

#[test]
fn every_state_answers_every_outcome_as_documented() {
    let now = Instant::now();
    let mut table = String::new();
    for state in [BreakerState::Passing, BreakerState::Shut, BreakerState::Probing] {
        for outcome in [
            Outcome::Served,
            Outcome::Failed,
            Outcome::Rest(None),
            Outcome::Rest(Some(seconds(7))),
            Outcome::Abandoned,
        ] {
            let (mut breaker, pass) = in_state(state, now);
            breaker.settle(pass, outcome, now, EXACT);
            let (is, rests) = (breaker.state(), breaker.rests_for(now));
            writeln!(table, "{state:?}, {outcome:?}: {is:?}, rests for {rests:?}").unwrap();
        }
    }
    insta::assert_snapshot!(table, @r"
    Passing, Served: Passing, rests for None
    Passing, Failed: Passing, rests for None
    Passing, Rest(None): Shut, rests for Some(30s)
    Passing, Rest(Some(7s)): Shut, rests for Some(7s)
    Passing, Abandoned: Passing, rests for None
    Shut, Served: Shut, rests for None
    Shut, Failed: Shut, rests for None
    Shut, Rest(None): Shut, rests for None
    Shut, Rest(Some(7s)): Shut, rests for None
    Shut, Abandoned: Shut, rests for None
    Probing, Served: Passing, rests for None
    Probing, Failed: Shut, rests for Some(60s)
    Probing, Rest(None): Shut, rests for Some(30s)
    Probing, Rest(Some(7s)): Shut, rests for Some(7s)
    Probing, Abandoned: Shut, rests for None
    ");
}

#[test]
fn failures_in_a_row_within_the_window_shut_it() {
    let now = Instant::now();
    let mut breaker = Breaker::new(CONFIG);
    fail(&mut breaker, now);
    fail(&mut breaker, now + seconds(30));
    assert_eq!(breaker.state(), BreakerState::Passing);
    fail(&mut breaker, now + seconds(59));
    assert_eq!(breaker.state(), BreakerState::Shut);
}

#[test]
fn failures_that_are_too_far_apart_do_not_shut_it() {
    let now = Instant::now();
    let mut breaker = Breaker::new(CONFIG);
    for at in [0, 31, 60, 91, 120] {
        fail(&mut breaker, now + seconds(at));
        assert_eq!(breaker.state(), BreakerState::Passing, "after {at} s");
    }
    fail(&mut breaker, now + seconds(121));
    assert_eq!(breaker.state(), BreakerState::Shut);
}

#[test]
fn a_success_between_them_makes_failures_start_over() {
    let now = Instant::now();
    let mut breaker = Breaker::new(CONFIG);
    for _ in 0..5 {
        fail(&mut breaker, now);
        fail(&mut breaker, now);
        let pass = breaker.admit(now).unwrap();
        breaker.settle(pass, Outcome::Served, now, EXACT);
    }
    assert_eq!(breaker.state(), BreakerState::Passing);
}

#[test]
fn the_cooldown_doubles_up_to_its_limit_and_starts_over_after_a_success() {
    let mut now = Instant::now();
    let mut breaker = Breaker::new(CONFIG);
    (0..3).for_each(|_| fail(&mut breaker, now));
    assert_eq!(breaker.rests_for(now), Some(seconds(30)));
    for (cooldown, next) in [(30, 60), (60, 100), (100, 100)] {
        now += seconds(cooldown);
        assert!(breaker.admit(now.checked_sub(Duration::from_nanos(1)).unwrap()).is_none());
        assert_eq!(fail_probe(&mut breaker, now), seconds(next));
    }
    now += seconds(100);
    let probe = breaker.admit(now).unwrap();
    breaker.settle(probe, Outcome::Served, now, EXACT);
    (0..3).for_each(|_| fail(&mut breaker, now));
    assert_eq!(breaker.rests_for(now), Some(seconds(30)));
}

#[test]
fn jitter_lengthens_a_cooldown_by_up_to_a_fifth_and_never_what_the_lane_asked_for() {
    let now = Instant::now();
    for (jitter, expected) in [(0.0, 30), (0.5, 33), (1.0, 36), (7.0, 36)] {
        let (mut breaker, pass) = in_state(BreakerState::Passing, now);
        breaker.settle(pass, Outcome::Rest(None), now, jitter);
        assert_eq!(breaker.rests_for(now), Some(seconds(expected)));
        let (mut breaker, pass) = in_state(BreakerState::Passing, now);
        breaker.settle(pass, Outcome::Rest(Some(seconds(7))), now, jitter);
        assert_eq!(breaker.rests_for(now), Some(seconds(7)));
    }
}

#[test]
fn a_lane_that_asks_for_an_age_of_rest_is_tried_again_within_a_day() {
    let now = Instant::now();
    let (mut breaker, pass) = in_state(BreakerState::Passing, now);
    breaker.settle(pass, Outcome::Rest(Some(Duration::MAX)), now, EXACT);
    assert_eq!(breaker.rests_for(now), Some(seconds(24 * 60 * 60)));
}

#[test]
fn only_the_first_after_the_cooldown_is_the_probe() {
    let now = Instant::now();
    let (mut breaker, _) = in_state(BreakerState::Shut, now);
    assert!(breaker.would_admit(now));
    assert!(breaker.admit(now).unwrap().is_probe());
    assert!(!breaker.would_admit(now));
    assert!((0..100).all(|_| breaker.admit(now + seconds(3600)).is_none()));
}

#[test]
fn a_breaker_under_another_configuration_stands_where_it_stood_and_goes_by_it_from_then_on() {
    let now = Instant::now();
    let stricter = BreakerConfig { failures: 2, cooldown: seconds(5), cooldown_max: seconds(15), ..CONFIG };

    let mut breaker = Breaker::new(CONFIG);
    fail(&mut breaker, now);
    breaker.reconfigure(stricter);
    assert_eq!(breaker.state(), BreakerState::Passing);
    fail(&mut breaker, now);
    assert_eq!(breaker.rests_for(now), Some(seconds(5)), "the failure before counts");

    breaker.reconfigure(CONFIG);
    assert_eq!(breaker.rests_for(now), Some(seconds(5)), "the cooldown under way stays");
    assert_eq!(fail_probe(&mut breaker, now + seconds(5)), seconds(60), "the next does not");
    breaker.reconfigure(stricter);
    assert_eq!(fail_probe(&mut breaker, now + seconds(65)), seconds(15), "failed probes still count");
}

#[test]
fn a_breaker_that_is_probing_still_waits_for_that_probe_under_another_configuration() {
    let now = Instant::now();
    let (mut breaker, probe) = in_state(BreakerState::Probing, now);
    breaker.reconfigure(BreakerConfig { failures: 1, ..CONFIG });
    assert!(!breaker.would_admit(now) && breaker.admit(now).is_none());
    breaker.settle(probe, Outcome::Served, now, EXACT);
    assert_eq!(breaker.state(), BreakerState::Passing);
}

#[derive(Debug, Clone)]
enum Step {
    Admit,
    Reconfigure(BreakerConfig),
    Settle { at: usize, outcome: Outcome, jitter: f64 },
    Pass(Duration),
}

fn config() -> impl Strategy<Value = BreakerConfig> {
    (1usize..5, 1u64..90, 1u64..60, 1u64..200).prop_map(|(failures, window, cooldown, cooldown_max)| {
        BreakerConfig {
            failures,
            window: seconds(window),
            cooldown: seconds(cooldown),
            cooldown_max: seconds(cooldown_max),
        }
    })
}

fn step() -> impl Strategy<Value = Step> {
    let outcome = prop_oneof![
        2 => Just(Outcome::Served),
        5 => Just(Outcome::Failed),
        1 => Just(Outcome::Rest(None)),
        1 => (0u64..90).prop_map(|s| Outcome::Rest(Some(seconds(s)))),
        1 => Just(Outcome::Abandoned),
    ];
    prop_oneof![
        4 => Just(Step::Admit),
        4 => (any::<usize>(), outcome, 0.0f64..1.0)
            .prop_map(|(at, outcome, jitter)| Step::Settle { at, outcome, jitter }),
        2 => (1u64..50).prop_map(|s| Step::Pass(seconds(s))),
        1 => config().prop_map(Step::Reconfigure),
    ]
}

proptest! {
    #[test]
    fn it_probes_exactly_while_one_probe_is_out_and_heeds_no_straggler(
        steps in proptest::collection::vec(step(), 0..120),
    ) {
        let mut now = Instant::now();
        let mut config = CONFIG;
        let mut breaker = Breaker::new(config);
        let mut out: Vec<Pass> = Vec::new();
        // Passes handed out before the state last changed.
        let mut stale: Vec<Pass> = Vec::new();
        let mut shut_until = now;
        for step in steps {
            let before = breaker.clone();
            match step {
                Step::Admit => {
                    let may = match before.state() {
                        BreakerState::Passing => true,
                        BreakerState::Shut => now >= shut_until,
                        BreakerState::Probing => false,
                    };
                    prop_assert_eq!(breaker.would_admit(now), may);
                    let pass = breaker.admit(now);
                    prop_assert_eq!(pass.is_some(), may);
                    prop_assert_eq!(pass.is_some_and(Pass::is_probe), may && before.state() == BreakerState::Shut);
                    out.extend(pass);
                }
                Step::Settle { at, outcome, jitter } if !out.is_empty() => {
                    let pass = out.swap_remove(at % out.len());
                    breaker.settle(pass, outcome, now, jitter);
                    if stale.contains(&pass) {
                        prop_assert_eq!(&breaker, &before);
                    }
                    if breaker.state() == BreakerState::Shut && before.state() != BreakerState::Shut {
                        let rest = breaker.rests_for(now).unwrap_or_default();
                        shut_until = now + rest;
                        match outcome {
                            Outcome::Rest(Some(asked)) => prop_assert_eq!(rest, asked),
                            Outcome::Abandoned => prop_assert_eq!(rest, Duration::ZERO),
                            _ => {
                                let longest = config.cooldown_max.max(config.cooldown) * 6 / 5;
                                prop_assert!(rest >= config.cooldown && rest <= longest);
                            }
                        }
                    }
                }
                Step::Settle { .. } => {}
                Step::Pass(time) => now += time,
                Step::Reconfigure(other) => {
                    config = other;
                    breaker.reconfigure(config);
                    prop_assert_eq!(breaker.state(), before.state());
                    prop_assert_eq!(breaker.rests_for(now), before.rests_for(now));
                }
            }
            if breaker.state() != before.state() {
                stale = out.iter().copied().filter(|pass| !pass.is_probe()).collect();
            }
            let probes = out.iter().filter(|pass| pass.is_probe()).count();
            prop_assert_eq!(usize::from(breaker.state() == BreakerState::Probing), probes);
        }
    }
}
