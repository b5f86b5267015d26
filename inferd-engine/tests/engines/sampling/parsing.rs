//! How merged answers are read and shared out.

use inferd_engine::sampling::TaskFault;
use rmcp::model::{Role, SamplingMessage};

use super::*;

/// What three callers get when their merged request is answered so.
async fn three(answer: FakeAnswer) -> Vec<Answered> {
    let peer = peer([answer]);
    let coordinator = fixed(&peer, ms(100), 10);
    let answers = submit_all(&coordinator, [(ms(0), "a"), (ms(0), "b"), (ms(0), "c")]).await;
    assert_eq!(peer.requests().len(), 1);
    answers
}

async fn three_of_text(text: &str) -> Vec<Answered> {
    three(FakeAnswer::Text(text.to_owned())).await
}

fn task(index: usize, fault: TaskFault) -> SamplingError {
    SamplingError::Task { index, fault }
}

#[tokio::test(start_paused = true)]
async fn answers_are_matched_by_index_in_any_order_and_what_is_extra_is_ignored() {
    let answers = three_of_text(
        r#" [{"task_index":2,"response":"C","why":[1]}, 7, {"task_index":9,"response":"X"}, {"task_index":"1","response":"X"},
            {"task_index":0,"response":"A"}, null, {"response":"X"}, {"task_index":-1,"response":"X"}, {"task_index":1,"response":"B"}] "#,
    )
    .await;
    assert_eq!(answers.iter().map(answer).collect::<Vec<_>>(), ["A", "B", "C"]);
}

#[tokio::test(start_paused = true)]
async fn an_array_in_a_code_fence_is_read() {
    let array = r#"[{"task_index":0,"response":"```\nA\n```"},{"task_index":1,"response":"B"},{"task_index":2,"response":"C"}]"#;
    for text in [
        format!("```json\n{array}\n```"),
        format!("```\n{array}\n```\n"),
        format!("Here:\n```json\n{array}\n```"),
    ] {
        let answers = three_of_text(&text).await;
        assert_eq!(answers.iter().map(answer).collect::<Vec<_>>(), ["```\nA\n```", "B", "C"], "{text}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_answer_of_several_text_blocks_is_one_text() {
    let blocks =
        vec![r#"[{"task_index":0,"response":"A"},"#.into(), r#"{"task_index":1,"response":"B"}]"#.into()];
    let message = SamplingMessage::new_multiple(Role::Assistant, blocks);
    let answers = three(FakeAnswer::Answer(Box::new(CreateMessageResult::new(message, "m".into())))).await;
    assert_eq!(answers[..2].iter().map(answer).collect::<Vec<_>>(), ["A", "B"]);
}

#[tokio::test(start_paused = true)]
async fn each_answer_carries_the_model_and_the_stop_reason() {
    let array = r#"[{"task_index":0,"response":"A"},{"task_index":1,"response":"B"},{"task_index":2,"response":"C"}]"#;
    let mut whole = CreateMessageResult::new(SamplingMessage::assistant_text(array), "big-model".into());
    whole.stop_reason = Some("endTurn".into());
    for (answered, text) in three(FakeAnswer::Answer(Box::new(whole))).await.into_iter().zip(["A", "B", "C"])
    {
        let mut own = CreateMessageResult::new(SamplingMessage::assistant_text(text), "big-model".into());
        own.stop_reason = Some("endTurn".into());
        assert_eq!(answered, Ok(own));
    }
}

#[tokio::test(start_paused = true)]
async fn a_task_that_was_not_answered_fails_alone() {
    let answers = three_of_text(r#"[{"task_index":0,"response":"A"},{"task_index":2,"response":"C"}]"#).await;
    assert_eq!(answer(&answers[0]), "A");
    assert_eq!(answers[1], Err(task(1, TaskFault::Missing)));
    assert_eq!(answer(&answers[2]), "C");
}

#[tokio::test(start_paused = true)]
async fn what_is_no_text_or_is_there_twice_is_no_answer() {
    let answers = three_of_text(
        r#"[{"task_index":0,"response":null},{"task_index":1,"response":"B"},{"task_index":1,"response":"B"},{"task_index":2}]"#,
    )
    .await;
    let faults = [(0, TaskFault::NotText), (1, TaskFault::Twice), (2, TaskFault::Missing)];
    assert_eq!(answers, faults.map(|(index, fault)| Err(task(index, fault))));
}

#[tokio::test(start_paused = true)]
async fn of_an_answer_cut_off_what_is_complete_counts() {
    let text = r#"[{"task_index":0,"response":"A"},{"task_index":1,"response":"half of"#;
    let mut cut = CreateMessageResult::new(SamplingMessage::assistant_text(text), "m".into());
    cut.stop_reason = Some("maxTokens".into());
    let answers = three(FakeAnswer::Answer(Box::new(cut))).await;
    assert_eq!(answer(&answers[0]), "A");
    assert_eq!(answers[1..], [Err(task(1, TaskFault::CutOff)), Err(task(2, TaskFault::CutOff))]);
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_read_fails_for_all_and_says_how() {
    let mut told = Vec::new();
    for (fake, expect) in [
        (FakeAnswer::Text("I would rather not.".into()), "no JSON array"),
        (FakeAnswer::Text(r#"{"task_index":0,"response":"A"}"#.into()), "no JSON array"),
        (FakeAnswer::Text(r#"[{"task_index":0,"response":"A"},"#.into()), "no JSON array"),
        (FakeAnswer::Text("[] and more".into()), "no JSON array"),
        (FakeAnswer::Malformed, "not the assistant's"),
        (FakeAnswer::Empty, "no text"),
    ] {
        for answered in three(fake).await {
            let Err(SamplingError::Malformed(why)) = answered else { panic!("{answered:?}") };
            assert!(why.contains(expect), "{why}");
            told.push(why);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_failed_request_fails_for_all_and_each_way_of_failing_is_told_apart() {
    let failures = [
        (FakeAnswer::Refused, "refused"),
        (FakeAnswer::Never, "did not answer within 30s"),
        (FakeAnswer::Malformed, "not understood"),
        (FakeAnswer::Transport, "lost"),
        (FakeAnswer::Error(SamplingError::said(-32603, "out of memory")), "failed: out of memory"),
    ];
    let mut told = Vec::new();
    for (failure, expect) in failures {
        let answers = three(failure).await;
        let error = answers[0].as_ref().expect_err("a failure");
        assert!(error.to_string().contains(expect), "{error}");
        assert!(answers.iter().all(|answered| *answered == answers[0]));
        assert!(!told.contains(error));
        told.push(error.clone());
    }
}
