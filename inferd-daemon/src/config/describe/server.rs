//! A server as its `[[servers]]` table, and a room as its `[[rooms]]` table.

use super::super::{Reach, RoomConfig, ServerConfig};
use super::key;
use super::page::Page;

pub(super) fn server(page: &mut Page, server: &ServerConfig) {
    page.heading("[[servers]]");
    page.text("id", &server.id);
    match &server.reach {
        Reach::Command { command, env } => {
            page.line("command", command.clone());
            page.line("env", env.clone());
        }
        Reach::Url { url, bearer_env } => {
            page.text("url", url);
            match bearer_env {
                Some(name) => page.text("bearer_env", name),
                None => page.note("no bearer_env"),
            }
        }
        Reach::Inferd { address, key: source } => {
            page.text("inferd", format!("tcp://{address}"));
            key(page, source.as_ref(), "api_key_file");
        }
    }
}

pub(super) fn room(page: &mut Page, room: &RoomConfig) {
    page.heading("[[rooms]]");
    page.text("id", &room.id);
    match &room.system {
        Some(system) => page.text("system", system),
        None => page.note("no system"),
    }
    match &room.model {
        Some(model) => page.text("model", model),
        None => page.note("no model: whatever lane there is"),
    }
    match &room.tools {
        Some(patterns) => {
            page.line(
                "tools",
                patterns.iter().map(|pattern| pattern.as_str().to_owned()).collect::<Vec<_>>(),
            );
        }
        None => page.note("no tools: all of them"),
    }
}
