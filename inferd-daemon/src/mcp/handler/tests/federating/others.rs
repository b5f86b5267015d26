//! Resources and prompts of upstream servers, and rooms.

use super::*;

impl Actor {
    /// Plays a server that offers these, one of each.
    async fn offers(&mut self, resource: Value, template: Value, prompt: Value) {
        let hello = self.is_asked("initialize").await;
        let capabilities = json!({ "resources": {}, "prompts": {} });
        let info = json!({ "name": "played", "version": "1" });
        let version = &hello["params"]["protocolVersion"];
        let result = json!({ "protocolVersion": version, "serverInfo": info, "capabilities": capabilities });
        self.answers(&hello, result).await;
        self.is_asked("notifications/initialized").await;
        let ping = self.is_asked("ping").await;
        self.answers(&ping, json!({})).await;
        let lists = [
            ("resources/list", json!({ "resources": [resource] })),
            ("resources/templates/list", json!({ "resourceTemplates": [template] })),
            ("prompts/list", json!({ "prompts": [prompt] })),
        ];
        for (method, list) in lists {
            let asked = self.is_asked(method).await;
            self.answers(&asked, list).await;
        }
    }
}

/// The daemon, and a server `files` with a resource, a template and a prompt.
async fn with_all() -> (Rig, Stage, Actor) {
    let stage = Stage::of(&["files"]);
    let mut files = stage.enter("files").await;
    let resource = json!({ "uri": "file:///n", "name": "notes", "mimeType": "text/plain" });
    let template = json!({ "uriTemplate": "file:///{+path}", "name": "any", "title": "Any file" });
    let prompt = json!({ "name": "sum up", "description": "Sums up", "arguments": [{ "name": "of", "required": true }] });
    files.offers(resource, template, prompt).await;
    let rig = Rig::of(Scripted::saying("lane", &["a"]));
    rig.federate(&stage);
    rig.offers("inferd+server://files/file:///n").await;
    (rig, stage, files)
}

#[tokio::test(start_paused = true)]
async fn resources_are_listed_under_uris_that_say_whose_they_are() {
    let (rig, _stage, _files) = with_all().await;
    let mut session = rig.session().await;
    let listed = session.request("resources/list", json!({})).await;
    let expected =
        json!({ "uri": "inferd+server://files/file:///n", "name": "notes", "mimeType": "text/plain" });
    assert_eq!(listed["result"]["resources"][2], expected);
    let listed = session.request("resources/templates/list", json!({})).await;
    let uri = "inferd+server://files/file:///{+path}";
    let expected = json!([{ "uriTemplate": uri, "name": "any", "title": "Any file" }]);
    assert_eq!(listed["result"]["resourceTemplates"], expected);
}

#[tokio::test(start_paused = true)]
async fn a_resource_is_read_at_its_server_listed_or_not() {
    let (rig, _stage, mut files) = with_all().await;
    let mut session = rig.session().await;
    for own in ["file:///n", "file:///else/where"] {
        let uri = format!("inferd+server://files/{own}");
        let id = session.ask("resources/read", json!({ "uri": uri })).await;
        let asked = files.is_asked("resources/read").await;
        assert_eq!(asked["params"]["uri"], own);
        files.answers(&asked, json!({ "contents": [{ "uri": own, "text": "milk" }] })).await;
        let read = session.answer(id).await;
        assert_eq!(read["result"]["contents"], json!([{ "uri": uri, "text": "milk" }]));
    }
    for uri in ["file:///n", "inferd+server://nowhere/file:///n", "inferd://nothing"] {
        let refused = session.request("resources/read", json!({ "uri": uri })).await;
        let said = refused["error"]["message"].as_str().unwrap();
        assert_eq!(said, format!("there is no resource `{uri}`"));
    }
}

#[tokio::test(start_paused = true)]
async fn what_a_server_says_no_to_is_an_error_with_its_code() {
    let (rig, _stage, mut files) = with_all().await;
    let mut session = rig.session().await;
    let id = session.ask("resources/read", json!({ "uri": "inferd+server://files/file:///n" })).await;
    let asked = files.is_asked("resources/read").await;
    let error = json!({ "code": -32002, "message": "gone" });
    files.says(json!({ "jsonrpc": "2.0", "id": asked["id"], "error": error })).await;
    let expected = json!({ "code": -32002, "message": "server `files` refused: gone" });
    assert_eq!(session.answer(id).await["error"], expected);
}

#[tokio::test(start_paused = true)]
async fn a_prompt_is_got_from_its_server_in_either_spelling() {
    let (rig, stage, mut files) = with_all().await;
    let mut session = rig.session().await;
    let listed = session.request("prompts/list", json!({})).await;
    let spelling = stage.upstreams.catalogue().prompts[0].spelling.clone();
    let arguments = json!([{ "name": "of", "required": true }]);
    let expected = json!([{ "name": spelling, "description": "Sums up", "arguments": arguments }]);
    assert_eq!(listed["result"]["prompts"], expected);
    for name in [spelling.as_str(), "files::sum up"] {
        let id = session.ask("prompts/get", json!({ "name": name, "arguments": { "of": "it" } })).await;
        let asked = files.is_asked("prompts/get").await;
        assert_eq!(
            (&asked["params"]["name"], &asked["params"]["arguments"]["of"]),
            (&json!("sum up"), &json!("it"))
        );
        let said = json!({ "role": "user", "content": { "type": "text", "text": "sum it up" } });
        files.answers(&asked, json!({ "description": "one", "messages": [said] })).await;
        let got = session.answer(id).await["result"].take();
        assert_eq!((&got["description"], &got["messages"]), (&json!("one"), &json!([said])));
    }
}

fn rooms(text: &str) -> Vec<RoomConfig> {
    Config::parse(text).unwrap().rooms
}

#[tokio::test(start_paused = true)]
async fn a_room_is_a_prompt_of_its_instructions_and_what_the_user_says() {
    let rig = Rig::of(Scripted::saying("lane", &["a"]));
    let terse = rooms("[[rooms]]\nid = \"terse\"\nsystem = \"You are terse.\"\n[[rooms]]\nid = \"plain\"\n");
    rig.rooms.send_replace(terse);
    rig.federate(&Stage::empty());
    rig.offers("terse").await;
    let mut session = rig.session().await;
    let listed = session.request("prompts/list", json!({})).await;
    let listed = &listed["result"]["prompts"];
    assert_eq!((&listed[0]["name"], &listed[1]["name"]), (&json!("plain"), &json!("terse")));
    assert_eq!(listed[1]["arguments"][0]["name"], "prompt");
    let asked = |room| json!({ "name": room, "arguments": { "prompt": "hi" } });
    let said = |text| json!({ "role": "user", "content": { "type": "text", "text": text } });
    let got = session.request("prompts/get", asked("terse")).await;
    assert_eq!(got["result"]["messages"], json!([said("You are terse."), said("hi")]));
    let got = session.request("prompts/get", asked("plain")).await;
    assert_eq!(got["result"]["messages"], json!([said("hi")]));
    let refused = session.request("prompts/get", json!({ "name": "terse" })).await;
    assert_eq!(refused["error"], json!({ "code": -32602, "message": "prompt: expected a string" }));

    rig.rooms.send_replace(rooms("[[rooms]]\nid = \"new\"\n"));
    rig.offers("new").await;
    let listed = session.request("prompts/list", json!({})).await;
    assert_eq!(listed["result"]["prompts"].as_array().unwrap().len(), 1);
}
