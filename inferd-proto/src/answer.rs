//! The bytes of one answer, written without building a frame.
//!
//! Tokens come in, lines go out to any buffer. The text of the answer is kept as the JSON it was written as, so that
//! `done` copies it rather than escaping it a second time.
//!
//! Invariant: the lines equal what serde writes for the same [`Response`]; a test compares them.

use crate::{ErrorCode, QueueState, Response, StopReason, Timings, TokenKind, ToolCall, Usage};

/// Writes the frames of one answer.
#[derive(Debug)]
pub struct Answer {
    /// `{"type":"token","id":"…","content":`
    token_head: Vec<u8>,
    /// Where the id's JSON stands in it.
    id: std::ops::Range<usize>,
    /// The answer so far, escaped, without quotes.
    text: Vec<u8>,
}

/// How an answer ended well.
#[derive(Debug, Clone, PartialEq)]
pub struct Ending<'a> {
    /// Why it ended.
    pub stop_reason: StopReason,
    /// Tokens read and written.
    pub usage: Usage,
    /// The lane that answered.
    pub backend: &'a str,
    /// Tools the model wants called.
    pub tool_calls: &'a [ToolCall],
    /// The model that answered; additive.
    pub model: Option<&'a str>,
    /// Where the time went; additive.
    pub timings: Option<Timings>,
    /// Of an agent turn: the conversation it belongs to; additive.
    pub thread: Option<&'a str>,
    /// Of an agent turn: how many model turns it took; additive.
    pub steps: Option<u32>,
}

const TOKEN: &[u8] = br#"{"type":"token","id":"#;
const DONE: &[u8] = br#"{"type":"done","id":"#;
const CONTENT: &[u8] = br#","content":"#;

impl Answer {
    /// The answer to the request `id`.
    #[must_use]
    pub fn new(id: &str) -> Self {
        let mut token_head = Vec::with_capacity(TOKEN.len() + id.len() + 2 + CONTENT.len());
        token_head.extend_from_slice(TOKEN);
        json(&mut token_head, id);
        let id = TOKEN.len()..token_head.len();
        token_head.extend_from_slice(CONTENT);
        Self { token_head, id, text: Vec::new() }
    }

    /// Writes a `token` frame and keeps its text for `done`.
    pub fn token(&mut self, out: &mut Vec<u8>, content: &str) {
        out.extend_from_slice(&self.token_head);
        let start = out.len();
        json(out, content);
        self.text.extend_from_slice(&out[start + 1..out.len() - 1]);
        out.extend_from_slice(b"}\n");
    }

    /// Keeps a token's text for `done` without writing a frame.
    pub fn hold(&mut self, content: &str) {
        let start = self.text.len();
        json(&mut self.text, content);
        self.text.pop();
        self.text.remove(start);
    }

    /// Forgets the text kept so far: what was said was on the way to the answer, which begins anew.
    pub fn begin_anew(&mut self) {
        self.text.clear();
    }

