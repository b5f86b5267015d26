//! Replay from wherever a client says it was.

use proptest::prelude::*;

use super::*;

#[test]
fn cursors_are_read_as_they_are_written_and_nothing_else_is_read() {
    let cursor = Cursor { stream: StreamId(7), id: 12 };
    assert_eq!(Cursor::parse(&cursor.to_string()), Some(cursor));
    assert_eq!(Cursor::parse(" 5 "), Some(Cursor { stream: StreamId::STANDALONE, id: 5 }));
    let max = Cursor { stream: StreamId::STANDALONE, id: u64::MAX };
    assert_eq!(Cursor::parse("18446744073709551615"), Some(max));
    for text in ["", "-", "1-", "-1", "+1", "0-+1", "1-2-3", "18446744073709551616", "0x1", "1 - 2", "é"] {
        assert_eq!(Cursor::parse(text), None, "{text:?}");
    }
}

#[test]
fn no_cursor_replays_from_the_start_of_the_ring() {
    let session = session();
    publish(&session, 306);
    let (events, ended) = drain(&mut session.read(StreamId::STANDALONE).unwrap());
    assert_eq!((ids(&events), ended), ((51..=306).collect(), None));
}

#[test]
fn a_cursor_older_than_the_ring_gets_one_lagged_and_the_whole_ring() {
    let session = session();
    publish(&session, 306);
    let (events, _) = drain(&mut session.resume("0-10"));
    assert_eq!((events[0].kind, &*events[0].data), (EventKind::Lagged, &lagged(40, 10, 51)));
    assert_eq!(ids(&events[1..]), (51..=306).collect::<Vec<_>>());
}

#[test]
fn a_cursor_just_before_the_ring_has_missed_nothing() {
    let session = session();
    publish(&session, 306);
    let (events, _) = drain(&mut session.resume("0-50"));
    assert_eq!(ids(&events), (51..=306).collect::<Vec<_>>());
    let (events, _) = drain(&mut session.resume("0-306"));
    assert_eq!(events, []);
}

#[test]
fn a_cursor_of_the_future_and_garbage_have_seen_nothing() {
    let session = session();
    publish(&session, 306);
    let future = ["307", "0-307", "18446744073709551615", "0-18446744073709551615"];
    let garbage = ["", "garbage", "-1", "99-1", "18446744073709551615-18446744073709551615", "1e3", "\u{0}"];
    for text in future.into_iter().chain(garbage) {
        let (events, ended) = drain(&mut session.resume(text));
        assert_eq!((events[0].kind, &*events[0].data), (EventKind::Lagged, &lagged(50, 0, 51)), "{text:?}");
        assert_eq!(ids(&events[1..]), (51..=306).collect::<Vec<_>>(), "{text:?}");
        assert_eq!(ended, None);
    }
}

#[test]
fn a_cursor_of_a_forgotten_stream_is_told_so_and_sees_no_other_stream() {
    let session = session();
    publish(&session, 3);
    let forgotten = session.open_stream(None).unwrap();
    session.finish_stream(forgotten, None);
    for _ in 0..STREAMS_KEPT_MAX {
        let stream = session.open_stream(None).unwrap();
        session.finish_stream(stream, Some(json!("another's").into()));
    }
    for (cursor, told) in
        [("1-4", lagged(0, 4, 5)), ("1-18446744073709551615", lagged(0, u64::MAX, u64::MAX))]
    {
        let (events, ended) = drain(&mut session.resume(cursor));
        assert_eq!(events.len(), 1);
        assert_eq!((events[0].kind, &*events[0].data), (EventKind::Lagged, &told));
        assert_eq!(ended, Some(Ended::Finished));
    }
}

proptest! {
    /// However many events there were and wherever the client says it was: what it gets, what it had and what it is told
    /// is gone make the whole.
    #[test]
    fn what_a_reader_gets_and_what_it_is_told_is_gone_is_all_there_was(
        published in 0_u64..700,
        cursor in prop_oneof![0_u64..800, Just(u64::MAX), Just(u64::MAX - 1)],
        more in 0_u64..400,
    ) {
        let session = session();
        publish(&session, published);
        let mut reader = session.resume(&cursor.to_string());
        publish(&session, more);
        let (events, _) = drain(&mut reader);
        let mut at = if cursor <= published { cursor } else { 0 };
        for event in &events {
            match event.kind {
                EventKind::Lagged => {
                    prop_assert_eq!(event.id, 0);
                    prop_assert_eq!(event.data["last_event_id"].as_u64(), Some(at));
                    at += event.data["dropped"].as_u64().unwrap();
                    prop_assert_eq!(event.data["oldest_available"].as_u64(), Some(at + 1));
                }
                _ => {
                    prop_assert_eq!(event.id, at + 1);
                    at = event.id;
                }
            }
        }
        prop_assert_eq!(at, published + more);
        let told = events.first().is_some_and(|event| event.data["last_event_id"] == 0);
        prop_assert!(told || cursor <= published, "a cursor of the future is told so");
    }

    /// The rule as a pure function, at every number there is.
    #[test]
    fn replaying_never_overflows_and_never_goes_back(
        oldest in 1_u64..,
        held in 0_u64..256,
        cursor in proptest::option::of(any::<u64>()),
    ) {
        let next = oldest.saturating_add(held);
        let Replay { after, lagged } = replay(oldest, next, cursor);
        prop_assert!(after >= oldest - 1 && after < next);
        match (cursor, lagged) {
            (None, told) => prop_assert_eq!((after, told), (oldest - 1, None)),
            (Some(at), None) => prop_assert!(at == after),
            (Some(at), Some(told)) => {
                prop_assert!(at < oldest - 1 || at >= next);
                prop_assert_eq!(told.oldest_available, oldest);
                prop_assert_eq!(told.last_event_id + told.dropped, oldest - 1);
                prop_assert_eq!(told.last_event_id, if at < next { at } else { 0 });
            }
        }
    }
}
