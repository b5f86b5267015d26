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
    /// Which tools it may call, as patterns of `server::tool` in which `*` is any text; `None`: all, empty: none.
    pub tools: Option<Vec<String>>,
}

impl RoomConfig {
    fn read(section: &Section<'_>, servers: &[ServerConfig]) -> Result<Self, ConfigError> {
        let tools = section.texts("tools")?;
        for pattern in tools.iter().flatten() {
            check(pattern, servers).map_err(|reason| section.wrong("tools", reason))?;
        }
        Ok(Self {
            id: id(section, "every room needs one")?,
            system: section.text("system")?,
            model: section.text("model")?,
            tools,
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
