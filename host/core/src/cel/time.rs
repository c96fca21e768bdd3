//! Points in time and lengths of it: read, reckoned with, and taken apart.
//!
//! There is no `now` in it: an object holds the times that its state is told by. As Flux has it, months, and days but those
//! of `getDate`, count from 0, and a length is told whole in each unit; without a zone a time is UTC's. Zones are offsets such
//! as `+02:00`: which hours a place has would have to be read from the machine.

use jiff::tz::Offset;
use jiff::{SignedDuration, Timestamp};
use reeve_api::duration::Duration as GoDuration;

use super::Error;
use super::value::Val;

/// The first and the last second that there is: of the years 1 and 9999.
const FIRST: i64 = -62_135_596_800;
const LAST: i64 = 253_402_300_799;
/// The longest text that is read.
const LONGEST: usize = 64;

/// Whether there is such a method, of a time or of a length of it.
pub(super) fn has_method(name: &str, args: usize) -> bool {
    let parts = [
        "getFullYear",
        "getMonth",
        "getDayOfYear",
        "getDate",
        "getDayOfMonth",
        "getDayOfWeek",
        "getHours",
        "getMinutes",
        "getSeconds",
        "getMilliseconds",
    ];
    args <= 1 && parts.contains(&name)
}

/// `timestamp(…)`.
pub(super) fn timestamp<'v>(of: &Val<'v>) -> Result<Val<'v>, Error> {
    match of {
        Val::Time(_) => Ok(of.clone()),
        Val::Int(seconds) => within(Timestamp::from_second(*seconds)),
        Val::Text(text) if is_moment(text) => within(text.parse()),
        Val::Text(_) => Err(unread("timestamp")),
        other => Err(unfit("timestamp", other)),
    }
}

/// `duration(…)`.
pub(super) fn duration<'v>(of: &Val<'v>) -> Result<Val<'v>, Error> {
    match of {
        Val::Span(_) => Ok(of.clone()),
        Val::Int(nanos) => Ok(Val::Span(*nanos)),
        Val::Text(text) => {
            let (sign, rest) = match text.strip_prefix('-') {
                Some(rest) => (-1, rest),
                None => (1, text.strip_prefix('+').unwrap_or(text)),
            };
            let read: GoDuration = rest.parse().map_err(|_| unread("duration"))?;
            let nanos = i64::try_from(read.get().as_nanos()).map_err(|_| too_far())?;
            Ok(Val::Span(sign * nanos))
        }
        other => Err(unfit("duration", other)),
    }
}

/// What an operator makes of two of them; None: it is none of theirs.
pub(super) fn reckoned<'v>(
    name: &str,
    one: &Val<'v>,
    other: &Val<'v>,
) -> Option<Result<Val<'v>, Error>> {
    let span = |nanos: Option<i64>| nanos.map(Val::Span).ok_or_else(too_far);
    Some(match (name, one, other) {
        ("_+_", Val::Time(time), Val::Span(nanos)) | ("_+_", Val::Span(nanos), Val::Time(time)) => {
            within(time.checked_add(SignedDuration::from_nanos(*nanos)))
        }
        ("_-_", Val::Time(time), Val::Span(nanos)) => {
            within(time.checked_sub(SignedDuration::from_nanos(*nanos)))
        }
        ("_-_", Val::Time(a), Val::Time(b)) => {
            span(i64::try_from(a.as_nanosecond() - b.as_nanosecond()).ok())
        }
        ("_+_", Val::Span(a), Val::Span(b)) => span(a.checked_add(*b)),
        ("_-_", Val::Span(a), Val::Span(b)) => span(a.checked_sub(*b)),
        _ => return None,
    })
}

