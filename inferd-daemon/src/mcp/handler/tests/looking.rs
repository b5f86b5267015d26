//! What a client sees of the daemon.

use super::*;
use crate::mcp::menu::Offered;

#[tokio::test(start_paused = true)]
async fn the_daemon_says_what_it_can_do() {
    let rig = Rig::of(Scripted::saying("lane", &["a"]));
    let mut session = rig.session().await;
    let info = Handler::new(Arc::clone(&rig.desk)).get_info();
    let can = serde_json::to_value(info.capabilities).unwrap();
    assert_eq!(
        can,
        json!({
            "logging": {},
            "prompts": { "listChanged": true },
            "resources": { "listChanged": true },
            "tools": { "listChanged": true },
        })
    );
    let tools = session.request("tools/list", json!({})).await;
    let tools = tools["result"]["tools"].as_array().unwrap();
    let names: Vec<_> = tools.iter().map(|tool| tool["name"].as_str().unwrap()).collect();
    let own = ["generate", "embed", "list_models", "daemon_status", "run_agent", "lend_model"];
    assert_eq!(names, own);
    let prompts = session.request("prompts/list", json!({})).await;
    assert_eq!(prompts["result"]["prompts"], json!([]));
}

#[tokio::test(start_paused = true)]
async fn every_schema_is_of_draft_2020_12_and_closed() {
    for tool in tools::own().iter().map(Offered::described) {
        for schema in [Some(&tool.input_schema), tool.output_schema.as_ref()].into_iter().flatten() {
            assert_eq!(schema["$schema"], "https://json-schema.org/draft/2020-12/schema", "{}", tool.name);
            assert_eq!((&schema["type"], &schema["additionalProperties"]), (&json!("object"), &json!(false)));
            let properties = schema["properties"].as_object().unwrap();
            let required = schema["required"].as_array().unwrap();
            assert!(
                required.iter().all(|name| properties.contains_key(name.as_str().unwrap())),
                "{}",
                tool.name
            );
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_result_has_every_field_its_schema_requires_and_no_other() {
    let rig = Rig::of(Scripted::saying("lane", &["a"]));
    let mut session = rig.session().await;
    let own = tools::own();
    let apart = ["embed", "lend_model"];
    for tool in own.iter().map(Offered::described).filter(|tool| !apart.contains(&&*tool.name)) {
        let arguments = if ["generate", "run_agent"].contains(&&*tool.name) {
            json!({ "prompt": "a" })
        } else {
            json!({})
        };
        let result = session.call(&tool.name, arguments).await;
        let (fields, schema) =
            (result["structuredContent"].as_object().unwrap(), tool.output_schema.as_ref().unwrap());
        let properties = schema["properties"].as_object().unwrap();
        assert!(fields.keys().all(|name| properties.contains_key(name)), "{}: {fields:?}", tool.name);
        let required = schema["required"].as_array().unwrap();
        assert!(required.iter().all(|name| fields.contains_key(name.as_str().unwrap())), "{}", tool.name);
    }
}

#[tokio::test(start_paused = true)]
async fn models_and_state_are_tools_and_resources_alike() {
    let rig = Rig::of(Scripted::saying("lane", &["a"]));
    let mut session = rig.session().await;
    let listed = session.request("resources/list", json!({})).await;
    let uris: Vec<_> = listed["result"]["resources"].as_array().unwrap().iter().map(|r| &r["uri"]).collect();
    assert_eq!(uris, ["inferd://status", "inferd://models"]);
    for (uri, tool) in [("inferd://models", "list_models"), ("inferd://status", "daemon_status")] {
        let read = session.request("resources/read", json!({ "uri": uri })).await;
        let contents = &read["result"]["contents"][0];
        assert_eq!(contents["mimeType"], "application/json");
        let read: Value = serde_json::from_str(contents["text"].as_str().unwrap()).unwrap();
        let called = session.call(tool, json!({})).await;
        assert_eq!(read, called["structuredContent"], "{uri}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_change_of_the_terms_holds_for_the_next_call_of_an_open_session() {
    let rig = Rig::of(Scripted::saying("old", &["a"]));
    let mut session = rig.session().await;
    let router = Arc::new(Router::new(vec![Scripted::saying("new", &["b"])]));
    rig.terms.send_modify(|terms| {
        terms.service = Arc::new(Service { router, ..(*terms.service).clone() });
    });
    assert_eq!(text(&session.call("generate", json!({ "prompt": "hi" })).await), "b");
}
