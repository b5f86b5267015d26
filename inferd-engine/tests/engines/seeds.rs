//! The seeds of the fuzz targets `http` and `sse`, replayed.

use inferd_engine::testing::{http, sse};
use inferd_proto::testing::replay;

#[test]
fn the_seeds_of_http_are_the_same_answer_at_every_split() {
    replay("http", http);
}

#[test]
fn the_seeds_of_sse_give_the_standards_events_at_every_split() {
    replay("sse", sse);
}
