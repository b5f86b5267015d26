use super::*;
use crate::config::Config;

const BASE: &str = r#"
drain_timeout_s = 3
[listen]
tcp = "127.0.0.1:4"
[[backends]]
name = "a"
kind = "openai"
base_url = "http://host"
models = ["m", "n"]
[[backends]]
name = "b"
kind = "mock"
"#;

async fn wanted(text: &str) -> Wanted {
    Wanted::of(Config::parse(text).unwrap()).await.unwrap()
}

/// What changes when `old` becomes `new`.
async fn between(old: &str, new: &str) -> Reloaded {
    Plan::between(&wanted(old).await, &wanted(new).await).report()
}

/// What changes when this much of the base is written otherwise.
async fn change(from: &str, to: &str) -> Reloaded {
    assert!(BASE.contains(from), "{from}");
    between(BASE, &BASE.replace(from, to)).await
}

fn names(names: &[&str]) -> Vec<String> {
    names.iter().map(ToString::to_string).collect()
}

#[tokio::test]
async fn of_what_is_the_same_nothing_changes() {
    assert_eq!(between(BASE, BASE).await, Reloaded { kept: names(&["a", "b"]), ..Reloaded::default() });
}

#[tokio::test]
async fn what_a_backend_is_made_of_makes_it_anew() {
    for made_of in [
        "base_url = \"http://other\"",
        "base_url = \"http://host\"\nfirst_token_timeout_s = 7",
        "base_url = \"http://host\"\ntotal_timeout_s = 7",
    ] {
        let plan = change("base_url = \"http://host\"", made_of).await;
        assert_eq!((plan.rebuilt, plan.kept), (names(&["a"]), names(&["b"])), "{made_of}");
    }
    assert_eq!(
        change("[\"m\", \"n\"]", "[\"n\", \"m\"]").await.rebuilt,
        ["a"],
        "another model is the default"
    );
    assert_eq!(change("kind = \"mock\"", "kind = \"mock\"\ntokens = [\"x\"]").await.rebuilt, ["b"]);
    assert_eq!(change("kind = \"mock\"", "kind = \"ollama\"").await.rebuilt, ["b"]);
}

#[tokio::test]
async fn how_a_backend_is_used_leaves_it_as_it_is_built() {
    for used in [
        "priority = 3",
        "concurrency = 2",
        "hedge_after_ms = 50",
        "aliases = { x = \"y\" }",
        "models = [\"*\"]",
    ] {
        let plan = change("kind = \"mock\"", &format!("kind = \"mock\"\n{used}")).await;
        assert_eq!((plan.adjusted, plan.kept), (names(&["b"]), names(&["a"])), "{used}");
    }
}

#[tokio::test]
async fn backends_come_and_go_by_name() {
    let plan = change("name = \"b\"", "name = \"c\"").await;
    assert_eq!((plan.added, plan.removed, plan.kept), (names(&["c"]), names(&["b"]), names(&["a"])));
}

#[tokio::test]
async fn other_settings_are_named_as_the_file_spells_them() {
    let new = "drain_timeout_s = 4\n[admission]\nactive = 9\n[limits]\nidle_timeout_s = 5\n[breaker]\nfailures = 1\n";
    let plan = change("drain_timeout_s = 3\n", new).await;
    let settings = ["[admission] active", "[breaker] failures", "[limits] idle_timeout_s", "drain_timeout_s"];
    assert_eq!((plan.settings, plan.needs_restart), (names(&settings), vec![]));
}

#[tokio::test]
async fn where_clients_connect_waits_for_a_restart() {
    let listen = "local = \"x\"\ngroup = \"g\"\ntcp = \"127.0.0.1:5\"";
    let plan = change("tcp = \"127.0.0.1:4\"", listen).await;
    let waiting = ["[listen] group", "[listen] local", "[listen] tcp"];
    assert_eq!((plan.needs_restart, plan.settings), (names(&waiting), vec![]));
    assert_eq!(change("tcp = \"127.0.0.1:4\"", "").await.needs_restart, ["[listen] tcp"]);
}

#[tokio::test]
async fn a_key_that_changed_where_it_lies_is_a_change() {
    let dir = tempfile::tempdir().unwrap();
    let [theirs, ours] = ["theirs", "ours"].map(|name| dir.path().join(name));
    let text = BASE
        .replace("[listen]", &format!("[listen]\napi_keys_file = '{}'", theirs.display()))
        .replace("models", &format!("api_key_file = '{}'\nmodels", ours.display()));
    let write = |digit: &str, key: &str| {
        std::fs::write(&theirs, format!("x = \"{}\"", digit.repeat(64))).unwrap();
        std::fs::write(&ours, key).unwrap();
    };
    write("a", "one");
    let before = wanted(&text).await;
    let plan = Plan::between(&before, &wanted(&text).await).report();
    assert_eq!((plan.settings, plan.rebuilt), (vec![], vec![]));
    write("b", "two");
    let plan = Plan::between(&before, &wanted(&text).await).report();
    assert_eq!((plan.settings, plan.rebuilt), (names(&["[listen] api_keys_file"]), names(&["a"])));
}
