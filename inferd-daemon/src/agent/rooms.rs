//! The rooms of the configuration as sessions know them: `[[rooms]]` enter, engine rooms leave.
//!
//! Invariants:
//! - The room without a name is always there: no instructions, no model of its own, every tool.
//! - They are the same on every server: what a room allows is said in full names.

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock};

use inferd_engine::servers::{ApiError, Room};

use crate::config::RoomConfig;

/// See the module. Clones are of the same.
#[derive(Debug, Clone, Default)]
pub(super) struct Rooms(Arc<RwLock<BTreeMap<String, Room>>>);

impl Rooms {
    pub(super) fn replace(&self, rooms: &[RoomConfig]) {
        let rooms = rooms.iter().map(|room| (room.id.clone(), as_room(room))).collect();
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = rooms;
    }

    /// All that are configured, sorted.
    pub(super) fn all(&self) -> Vec<Room> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).values().cloned().collect()
    }

    /// Their names, sorted.
    pub(super) fn ids(&self) -> Vec<String> {
        self.all().into_iter().map(|room| room.id).collect()
    }

    /// The room of this name.
    pub(super) fn get(&self, id: &str) -> Result<Room, ApiError> {
        if id.is_empty() {
            return Ok(Room::new(""));
        }
        let rooms = self.0.read().unwrap_or_else(PoisonError::into_inner);
        rooms.get(id).cloned().ok_or_else(|| ApiError::UnknownRoom(id.to_owned()))
    }
}

fn as_room(room: &RoomConfig) -> Room {
    let RoomConfig { id, system, model, tools } = room.clone();
    Room { id, system, model, tools }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nameless_room_restricts_nothing_and_others_are_there_as_long_as_they_are_configured() {
        let rooms = Rooms::default();
        assert_eq!(rooms.get(""), Ok(Room::new("")));
        assert_eq!(rooms.get("r1"), Err(ApiError::UnknownRoom("r1".to_owned())));
        let room = RoomConfig { id: "r1".to_owned(), system: None, model: None, tools: Some(Vec::new()) };
        rooms.replace(&[room]);
        assert!(rooms.get("r1").is_ok_and(|room| !room.allows("a::b")));
        assert_eq!(rooms.ids(), ["r1"]);
        rooms.replace(&[]);
        assert!(rooms.get("r1").is_err());
        assert!(rooms.get("").is_ok());
    }
}
