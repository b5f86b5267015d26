//! One `[[rooms]]`: a named profile for an agent's turns: a system prompt, a model, the tools it may call.
//!
//! Invariants:
//! - A room names only servers there are.

use super::ServerConfig;
use super::error::ConfigError;
use super::section::Section;
use super::servers::id;

/// A room as it is configured.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RoomConfig {
    /// Unique; of the same letters as a server's id.
    pub id: String,
    /// What the model is told before anything else.
    pub system: Option<String>,
    /// The model or alias that answers; `None`: whatever lane there is.
    pub model: Option<String>,
    /// Which tools it may call; `None`: all, empty: none.
    pub tools: Option<Vec<ToolPattern>>,
}

/// Names of tools as `server::tool`, where `*` stands for any characters or none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ToolPattern(String);

impl ToolPattern {
    /// Whether it means the tool `name`, written `server::tool`.
    #[must_use]
    pub fn matches(&self, name: &str) -> bool {
        let mut parts = self.0.split('*');
        let first = parts.next().unwrap_or_default();
        let Some(mut rest) = name.strip_prefix(first) else { return false };
        let Some(last) = parts.next_back() else { return rest.is_empty() };
        for part in parts {
            let Some(at) = rest.find(part) else { return false };
            rest = &rest[at + part.len()..];
        }
        rest.ends_with(last)
    }

    /// As it is written in the file.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl RoomConfig {
    /// Whether the tool `name`, written `server::tool`, may be called here.
    #[must_use]
    pub fn allows(&self, name: &str) -> bool {
        self.tools.as_ref().is_none_or(|patterns| patterns.iter().any(|pattern| pattern.matches(name)))
    }

    fn read(section: &Section<'_>, servers: &[ServerConfig]) -> Result<Self, ConfigError> {
        let tools = section.texts("tools")?;
        for pattern in tools.iter().flatten() {
            check(pattern, servers).map_err(|reason| section.wrong("tools", reason))?;
        }
        Ok(Self {
            id: id(section, "every room needs one")?,
            system: section.text("system")?,
            model: section.text("model")?,
            tools: tools.map(|patterns| patterns.into_iter().map(ToolPattern).collect()),
        })
    }
}

/// Whether a pattern can mean anything.
fn check(pattern: &str, servers: &[ServerConfig]) -> Result<(), String> {
    if pattern == "*" {
        return Ok(());
    }
    match pattern.split_once("::") {
        Some((server, tool)) if !tool.is_empty() => {
            if server.contains('*') || servers.iter().any(|known| known.id == server) {
                Ok(())
            } else {
                Err("it names a server that no [[servers]] has as its `id`".to_owned())
            }
        }
        _ => Err("expected names as in \"files::read_*\", or \"*\" for all".to_owned()),
    }
}

pub(super) fn rooms(
    sections: Vec<Section<'_>>,
    servers: &[ServerConfig],
) -> Result<Vec<RoomConfig>, ConfigError> {
    let mut rooms: Vec<RoomConfig> = Vec::new();
    for section in sections {
        let room = RoomConfig::read(&section, servers)?;
        if rooms.iter().any(|other| other.id == room.id) {
            return Err(section.wrong("id", format!("there is a room `{}` already", room.id)));
        }
        rooms.push(room);
    }
    Ok(rooms)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(pattern: &str, name: &str, matches: bool) {
        assert_eq!(ToolPattern(pattern.to_owned()).matches(name), matches, "{pattern} {name}");
    }

    #[test]
    fn a_star_stands_for_anything_and_everything_else_for_itself() {
        check("*", "a::b", true);
        check("prod::*", "prod::anything", true);
        check("prod::*", "product::x", false);
        check("files::read_*", "files::read_file", true);
        check("files::read_*", "files::write_file", false);
        check("files::read", "files::read", true);
        check("files::read", "files::read_file", false);
        check("*::a*c*e", "x::abcde", true);
        check("*::a*c*e", "x::abce_", false);
        check("a::*b*b", "a::b", false);
        check("a::*b*b", "a::bb", true);
    }
}