    /// Writes a `token` frame of reasoning, which is no part of the answer.
    pub fn thinking(&self, out: &mut Vec<u8>, content: &str) {
        out.extend_from_slice(&self.token_head);
        json(out, content);
        out.extend_from_slice(br#","kind":"#);
        json(out, &TokenKind::Thinking);
        out.extend_from_slice(b"}\n");
    }

    /// Writes the `done` frame.
    pub fn done(&self, out: &mut Vec<u8>, ending: &Ending<'_>) {
        out.reserve(self.text.len() + 160);
        out.extend_from_slice(DONE);
        out.extend_from_slice(&self.token_head[self.id.clone()]);
        out.extend_from_slice(CONTENT);
        out.push(b'"');
        out.extend_from_slice(&self.text);
        out.extend_from_slice(br#"","usage":"#);
        json(out, &ending.usage);
        out.extend_from_slice(br#","stop_reason":""#);
        out.extend_from_slice(ending.stop_reason.as_str().as_bytes());
        out.extend_from_slice(br#"","backend":"#);
        json(out, ending.backend);
        if let Some(model) = ending.model {
            out.extend_from_slice(br#","model":"#);
            json(out, model);
        }
        if !ending.tool_calls.is_empty() {
            out.extend_from_slice(br#","tool_calls":"#);
            json(out, ending.tool_calls);
        }
        if let Some(timings) = &ending.timings {
            out.extend_from_slice(br#","timings":"#);
            json(out, timings);
        }
        if let Some(thread) = ending.thread {
            out.extend_from_slice(br#","thread":"#);
            json(out, thread);
        }
        if let Some(steps) = &ending.steps {
            out.extend_from_slice(br#","steps":"#);
            json(out, steps);
        }
        out.extend_from_slice(b"}\n");
    }

    /// Writes an `error` frame for the request `id`.
    pub fn error(
        out: &mut Vec<u8>,
        id: &str,
        code: ErrorCode,
        message: &str,
        retry_after_ms: Option<u64>,
        queue: Option<QueueState>,
    ) {
        out.extend_from_slice(br#"{"type":"error","id":"#);
        json(out, id);
        out.extend_from_slice(br#","code":"#);
        json(out, &code);
        out.extend_from_slice(br#","message":"#);
        json(out, message);
        if let Some(retry_after_ms) = retry_after_ms {
            out.extend_from_slice(br#","retry_after_ms":"#);
            json(out, &retry_after_ms);
        }
        if let Some(queue) = &queue {
            out.extend_from_slice(br#","queue":"#);
            json(out, queue);
        }
        out.extend_from_slice(b"}\n");
    }

    /// Writes any other frame of an answer.
    pub fn frame(out: &mut Vec<u8>, frame: &Response) {
        json(out, frame);
        out.push(b'\n');
    }

    /// Bytes of answer text kept so far.
    #[must_use]
    pub fn text_bytes(&self) -> usize {
        self.text.len()
    }
}

fn json<T: serde::Serialize + ?Sized>(out: &mut Vec<u8>, value: &T) {
    serde_json::to_writer(out, value).expect("plain data is JSON, and a Vec takes every byte");
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(line: &[u8]) -> Response {
        assert_eq!(line.last(), Some(&b'\n'));
        serde_json::from_slice(line).unwrap()
    }

    #[test]
    fn of_what_is_said_in_steps_the_last_is_the_answer() {
        let mut answer = Answer::new("r");
        answer.token(&mut Vec::new(), "let me look");
        answer.begin_anew();
        answer.token(&mut Vec::new(), "four");
        let ending = Ending {
            stop_reason: StopReason::End,
            usage: Usage::default(),
            backend: "",
            tool_calls: &[],
            model: None,
            timings: None,
            thread: None,
            steps: Some(2),
        };
        let mut out = Vec::new();
        answer.done(&mut out, &ending);
        assert!(matches!(read(&out), Response::Done { content, steps: Some(2), .. } if content == "four"));
    }

    proptest! {
        #[test]
        fn tokens_and_done_read_back_as_they_were_said(
            id in any::<String>(),
            tokens in proptest::collection::vec(any::<String>(), 0..6),
            held in any::<bool>(),
        ) {
            let mut answer = Answer::new(&id);
            for token in &tokens {
                let mut out = Vec::new();
                if held {
                    answer.hold(token);
                } else {
                    answer.token(&mut out, token);
                    prop_assert_eq!(read(&out), Response::Token { id: id.clone(), content: token.clone(), kind: None });
                }
            }
            let usage = Usage { prompt_tokens: 3, completion_tokens: 4 };
            let ending = Ending {
                stop_reason: StopReason::Length,
                usage,
                backend: "lane",
                tool_calls: &[],
                model: Some("m"),
                timings: Some(Timings { queue_ms: 1, first_token_ms: Some(2), total_ms: 3 }),
                thread: Some(&id),
                steps: Some(2),
            };
            let mut out = Vec::new();
            answer.done(&mut out, &ending);
            prop_assert_eq!(read(&out), Response::Done {
                id: id.clone(),
                content: tokens.concat(),
                usage,
                stop_reason: StopReason::Length,
                backend: "lane".into(),
                model: Some("m".into()),
                tool_calls: vec![],
                timings: ending.timings,
                thread: Some(id.clone()),
                steps: Some(2),
            });
        }
    }
}
