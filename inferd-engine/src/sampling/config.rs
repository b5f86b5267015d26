//! What can be set, and what holds where nothing is.

use std::time::Duration;

use super::patience::Patience;

/// When gathered calls leave.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Gathering {
    /// So long after the first of them. Zero: each at once, alone.
    Fixed {
        /// How long.
        window: Duration,
    },
    /// Soon; or, while a request is under way that they could have been part of, with its answer or at the end of the
    /// window.
    Adaptive {
        /// How long a first call waits for company.
        gather: Duration,
        /// The longest that a call waits to be sent; where it still cannot be, it is refused as busy.
        window: Duration,
    },
}

/// How a [`SamplingCoordinator`](super::SamplingCoordinator) works.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CoordinatorConfig {
    /// When gathered calls leave.
    pub gathering: Gathering,
    /// The most calls in one request; 0 counts as 1.
    pub max_batch: usize,
    /// The most requests the peer has at a time; 0 counts as 1.
    pub in_flight_max: usize,
    /// The most bytes of tasks in one merged request. A call with more goes alone.
    pub batch_bytes_max: usize,
    /// The most `max_tokens` of one merged request. A call with more goes alone.
    pub batch_tokens_max: u32,
    /// Whether a call that a merged answer left out, or spoilt, is sent once more, alone.
    pub retry_alone: bool,
    /// Whether calls of different principals may be one request.
    pub merge_callers: bool,
    /// How long each request may take.
    pub patience: Patience,
}

impl CoordinatorConfig {
    /// A fixed window, one attempt, and no limit on a merged request but the number of its calls.
    #[must_use]
    pub fn fixed(window: Duration, max_batch: usize) -> Self {
        Self {
            gathering: Gathering::Fixed { window },
            max_batch: if window.is_zero() { 1 } else { max_batch },
            batch_bytes_max: usize::MAX,
            batch_tokens_max: u32::MAX,
            retry_alone: false,
            ..Self::default()
        }
    }
}

impl Default for CoordinatorConfig {
    /// Adaptive: 20 ms, 5 s, 10 calls, 4 requests, 256 KiB, 65,536 tokens, a second attempt, 30 s of silence.
    fn default() -> Self {
        Self {
            gathering: Gathering::Adaptive {
                gather: Duration::from_millis(20),
                window: Duration::from_secs(5),
            },
            max_batch: 10,
            in_flight_max: 4,
            batch_bytes_max: 256 * 1024,
            batch_tokens_max: 65_536,
            retry_alone: true,
            merge_callers: false,
            patience: Patience::default(),
        }
    }
}

/// How a [`SamplingBackend`](super::SamplingBackend) asks.
#[derive(Debug, Clone, PartialEq)]
pub struct SamplingConfig {
    /// How much an able model matters, 0 to 1.
    pub intelligence_priority: f32,
    /// How much a fast model matters, 0 to 1.
    pub speed_priority: f32,
    /// How much a cheap model matters, 0 to 1.
    pub cost_priority: f32,
    /// `max_tokens` for requests that set none: the protocol wants one.
    pub max_tokens: u32,
    /// How long the peer may take.
    pub patience: Patience,
}

impl Default for SamplingConfig {
    /// 0.7, 0.3, 0.4; 4096 tokens; 30 s.
    fn default() -> Self {
        Self {
            intelligence_priority: 0.7,
            speed_priority: 0.3,
            cost_priority: 0.4,
            max_tokens: 4096,
            patience: Patience::default(),
        }
    }
}
