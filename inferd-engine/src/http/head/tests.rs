use super::*;

fn taken(bytes: &[u8]) -> (Result<Option<Head>, BadHead>, Vec<u8>) {
    let mut buffer = BytesMut::from(bytes);
    (take(&mut buffer), buffer.to_vec())
}

/// The head of a response with these lines, each but the last ended by CR LF.
fn head(lines: &[&str]) -> Result<Head, BadHead> {
    let (head, rest) = taken(format!("{}\r\n\r\nrest", lines.join("\r\n")).as_bytes());
    if head.is_ok() {
        assert_eq!(rest, b"rest", "{lines:?}");
    }
    head.map(|head| head.expect("a whole head"))
}

/// How the body of a response with these headers ends, and whether its connection lasts.
fn shown(lines: &[&str]) -> Result<String, BadHead> {
    head(lines).map(|head| {
        let lasting = if head.lasting { "" } else { ", the last" };
        match head.framing {
            Framing::Length(length) => format!("{length} bytes{lasting}"),
            Framing::Chunked(_) => format!("chunks{lasting}"),
            Framing::UntilClose => format!("until close{lasting}"),
        }
    })
}

#[test]
fn the_end_of_the_body_is_told_in_one_way() {
    let ok = "HTTP/1.1 200 OK";
    let told = |lines: &[&str]| shown(&[&[ok], lines].concat()).expect("a good head");
    assert_eq!(told(&["content-length: 5"]), "5 bytes");
    assert_eq!(told(&["Content-Length:0"]), "0 bytes");
    assert_eq!(told(&["transfer-encoding: Chunked"]), "chunks");
    assert_eq!(told(&["connection: keep-alive"]), "until close, the last");
    assert_eq!(told(&["content-length: 5", "connection: x , Close"]), "5 bytes, the last");
    assert_eq!(
        told(&["transfer-encoding: chunked", "connection: x", "connection: close"]),
        "chunks, the last"
    );
    assert_eq!(shown(&["HTTP/1.0 200 OK", "content-length: 5"]).expect("a good head"), "5 bytes, the last");
    for bodiless in ["HTTP/1.1 204 No Content", "HTTP/1.1 304 Not Modified"] {
        assert_eq!(shown(&[bodiless]).expect("a good head"), "0 bytes");
        assert_eq!(shown(&[bodiless, "content-length: 5"]).expect("a good head"), "0 bytes");
    }
}

#[test]
fn a_length_told_in_two_ways_or_in_none_that_is_known_is_refused() {
    for lines in [
        &["content-length: 5", "transfer-encoding: chunked"][..],
        &["transfer-encoding: chunked", "content-length: 5"],
        &["content-length: 5", "content-length: 5"],
        &["content-length: 5", "content-length: 6"],
        &["content-length: 5, 5"],
        &["content-length: +5"],
        &["content-length: -5"],
        &["content-length: 0x5"],
        &["content-length: five"],
        &["content-length:"],
        &["content-length: 18446744073709551616"],
        &["transfer-encoding: gzip, chunked"],
        &["transfer-encoding: chunked, chunked"],
        &["transfer-encoding: chunked", "transfer-encoding: chunked"],
        &["transfer-encoding: identity"],
        &["transfer-encoding:"],
    ] {
        assert_eq!(shown(&[&["HTTP/1.1 200 OK"], lines].concat()), Err(BadHead::Length), "{lines:?}");
    }
    assert_eq!(shown(&["HTTP/1.0 200 OK", "transfer-encoding: chunked"]), Err(BadHead::Length));
}

#[test]
fn what_is_no_head_is_refused() {
    for lines in [
        &["HTTP/2 200 OK"][..],
        &["HTTP/1.1 20 OK"],
        &["HTTP/1.1 abc OK"],
        &["HTTP/1.1 099 Low"],
        &["HTTP/1.1 101 Switching Protocols", "upgrade: x"],
        &["HTTP/1.1 200 OK", "x: folded", " over lines"],
        &["HTTP/1.1 200 OK", "x : blank"],
        &["HTTP/1.1 200 OK", " x: y"],
        &["HTTP/1.1 200 OK", ": no name"],
        &["HTTP/1.1 200 OK", "x: \0"],
        &["HTTP/1.1 200 OK", "no colon"],
        &["SSH-2.0-dropbear"],
    ] {
        assert_eq!(head(lines).map(|_| ()), Err(BadHead::NoHttp), "{lines:?}");
    }
}

#[test]
fn headers_are_kept_with_their_values_as_they_came() {
    let head = head(&[
        "HTTP/1.1 503 Busy, come back",
        "Retry-After:  7 ",
        "x-name: Gr\u{fc}\u{df}e",
        "a: 1",
        "A: 2",
    ]);
    let head = head.expect("a good head");
    assert_eq!((head.status.as_u16(), &head.headers["retry-after"]), (503, &HeaderValue::from_static("7")));
    assert_eq!(head.headers["x-name"].as_bytes(), "Gr\u{fc}\u{df}e".as_bytes());
    assert_eq!(head.headers.get_all("a").iter().collect::<Vec<_>>(), ["1", "2"]);
}

#[test]
fn interim_answers_are_passed_over() {
    let interim =
        "HTTP/1.1 103 Early Hints\r\nlink: </a>\r\ncontent-length: 9\r\n\r\nHTTP/1.1 100 Continue\r\n\r\n";
    let answer = format!("{interim}HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nrest");
    let (head, rest) = taken(answer.as_bytes());
    assert_eq!(head.expect("a good head").expect("a whole head").status, StatusCode::OK);
    assert_eq!(rest, b"rest");
    let (head, rest) = taken(interim.as_bytes());
    assert!(head.is_ok_and(|head| head.is_none()) && rest.is_empty(), "the answer is still to come");
}

#[test]
fn until_its_last_byte_a_head_is_waited_for() {
    let whole = b"HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\n";
    for end in 0..whole.len() {
        let (head, rest) = taken(&whole[..end]);
        assert!(head.is_ok_and(|head| head.is_none()), "{end}");
        assert_eq!(rest, &whole[..end]);
    }
}

#[test]
fn a_head_has_an_end() {
    let long = |bytes: usize| {
        let around = "HTTP/1.1 204 x\r\nx: \r\n\r\n".len();
        format!("HTTP/1.1 204 x\r\nx: {}\r\n\r\n", "y".repeat(bytes - around))
    };
    assert!(taken(long(HEAD_BYTES_MAX).as_bytes()).0.is_ok());
    assert_eq!(taken(long(HEAD_BYTES_MAX + 1).as_bytes()).0.map(|_| ()), Err(BadHead::TooLong));
    let endless = format!("HTTP/1.1 200 OK\r\nx: {}", "y".repeat(HEAD_BYTES_MAX));
    assert_eq!(taken(endless.as_bytes()).0.map(|_| ()), Err(BadHead::TooLong));
    let many = |headers: usize| format!("HTTP/1.1 204 x\r\n{}\r\n", "x: y\r\n".repeat(headers));
    assert!(taken(many(HEADERS_MAX).as_bytes()).0.is_ok());
    assert_eq!(taken(many(HEADERS_MAX + 1).as_bytes()).0.map(|_| ()), Err(BadHead::TooLong));
}
