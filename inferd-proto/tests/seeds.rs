//! The seeds of the fuzz targets `frame`, `request` and `answer`, replayed.

use inferd_proto::testing::{answer, frame, replay, request};

#[test]
fn the_seeds_of_frame_give_the_same_lines_at_every_split() {
    replay("frame", frame);
}

#[test]
fn the_seeds_of_request_are_rejected_under_their_id_or_mean_the_same_once_written() {
    replay("request", request);
}

#[test]
fn the_seeds_of_answer_are_read_back_as_they_were_said() {
    replay("answer", answer);
}
