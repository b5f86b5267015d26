//! Times as servers and logs write them.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result};

const DAY_S: u64 = 24 * 60 * 60;
const MONTHS: [&str; 12] =
    ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
const WEEKDAYS: [&str; 7] = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"];

/// A time as HTTP writes it, such as `Sun, 06 Nov 1994 08:49:37 GMT`; the rest of the second is cut off.
#[must_use]
pub fn http_date(time: SystemTime) -> String {
    let seconds = time.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    let (days, second) = (seconds / DAY_S, seconds % DAY_S);
    let (year, month, day) = civil(days);
    let named = |names: &[&'static str], number: u64| {
        usize::try_from(number).ok().map(|at| names[at]).unwrap_or_default()
    };
    let (weekday, month) = (named(&WEEKDAYS, days % 7), named(&MONTHS, month - 1));
    let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
    format!("{weekday}, {day:02} {month} {year} {hour:02}:{minute:02}:{second:02} GMT")
}

/// The time at the beginning of a log line, such as `2026-11-21T09:06:28.123456Z`.
///
/// # Errors
/// When the line does not begin so.
pub fn log_time(line: &str) -> Result<SystemTime> {
    let read = || {
        let (date, time) = line.split_whitespace().next()?.strip_suffix('Z')?.split_once('T')?;
        let mut date = date.split('-').map(|part| part.parse::<u64>().ok());
        let (year, month, day) = (date.next()??, date.next()??, date.next()??);
        let (clock, fraction) = time.split_once('.')?;
        let mut clock = clock.split(':').map(|part| part.parse::<u64>().ok());
        let (hour, minute, second) = (clock.next()??, clock.next()??, clock.next()??);
        let since = days(year, month, day) * DAY_S + hour * 3600 + minute * 60 + second;
        let micros: u64 = format!("{fraction:0<6}").get(..6)?.parse().ok()?;
        Some(UNIX_EPOCH + Duration::from_secs(since) + Duration::from_micros(micros))
    };
    read().with_context(|| format!("no time at the beginning of {line:?}"))
}

/// Days from 1970 to a date of the Gregorian calendar after it.
fn days(year: u64, month: u64, day: u64) -> u64 {
    let leap = |year: u64| year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
    let month_days = |month| match month {
        2 => 28 + u64::from(leap(year)),
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    };
    let years: u64 = (1970..year).map(|year| 365 + u64::from(leap(year))).sum();
    years + (1..month).map(month_days).sum::<u64>() + day - 1
}

/// The date that is so many days after the first of 1970.
fn civil(since: u64) -> (u64, u64, u64) {
    let mut year = 1970;
    while days(year + 1, 1, 1) <= since {
        year += 1;
    }
    let month = (1..=12).rev().find(|&month| days(year, month, 1) <= since).unwrap_or(1);
    (year, month, since - days(year, month, 1) + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_example_of_the_standard_is_written_as_there() {
        let time = UNIX_EPOCH + Duration::from_secs(784_111_777);
        assert_eq!(http_date(time), "Sun, 06 Nov 1994 08:49:37 GMT");
    }

    #[test]
    fn a_log_line_tells_its_time_to_the_microsecond() {
        let time = log_time("1994-11-06T08:49:37.000250Z  WARN a lane").unwrap();
        assert_eq!(time, UNIX_EPOCH + Duration::from_micros(784_111_777_000_250));
        let leap = log_time("2024-02-29T00:00:00.5Z x").unwrap();
        assert_eq!(leap, UNIX_EPOCH + Duration::from_millis(1_709_164_800_500));
        assert!(log_time("no time").is_err());
    }
}
