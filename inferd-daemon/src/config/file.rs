//! Which file is read, and from where its relative paths start.

use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};

use super::{Config, ConfigError, KeySource, ServerConfig};

pub(super) fn load(
    path: Option<&Path>,
    env: impl Fn(&str) -> Option<OsString>,
) -> Result<Config, ConfigError> {
    let set = |name: &str| env(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    if let Some(path) = path.map(Path::to_owned).or_else(|| set("INFERD_CONFIG")) {
        return read(path);
    }
    let Some(path) = users_file(set) else { return Ok(Config::default()) };
    match read(path) {
        Err(ConfigError::Read { source, .. }) if source.kind() == io::ErrorKind::NotFound => {
            Ok(Config::default())
        }
        result => result,
    }
}

/// `config.toml` in the user's configuration directory.
fn users_file(set: impl Fn(&str) -> Option<PathBuf>) -> Option<PathBuf> {
    let dir = if cfg!(windows) {
        set("APPDATA")
    } else {
        set("XDG_CONFIG_HOME").filter(|dir| dir.is_absolute()).or_else(|| Some(set("HOME")?.join(".config")))
    };
    Some(dir?.join("inferd").join("config.toml"))
}

fn read(path: PathBuf) -> Result<Config, ConfigError> {
    let text = match std::fs::read_to_string(&path) {
        Ok(text) => text,
        Err(source) => return Err(ConfigError::Read { path, source }),
    };
    match Config::parse(&text) {
        Ok(config) => Ok(rebased(config, path)),
        Err(error) => Err(ConfigError::File { path, source: Box::new(error) }),
    }
}

/// `config`, read from `file`, in whose directory relative paths start.
fn rebased(mut config: Config, file: PathBuf) -> Config {
    let dir = file.parent().unwrap_or(Path::new(""));
    let rebase = |path: &mut PathBuf| *path = dir.join(&*path);
    let of_backends = config.backends.iter_mut().flat_map(|backend| backend.engine.paths_mut());
    let of_servers = config.servers.iter_mut().filter_map(ServerConfig::path_mut);
    let keys = [&mut config.listen.keys, &mut config.mcp.keys].into_iter().flatten();
    let of_keys = keys.filter_map(KeySource::path_mut);
    let places = config.listen.local.as_mut().into_iter().chain(config.state.path.as_mut());
    of_backends.chain(of_servers).chain(of_keys).chain(places).for_each(rebase);
    config.file = Some(file);
    config
}

#[cfg(test)]
mod tests;
