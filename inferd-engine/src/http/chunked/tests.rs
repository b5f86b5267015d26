use proptest::prelude::*;

use super::*;

/// The data of `body`, cut where `cuts` say, and how it ended: what is left after its end, or what is wrong with it;
/// `None` where there is more to come.
fn decoded(body: &[u8], cuts: &[usize]) -> (Vec<u8>, Option<Result<Vec<u8>, BadChunk>>) {
    let (mut chunked, mut buffer, mut data) = (Chunked::new(), BytesMut::new(), Vec::new());
    let mut start = 0;
    for end in cuts.iter().copied().chain([body.len()]) {
        buffer.extend_from_slice(&body[start..end]);
        start = end;
        loop {
            match chunked.take(&mut buffer) {
                Ok(more) if more.is_empty() => break,
                Ok(more) => data.extend_from_slice(&more),
                Err(error) => return (data, Some(Err(error))),
            }
        }
    }
    (data, chunked.is_over().then(|| Ok(buffer.to_vec())))
}

/// The same whole, cut anywhere once, and cut everywhere.
#[track_caller]
fn everyhow(body: &str) -> (Vec<u8>, Option<Result<Vec<u8>, BadChunk>>) {
    let whole = decoded(body.as_bytes(), &[]);
    for cut in 0..=body.len() {
        assert_eq!(decoded(body.as_bytes(), &[cut]), whole, "{body:?} cut at {cut}");
    }
    let everywhere: Vec<usize> = (0..body.len()).collect();
    assert_eq!(decoded(body.as_bytes(), &everywhere), whole, "{body:?} cut everywhere");
    whole
}

#[track_caller]
fn is_whole(body: &str, data: &str, rest: &str) {
    assert_eq!(everyhow(body), (data.into(), Some(Ok(rest.into()))), "{body:?}");
}

#[track_caller]
fn is_malformed(body: &str, data: &str) {
    assert_eq!(everyhow(body), (data.into(), Some(Err(BadChunk::Malformed))), "{body:?}");
}

#[test]
fn data_come_without_their_framing() {
    is_whole("0\r\n\r\n", "", "");
    is_whole("5\r\nhello\r\n1\r\n,\r\n006\r\n world\r\n0\r\n\r\n", "hello, world", "");
    is_whole("A\r\n0\r\n\r\n5\r\nab\r\n0000\r\n\r\n", "0\r\n\r\n5\r\nab", "");
    is_whole("1\r\na\r\n0\r\n\r\nHTTP/1.1 200", "a", "HTTP/1.1 200");
}

#[test]
fn extensions_and_trailers_are_passed_over() {
    is_whole("1;a=b;c=\"d\"\r\nx\r\n1 \t;e\r\ny\r\n1 \r\nz\r\n0;last\r\n\r\n", "xyz", "");
    is_whole("1\r\nx\r\n0\r\nx-sum: 7\r\nx-more: a b\r\n\r\nrest", "x", "rest");
}

#[test]
fn what_has_not_come_is_waited_for() {
    for body in ["", "1", "1\r", "5\r\n", "0\r\n", "0\r\n\r", "0\r\nx: y\r\n"] {
        assert_eq!(everyhow(body), (Vec::new(), None), "{body:?}");
    }
    assert_eq!(everyhow("5\r\nhel"), (b"hel".to_vec(), None));
    assert_eq!(everyhow("3\r\nhel\r"), (b"hel".to_vec(), None));
}

#[test]
fn no_size_is_guessed_and_no_line_ends_in_two_ways() {
    for size in [
        "\r\n",
        "\n",
        "g\r\n",
        "-1\r\n",
        "+1\r\n",
        "0x1\r\n",
        " 1\r\n",
        "1 2\r\n",
        "1\n",
        "1\rx",
        "1;a\nb\r\n",
    ] {
        is_malformed(size, "");
    }
    for body in ["1\r\nab", "1\r\na\n", "1\r\na\rb", "1\r\na\r\n\r\n", "1\r\na\r\n;\r\n"] {
        is_malformed(body, "a");
    }
    for end in ["0\r\n\n", "0\r\n\rx", "0\r\nx: y\n", "0\r\nx: y\rz"] {
        is_malformed(end, "");
    }
}

#[test]
fn a_size_beyond_counting_is_no_size() {
    assert_eq!(everyhow("ffffffffffffffff\r\nab"), (b"ab".to_vec(), None));
    is_malformed("10000000000000000\r\n", "");
    is_whole("00000000000000000001\r\na\r\n0\r\n\r\n", "a", "");
}

#[test]
fn what_is_beside_the_data_has_an_end() {
    let extended = |bytes: usize| format!("1;{}\r\nx\r\n0\r\n\r\n", "e".repeat(bytes));
    assert_eq!(decoded(extended(BESIDE_BYTES_MAX - 1).as_bytes(), &[]).1, Some(Ok(Vec::new())));
    assert_eq!(decoded(extended(BESIDE_BYTES_MAX).as_bytes(), &[]).1, Some(Err(BadChunk::Endless)));
    let many = "1;ext\r\nx\r\n".repeat(BESIDE_BYTES_MAX / 4 + 1);
    assert_eq!(decoded(many.as_bytes(), &[]).1, Some(Err(BadChunk::Endless)), "all chunks together");
    let trailers = format!("0\r\n{}", "x: y\r\n".repeat(BESIDE_BYTES_MAX));
    assert_eq!(decoded(trailers.as_bytes(), &[]).1, Some(Err(BadChunk::Endless)));
}

proptest! {
    #[test]
    fn any_data_in_any_chunks_cut_anywhere_come_out_again(
        chunks in prop::collection::vec(prop::collection::vec(any::<u8>(), 1..50), 0..10),
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..10),
    ) {
        let mut body = Vec::new();
        for chunk in &chunks {
            body.extend_from_slice(format!("{:x}\r\n", chunk.len()).as_bytes());
            body.extend_from_slice(chunk);
            body.extend_from_slice(b"\r\n");
        }
        body.extend_from_slice(b"0\r\n\r\nrest");
        let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(body.len())).collect();
        cuts.sort_unstable();
        prop_assert_eq!(decoded(&body, &cuts), (chunks.concat(), Some(Ok(b"rest".to_vec()))));
    }
}
