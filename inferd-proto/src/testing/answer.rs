//! The bytes of an answer, read back as the [`Response`]s they stand for.

use crate::{Answer, Ending, Response, TokenKind};

/// Writes one answer: each line of `script` that is a [`Response`] is said through [`Answer`], the others are left
/// out. The first names the request; a token under another id is held for `done` instead of being written.
pub fn answer(script: &[u8]) {
    let mut script =
        script.split(|&byte| byte == b'\n').filter_map(|line| serde_json::from_slice(line).ok()).peekable();
    let Some(id) = script.peek().map(|first: &Response| first.id().to_owned()) else { return };
    let mut answer = Answer::new(&id);
    let mut text = String::new();
    for said in script {
        let mut bytes = Vec::new();
        let Some(expected) = say(&mut answer, &mut bytes, said, &id, &mut text) else {
            assert!(bytes.is_empty(), "what is held is not written");
            continue;
        };
        let line = bytes.strip_suffix(b"\n").expect("a frame ends in a newline");
        assert_eq!(serde_json::from_slice::<Response>(line).expect("a frame is JSON"), expected);
        let written = serde_json::to_vec(&expected).expect("a frame can be written");
        assert_eq!(String::from_utf8_lossy(line), String::from_utf8_lossy(&written), "as serde writes it");
    }
}

/// Says one frame; returns what it is to be read as, or `None` where it is held. `text` is the answer so far.
fn say(
    answer: &mut Answer,
    out: &mut Vec<u8>,
    mut said: Response,
    answer_id: &str,
    text: &mut String,
) -> Option<Response> {
    match &mut said {
        Response::Token { id, content, kind: None } => {
            text.push_str(content);
            if id != answer_id {
                answer.hold(content);
                return None;
            }
            answer.token(out, content);
        }
        Response::Token { id, content, kind: Some(TokenKind::Thinking) } => {
            answer_id.clone_into(id);
            answer.thinking(out, content);
        }
        Response::Done {
            id,
            content,
            usage,
            stop_reason,
            backend,
            model,
            tool_calls,
            timings,
            thread,
            steps,
        } => {
            answer_id.clone_into(id);
            text.clone_into(content);
            let ending = Ending {
                stop_reason: *stop_reason,
                usage: *usage,
                backend,
                tool_calls,
                model: model.as_deref(),
                timings: *timings,
                thread: thread.as_deref(),
                steps: *steps,
            };
            answer.done(out, &ending);
        }
        Response::Error { id, code, message, retry_after_ms, queue } => {
            Answer::error(out, id, *code, message, *retry_after_ms, *queue);
        }
        Response::Status { .. } => Answer::frame(out, &said),
    }
    Some(said)
}
