//! The seeds of the fuzz target `sse`, replayed.

use inferd_engine::testing::sse;
use inferd_proto::testing::replay;

#[test]
fn the_seeds_of_sse_give_the_standards_events_at_every_split() {
    replay("sse", sse);
}
