use std::error::Error;

use super::*;
use crate::config::{DaemonAddress, EngineConfig};

/// A directory with a file of this text, and an environment made of `pairs`.
fn home(text: &str) -> (tempfile::TempDir, PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("inferd/config.toml");
    std::fs::create_dir(dir.path().join("inferd")).unwrap();
    std::fs::write(&file, text).unwrap();
    (dir, file)
}

fn env<'a>(pairs: &'a [(&str, &Path)]) -> impl Fn(&str) -> Option<OsString> + 'a {
    |name| pairs.iter().find(|(key, _)| *key == name).map(|(_, value)| value.as_os_str().to_owned())
}

#[test]
fn the_named_file_comes_before_the_variable_before_the_users_own() {
    let (own, own_file) = home("drain_timeout_s = 1");
    let (_other, variable) = home("drain_timeout_s = 2");
    let (_third, named) = home("drain_timeout_s = 3");
    let seconds = |path, pairs: &[(&str, &Path)]| {
        let config = load(path, env(pairs)).unwrap();
        (config.drain_timeout.as_secs(), config.file)
    };
    let xdg = ("XDG_CONFIG_HOME", own.path());
    let var = ("INFERD_CONFIG", variable.as_path());
    assert_eq!(seconds(Some(&named), &[xdg, var]), (3, Some(named.clone())));
    assert_eq!(seconds(None, &[xdg, var]), (2, Some(variable.clone())));
    assert_eq!(seconds(None, &[xdg, ("INFERD_CONFIG", Path::new(""))]), (1, Some(own_file)));
    assert_eq!(seconds(None, &[]), (30, None));
}

#[test]
fn the_users_own_file_is_found_under_home_too() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::create_dir_all(dir.path().join(".config/inferd")).unwrap();
    std::fs::write(dir.path().join(".config/inferd/config.toml"), "drain_timeout_s = 4").unwrap();
    let config = load(None, env(&[("HOME", dir.path())])).unwrap();
    assert_eq!(config.drain_timeout.as_secs(), 4);
}

#[test]
fn a_named_file_must_be_there_and_the_users_own_need_not() {
    let dir = tempfile::tempdir().unwrap();
    let missing = dir.path().join("none.toml");
    let error = load(Some(&missing), env(&[])).unwrap_err();
    assert_eq!(error.to_string(), format!("cannot read {}", missing.display()));
    assert!(load(None, env(&[("INFERD_CONFIG", &missing)])).is_err());
    assert_eq!(load(None, env(&[("XDG_CONFIG_HOME", dir.path())])).unwrap(), Config::default());
}

#[test]
fn an_error_in_a_file_names_the_file() {
    let (_dir, file) = home("\nactive = 3");
    let error = load(Some(&file), env(&[])).unwrap_err();
    assert_eq!(error.to_string(), format!("cannot use {}", file.display()));
    let source = error.source().unwrap().to_string();
    assert_eq!(source, "line 2: active: unknown key here, it belongs to [admission]");
}

#[test]
fn relative_paths_start_at_the_files_directory() {
    let (dir, file) = home(
        "[listen]\nlocal = \"i.sock\"\napi_keys_file = \"keys.toml\"\n\
         [[backends]]\nname = \"a\"\nkind = \"openai\"\nbase_url = \"http://h\"\napi_key_file = \"/abs.key\"\n\
         [[backends]]\nname = \"b\"\nkind = \"inferd\"\nlocal = \"other.sock\"",
    );
    let config = load(Some(&file), env(&[])).unwrap();
    let inferd = dir.path().join("inferd");
    assert_eq!(config.listen.local, Some(inferd.join("i.sock")));
    assert_eq!(config.listen.keys, Some(KeySource::File(inferd.join("keys.toml"))));
    assert_eq!(config.backends[0].engine.key(), Some(&KeySource::File("/abs.key".into())));
    let EngineConfig::Inferd(other) = &config.backends[1].engine else { panic!("{config:?}") };
    assert_eq!(other.address, DaemonAddress::Local(Some(inferd.join("other.sock"))));
}
