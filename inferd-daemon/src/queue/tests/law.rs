//! The gate against a naive model of it: every script of entering, leaving, finishing and being charged.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;

const CLIENTS: usize = 4;

#[derive(Debug, Clone)]
enum Step {
    Enter {
        client: usize,
        priority: Priority,
        cost: u64,
    },
    /// Drops one of the turns in hand, whether it has come meanwhile or not.
    Leave(usize),
    /// Takes the permits of the turns that have come.
    Collect,
    /// Drops a permit in hand.
    Finish(usize),
    Charge {
        at: usize,
        tokens: u64,
    },
    Pass(Duration),
    Reconfigure(Limits),
}

fn step() -> impl Strategy<Value = Step> {
    let priority = prop_oneof![1 => Just(Priority::Interactive), 3 => Just(Priority::Normal), 1 => Just(Priority::Batch)];
    prop_oneof![
        8 => (0..CLIENTS, priority, 1u64..30)
            .prop_map(|(client, priority, cost)| Step::Enter { client, priority, cost }),
        2 => any::<usize>().prop_map(Step::Leave),
        3 => Just(Step::Collect),
        4 => any::<usize>().prop_map(Step::Finish),
        2 => (any::<usize>(), 1u64..40).prop_map(|(at, tokens)| Step::Charge { at, tokens }),
        1 => (1u64..40).prop_map(|s| Step::Pass(Duration::from_secs(s))),
        1 => limits().prop_map(Step::Reconfigure),
    ]
}

fn limits() -> impl Strategy<Value = Limits> {
    (1usize..4, 0usize..8, 1usize..4).prop_map(|(active, queue_depth, per_client_queue)| Limits {
        per_client_queue,
        ..Limits::new(active, queue_depth)
    })
}

#[derive(Debug, Clone)]
struct Waiter {
    id: usize,
    client: usize,
    band: usize,
    cost: u64,
    since: Instant,
}

/// The gate as its documentation has it, without a thought for speed.
struct Model {
    limits: Limits,
    counters: [u64; CLIENTS],
    waiting: Vec<Waiter>,
    /// Id and client.
    running: Vec<(usize, usize)>,
}

#[derive(Debug, PartialEq)]
enum Verdict {
    In,
    /// In, and one of these has to go for it.
    InsteadOf(Vec<usize>),
    Refused,
}

impl Model {
    fn enter(&mut self, waiter: Waiter) -> Verdict {
        if self.waiting.len() > self.limits.queue_depth {
            return Verdict::Refused;
        }
        if self.waiting.is_empty() && self.running.len() < self.limits.active {
            self.run(&waiter);
            return Verdict::In;
        }
        if self.waiting.len() < self.limits.queue_depth {
            self.lift(waiter.client);
            self.waiting.push(waiter);
            return Verdict::In;
        }
        let held = |client| self.waiting.iter().filter(|other| other.client == client).count();
        let most = (0..CLIENTS).map(held).max().unwrap_or(0);
        let share = self.limits.per_client_queue;
        if most <= share || held(waiter.client) >= share {
            return Verdict::Refused;
        }
        let newest = |client| self.waiting.iter().filter(|w| w.client == client).map(|w| w.id).max();
        Verdict::InsteadOf((0..CLIENTS).filter(|&client| held(client) == most).filter_map(newest).collect())
    }

    fn lift(&mut self, newcomer: usize) {
        let waits = |client| self.waiting.iter().any(|waiter| waiter.client == client);
        let runs = |client| self.running.iter().any(|&(_, other)| other == client);
        if !waits(newcomer) {
            let active = (0..CLIENTS).filter(|&client| client != newcomer && (waits(client) || runs(client)));
            let least = active.map(|client| self.counters[client]).min().unwrap_or(0);
            self.counters[newcomer] = self.counters[newcomer].max(least);
        }
    }

    fn run(&mut self, waiter: &Waiter) {
        self.counters[waiter.client] += waiter.cost;
        self.running.push((waiter.id, waiter.client));
    }

    /// The permit or place of `id` is given back.
    fn give_back(&mut self, id: usize, now: Instant) {
        self.waiting.retain(|waiter| waiter.id != id);
        self.running.retain(|&(other, _)| other != id);
        self.fill(now);
    }

    fn fill(&mut self, now: Instant) {
        let ageing_s = self.limits.ageing.as_secs();
        while self.running.len() < self.limits.active {
            let rank = |waiter: &Waiter| {
                let risen = (now - waiter.since).as_secs() / ageing_s;
                let band = waiter.band.saturating_sub(usize::try_from(risen).unwrap());
                (band, self.counters[waiter.client], waiter.id)
            };
            let next = self.waiting.iter().min_by_key(|waiter| rank(waiter));
            let Some(next) = next.cloned() else { return };
            self.waiting.retain(|waiter| waiter.id != next.id);
            self.run(&next);
        }
    }
}

/// The gate and the model side by side.
struct Rig {
    gate: Admission,
    clients: Vec<Client>,
    model: Model,
    turns: BTreeMap<usize, Turn>,
    permits: BTreeMap<usize, Permit<'static>>,
    /// Client and band of each request, by id.
    requests: Vec<(usize, usize)>,
    granted: Vec<usize>,
    /// How many ran and waited after the last step.
    counted: (usize, usize),
}

