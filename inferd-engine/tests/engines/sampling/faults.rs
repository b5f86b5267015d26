//! Bad answers cost their own caller little, and the others nothing.

use inferd_engine::sampling::{CoordinatorConfig, SamplingCoordinator, TaskFault};
use rmcp::model::SamplingMessage;

use super::*;

/// What three callers get, and what the peer was asked, when the merged request is answered so, and single ones
/// with `again`.
async fn three(merged: FakeAnswer, again: FakeAnswer) -> (Vec<Answered>, Vec<Vec<String>>) {
    let peer = peer([merged, again]);
    let coordinator = SamplingCoordinator::adaptive(peer.clone());
    let answers = submit_all(&coordinator, [(ms(0), "a"), (ms(0), "b"), (ms(0), "c")]).await;
    (answers, all_asked(&peer))
}

fn text(text: &str) -> FakeAnswer {
    FakeAnswer::Text(text.to_owned())
}

fn cut(text: &str) -> FakeAnswer {
    let whole = CreateMessageResult::new(SamplingMessage::assistant_text(text), "m".into());
    FakeAnswer::Answer(Box::new(whole.with_stop_reason("maxTokens")))
}

#[tokio::test(start_paused = true)]
async fn what_a_merged_answer_lacks_is_asked_again_alone() {
    let first = r#"{"task_index":0,"response":"A"}"#;
    for bad in [
        text(&format!(r#"[{first},{{"task_index":2,"response":"C"}}]"#)),
        text(&format!(r#"[{first},{{"task_index":1,"response":7}},{{"task_index":2,"response":"C"}}]"#)),
        text(&format!(
            r#"[{{"task_index":1,"response":"x"}},{{"task_index":1,"response":"y"}},{first},{{"task_index":2,"response":"C"}}]"#
        )),
        cut(&format!(r#"[{first},{{"task_index":2,"response":"C"}},{{"task_index":1,"respo"#)),
    ] {
        let (answers, asked) = three(bad, echo(ms(0))).await;
        assert_eq!(answers.iter().map(answer).collect::<Vec<_>>(), ["A", "re: b", "C"]);
        assert_eq!(asked, [vec!["a", "b", "c"], vec!["b"]]);
    }
}

#[tokio::test(start_paused = true)]
async fn a_merged_answer_that_cannot_be_read_costs_one_more_attempt_each() {
    let too_long = FakeAnswer::Error(SamplingError::said(-32602, "maxTokens is too large"));
    for bad in [text("no"), FakeAnswer::Empty, FakeAnswer::Malformed, too_long] {
        let (answers, asked) = three(bad, echo(ms(0))).await;
        assert_eq!(answers.iter().map(answer).collect::<Vec<_>>(), ["re: a", "re: b", "re: c"]);
        assert_eq!(asked, [vec!["a", "b", "c"], vec!["a"], vec!["b"], vec!["c"]]);
    }
}

#[tokio::test(start_paused = true)]
async fn a_second_bad_answer_is_final() {
    let (answers, asked) = three(text("no"), FakeAnswer::Error(SamplingError::said(-32603, "no"))).await;
    assert_eq!(asked.len(), 4);
    for answered in answers {
        assert!(matches!(answered, Err(SamplingError::Failed { .. })), "{answered:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn whether_to_ask_again_is_configured() {
    let peer = peer([text(r#"[{"task_index":0,"response":"A"}]"#), echo(ms(0))]);
    let config = CoordinatorConfig { retry_alone: false, ..CoordinatorConfig::default() };
    let coordinator = SamplingCoordinator::with_config(peer.clone(), config);
    let answers = submit_all(&coordinator, [(ms(0), "a"), (ms(0), "b")]).await;
    assert_eq!(answer(&answers[0]), "A");
    assert_eq!(answers[1], Err(SamplingError::Task { index: 1, fault: TaskFault::Missing }));
    assert_eq!(peer.requests().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_no_a_time_out_or_a_lost_peer_is_not_asked_again() {
    for bad in [FakeAnswer::Refused, FakeAnswer::Never, FakeAnswer::Transport, FakeAnswer::Panic] {
        let (answers, asked) = three(bad, echo(ms(0))).await;
        assert!(answers.iter().all(Result::is_err), "{answers:?}");
        assert_eq!(asked.len(), 1);
    }
}

#[tokio::test(start_paused = true)]
async fn a_caller_that_left_meanwhile_is_not_asked_about_again() {
    let peer = peer([FakeAnswer::After(ms(100), Box::new(text("no"))), echo(ms(0))]);
    let coordinator = SamplingCoordinator::adaptive(peer.clone());
    let leaving = tokio::time::timeout(ms(60), coordinator.submit(ask("gone")));
    let (gone, answered) = tokio::join!(leaving, coordinator.submit(ask("a")));
    assert!(gone.is_err());
    assert_eq!(answer(&answered), "re: a");
    assert_eq!(all_asked(&peer), [vec!["gone", "a"], vec!["a"]]);
}

#[tokio::test(start_paused = true)]
async fn a_client_that_panics_is_an_error_for_its_callers_and_nobody_else() {
    let peer = peer([FakeAnswer::Panic, echo(ms(0))]);
    let coordinator = SamplingCoordinator::adaptive(peer.clone());
    let answers = submit_all(&coordinator, [(ms(0), "a"), (ms(0), "b"), (ms(50), "c")]).await;
    assert_eq!(answers[..2], [Err(SamplingError::Internal), Err(SamplingError::Internal)]);
    assert_eq!(answer(&answers[2]), "re: c");
}

#[tokio::test(start_paused = true)]
async fn an_empty_text_somebody_wrote_is_an_answer() {
    let (answers, asked) = three(
        text(r#"[{"task_index":0,"response":""},{"task_index":1,"response":""},{"task_index":2,"response":""}]"#),
        echo(ms(0)),
    )
    .await;
    assert_eq!(answers.iter().map(answer).collect::<Vec<_>>(), ["", "", ""]);
    assert_eq!(asked.len(), 1);
}

#[tokio::test(start_paused = true)]
async fn the_time_of_the_first_attempt_does_not_count_against_the_second() {
    let peer = peer([FakeAnswer::After(ms(6000), Box::new(text("no"))), echo(ms(1000))]);
    let config = CoordinatorConfig { in_flight_max: 1, ..CoordinatorConfig::default() };
    let coordinator = SamplingCoordinator::with_config(peer.clone(), config);
    let answers = submit_all(&coordinator, [(ms(0), "a"), (ms(0), "b")]).await;
    assert_eq!(answers.iter().map(answer).collect::<Vec<_>>(), ["re: a", "re: b"]);
}
