//! The table of faults in docs/ENGINES.md, row by row: what is written there is what happens.

mod rows;

use std::collections::BTreeSet;

use futures_util::future::join_all;
use inferd_engine::Blame;

use rows::{FAULTS, NO_MORE, NO_TOKEN, Row};

use super::*;

const DOCS: &str = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/ENGINES.md"));

#[tokio::test]
async fn every_fault_is_told_blamed_and_retried_as_the_docs_say() {
    let each = FAULTS.iter().flat_map(|row| ENGINES.map(|engine| (row, engine)));
    let lines = join_all(each.map(|(row, engine)| line(row, engine))).await;
    let wrong: BTreeSet<String> = lines.into_iter().filter(|line| !DOCS.contains(line.as_str())).collect();
    assert!(wrong.is_empty(), "docs/ENGINES.md lacks\n{}", Vec::from_iter(wrong).join("\n"));
}

#[test]
fn the_docs_have_no_row_that_is_not_tested() {
    let table = DOCS.split("<!-- faults -->").nth(1).expect("the table stands between its marks");
    let rows: Vec<&str> = table.lines().filter(|line| line.starts_with("| ")).skip(1).collect();
    let tested = |row: &str| FAULTS.iter().any(|fault| row.starts_with(&format!("| {} |", fault.fault)));
    let untested: Vec<_> = rows.iter().filter(|row| !tested(row)).collect();
    assert_eq!((untested, rows.len()), (Vec::new(), FAULTS.len()));
}

/// What `row` makes `engine` fail with, and whether a part of an answer came before.
async fn fault(engine: &dyn Engine, row: &Row) -> (GenerateError, bool) {
    let upstream = Upstream::start([(row.plays)(engine)]).await;
    let mut config = keyed(&upstream);
    // Where no silence is meant, a slow machine must not be taken for one.
    config.first_token_timeout = if row.says == NO_TOKEN { SHORT } else { PATIENCE };
    config.idle_timeout = if row.says == NO_MORE { SHORT } else { PATIENCE };
    match outcome(&*engine.built(config), question(true)).await {
        Err(error) => (error, false),
        Ok(events) => {
            let (text, end) = text_and_end(&events);
            (end.expect_err("it fails").clone(), !text.is_empty())
        }
    }
}

/// Whether `said` is `pattern`, in which `…` stands for any text.
fn matches(said: &str, pattern: &str) -> bool {
    let mut parts = pattern.split('…');
    let Some(mut rest) = parts.next().and_then(|start| said.strip_prefix(start)) else { return false };
    let mut whole = true;
    for part in parts {
        whole = part.is_empty();
        match rest.find(part) {
            Some(at) => rest = &rest[at + part.len()..],
            None => return false,
        }
    }
    whole || rest.is_empty()
}

/// The row of the table, as `engine` makes it.
async fn line(row: &Row, engine: &dyn Engine) -> String {
    let (error, started) = fault(engine, row).await;
    let (said, who) = (error.to_string(), engine.name());
    assert!(matches(&said, row.says), "{who}: {}: {said}", row.fault);
    assert!(said.chars().count() < 600 && !said.contains(KEY), "{who}: {said}");
    let code = match error {
        GenerateError::InvalidRequest(_) => "invalid_request",
        GenerateError::ModelNotFound(_) => "model_not_found",
        GenerateError::Internal(_) => "internal",
        _ => "backend_unavailable",
    };
    let (blamed, another) = match error.blame() {
        Blame::Caller => ("no", "no"),
        Blame::Nobody => ("no", "yes"),
        Blame::Lane => ("yes", "yes"),
        Blame::Rest(None) => ("rests for the cooldown", "yes"),
        Blame::Rest(Some(_)) => ("rests as long as asked", "yes"),
    };
    let another = if started { "no, part of it was sent" } else { another };
    format!("| {} | `{code}` | {} | {blamed} | {another} |", row.fault, row.says)
}
