use proptest::prelude::*;
use serde_json::json;

use super::*;

fn answer(text: String, stop_reason: &str) -> CreateMessageResult {
    let message = SamplingMessage::assistant_text(text);
    CreateMessageResult::new(message, "m".to_owned()).with_stop_reason(stop_reason)
}

proptest! {
    #[test]
    fn every_task_gets_what_was_written_for_it(
        texts in proptest::collection::vec(any::<String>(), 1..8),
        turn in any::<prop::sample::Index>(),
        fenced in any::<bool>(),
    ) {
        let mut entries: Vec<_> = texts
            .iter()
            .enumerate()
            .map(|(index, text)| json!({"task_index": index, "response": text}))
            .collect();
        entries.rotate_left(turn.index(texts.len()));
        let mut written = json!(entries).to_string();
        if fenced {
            written = format!("```json\n{written}\n```");
        }
        let answers = read(&answer(written, "endTurn"), texts.len()).unwrap();
        prop_assert_eq!(answers, texts.into_iter().map(Ok).collect::<Vec<_>>());
    }

    #[test]
    fn an_answer_cut_anywhere_gives_whole_texts_or_none(
        texts in proptest::collection::vec("[a-z\"\\\\é]{0,8}", 1..5),
        at in any::<prop::sample::Index>(),
    ) {
        let entries: Vec<_> = texts
            .iter()
            .enumerate()
            .map(|(index, text)| json!({"task_index": index, "response": text}))
            .collect();
        let mut written = json!(entries).to_string();
        let cut = (1..written.len()).rev().filter(|&at| written.is_char_boundary(at)).collect::<Vec<_>>();
        written.truncate(cut[at.index(cut.len())]);
        let answers = read(&answer(written, "maxTokens"), texts.len()).unwrap();
        let whole = answers.iter().take_while(|answer| answer.is_ok()).count();
        for (index, (answer, text)) in answers.into_iter().zip(texts).enumerate() {
            prop_assert_eq!(answer, if index < whole { Ok(text) } else { Err(TaskFault::CutOff) });
        }
    }

    #[test]
    fn no_answer_is_too_strange_to_be_read(text in any::<String>(), cut in any::<bool>(), tasks in 0..4_usize) {
        for text in [text.clone(), format!("[{text}"), format!("```{text}"), format!("```\n[{text}")] {
            if let Ok(answers) = read(&answer(text, if cut { "maxTokens" } else { "endTurn" }), tasks) {
                prop_assert_eq!(answers.len(), tasks);
            }
        }
    }
}
