use super::*;

#[track_caller]
fn check(beginning: &str, end: &str, id: Option<i64>) {
    let found = id_at_beginning(beginning.as_bytes()).or_else(|| id_at_end(end.as_bytes()));
    assert_eq!(found, id.map(RequestId::Number), "{beginning} … {end}");
}

#[test]
fn the_id_of_a_message_is_found_at_either_end_of_it_and_nowhere_else() {
    check(r#"{"jsonrpc":"2.0","id":7,"result":{"#, "}}", Some(7));
    check(r#" { "id" : 7 , "jsonrpc" : "2.0", "result": {"#, "}}", Some(7));
    check(r#"{"jsonrpc": "2.0", "id": "7", "result""#, "}}", Some(7));
    check(r#"{"result":{"content":[{"#, r#""}]},"jsonrpc":"2.0","id":7}"#, Some(7));
    check(r#"{"result":{"content":[{"#, "\"}]},\"jsonrpc\":\"2.0\", \"id\" : 7 }\r", Some(7));
    check(r#"{"result":{"id":7,"#, r#","id":7}}"#, None);
    check(r#"{"result":{"id":7,"#, r#""text":"\"id\":7"}}"#, None);
    check(r#"{"result":{"#, r#"{"id":7}]}}"#, None);
    check("", "", None);
}

#[test]
fn what_is_no_message_is_passed_over() {
    let ear = Ear::new("a");
    for noise in ["Server started", "{", "3", "[]", "{}", "{\"id\":{}}", "\u{1b}[31mred"] {
        assert!(ear.hear(noise.as_bytes()).is_none(), "{noise}");
    }
}
