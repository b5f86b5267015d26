use inferd_proto::{FunctionCall, FunctionTag};

use super::*;

fn call(id: &str) -> ToolCall {
    let function = FunctionCall { name: "f".to_owned(), arguments: String::new() };
    ToolCall { id: id.to_owned(), r#type: FunctionTag::Function, function }
}

fn text(body: &Body) -> String {
    Content { body: body.clone(), ..Content::default() }.text().into_owned()
}

#[test]
fn calls_that_a_model_did_not_tell_apart_are() {
    let mut calls = ["", "x", "x", "", "call_2_3", "y"].map(call);
    tell_apart(&mut calls, 2);
    let ids = calls.map(|call| call.id);
    assert_eq!(ids[1], "x");
    assert_eq!(ids[5], "y");
    assert_eq!(ids.iter().collect::<HashSet<_>>().len(), ids.len(), "{ids:?}");
    assert!(ids.iter().all(|id| !id.is_empty()));
}

#[test]
fn a_result_past_its_limit_is_cut_between_characters_and_says_so() {
    let (body, is_error) = shown(Ok("äöü".into()), 5);
    assert!(!is_error);
    assert_eq!(text(&body), "äö\n[cut: 5 of 6 bytes are shown]");
    assert_eq!(text(&shown(Ok("äöü".into()), 6).0), "äöü");
}

#[test]
fn of_blocks_past_the_limit_what_fits_is_kept_and_half_an_image_is_not() {
    let image = |data: &str| Block::Image { mime: "image/png".to_owned(), data: data.to_owned() };
    let words = |text: &str| Block::Text { text: text.to_owned() };
    let body = Body::Blocks(vec![words("abc"), image("12345"), image("12"), words("defg")]);
    let (body, _) = shown(Ok(body.into()), 6);
    let note = words("[cut: 6 of 14 bytes are shown]");
    assert_eq!(body, Body::Blocks(vec![words("abc"), image("12"), words("d"), note]));
}

#[test]
fn what_failed_reads_as_an_error_whoever_says_so() {
    let (body, is_error) = shown(Err(ToolError::Unknown("x".to_owned())), 100);
    assert!(is_error);
    assert_eq!(text(&body), "error: there is no tool named \"x\"");
    let (body, is_error) =
        shown(Ok(ToolOutput { body: Body::Text("no disk".to_owned()), is_error: true }), 100);
    assert!(is_error);
    assert_eq!(text(&body), "error: no disk");
}
