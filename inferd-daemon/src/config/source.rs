//! Where a configuration comes from, so that it can be read again as it was read first.

use std::path::PathBuf;

use super::{Config, ConfigError, Overrides};

/// A place and what is said over it.
#[derive(Debug, Clone, Default)]
pub struct Source {
    /// The file that was named, if one was (see [`Config::load`]).
    pub file: Option<PathBuf>,
    /// What flags and environment said when the process started.
    pub overrides: Overrides,
}

impl Source {
    /// A file, or where none is named the one that is found, as it is.
    #[must_use]
    pub fn of_file(file: Option<PathBuf>) -> Self {
        Self { file, overrides: Overrides::default() }
    }

    /// Reads it as it is now.
    ///
    /// # Errors
    /// [`ConfigError`], as [`Config::load`] and [`Config::apply`] give it.
    pub fn read(&self) -> Result<Config, ConfigError> {
        Config::load(self.file.as_deref())?.apply(&self.overrides)
    }
}
