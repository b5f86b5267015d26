//! What is measured.

/// One kind of work, done by both daemons in turn.
pub struct Work {
    pub name: &'static str,
    pub title: &'static str,
    pub engine: Engine,
    pub tokens: usize,
    pub connections: usize,
    /// Requests open at once on each connection.
    pub pipelined: usize,
    pub counts: Counts,
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
    work("relay", "OpenAI stream relayed, 8 connections, 1000 tokens", RELAY, 1000, 8, Counts::Tokens),
    work("relay-packed", "the same, 64 events in a chunk", RELAY_PACKED, 1000, 8, Counts::Tokens),
    work("relay-one", "OpenAI stream relayed, 1 connection, 1000 tokens", RELAY, 1000, 1, Counts::Tokens),
    work("relay-short", "OpenAI, 1-token answers, 1 connection", RELAY, 1, 1, Counts::Requests),
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
    Work { name, title, engine, tokens, connections, pipelined: 1, counts }
}
