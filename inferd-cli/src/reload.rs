//! `reload`: the daemon reads its configuration again.

use std::fmt::Write as _;

use inferd_proto::Reloaded;

use crate::args::Reach;
use crate::console::with_admin;
use crate::exit::Exit;

/// Prints what changed; what waits for a restart is a warning.
pub(crate) async fn run(reach: &Reach) -> Exit {
    match with_admin(reach, "reload", async |admin| admin.reload().await).await {
        Ok(reloaded) => {
            print!("{}", changes(&reloaded));
            for setting in &reloaded.needs_restart {
                eprintln!("inferd-cli: {setting} has changed and waits for a restart");
            }
            Exit::Ok
        }
        Err(exit) => exit,
    }
}

fn changes(reloaded: &Reloaded) -> String {
    let Reloaded { kept, adjusted, rebuilt, added, removed, settings, needs_restart: _ } = reloaded;
    let rows = [
        ("adjusted", adjusted),
        ("rebuilt", rebuilt),
        ("added", added),
        ("removed", removed),
        ("settings", settings),
    ];
    if rows.iter().all(|(_, names)| names.is_empty()) {
        return "nothing changed\n".to_owned();
    }
    let mut page = String::new();
    for (what, names) in [("kept", kept)].into_iter().chain(rows).filter(|(_, names)| !names.is_empty()) {
        writeln!(page, "{what:8}  {}", names.join(", ")).expect("a String takes every text");
    }
    page
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(names: &[&str]) -> Vec<String> {
        names.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn what_changed_is_a_line_for_each_way_to_change() {
        let reloaded = Reloaded {
            kept: names(&["local"]),
            rebuilt: names(&["hosted", "upstairs"]),
            settings: names(&["[admission] active", "drain_timeout_s"]),
            needs_restart: names(&["[listen] tcp"]),
            ..Reloaded::default()
        };
        insta::assert_snapshot!(changes(&reloaded), @r"
        kept      local
        rebuilt   hosted, upstairs
        settings  [admission] active, drain_timeout_s
        ");
    }

    #[test]
    fn where_all_was_kept_nothing_changed() {
        let reloaded = Reloaded { kept: names(&["local"]), ..Reloaded::default() };
        assert_eq!(changes(&reloaded), "nothing changed\n");
    }
}
