use std::sync::Arc;

use serde_json::json;

use super::super::listing::Listing;
use super::*;

fn standing(id: &str, state: State, tools: &[&str]) -> Standing {
    let entry = |name: &&str| Arc::new(json!({"name": name, "inputSchema": {}}).as_object().unwrap().clone());
    let listing = Listing { tools: tools.iter().map(entry).collect(), ..Listing::default() };
    let condition = Condition { state, tools: tools.len(), last_error: None, remarks: Vec::new() };
    let server = Server { id: id.to_owned(), kind: "stdio", condition, since: Instant::now(), latency: None };
    Standing { server, listing: Arc::new(listing) }
}

fn catalogue(standings: &[Standing]) -> Catalogue {
    let standings = standings.iter().map(|it| (it.server.id.as_str(), it.clone())).collect();
    Catalogue::default().followed_by(&standings).0
}

#[tokio::test]
async fn lists_are_sorted_whoever_answered_first() {
    let catalogue = catalogue(&[
        standing("b", State::Live, &["z", "a"]),
        standing("a-b", State::Down, &["x"]),
        standing("a", State::Live, &["z"]),
    ]);
    let names: Vec<_> = catalogue.tools.iter().map(|tool| (tool.name.as_str(), tool.stale)).collect();
    assert_eq!(names, [("a-b::x", true), ("a::z", false), ("b::a", false), ("b::z", false)]);
    let servers: Vec<_> = catalogue.servers.iter().map(|server| server.id.as_str()).collect();
    assert_eq!(servers, ["a", "a-b", "b"]);
}

#[tokio::test]
async fn three_hundred_strange_names_are_all_found_and_all_valid() {
    let strange: Vec<String> = (0..300)
        .map(|n| match n % 6 {
            0 => format!("with space {n}"),
            1 => format!("__{n}"),
            2 => format!("ünïcödé{n}"),
            3 => format!("{}{n}", "long".repeat(40)),
            4 => format!("a::b__{n}"),
            _ => format!("\u{1F980}/\n\"{n}"),
        })
        .collect();
    let strange: Vec<&str> = strange.iter().map(String::as_str).collect();
    let catalogue = catalogue(&[standing("a", State::Live, &strange), standing("b", State::Live, &strange)]);
    assert_eq!(catalogue.tools.len(), 600);
    for tool in &catalogue.tools {
        assert!(tool.spelling.len() <= 64, "{}", tool.spelling);
        assert!(
            tool.spelling.chars().all(|c| c.is_ascii_alphanumeric() || "_-".contains(c)),
            "{}",
            tool.spelling
        );
        for name in [&tool.name, &tool.spelling] {
            let found = catalogue.tool(name).unwrap();
            assert_eq!((&found.server, &found.own_name), (&tool.server, &tool.own_name), "{name}");
        }
    }
}

#[tokio::test]
async fn a_name_is_looked_up_and_never_split() {
    let catalogue = catalogue(&[standing("a", State::Live, &["b::c"]), standing("d", State::Live, &["e"])]);
    assert_eq!(catalogue.tool("a::b::c").unwrap().own_name, "b::c");
    for nobody in ["a::b", "a__b__c", "d__e__", "d::e::", "e", "::e", ""] {
        assert!(catalogue.tool(nobody).is_none(), "{nobody}");
    }
    assert_eq!(catalogue.tool("d__e").unwrap().name, "d::e");
}

#[tokio::test]
async fn resources_and_prompts_are_named_after_their_server_too() {
    let mut it = standing("files", State::Live, &[]);
    let entry = |value: Value| Arc::new(value.as_object().unwrap().clone());
    it.listing = Arc::new(Listing {
        resources: vec![entry(json!({"uri": "file:///a", "name": "a"}))],
        templates: vec![entry(json!({"uriTemplate": "file:///{path}", "name": "t"}))],
        prompts: vec![entry(json!({"name": "greet"}))],
        ..Listing::default()
    });
    let catalogue = catalogue(&[it]);
    assert_eq!(catalogue.resources[0].name, "inferd+server://files/file:///a");
    assert_eq!(catalogue.templates[0].name, "inferd+server://files/file:///{path}");
    assert_eq!(catalogue.prompt("files__greet"), catalogue.prompt("files::greet"));
    assert_eq!(catalogue.prompts[0].name, "files::greet");
}
