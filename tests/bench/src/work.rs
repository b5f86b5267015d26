//! What is measured.

use crate::contestants::Contestant::{self, LiteLlm, Ours, Published, Straight};

/// One kind of work, done by its contestants in turn.
pub struct Work {
    pub name: &'static str,
    pub title: &'static str,
    pub engine: Engine,
    pub tokens: usize,
    pub connections: usize,
    /// Requests open at once on each connection.
    pub pipelined: usize,
    pub counts: Counts,
    pub contestants: &'static [Contestant],
}

impl Work {
    /// Whether it shows what a gateway adds to a request: it is alone, and what answers can be asked without one.
    pub fn adds(&self) -> bool {
        matches!(self.counts, Counts::Requests) && self.contestants.contains(&Straight)
    }
}

/// What the daemons answer from.
#[derive(Clone, Copy)]
pub enum Engine {
    /// The daemon's own mock.
    Mock { token_delay_ms: u64 },
    /// A mock so slow that its only slot stays taken: every request is refused.
    Taken,
    /// An OpenAI-compatible server with this many events in a chunk of its body.
    Relay { events_per_chunk: usize },
}

/// What the rate is a rate of.
#[derive(Clone, Copy)]
pub enum Counts {
    Requests,
    Tokens,
}

const MOCK: Engine = Engine::Mock { token_delay_ms: 0 };
/// As model servers send: a chunk for each event.
const RELAY: Engine = Engine::Relay { events_per_chunk: 1 };
const RELAY_PACKED: Engine = Engine::Relay { events_per_chunk: 64 };

/// All works but the idle connections, in the order of the report.
pub const WORKS: &[Work] = &[
    work("short", "64 connections, 1-token answers", MOCK, 1, 64, Counts::Requests),
    work("single", "1 connection, 1-token answers", MOCK, 1, 1, Counts::Requests),
    work("long", "8 connections, 1000-token answers", MOCK, 1000, 8, Counts::Tokens),
    Work {
        pipelined: 32,
        ..work("pipelined", "4 connections, 32 requests pipelined", MOCK, 1, 4, Counts::Requests)
    },
    relay("relay", "OpenAI stream relayed, 8 connections, 1000 tokens", 1000, 8, Counts::Tokens),
    Work {
        engine: RELAY_PACKED,
        contestants: &[Published, Ours, Straight],
        ..relay("relay-packed", "the same, 64 events in a chunk", 1000, 8, Counts::Tokens)
    },
    relay("relay-one", "OpenAI stream relayed, 1 connection, 1000 tokens", 1000, 1, Counts::Tokens),
    relay("added", "OpenAI, 1-token answers, 1 connection", 1, 1, Counts::Requests),
    work("refused", "refusals, 32 connections", Engine::Taken, 1, 32, Counts::Requests),
    work(
        "steady",
        "64 connections, a token each 2 ms",
        Engine::Mock { token_delay_ms: 2 },
        100,
        64,
        Counts::Tokens,
    ),
];

const fn work(
    name: &'static str,
    title: &'static str,
    engine: Engine,
    tokens: usize,
    connections: usize,
    counts: Counts,
) -> Work {
    Work { name, title, engine, tokens, connections, pipelined: 1, counts, contestants: &[Published, Ours] }
}

/// Of the same server through every gateway, and without one.
const fn relay(
    name: &'static str,
    title: &'static str,
    tokens: usize,
    connections: usize,
    counts: Counts,
) -> Work {
    let contestants = &[Published, Ours, LiteLlm, Straight];
    Work { contestants, ..work(name, title, RELAY, tokens, connections, counts) }
}
