use std::fmt::Write;

use super::super::{Config, Overrides};

fn refusals(texts: &[&str]) -> String {
    let mut page = String::new();
    for text in texts {
        let error = Config::parse(text).expect_err(text);
        writeln!(page, "{text}\n  => {error}\n").unwrap();
    }
    page
}

#[test]
fn a_server_that_is_nowhere_or_in_two_places_is_refused() {
    insta::assert_snapshot!(refusals(&[
        "[[servers]]",
        "[[servers]]\nid = \"x\"",
        "[[servers]]\nid = \"x\"\ncommand = [\"a\"]\nurl = \"http://host\"",
        "[[servers]]\nid = \"x\"\ncommand = [\"a\"]\nbearer_env = \"A\"",
        "[[servers]]\nid = \"x\"\nurl = \"http://host\"\nenv = [\"A\"]",
        "[[servers]]\nid = \"x\"\ninferd = \"tcp://host:1\"\nbearer_env = \"A\"",
        "[[servers]]\nname = \"x\"",
    ]));
}

#[test]
fn a_place_that_cannot_be_reached_is_refused() {
    insta::assert_snapshot!(refusals(&[
        "[[servers]]\nid = \"x\"\ncommand = \"npx -y\"",
        "[[servers]]\nid = \"x\"\ncommand = []",
        "[[servers]]\nid = \"x\"\ncommand = [\" \"]",
        "[[servers]]\nid = \"x\"\ncommand = [\"a\", \"\\u0000\"]",
        "[[servers]]\nid = \"x\"\ncommand = [\"a\"]\nenv = [\"KEY=value\"]",
        "[[servers]]\nid = \"x\"\nurl = \"host/mcp\"",
        "[[servers]]\nid = \"x\"\nurl = \"https://me:secret@host/mcp\"",
        "[[servers]]\nid = \"x\"\nurl = \"https://host/mcp?key=1\"",
        "[[servers]]\nid = \"x\"\nurl = \"https://host/mcp\"\nbearer_env = \"sk-not-a-name\"",
        "[[servers]]\nid = \"x\"\ninferd = \"host:1\"",
        "[[servers]]\nid = \"x\"\ninferd = \"tcp://host\"",
    ]));
}

#[test]
fn ids_keep_the_names_of_tools_apart() {
    insta::assert_snapshot!(refusals(&[
        "[[servers]]\nid = \"Files\"\ncommand = [\"a\"]",
        "[[servers]]\nid = \"-x\"\ncommand = [\"a\"]",
        "[[servers]]\nid = \"a__b\"\ncommand = [\"a\"]",
        "[[servers]]\nid = \"a::b\"\ncommand = [\"a\"]",
        "[[servers]]\nid = \"abcdefghijklmnopqrstuvwxyz0123456\"\ncommand = [\"a\"]",
        "[[servers]]\nid = \"a\"\ncommand = [\"a\"]\n[[servers]]\nid = \"a\"\nurl = \"http://host\"",
    ]));
    for id in ["a", "0", "a-b_c", "abcdefghijklmnopqrstuvwxyz012345"] {
        let config = Config::parse(&format!("[[servers]]\nid = \"{id}\"\ncommand = [\"a\"]")).unwrap();
        assert_eq!(config.servers[0].id, id);
    }
}

#[test]
fn a_room_is_refused_that_names_what_there_is_not() {
    insta::assert_snapshot!(refusals(&[
        "[[rooms]]\nsystem = \"x\"",
        "[[rooms]]\nid = \"r\"\ntools = [\"read_file\"]",
        "[[rooms]]\nid = \"r\"\ntools = [\"files::*\"]",
        "[[rooms]]\nid = \"r\"\n[[rooms]]\nid = \"r\"",
        "[[rooms]]\nid = \"r\"\ntools = [\"files::\"]",
        "[[rooms]]\nid = \"r\"\nprompt = \"x\"",
    ]));
}

#[test]
fn a_server_that_is_this_daemon_is_refused() {
    insta::assert_snapshot!(refusals(&[
        "[mcp]\nlisten = \"127.0.0.1:5\"\n[[servers]]\nid = \"me\"\nurl = \"http://localhost:5/mcp\"",
        "[listen]\ntcp = \"127.0.0.1:5\"\n[[servers]]\nid = \"me\"\ninferd = \"tcp://127.0.0.1:5\"",
    ]));
    let config = Config::parse("[[servers]]\nid = \"me\"\nurl = \"http://127.0.0.1:47324/mcp\"").unwrap();
    let refused = config.apply(&Overrides { mcp: true, ..Overrides::default() }).unwrap_err();
    insta::assert_snapshot!(refused, @"server `me`: url: this daemon itself is there: it would call itself");
}
