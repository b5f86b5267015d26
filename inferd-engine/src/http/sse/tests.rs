use proptest::prelude::*;

use super::standard::{decoded, plainly};
use super::*;

/// The events of `stream`, its chunks ending where `cuts` say; a comment is `None`.
fn events(stream: &[u8], cuts: &[usize]) -> Vec<Option<Vec<u8>>> {
    let mut start = 0;
    let ends = cuts.iter().copied().chain([stream.len()]);
    let chunks = ends.map(|end| &stream[std::mem::replace(&mut start, end)..end]);
    let (heard, refused) = decoded(chunks, EVENT_BYTES_MAX);
    assert_eq!(refused, None);
    heard
}

#[track_caller]
fn check(stream: &str, expected: &[&str]) {
    let expected: Vec<_> =
        expected.iter().map(|event| (*event != ":").then(|| event.as_bytes().to_vec())).collect();
    assert_eq!(events(stream.as_bytes(), &[]), expected, "{stream:?} whole");
    for cut in 0..=stream.len() {
        assert_eq!(events(stream.as_bytes(), &[cut]), expected, "{stream:?} cut at {cut}");
    }
    let everywhere: Vec<usize> = (0..stream.len()).collect();
    assert_eq!(events(stream.as_bytes(), &everywhere), expected, "{stream:?} cut everywhere");
}

#[test]
fn lines_end_in_any_of_three_ways() {
    check("data: a\n\ndata: b\n\n", &["a", "b"]);
    check("data: a\r\n\r\ndata: b\r\n\r\n", &["a", "b"]);
    check("data: a\r\rdata: b\r\r", &["a", "b"]);
    check("data: a\r\n\ndata: b\n\r\ndata: c\r\r\n", &["a", "b", "c"]);
}

#[test]
fn one_space_after_the_colon_belongs_to_the_field() {
    check("data:a\n\ndata:  b\n\n", &["a", " b"]);
}

#[test]
fn several_data_lines_are_one_event() {
    check("data: a\ndata: b\ndata\ndata:\ndata: c\n\n", &["a\nb\n\n\nc"]);
}

#[test]
fn empty_data_is_an_event_and_no_data_is_none() {
    check("data\n\n", &[""]);
    check("data:\n\n", &[""]);
    check("event: ping\n\n\n\nid: 7\n\n", &[]);
}

#[test]
fn comments_are_told_and_unknown_fields_are_not() {
    check(
        ": alive\n\ndata: a\n: in between\nevent: x\nretry: 5\ndatabase: no\ndata: b\n\n",
        &[":", ":", "a\nb"],
    );
}

#[test]
fn a_byte_order_mark_counts_only_at_the_very_beginning() {
    check("\u{feff}data: a\n\n\u{feff}data: b\n\n", &["a"]);
    check("\u{feff}\u{feff}data: a\n\n", &[]);
}

#[test]
fn the_last_event_may_lack_its_empty_line() {
    check("data: a\n\ndata: b\n", &["a", "b"]);
    check("data: a\n\ndata: b", &["a", "b"]);
}

#[test]
fn an_event_within_one_chunk_is_not_copied() {
    let chunk = Bytes::from_static(b"data: first\n\ndata: second\n\n");
    let within = chunk.as_ptr_range();
    let mut sse = Sse::default();
    sse.push(chunk.clone());
    assert_eq!(sse.next().unwrap(), Some(Event::Data(b"first")));
    let Some(Event::Data(second)) = sse.next().unwrap() else { panic!("no second event") };
    assert!(within.contains(&second.as_ptr()));
}

#[test]
fn a_line_beyond_the_limit_is_refused_wherever_it_was_cut() {
    let stream = b"data: a\n\n: 345678901\n";
    for cut in 0..=stream.len() {
        let (before, after) = stream.split_at(cut);
        let refused = Some(EventTooLong { event_bytes_max: 10 });
        assert_eq!(decoded([before, after], 10), (vec![Some(b"a".to_vec())], refused), "cut at {cut}");
    }
}

#[test]
fn a_line_or_event_without_end_is_refused() {
    let mut sse = Sse::default();
    let piece = Bytes::from(vec![b'x'; EVENT_BYTES_MAX / 2 + 1]);
    sse.push(piece.clone());
    assert_eq!(sse.next(), Ok(None));
    sse.push(piece);
    assert_eq!(sse.next(), Err(EventTooLong { event_bytes_max: EVENT_BYTES_MAX }));

    let mut sse = Sse::default();
    let line = Bytes::from([b"data: ".as_slice(), &vec![b'x'; EVENT_BYTES_MAX / 2 - 1], b"\n"].concat());
    sse.push(line.clone());
    assert_eq!(sse.next(), Ok(None));
    sse.push(line.clone());
    assert_eq!(sse.next(), Ok(None));
    sse.push(line);
    assert_eq!(sse.next(), Err(EventTooLong { event_bytes_max: EVENT_BYTES_MAX }));
}

proptest! {
    #[test]
    fn the_events_are_the_standards_wherever_the_chunks_end(
        stream in "\u{feff}?(data|data:|data: |:|event|é|x|\n|\n\n|\r|\r\n| ){0,40}\n",
        cuts in proptest::collection::vec(any::<proptest::sample::Index>(), 0..8),
    ) {
        let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(stream.len() + 1)).collect();
        cuts.sort_unstable();
        prop_assert_eq!(events(stream.as_bytes(), &cuts), plainly(stream.as_bytes(), EVENT_BYTES_MAX).0);
    }
}