/// A part of a time, in a zone if one is given; or a length in one of its units.
pub(super) fn part<'v>(name: &str, of: &Val<'v>, args: &[Val<'v>]) -> Result<Val<'v>, Error> {
    match (of, args) {
        (Val::Time(time), []) => part_of_time(name, *time, Offset::UTC),
        (Val::Time(time), [Val::Text(zone)]) => part_of_time(name, *time, offset(zone)?),
        (Val::Span(nanos), []) => {
            let unit = match name {
                "getHours" => 3_600_000_000_000,
                "getMinutes" => 60_000_000_000,
                "getSeconds" => 1_000_000_000,
                "getMilliseconds" => 1_000_000,
                _ => return Err(unfit(name, of)),
            };
            Ok(Val::Int(nanos / unit))
        }
        (other, _) => Err(unfit(name, other)),
    }
}

/// As `string` tells it.
pub(super) fn told(of: &Val<'_>) -> Option<String> {
    match of {
        Val::Time(time) => Some(time.to_string()),
        Val::Span(nanos) => {
            let (whole, rest) = (nanos / 1_000_000_000, nanos % 1_000_000_000);
            let sign = if *nanos < 0 { "-" } else { "" };
            let fraction = format!(".{:09}", rest.unsigned_abs());
            let fraction = fraction.trim_end_matches('0').trim_end_matches('.');
            Some(format!("{sign}{}{fraction}s", whole.unsigned_abs()))
        }
        _ => None,
    }
}

/// As `int` tells it: seconds since 1970, or nanoseconds.
pub(super) fn counted(of: &Val<'_>) -> Option<i64> {
    match of {
        // Before 1970 too the second that has begun counts.
        Val::Time(time) => i64::try_from(time.as_nanosecond().div_euclid(1_000_000_000)).ok(),
        Val::Span(nanos) => Some(*nanos),
        _ => None,
    }
}

fn part_of_time<'v>(name: &str, time: Timestamp, zone: Offset) -> Result<Val<'v>, Error> {
    let here = zone.to_datetime(time);
    Ok(Val::Int(match name {
        "getFullYear" => i64::from(here.year()),
        "getMonth" => i64::from(here.month()) - 1,
        "getDayOfYear" => i64::from(here.day_of_year()) - 1,
        "getDate" => i64::from(here.day()),
        "getDayOfMonth" => i64::from(here.day()) - 1,
        "getDayOfWeek" => i64::from(here.weekday().to_sunday_zero_offset()),
        "getHours" => i64::from(here.hour()),
        "getMinutes" => i64::from(here.minute()),
        "getSeconds" => i64::from(here.second()),
        "getMilliseconds" => i64::from(here.subsec_nanosecond()) / 1_000_000,
        _ => return Err(unfit(name, &Val::Time(time))),
    }))
}

/// RFC 3339: what else its reader takes is another language.
fn is_moment(text: &str) -> bool {
    let mut bytes = text.bytes();
    let at = |nth: usize| text.as_bytes().get(nth).copied();
    let zoned = at(10) == Some(b'T')
        && (text.ends_with('Z') || matches!(at(text.len().wrapping_sub(6)), Some(b'+' | b'-')));
    let plain = |byte: u8| byte.is_ascii_digit() || b"-:.TZ+".contains(&byte);
    text.len() <= LONGEST && zoned && bytes.all(plain)
}

/// An offset from UTC, up to 14 hours and 59 minutes.
fn offset(zone: &str) -> Result<Offset, Error> {
    let unknown = || {
        let why = "a time zone is written as its offset, such as +02:00, or UTC";
        Error::Failed(why.to_owned())
    };
    if zone == "UTC" {
        return Ok(Offset::UTC);
    }
    let (sign, rest) = match zone.strip_prefix('-') {
        Some(rest) => (-1, rest),
        None => (1, zone.strip_prefix('+').unwrap_or(zone)),
    };
    let (hours, minutes) = rest.split_once(':').ok_or_else(unknown)?;
    let number = |text: &str, most: i32| {
        let digits = text.len() == 2 && text.bytes().all(|byte| byte.is_ascii_digit());
        let read: Option<i32> = text.parse().ok().filter(|_| digits);
        read.filter(|number| *number <= most).ok_or_else(unknown)
    };
    let seconds = number(hours, 14)? * 3600 + number(minutes, 59)? * 60;
    Offset::from_seconds(sign * seconds).map_err(|_| unknown())
}

fn within<'v>(time: Result<Timestamp, jiff::Error>) -> Result<Val<'v>, Error> {
    let time = time.map_err(|_| too_far())?;
    match (FIRST..=LAST).contains(&time.as_second()) {
        true => Ok(Val::Time(time)),
        false => Err(too_far()),
    }
}

fn too_far() -> Error {
    Error::Failed("a time is out of bounds, or no time".to_owned())
}

fn unread(name: &str) -> Error {
    Error::Failed(format!("a string cannot be read by '{name}'"))
}

fn unfit(name: &str, what: &Val<'_>) -> Error {
    let kind = what.kind();
    Error::Failed(format!("'{name}' cannot be done with {kind}"))
}

#[cfg(test)]
mod tests {
    use crate::cel::Expression;

    fn told(source: &str) -> String {
        let read = Expression::parse(source, None);
        match read.and_then(|expression| expression.holds([])) {
            Ok(holds) => holds.to_string(),
            Err(why) => why.to_string(),
        }
    }

    #[test]
    fn times_are_read_compared_and_reckoned_with() {
        for source in [
            "timestamp('2026-11-22T12:00:00Z') < timestamp('2026-11-22T12:00:01Z')",
            "timestamp('2026-11-22T14:00:00+02:00') == timestamp('2026-11-22T12:00:00Z')",
            "timestamp('2026-11-22T12:00:00Z') - timestamp('2026-11-22T10:30:00Z') == duration('1h30m')",
            "timestamp('2026-11-22T12:00:00Z') + duration('24h') == timestamp('2026-11-23T12:00:00Z')",
            "duration('60s') + timestamp('2026-11-22T12:00:00Z') > timestamp('2026-11-22T12:00:00Z')",
            "timestamp('2026-11-22T12:00:00Z') - duration('12h') == timestamp('2026-11-22T00:00:00Z')",
            "duration('1h') + duration('-30m') == duration('30m') && duration('1h') - duration('2h') < duration('0')",
            "duration('1.5s') == duration('1500ms') && duration(1000000) == duration('1ms')",
            "timestamp(0) == timestamp('1970-01-01T00:00:00Z') && int(timestamp('1970-01-01T00:01:00Z')) == 60",
            "int(timestamp('1969-12-31T23:59:59.5Z')) == -1 && int(duration('2s')) == 2000000000",
            "timestamp(timestamp(7)) == timestamp(7) && duration(duration('7s')) == duration('7s')",
            "timestamp('2026-01-01T00:00:00Z') != duration('0') && timestamp(0) != 0",
            "[timestamp(3), timestamp(1)].exists(t, t < timestamp(2))",
        ] {
            assert_eq!(told(source), "true", "{source}");
        }
    }

    #[test]
    fn times_are_taken_apart_and_told_as_flux_does() {
        for source in [
            "timestamp('2026-11-22T12:34:56.789Z').getFullYear() == 2026",
            "timestamp('2026-11-22T12:34:56.789Z').getMonth() == 10",
            "timestamp('2026-11-22T12:34:56.789Z').getDate() == 22",
            "timestamp('2026-11-22T12:34:56.789Z').getDayOfMonth() == 21",
            "timestamp('2026-11-22T12:34:56.789Z').getDayOfWeek() == 0",
            "timestamp('2026-01-01T00:00:00Z').getDayOfYear() == 0",
            "timestamp('2026-11-22T12:34:56.789Z').getHours() == 12",
            "timestamp('2026-11-22T12:34:56.789Z').getMinutes() == 34",
            "timestamp('2026-11-22T12:34:56.789Z').getSeconds() == 56",
            "timestamp('2026-11-22T12:34:56.789Z').getMilliseconds() == 789",
            "timestamp('2026-11-22T23:30:00Z').getDate('+01:00') == 23",
            "timestamp('2026-11-22T00:15:00Z').getHours('-05:30') == 18",
            "timestamp('2026-11-22T00:15:00Z').getHours('UTC') == 0",
            "duration('90m').getHours() == 1 && duration('90m').getMinutes() == 90",
            "duration('90m').getSeconds() == 5400 && duration('1.5s').getMilliseconds() == 1500",
            "duration('-90s').getMinutes() == -1",
            "string(duration('90m')) == '5400s' && string(duration('-1.5s')) == '-1.5s'",
            "string(duration('-500ms')) == '-0.5s' && string(duration('0')) == '0s'",
            "string(timestamp('2026-11-22T12:34:56.5Z')) == '2026-11-22T12:34:56.5Z'",
        ] {
            assert_eq!(told(source), "true", "{source}");
        }
    }

    #[test]
    fn what_is_no_time_says_so() {
        let bounds = "a time is out of bounds, or no time";
        for (source, want) in [
            (
                "timestamp('2026-11-22') == timestamp(0)",
                "a string cannot be read by 'timestamp'",
            ),
            (
                "timestamp('2026-11-22T12:00:00') == timestamp(0)",
                "a string cannot be read by 'timestamp'",
            ),
            (
                "timestamp('2026-11-22T12:00:00+02:00[Europe/Berlin]') == timestamp(0)",
                "a string cannot be read by 'timestamp'",
            ),
            ("timestamp('2026-13-22T12:00:00Z') == timestamp(0)", bounds),
            ("timestamp(253402300800) == timestamp(0)", bounds),
            ("timestamp(9223372036854775807) == timestamp(0)", bounds),
            (
                "timestamp('9999-12-31T23:59:59Z') + duration('1s') == timestamp(0)",
                bounds,
            ),
            (
                "timestamp('9999-12-31T00:00:00Z') - timestamp('0001-01-01T00:00:00Z') > duration('0')",
                bounds,
            ),
            (
                "duration('2562047h') + duration('2562047h') > duration('0')",
                bounds,
            ),
            (
                "duration('1d') > duration('0')",
                "a string cannot be read by 'duration'",
            ),
            (
                "duration('--1s') > duration('0')",
                "a string cannot be read by 'duration'",
            ),
            (
                "timestamp(true) == timestamp(0)",
                "'timestamp' cannot be done with a bool",
            ),
            (
                "timestamp(0) < duration('0')",
                "'comparison' cannot be done with a timestamp and a duration",
            ),
            (
                "timestamp(0) + timestamp(0) == timestamp(0)",
                "'+' cannot be done with a timestamp and a timestamp",
            ),
            (
                "duration('1s') * 2 == duration('2s')",
                "'*' cannot be done with a duration and an int",
            ),
            (
                "duration('1s').getDate() == 0",
                "'getDate' cannot be done with a duration",
            ),
            (
                "'x'.getHours() == 0",
                "'getHours' cannot be done with a string",
            ),
            (
                "timestamp(0).getHours('Europe/Berlin') == 1",
                "a time zone is written as its offset, such as +02:00, or UTC",
            ),
            (
                "timestamp(0).getHours('+99:00') == 1",
                "a time zone is written as its offset, such as +02:00, or UTC",
            ),
        ] {
            assert_eq!(told(source), want, "{source}");
        }
        for source in [
            "now() > timestamp(0)",
            "timestamp() == timestamp(0)",
            "timestamp(0).getAge() > 1",
        ] {
            assert!(told(source).contains("there is no function"), "{source}");
        }
    }
}
