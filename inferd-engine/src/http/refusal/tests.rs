use http::header::HeaderValue;

use super::*;

#[track_caller]
fn check(body: &str, expected: &str) {
    assert_eq!(reason(body.as_bytes()), expected);
}

#[test]
fn the_reason_is_found_in_all_the_usual_shapes() {
    check(r#"{"error":{"message":"too long","type":"x"}}"#, "too long");
    check(r#"{"error":"no such thing"}"#, "no such thing");
    check(r#"{"message":"nope"}"#, "nope");
    check(r#"{"detail":"not here"}"#, "not here");
    check(
        r#"{"detail":[{"loc":["body"],"msg":"field required"}]}"#,
        r#"[{"loc":["body"],"msg":"field required"}]"#,
    );
    check(r#"{"statusCode":400,"error":"Bad Request","message":"no such field"}"#, "no such field");
    check(r#"{"code":7}"#, r#"{"code":7}"#);
    check("plain words", "plain words");
    check("<html><body>oops</body></html>", "");
    check("", "");
}

#[test]
fn statuses_say_who_is_to_blame() {
    use crate::Blame;
    let error = |status: u16, headers: &HeaderMap| {
        blame(StatusCode::from_u16(status).unwrap(), headers, "why".into(), "m")
    };
    let mut headers = HeaderMap::new();
    for status in [400, 409, 413, 422, 451] {
        assert_eq!(error(status, &headers), GenerateError::InvalidRequest("why".into()));
    }
    for status in [401, 403] {
        assert_eq!(error(status, &headers), GenerateError::RefusedCredentials);
    }
    assert_eq!(error(404, &headers), GenerateError::ModelNotFound("m".into()));
    for status in [100, 204, 301, 307, 402, 408, 500, 503, 599] {
        assert_eq!(error(status, &headers).blame(), Blame::Lane, "{status}");
    }
    assert_eq!(error(502, &headers).to_string(), "502 bad gateway: why");
    for status in [429, 529] {
        assert_eq!(error(status, &headers), GenerateError::Busy { reason: "why".into(), retry_after: None });
    }
    headers.insert(RETRY_AFTER, HeaderValue::from_static("7"));
    for status in [429, 503, 529] {
        assert_eq!(error(status, &headers).blame(), Blame::Rest(Some(Duration::from_secs(7))));
    }
}

#[test]
fn a_redirect_names_where_it_leads() {
    let headers = HeaderMap::from_iter([(LOCATION, HeaderValue::from_static("https://elsewhere/v1"))]);
    let error = blame(StatusCode::FOUND, &headers, String::new(), "m");
    assert_eq!(error.to_string(), "redirects (302 found) to https://elsewhere/v1, which is not followed");
}

#[test]
fn retry_after_is_seconds_or_a_date_in_any_of_its_forms() {
    let now = SystemTime::UNIX_EPOCH + Duration::from_secs(784_111_777 - 30);
    let wait = |value: &str| {
        let headers = HeaderMap::from_iter([(RETRY_AFTER, HeaderValue::from_str(value).unwrap())]);
        retry_after(&headers, now)
    };
    assert_eq!(wait("120"), Some(Duration::from_secs(120)));
    for date in
        ["Sun, 06 Nov 1994 08:49:37 GMT", "Sunday, 06-Nov-94 08:49:37 GMT", "Sun Nov  6 08:49:37 1994"]
    {
        assert_eq!(wait(date), Some(Duration::from_secs(30)), "{date}");
    }
    assert_eq!(wait("Sun, 06 Nov 1994 08:00:00 GMT"), Some(Duration::ZERO));
    assert_eq!(wait("Thu, 29 Feb 2024 00:00:00 GMT"), Some(Duration::from_secs(1_709_164_800 - 784_111_747)));
    for nonsense in
        ["soon", "-1", "Sun, 06 Nov 1994 08:49:37 CET", "Sun, 06 Foo 1994 08:49:37 GMT", "x, 1 Jan"]
    {
        assert_eq!(wait(nonsense), None, "{nonsense}");
    }
}
