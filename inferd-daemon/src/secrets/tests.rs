use secrecy::ExposeSecret;

use super::*;

fn config(text: &str) -> Config {
    Config::parse(text).unwrap()
}

fn load(text: &str, pairs: &[(&str, &str)]) -> Result<Secrets, SecretError> {
    let env = |name: &str| pairs.iter().find(|(key, _)| *key == name).map(|(_, value)| OsString::from(value));
    Secrets::load_with(&config(text), env)
}

fn keys(text: &str) -> Result<Keys, String> {
    Keys::parse(Path::new("keys.toml"), &Owner::Listener, text).map_err(|error| error.to_string())
}

const BACKEND: &str = "[[backends]]\nname = \"far\"\nkind = \"openai\"\nbase_url = \"http://h\"\n";

/// `printf alpha | sha256sum`, and of `beta`.
const ALPHA: &str = "8ed3f6ad685b959ead7022518e1af76cd816f8e8ec7ccdda1ed4018e8f2223f8";
const BETA: &str = "f44e64e75f3948e9f73f8dfa94721c4ce8cbb4f265c4790c702b2d41cfbf2753";

#[test]
fn a_key_is_known_by_its_name_and_any_other_is_not() {
    let keys =
        keys(&format!("laptop = \"{ALPHA}\"\n# another\nphone = \"{}\"", BETA.to_uppercase())).unwrap();
    assert_eq!(keys.identify("alpha"), Some("laptop"));
    assert_eq!(keys.identify("beta"), Some("phone"));
    for wrong in ["", "alph", "alpha ", "Alpha", ALPHA] {
        assert_eq!(keys.identify(wrong), None, "{wrong}");
    }
}

#[test]
fn the_key_in_the_variable_is_named_default() {
    let secrets = load("[listen]\napi_key_env = \"KEY\"", &[("KEY", "alpha")]).unwrap();
    assert_eq!(secrets.clients.unwrap().identify("alpha"), Some("default"));
    assert!(load("", &[]).unwrap().clients.is_none());
}

#[test]
fn mcp_clients_have_keys_of_their_own() {
    let text = "[listen]\napi_key_env = \"KEY\"\n[mcp]\napi_key_env = \"OTHER\"";
    let secrets = load(text, &[("KEY", "alpha"), ("OTHER", "beta")]).unwrap();
    assert_eq!(secrets.mcp_clients.as_ref().unwrap().identify("beta"), Some("default"));
    assert_eq!(secrets.mcp_clients.unwrap().identify("alpha"), None);
    let missing = load(text, &[("KEY", "alpha")]).unwrap_err();
    insta::assert_snapshot!(missing, @"OTHER is not set: [mcp] takes its key from it");
}

#[test]
fn nothing_shows_a_key() {
    let text = format!("[listen]\napi_key_env = \"KEY\"\n{BACKEND}api_key_env = \"OTHER\"");
    let secrets = load(&text, &[("KEY", "alpha"), ("OTHER", "omega")]).unwrap();
    assert_eq!(format!("{:?}", secrets.clients.as_ref().unwrap()), "Keys { .. }");
    let shown = format!("{secrets:?}");
    assert!(!shown.contains("alpha") && !shown.contains("omega") && !shown.contains(&ALPHA[..8]), "{shown}");
}

#[test]
fn a_backends_key_is_trimmed() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("far.key");
    std::fs::write(&file, "\n omega\n").unwrap();
    for source in [format!("api_key_file = '{}'", file.display()), "api_key_env = \"KEY\"".to_owned()] {
        let secrets = load(&format!("{BACKEND}{source}"), &[("KEY", "omega\n")]).unwrap();
        assert_eq!(secrets.of_backend("far").unwrap().expose_secret(), "omega");
        assert!(secrets.of_backend("near").is_none());
    }
}

#[test]
fn a_key_that_is_not_there_is_an_error_naming_where_and_whose() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("empty"), " \n").unwrap();
    let file = |name: &str| dir.path().join(name).display().to_string();
    let texts = [
        "[listen]\napi_key_env = \"KEY\"".to_owned(),
        format!("{BACKEND}api_key_env = \"KEY\""),
        format!("{BACKEND}api_key_env = \"BLANK\""),
        format!("{BACKEND}api_key_file = '{}'", file("none")),
        format!("{BACKEND}api_key_file = '{}'", file("empty")),
        format!("[listen]\napi_keys_file = '{}'", file("none")),
        format!("[listen]\napi_keys_file = '{}'", file("empty")),
    ];
    let messages = texts.map(|text| {
        load(&text, &[("BLANK", " ")])
            .unwrap_err()
            .to_string()
            .replace(&dir.path().display().to_string(), "DIR")
    });
    insta::assert_debug_snapshot!(messages);
}

#[test]
fn a_bad_line_of_the_keys_file_is_named_and_not_repeated() {
    let texts = [
        format!("a = \"{ALPHA}\"\nb = \"sk-secret\""),
        "a = 5".to_owned(),
        format!("a = \"{}\"", &ALPHA[1..]),
        format!("a = \"{ALPHA}00\""),
        format!("a = \"{}é\"", &ALPHA[2..]),
        format!("a = \"{ALPHA}\"\nb = \"{ALPHA}\""),
        format!("a = \"{ALPHA}\"\na = \"{BETA}\""),
        format!("a = \"{ALPHA}\"\n\nsk-secret"),
    ];
    let messages = texts.map(|text| keys(&text).unwrap_err());
    assert!(messages.iter().all(|message| !message.contains("secret")), "{messages:#?}");
    insta::assert_debug_snapshot!(messages);
}

#[test]
fn a_server_is_shown_the_token_of_its_variable_and_no_other() {
    let text = "[[servers]]\nid = \"prod\"\nurl = \"https://h/mcp\"\nbearer_env = \"TOKEN\"\n\
                [[servers]]\nid = \"files\"\ncommand = [\"a\"]";
    let secrets = load(text, &[("TOKEN", " alpha\n")]).unwrap();
    assert_eq!(secrets.of_server("prod").unwrap().expose_secret(), "alpha");
    assert!(secrets.of_server("files").is_none());
    let missing = load(text, &[]).unwrap_err();
    insta::assert_snapshot!(missing, @"TOKEN is not set: server `prod` takes its key from it");
}
