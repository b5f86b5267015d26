//! The faults, in the order in which they can happen.

use inferd_engine::testing::upstream::Reply;

use super::begun;
use crate::protocols::Engine;

/// A fault.
pub(super) struct Row {
    /// As people say it.
    pub(super) fault: &'static str,
    /// What the server does.
    pub(super) plays: fn(&dyn Engine) -> Reply,
    /// What the caller reads; `…` stands for any text.
    pub(super) says: &'static str,
}

/// What the server says of a refusal: it must not show the key.
const WHY: &str = "its reason my-own-key-71";

/// What is said of silence.
pub(super) const NO_TOKEN: &str = "no token within …";
pub(super) const NO_MORE: &str = "nothing more for …";

fn status(engine: &dyn Engine, status: u16) -> Reply {
    Reply::json(status, &engine.refuses(WHY))
}

fn waiting(engine: &dyn Engine, code: u16, wait: &str) -> Reply {
    let body = engine.refuses(WHY).to_string();
    Reply::status(code).header("Retry-After", wait).text(&body).with_length()
}

pub(super) const FAULTS: [Row; 43] = [
    Row {
        fault: "it closes the connection before it answers",
        plays: |_| Reply::raw(),
        says: "the connection broke: closed by the server",
    },
    Row {
        fault: "it resets the connection before it answers",
        plays: |_| Reply::raw().reset(),
        says: "the connection broke: connection reset",
    },
    Row {
        fault: "it breaks off in the head of its answer",
        plays: |_| Reply::raw().text("HTTP/1.1 200 OK\r\ncontent-"),
        says: "the connection broke: closed by the server",
    },
    Row {
        fault: "it speaks another protocol",
        plays: |_| Reply::raw().text("SSH-2.0-dropbear\r\n\r\n"),
        says: "the connection broke: the server does not speak HTTP/1.1",
    },
    Row {
        fault: "the head of its answer has no end",
        plays: |_| {
            let head = "x-more: and more\r\n".repeat(10_000);
            Reply::raw().text("HTTP/1.1 200 OK\r\n").text(&head).hang()
        },
        says: "the connection broke: the head of the answer exceeds 32768 bytes or 100 headers",
    },
    Row {
        fault: "the head of its answer tells its length twice",
        plays: |engine| engine.stream().header("content-length", "0"),
        says: "the connection broke: the answer does not tell its length in one way",
    },
    Row { fault: "it takes the request and says nothing", plays: |_| Reply::raw().hang(), says: NO_TOKEN },
    Row {
        fault: "it shows that it is alive and says nothing else",
        plays: |engine| engine.stream().text(&engine.begins()).text(engine.lives()).hang(),
        says: NO_TOKEN,
    },
    Row {
        fault: "301, 302, 303, 307, 308",
        plays: |_| Reply::status(307).header("location", "http://elsewhere/v1"),
        says: "redirects (307 temporary redirect) to http://elsewhere/v1, which is not followed",
    },
    Row { fault: "400", plays: |engine| status(engine, 400), says: "its reason …" },
    Row { fault: "401", plays: |engine| status(engine, 401), says: "refused our credentials" },
    Row { fault: "402", plays: |engine| status(engine, 402), says: "402 payment required: its reason …" },
    Row { fault: "403", plays: |engine| status(engine, 403), says: "refused our credentials" },
    Row { fault: "404", plays: |engine| status(engine, 404), says: "model m is not served" },
    Row { fault: "408", plays: |engine| status(engine, 408), says: "408 request timeout: its reason …" },
    Row { fault: "413", plays: |engine| status(engine, 413), says: "its reason …" },
    Row { fault: "422, any other 4xx", plays: |engine| status(engine, 422), says: "its reason …" },
    Row { fault: "429", plays: |engine| status(engine, 429), says: "busy: its reason …" },
    Row {
        fault: "429 with Retry-After in seconds",
        plays: |engine| waiting(engine, 429, "7"),
        says: "busy: its reason …",
    },
    Row {
        fault: "429 with Retry-After as a date",
        plays: |engine| waiting(engine, 429, "Fri, 31 Dec 9999 23:59:59 GMT"),
        says: "busy: its reason …",
    },
    Row {
        fault: "500, any other 5xx",
        plays: |engine| status(engine, 500),
        says: "500 internal server error: its reason …",
    },
    Row {
        fault: "500 with 5 MiB of a reason",
        plays: |_| Reply::status(500).text(&"日本語 ".repeat(500_000)).with_length(),
        says: "500 internal server error: 日本語 日本語 …",
    },
    Row {
        fault: "500 with a reason that has no end",
        plays: |_| Reply::status(500).text("so far").hang(),
        says: "500 internal server error: so far",
    },
    Row {
        fault: "503", plays: |engine| status(engine, 503), says: "503 service unavailable: its reason …"
    },
    Row {
        fault: "503 with Retry-After",
        plays: |engine| waiting(engine, 503, "7"),
        says: "busy: its reason …",
    },
    Row { fault: "529", plays: |engine| status(engine, 529), says: "busy: its reason …" },
    Row {
        fault: "529 with Retry-After",
        plays: |engine| waiting(engine, 529, "7"),
        says: "busy: its reason …",
    },
    Row { fault: "any status but these and 200", plays: |_| Reply::status(204), says: "204 no content" },
    Row {
        fault: "200 with a page of HTML",
        plays: |_| {
            Reply::status(200).header("content-type", "text/html; charset=utf-8").text("<html>Hi</html>")
        },
        says: "answered with text/html, which is no completion",
    },
    Row {
        fault: "200 in an encoding nobody asked for",
        plays: |engine| engine.stream().header("content-encoding", "gzip").bytes(vec![0x1f, 0x8b, 8, 0]),
        says: "answered in gzip, which was not asked for",
    },
    Row {
        fault: "an error in the place of the first event",
        plays: |engine| engine.stream().text(&engine.fails(WHY)),
        says: "its reason …",
    },
    Row {
        fault: "an end before the first event",
        plays: |engine| engine.stream(),
        says: "the stream was cut short: … came",
    },
    Row {
        fault: "an event that has no end",
        plays: |engine| engine.stream().bytes(vec![b'x'; 2 << 20]).hang(),
        says: "… exceeds 1048576 bytes",
    },
    Row {
        fault: "an error after the first token",
        plays: |engine| begun(engine).text(&engine.fails(WHY)).text(&engine.ends()),
        says: "its reason …",
    },
    Row {
        fault: "an event that is no JSON",
        plays: |engine| begun(engine).text(&engine.frame("{\"choices\": nope}")),
        says: "the answer is not understood: …",
    },
    Row {
        fault: "an event that is no text",
        plays: |engine| {
            let event = engine.says("#");
            let (before, after) = event.split_once('#').expect("it says that");
            begun(engine).bytes([before.as_bytes(), b"\xff\xfe", after.as_bytes()].concat())
        },
        says: "the answer is not understood: …",
    },
    Row {
        fault: "the end of the answer without its end mark",
        plays: begun,
        says: "the stream was cut short: … came",
    },
    Row {
        fault: "the end of the connection in the middle of the answer",
        plays: |engine| begun(engine).end(),
        says: "the stream was cut short: the connection broke: closed by the server",
    },
    Row {
        fault: "a chunk that is none",
        plays: |engine| {
            let token = engine.says("a");
            let head = engine.stream().header("transfer-encoding", "chunked").framed();
            head.text(&format!("{:x}\r\n{token}\r\nnone", token.len()))
        },
        says: "the stream was cut short: the connection broke: a chunk of the answer is malformed",
    },
    Row {
        fault: "the end of an answer that lasts as long as its connection, without its end mark",
        plays: |engine| begun(engine).text(engine.says("b").split_at(9).0).until_close(),
        says: "the stream was cut short: … came",
    },
    Row {
        fault: "a reset in the middle of the answer",
        plays: |engine| begun(engine).reset(),
        says: "the stream was cut short: the connection broke: connection reset",
    },
    Row { fault: "silence in the middle of the answer", plays: |engine| begun(engine).hang(), says: NO_MORE },
    Row {
        fault: "an error in the place of a whole answer",
        plays: |engine| Reply::json(200, &engine.refuses(WHY)),
        says: "its reason …",
    },
];
