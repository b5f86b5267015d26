use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;

proptest! {
    #[test]
    fn any_text_comes_through_as_it_was(tasks in proptest::collection::vec((any::<String>(), any::<Option<String>>()), 2..5)) {
        let calls: Vec<CreateMessageRequestParams> = tasks
            .iter()
            .map(|(text, system)| {
                let mut params = CreateMessageRequestParams::new(vec![SamplingMessage::user_text(text)], 1);
                params.system_prompt.clone_from(system);
                params
            })
            .collect();
        let merged = merge(&calls.iter().collect::<Vec<_>>());
        let read: Value = serde_json::from_str(&text(&merged.messages[0]).unwrap()).unwrap();
        prop_assert_eq!(read["tasks"].as_array().map(Vec::len), Some(tasks.len()));
        for (index, (text, system)) in tasks.iter().enumerate() {
            let mut expected = json!({"task_index": index, "messages": [{"role": "user", "content": text}]});
            if let Some(system) = system {
                expected["system"] = json!(system);
            }
            prop_assert_eq!(&read["tasks"][index], &expected);
        }
    }

    #[test]
    fn a_task_weighs_what_it_adds(text in any::<String>()) {
        let call = CreateMessageRequestParams::new(vec![SamplingMessage::user_text(text)], 7);
        let length = |calls: &[&CreateMessageRequestParams]| super::text(&merge(calls).messages[0]).unwrap().len();
        let comma = 1;
        prop_assert_eq!(length(&[&call, &call]), length(&[&call]) + comma + weight(&call).bytes);
        prop_assert_eq!(weight(&call).tokens, 7);
    }
}
