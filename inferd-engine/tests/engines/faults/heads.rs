//! Faults before an answer: servers that are not there, and heads of answers that are none.

use std::time::SystemTime;

use tokio::net::TcpListener;
use tokio::time::timeout;

use super::*;

#[tokio::test]
async fn the_key_goes_where_the_protocol_wants_it_and_nowhere_else() {
    for engine in ENGINES {
        let upstream = Upstream::start([answer(engine)]).await;
        assert_whole(engine, &answered(&*engine.built(keyed(&upstream)), question(true)).await);
        let request = &upstream.requests()[0];
        let (header, before) = engine.key();
        assert_eq!(request.header(header), Some(format!("{before}{KEY}").as_str()), "{}", engine.name());
        let with_key = request.headers.iter().filter(|(_, value)| value.contains(KEY)).count();
        assert_eq!((with_key, request.target.contains(KEY)), (1, false), "{}", engine.name());
        assert_eq!(request.header("host"), Some(upstream.address().to_string().as_str()));
        assert_eq!(request.header("content-length"), Some(request.body.len().to_string().as_str()));
    }
}

#[tokio::test]
async fn a_redirect_is_an_error_and_the_key_goes_nowhere() {
    let elsewhere = Upstream::start([Reply::status(200)]).await;
    for engine in ENGINES {
        for status in [301, 302, 303, 307, 308] {
            let redirect = Reply::status(status).header("location", &format!("{}/v1", elsewhere.url()));
            let error = refused(engine, redirect).await.to_string();
            assert!(error.starts_with(&format!("redirects ({status} ")), "{error}");
            assert!(error.contains(&elsewhere.url()), "{error}");
        }
    }
    assert_eq!(elsewhere.counts().accepted, 0);
}

#[tokio::test]
async fn busy_servers_say_how_long_in_seconds_or_by_a_date_in_any_form() {
    let busy = |wait| GenerateError::Busy { reason: "later".into(), retry_after: Some(wait) };
    for engine in ENGINES {
        for status in [429, 503, 529] {
            let reply = Reply::status(status).header("retry-after", "7").text("later");
            assert_eq!(refused(engine, reply).await, busy(Duration::from_secs(7)));
            for past in [
                "Sun, 06 Nov 1994 08:49:37 GMT",
                "Sunday, 06-Nov-94 08:49:37 GMT",
                "Sun Nov  6 08:49:37 1994",
            ] {
                let reply = Reply::status(status).header("Retry-After", past).text("later");
                assert_eq!(refused(engine, reply).await, busy(Duration::ZERO), "{past}");
            }
        }
        let future = Reply::status(503).header("retry-after", "Fri, 31 Dec 9999 23:59:59 GMT");
        let wait = match refused(engine, future).await {
            GenerateError::Busy { retry_after: Some(wait), .. } => wait,
            other => panic!("expected busy, got {other:?}"),
        };
        let end = SystemTime::UNIX_EPOCH + Duration::from_secs(253_402_300_799);
        let left = end.duration_since(SystemTime::now()).expect("the year is not over");
        assert!(wait.abs_diff(left) < Duration::from_secs(60));
    }
}

#[tokio::test]
async fn of_a_long_reason_no_more_is_read_than_is_shown() {
    for engine in ENGINES {
        let upstream =
            Upstream::start([Reply::status(500).text(&"日本語 ".repeat(500_000)).with_length()]).await;
        let error = refusal(&*engine.built(keyed(&upstream)), question(true)).await.to_string();
        assert!(error.chars().count() < 550, "{}", error.chars().count());
        timeout(PATIENCE, upstream.all_closed()).await.expect("the rest of the reason is not waited for");
        assert_eq!(upstream.counts().sent, 0, "5 MiB were not read");
    }
}

#[tokio::test]
async fn nobody_listening_is_said_so() {
    for engine in ENGINES {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("it is bound");
        drop(listener);
        let mut config = RemoteConfig::new("lane", format!("http://{address}"));
        config.models = vec!["m".into()];
        let error = refusal(&*engine.built(config), question(true)).await;
        assert_eq!(error, GenerateError::Unavailable(format!("connect to {address}: connection refused")));
    }
}

#[tokio::test]
async fn a_server_without_tls_is_no_https_server() {
    for engine in ENGINES {
        let upstream = Upstream::start([Reply::status(200)]).await;
        let config = RemoteConfig::new("lane", upstream.url().replace("http:", "https:"));
        let error = engine.built(config).models().await.expect_err("there is no TLS");
        let expected = format!("connect to {}: ", upstream.address());
        assert!(matches!(&error, GenerateError::Unavailable(why) if why.starts_with(&expected)), "{error}");
        assert_eq!(upstream.counts().requests, 0);
    }
}

#[tokio::test]
async fn an_address_or_a_key_that_cannot_work_is_refused_at_once() {
    for engine in ENGINES {
        let refused = |config| engine.build(config).err().expect("it is refused").to_string();
        for (url, says) in [
            ("nonsense", "base_url: expected http://host or https://host"),
            ("ftp://host", "base_url: expected http or https, got ftp"),
            ("http://user:secret@host", "base_url: credentials do not belong in it, use api_key_env"),
        ] {
            assert_eq!(refused(RemoteConfig::new("lane", url)), says);
        }
        let mut config = RemoteConfig::new("lane", "http://host");
        config.api_key = Some("line\nbreak".into());
        assert_eq!(refused(config.clone()), "api key: expected printable ASCII");
        assert!(!format!("{config:?}").contains("break"));
    }
}
