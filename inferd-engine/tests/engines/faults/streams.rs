//! Faults in the middle of an answer, and oddities that are none.

use futures_util::StreamExt;
use tokio::sync::Notify;
use tokio::time::{Instant, timeout};

use super::*;

#[tokio::test]
async fn every_split_of_the_bytes_gives_the_same_answer() {
    for engine in ENGINES {
        let words = ["naïve ", "日本語", "🦀🏳️\u{200d}🌈", "\"\\\n\u{7f}\u{0}"];
        let reply = || {
            let spoken = words.map(|word| engine.says(word)).concat();
            engine.stream().text(&engine.begins()).text(&spoken).text(&engine.ends())
        };
        let whole = (words.concat(), Ok(StopReason::End));
        for reply in [reply().byte_by_byte(), reply().in_writes_of(3), reply().in_writes_of(1 << 20)] {
            assert_eq!(
                text_and_end(&play(engine, reply).await.expect("an answer")),
                whole,
                "{}",
                engine.name()
            );
        }
    }
}

#[tokio::test]
async fn signs_of_life_are_passed_over() {
    for engine in ENGINES {
        let lives = engine.lives();
        let [begins, says, ends] = [engine.begins(), engine.says("a"), engine.ends()];
        let reply =
            engine.stream().text(&[lives, &begins, lives, &says, lives, lives, &ends, lives].concat());
        assert_whole(engine, &play(engine, reply).await.expect("an answer"));
    }
}

#[tokio::test]
async fn what_follows_the_end_is_not_heard_and_the_end_comes_once() {
    for engine in ENGINES {
        let again = [engine.ends(), engine.says("b"), engine.fails("late"), engine.ends()].concat();
        let events = play(engine, answer(engine).text(&again)).await.expect("an answer");
        assert_whole(engine, &events);
        assert_eq!(events.len(), 2, "{events:?}");
    }
}

#[tokio::test]
async fn without_a_count_of_tokens_those_sent_are_counted() {
    for engine in ENGINES {
        let reply = begun(engine).text(&engine.says("b")).text(&engine.ends());
        let events = play(engine, reply).await.expect("an answer");
        let Some(TokenEvent::Done { usage, .. }) = events.last() else { panic!("{events:?}") };
        assert_eq!((usage.prompt_tokens, usage.completion_tokens), (0, 2), "{}", engine.name());
    }
}

#[tokio::test]
async fn a_whole_answer_is_taken_where_a_stream_was_asked_for() {
    for engine in ENGINES {
        let events = play(engine, Reply::json(200, &engine.whole("a"))).await.expect("an answer");
        assert_whole(engine, &events);
    }
}

#[tokio::test]
async fn a_stream_that_does_not_say_what_it_is_is_taken_for_what_was_asked() {
    for engine in ENGINES {
        let said = [engine.begins(), engine.says("a"), engine.ends()].concat();
        for reply in [Reply::status(200), Reply::status(200).header("content-type", "text/plain")] {
            assert_whole(engine, &play(engine, reply.text(&said)).await.expect("an answer"));
        }
    }
}

#[tokio::test]
async fn a_body_that_has_no_end_is_not_held() {
    for engine in ENGINES {
        let page = Arc::<str>::from(format!("{{\"x\":\"{}", "y".repeat(1 << 20)));
        let mut endless = Reply::status(200).header("content-type", "application/json");
        for _ in 0..20 {
            endless = endless.text(&page);
        }
        let upstream = Upstream::start([endless.hang()]).await;
        let events = answered(&*engine.built(keyed(&upstream)), question(true)).await;
        let error = text_and_end(&events).1.expect_err("it fails").to_string();
        assert!(error.contains(" exceeds ") && error.ends_with(" bytes"), "{}: {error}", engine.name());
        timeout(PATIENCE, upstream.all_closed()).await.expect("the connection is closed");
    }
}

#[tokio::test]
async fn silence_is_waited_out_no_longer_than_was_said_and_its_connection_closed() {
    for engine in ENGINES {
        for (reply, says) in [
            (Reply::raw().hang(), "no token within 80 ms"),
            (engine.stream().text(engine.lives()).text(&engine.begins()).hang(), "no token within 80 ms"),
            (begun(engine).text(engine.lives()).hang(), "nothing more for 80 ms"),
        ] {
            let upstream = Upstream::start([reply]).await;
            let mut config = keyed(&upstream);
            (config.first_token_timeout, config.idle_timeout) = (SHORT, SHORT);
            let (backend, start) = (engine.built(config), Instant::now());
            let error = match outcome(&*backend, question(true)).await {
                Ok(events) => text_and_end(&events).1.expect_err("it fails").clone(),
                Err(error) => error,
            };
            assert_eq!(error, GenerateError::Unavailable(says.into()), "{}", engine.name());
            assert!(start.elapsed() >= SHORT);
            timeout(PATIENCE, upstream.all_closed()).await.expect("the connection is closed");
        }
    }
}

#[tokio::test]
async fn a_total_time_ends_an_answer_that_goes_on() {
    for engine in ENGINES {
        let gate = Arc::new(Notify::new());
        let lively = (0..1000).fold(begun(engine), |reply, _| reply.wait(&gate).text(engine.lives()));
        let upstream = Upstream::start([lively]).await;
        let mut config = keyed(&upstream);
        config.total_timeout = Some(SHORT);
        let stream = engine.built(config).generate(question(true)).await;
        let mut stream = stream.expect("an answer begins");
        assert_eq!(stream.next().await, Some(token("a")));
        let mut pace = tokio::time::interval(Duration::from_millis(10));
        let alive = async {
            loop {
                pace.tick().await;
                gate.notify_one();
            }
        };
        let events = tokio::select! {
            events = rest(stream) => events,
            () = alive => unreachable!("it has no end"),
        };
        let late = GenerateError::Unavailable("not done within 80 ms".into());
        assert_eq!(events, [TokenEvent::Failed(late)], "{}", engine.name());
    }
}
