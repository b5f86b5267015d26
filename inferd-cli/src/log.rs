//! `log`: who asked this user's daemon for what, read from its state database, whether one runs or not.

use std::io::{self, Write};
use std::path::Path;
use std::time::Duration;

use inferd_daemon::audit::{Logged, Query, read};

use crate::args::{LogArgs, Reach};
use crate::embedded::Home;
use crate::exit::Exit;
use crate::table;

/// Prints the rows of calls, oldest first.
pub(crate) fn run(args: &LogArgs, reach: &Reach) -> anyhow::Result<Exit> {
    let path = Home::of_user(reach.config.clone()).state();
    if !path.exists() {
        eprintln!("inferd-cli: there is no log at {}: no daemon has kept one", path.display());
        return Ok(Exit::CannotConnect);
    }
    let rows = match read(&path, &Query { since: args.since, count: args.count }) {
        Ok(rows) => rows,
        Err(error) => return Ok(unreadable(&path, &error)),
    };
    let text = if args.json { lines(&rows)? } else { page(&rows) };
    match io::stdout().write_all(text.as_bytes()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(error.into()),
        Ok(()) | Err(_) => Ok(Exit::Ok),
    }
}

fn unreadable(path: &Path, error: &dyn std::error::Error) -> Exit {
    eprintln!("inferd-cli: cannot read {}: {error}", path.display());
    Exit::Internal
}

/// A row a line, as JSON.
fn lines(rows: &[Logged]) -> serde_json::Result<String> {
    rows.iter().map(|row| Ok(serde_json::to_string(row)? + "\n")).collect()
}

fn page(rows: &[Logged]) -> String {
    let headings = [
        "TIME (UTC)",
        "CLIENT",
        "DOOR",
        "WHAT",
        "MODEL",
        "LANE",
        "OUTCOME",
        "QUEUE",
        "FIRST",
        "TOTAL",
        "TOKENS",
    ];
    table::of(headings, rows.iter().map(cells))
}

fn cells(row: &Logged) -> [String; 11] {
    let text = |text: &Option<String>| printable(text.as_deref().unwrap_or("-"));
    let ms = |ms: Option<u32>| ms.map_or("-".to_owned(), |ms| format!("{ms} ms"));
    [
        time(row.at_ms),
        printable(&row.client),
        printable(&row.door),
        printable(&row.kind),
        text(&row.model),
        text(&row.lane),
        printable(&row.reason.as_ref().map_or(row.outcome.clone(), |why| format!("{} ({why})", row.outcome))),
        ms(row.queue_ms),
        ms(row.first_token_ms),
        ms(Some(row.total_ms)),
        format!("{}+{}", row.prompt_tokens, row.completion_tokens),
    ]
}

/// Names come from clients: what would act on a terminal is shown in its place.
fn printable(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { '\u{FFFD}' } else { c }).collect()
}

/// The most milliseconds that are a date here: the end of the year 9999.
const AT_MS_MAX: i64 = 253_402_300_799_999;

/// A date and a time of day from milliseconds since 1970.
fn time(at_ms: i64) -> String {
    let seconds = at_ms.clamp(0, AT_MS_MAX) / 1000;
    let (days, of_day) = (seconds / 86_400, seconds % 86_400);
    let (year, month, day) = date(days);
    format!("{year:04}-{month:02}-{day:02} {:02}:{:02}:{:02}", of_day / 3600, of_day / 60 % 60, of_day % 60)
}

/// Year, month and day of the Gregorian calendar from days since 1970.
fn date(days: i64) -> (i64, i64, i64) {
    // Counted from 1 March of the year 0, a leap day is the last of its year, and 400 years are always as long.
    let days = days + 719_468;
    let (era, day_of_era) = (days / 146_097, days % 146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    // Months from March on have 31, 30, 31, 30, 31 days, again and again: 153 in five.
    let month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month + 2) / 5 + 1;
    let (month, of_next_year) = if month < 10 { (month + 3, 0) } else { (month - 9, 1) };
    (400 * era + year_of_era + of_next_year, month, day)
}

/// A span of time as it is typed: `90s`, `15m`, `1h`, `7d`.
pub(crate) fn span(text: &str) -> Result<Duration, &'static str> {
    const EXPECTED: &str = "expected a number and s, m, h or d, as in 15m";
    let unit = text.chars().last().ok_or(EXPECTED)?;
    let seconds = match unit {
        's' => 1,
        'm' => 60,
        'h' => 60 * 60,
        'd' => 24 * 60 * 60,
        _ => return Err(EXPECTED),
    };
    let number: u32 = text[..text.len() - 1].parse().map_err(|_| EXPECTED)?;
    Ok(Duration::from_secs(u64::from(number) * seconds))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row() -> Logged {
        Logged {
            at_ms: 1_709_210_096_789,
            client: "uid 1000 pid 42".to_owned(),
            door: "ndjson".to_owned(),
            kind: "generate".to_owned(),
            lane: Some("local".to_owned()),
            model: Some("llama3.1:8b".to_owned()),
            outcome: "served".to_owned(),
            reason: None,
            queue_ms: Some(3),
            first_token_ms: Some(120),
            total_ms: 1800,
            prompt_tokens: 12,
            completion_tokens: 340,
            request_bytes: 64,
            answer_bytes: 2048,
        }
    }

    #[test]
    fn rows_are_a_table_for_people() {
        let refused = Logged {
            client: "key lap\u{1b}[31mtop".to_owned(),
            door: "tcp".to_owned(),
            lane: None,
            model: None,
            outcome: "refused".to_owned(),
            reason: Some("queue_full".to_owned()),
            queue_ms: None,
            first_token_ms: None,
            total_ms: 0,
            prompt_tokens: 0,
            completion_tokens: 0,
            ..row()
        };
        insta::assert_snapshot!(page(&[row(), refused]));
    }

    #[test]
    fn rows_are_a_line_of_json_each_for_programs() {
        insta::assert_snapshot!(lines(&[row()]).unwrap());
    }

    #[test]
    fn dates_are_those_of_the_calendar() {
        for (at_s, wanted) in [
            (0, "1970-01-01 00:00:00"),
            (951_782_399, "2000-02-28 23:59:59"),
            (951_782_400, "2000-02-29 00:00:00"),
            (951_868_800, "2000-03-01 00:00:00"),
            (1_709_210_096, "2024-02-29 12:34:56"),
            (4_107_542_400, "2100-03-01 00:00:00"),
            (4_107_542_399, "2100-02-28 23:59:59"),
            (1_767_225_599, "2025-12-31 23:59:59"),
        ] {
            assert_eq!(time(at_s * 1000), wanted);
        }
        assert_eq!(time(i64::MAX), "9999-12-31 23:59:59");
        assert_eq!(time(-1), "1970-01-01 00:00:00");
    }

    #[test]
    fn spans_are_a_number_and_a_unit() {
        assert_eq!(span("90s"), Ok(Duration::from_secs(90)));
        assert_eq!(span("15m"), Ok(Duration::from_secs(900)));
        assert_eq!(span("1h"), Ok(Duration::from_secs(3600)));
        assert_eq!(span("7d"), Ok(Duration::from_secs(604_800)));
        for text in ["", "h", "1", "-1h", "1.5h", "1w", "99999999999h", "1é"] {
            assert!(span(text).is_err(), "{text}");
        }
    }
}
