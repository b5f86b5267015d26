//! Ids and events as values.

use super::*;

#[test]
fn nothing_and_blanks_name_no_session() {
    for text in ["", " ", "\t\n  ", "session", "018f-", "0'; drop table sessions"] {
        assert_eq!(SessionId::parse(text), None, "{text:?}");
        assert_eq!(text.parse::<SessionId>(), Err(InvalidSessionId));
    }
}

#[test]
fn an_id_is_the_same_after_a_round_trip_blanks_aside() {
    let (_store, id) = store_of_one();
    assert_eq!(SessionId::parse(&format!("  {id}\r\n")), Some(id));
    let json = serde_json::to_string(&id).unwrap();
    assert_eq!(json, format!("\"{id}\""));
    assert_eq!(serde_json::from_str::<SessionId>(&json).unwrap(), id);
    assert!(serde_json::from_str::<SessionId>("\"other\"").is_err());
    assert_eq!(id.to_string().as_bytes()[14], b'7', "the version of a UUIDv7");
}

#[test]
fn kinds_have_lower_case_names() {
    let kinds =
        [EventKind::Init, EventKind::Message, EventKind::Progress, EventKind::Lagged, EventKind::Heartbeat];
    let names = kinds.map(EventKind::as_str);
    assert_eq!(names, ["init", "message", "progress", "lagged", "heartbeat"]);
    assert_eq!(EventKind::named("Message"), None);
    for kind in kinds {
        assert_eq!(EventKind::named(kind.as_str()), Some(kind));
        assert_eq!(serde_json::to_value(kind).unwrap(), kind.as_str());
    }
}

#[test]
fn synthetic_events_carry_no_id_and_move_no_cursor() {
    let session = session();
    publish(&session, 3);
    let beat = StreamEvent::synthetic(StreamId::STANDALONE, EventKind::Heartbeat, json!({}));
    assert_eq!((beat.id, beat.cursor()), (0, None));
    let mut reader = session.resume("17");
    let before = reader.try_recv().unwrap().unwrap();
    assert_eq!((before.kind, before.cursor()), (EventKind::Lagged, None));
    assert_eq!(reader.cursor().id, 0);
    let first = reader.try_recv().unwrap().unwrap();
    assert_eq!(first.cursor().unwrap().to_string(), "0-1");
}