impl Rig {
    fn new(limits: Limits) -> Self {
        let gate = Admission::with_limits(limits);
        Self {
            clients: (0..CLIENTS).map(|number| who(&gate, number as u64)).collect(),
            gate,
            model: Model { limits, counters: [0; CLIENTS], waiting: Vec::new(), running: Vec::new() },
            turns: BTreeMap::new(),
            permits: BTreeMap::new(),
            requests: Vec::new(),
            granted: Vec::new(),
            counted: (0, 0),
        }
    }

    async fn step(&mut self, step: Step) {
        match step {
            Step::Enter { client, priority, cost } => self.enter(client, priority, cost),
            Step::Leave(at) => {
                if let Some(id) = nth(&self.turns, at) {
                    self.turns.remove(&id);
                    self.model.give_back(id, Instant::now());
                }
            }
            Step::Collect => assert!(self.collect().is_empty()),
            Step::Finish(at) => {
                if let Some(id) = nth(&self.permits, at) {
                    self.permits.remove(&id);
                    self.model.give_back(id, Instant::now());
                }
            }
            Step::Charge { at, tokens } => {
                if let Some(id) = nth(&self.permits, at) {
                    (0..tokens).for_each(|_| self.permits[&id].charge_token());
                    self.model.counters[self.requests[id].0] += 2 * tokens;
                }
            }
            Step::Pass(time) => tokio::time::advance(time).await,
            Step::Reconfigure(limits) => {
                self.gate.reconfigure(limits);
                self.model.limits = limits;
                self.model.fill(Instant::now());
            }
        }
        self.compare();
    }

    fn enter(&mut self, client: usize, priority: Priority, cost: u64) {
        let (id, now) = (self.requests.len(), Instant::now());
        self.requests.push((client, band(priority)));
        let waiter = Waiter { id, client, band: band(priority), cost, since: now };
        let verdict = self.model.enter(waiter.clone());
        let entered = enters(&self.gate, &self.clients[client], &request(priority, cost));
        assert_eq!(entered.is_ok(), verdict != Verdict::Refused);
        if let Verdict::InsteadOf(candidates) = verdict {
            let refused = self.collect();
            assert!(
                matches!(refused[..], [one] if candidates.contains(&one)),
                "{refused:?} of {candidates:?}"
            );
            self.model.waiting.retain(|waiter| waiter.id != refused[0]);
            self.model.lift(client);
            self.model.waiting.push(waiter);
        }
        self.turns.extend(entered.ok().map(|turn| (id, turn)));
    }

    /// Takes the permits of the turns that have come; the ids of those that were refused meanwhile.
    fn collect(&mut self) -> Vec<usize> {
        let mut refused = Vec::new();
        let (permits, order) = (&mut self.permits, &mut self.granted);
        self.turns.retain(|&id, turn| match look(turn) {
            None => true,
            Some(Ok(permit)) => {
                permits.insert(id, permit);
                order.push(id);
                false
            }
            Some(Err(_)) => {
                refused.push(id);
                false
            }
        });
        refused
    }

    fn compare(&mut self) {
        let (running, waiting) = counts(&self.gate);
        // Limits that have become smaller send nobody away, and let nobody in.
        let Limits { active, queue_depth, .. } = self.model.limits;
        assert!(running <= active.max(self.counted.0) && waiting <= queue_depth.max(self.counted.1));
        self.counted = (running, waiting);
        assert_eq!((running, waiting), (self.model.running.len(), self.model.waiting.len()));
        let counters = self.clients.iter().map(|client| client.account().counter());
        assert!(counters.eq(self.model.counters), "who has had how much");
        let held = self.turns.keys().chain(self.permits.keys());
        let mut held: Vec<_> = held.copied().collect();
        held.sort_unstable();
        let mut known: Vec<_> = self.model.running.iter().map(|&(id, _)| id).collect();
        known.extend(self.model.waiting.iter().map(|waiter| waiter.id));
        known.sort_unstable();
        assert_eq!(held, known, "nobody is lost");
        assert!(self.permits.keys().all(|id| self.model.running.iter().any(|&(other, _)| other == *id)));
    }

    /// Lets everybody finish.
    async fn drain(&mut self) {
        while !self.turns.is_empty() || !self.permits.is_empty() {
            self.step(Step::Collect).await;
            self.step(Step::Finish(0)).await;
        }
        assert_eq!(counts(&self.gate), (0, 0));
        let mut last = BTreeMap::new();
        for &id in &self.granted {
            let before = last.insert(self.requests[id], id);
            assert!(before < Some(id), "one client's requests of one band stay in order");
        }
    }
}

fn nth<T>(map: &BTreeMap<usize, T>, at: usize) -> Option<usize> {
    map.keys().nth(at.checked_rem(map.len())?).copied()
}

proptest! {
    #[test]
    fn the_gate_does_what_its_model_does_and_loses_nobody(
        limits in limits(),
        steps in proptest::collection::vec(step(), 0..80),
    ) {
        let runtime =
            tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
        runtime.block_on(async {
            let mut rig = Rig::new(limits);
            for step in steps {
                rig.step(step).await;
            }
            rig.drain().await;
        });
    }
}
