//! Go's duration text: `1h30m`, `500ms`, `1.5s`.
//!
//! A duration keeps the text it was written in, so that an object is written back as it was read. A text that cannot
//! be read, or is longer than Go can hold, is a decode error of that one object and never a panic. How long a value
//! may sensibly be is not decided here.

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

const NANOS_PER_SECOND: u64 = 1_000_000_000;
/// The longest duration Go can hold (about 292 years). Flux could not read a longer one either.
const MAX_NANOS: u64 = i64::MAX as u64;
/// Far more than any text that is meant (`2562047h47m16.854775807s` has 24 bytes).
const MAX_TEXT: usize = 64;

/// A length of time as Go writes it: decimal numbers, each with a unit of `h`, `m`, `s`, `ms`, `us`, `ns`.
///
/// ```
/// use reeve_api::duration::Duration;
///
/// let written: Duration = "1h30m".parse()?;
/// assert_eq!(written.get(), std::time::Duration::from_secs(5400));
/// assert_eq!(written.to_string(), "1h30m");
/// assert_eq!(Duration::seconds(5400).to_string(), "1h30m0s");
/// # Ok::<(), reeve_api::duration::NotADuration>(())
/// ```
///
/// Two durations are equal when they are equally long, however they are written.
#[derive(Clone, Debug)]
pub struct Duration {
    text: Cow<'static, str>,
    value: std::time::Duration,
}

/// Why a text is not a duration.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotADuration {
    /// There is nothing, or far too much of it.
    #[error("a duration has 1 to {MAX_TEXT} characters, for example `10m` or `1h30m`")]
    Length,
    /// A number was expected.
    #[error("a duration is made of numbers with a unit, for example `10m` or `1h30m`")]
    Number,
    /// A number without a unit, or with one that does not exist; Go has no days.
    #[error("a number in a duration needs one of the units h, m, s, ms, for example `24h`")]
    Unit,
    /// More than an `int64` of nanoseconds.
    #[error("a duration cannot be longer than 2562047h47m16s")]
    TooLong,
}

impl Duration {
    /// A default as a definition spells it; a test holds the text and the value together.
    pub(crate) const fn known(text: &'static str, seconds: u64) -> Self {
        Self {
            text: Cow::Borrowed(text),
            value: std::time::Duration::from_secs(seconds),
        }
    }

    /// That many seconds, written as Go would.
    pub fn seconds(seconds: u32) -> Self {
        Self::from(std::time::Duration::from_secs(u64::from(seconds)))
    }

    /// How long it is.
    pub fn get(&self) -> std::time::Duration {
        self.value
    }

    /// The text it was written in, which is also what is stored in the cluster.
    pub fn as_str(&self) -> &str {
        &self.text
    }
}

impl FromStr for Duration {
    type Err = NotADuration;

    fn from_str(text: &str) -> Result<Self, NotADuration> {
        Ok(Self {
            value: std::time::Duration::from_nanos(nanos(text)?),
            text: Cow::Owned(text.to_owned()),
        })
    }
}

/// Written as Go's `Duration.String` writes it; what Go cannot hold becomes the longest it can.
impl From<std::time::Duration> for Duration {
    fn from(value: std::time::Duration) -> Self {
        let nanos = u64::try_from(value.as_nanos())
            .unwrap_or(MAX_NANOS)
            .min(MAX_NANOS);
        Self {
            text: Cow::Owned(go_text(nanos)),
            value: std::time::Duration::from_nanos(nanos),
        }
    }
}

impl PartialEq for Duration {
    fn eq(&self, other: &Self) -> bool {
        self.value == other.value
    }
}

impl Eq for Duration {}

impl fmt::Display for Duration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl Serialize for Duration {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.text)
    }
}

impl<'de> Deserialize<'de> for Duration {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Text;
        impl de::Visitor<'_> for Text {
            type Value = Duration;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a duration such as `10m`")
            }
            fn visit_str<E: de::Error>(self, text: &str) -> Result<Duration, E> {
                text.parse().map_err(E::custom)
            }
        }
        deserializer.deserialize_str(Text)
    }
}

/// Only a string: which units a field allows is that field's own pattern, as in Flux's schema.
impl JsonSchema for Duration {
    fn schema_name() -> Cow<'static, str> {
        "Duration".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string" })
    }
}

/// The text as nanoseconds, cut below one nanosecond as Go cuts it.
///
/// Go also reads a sign. No field of any kind means a negative length, and Flux's patterns let none through, so a sign is
/// refused here as what it is: not a number.
fn nanos(text: &str) -> Result<u64, NotADuration> {
    if text.is_empty() || text.len() > MAX_TEXT {
        return Err(NotADuration::Length);
    }
    if text == "0" {
        return Ok(0);
    }
    let mut total: u64 = 0;
    let mut rest = text;
    while !rest.is_empty() {
        let (number, after) = cut(rest, |c| !(c.is_ascii_digit() || c == '.'));
        let (unit, after) = cut(after, |c| c.is_ascii_digit() || c == '.');
        let unit = unit_nanos(unit).ok_or(NotADuration::Unit);
        total = total
            .checked_add(part(number, unit)?)
            .ok_or(NotADuration::TooLong)?;
        rest = after;
    }
    if total > MAX_NANOS {
        Err(NotADuration::TooLong)
    } else {
        Ok(total)
    }
}

/// One number with its unit, in whole numbers throughout: a float would turn `0.1s` into something else. A missing number is told before a missing unit.
fn part(number: &str, unit: Result<u64, NotADuration>) -> Result<u64, NotADuration> {
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    if (whole.is_empty() && fraction.is_empty()) || fraction.contains('.') {
        return Err(NotADuration::Number);
    }
    let unit = unit?;
    let mut nanos: u64 = 0;
    for digit in whole.bytes() {
        nanos = nanos
            .checked_mul(10)
            .and_then(|n| n.checked_add(u64::from(digit - b'0')))
            .ok_or(NotADuration::TooLong)?;
    }
    let whole = nanos.checked_mul(unit).ok_or(NotADuration::TooLong)?;
    // An hour has 3.6e12 ns: digits past the thirteenth cannot matter, and thirteen of them times an hour fit u128.
    let (mut numerator, mut scale) = (0_u128, 1_u128);
    for digit in fraction.bytes().take(13) {
        numerator = numerator * 10 + u128::from(digit - b'0');
        scale *= 10;
    }
    let fraction =
        u64::try_from(numerator * u128::from(unit) / scale).map_err(|_| NotADuration::TooLong)?;
    whole.checked_add(fraction).ok_or(NotADuration::TooLong)
}

/// How long a unit is, by the names that Go knows; `µ` is two different letters.
fn unit_nanos(unit: &str) -> Option<u64> {
    Some(match unit {
        "ns" => 1,
        "us" | "µs" | "μs" => 1_000,
        "ms" => 1_000_000,
        "s" => NANOS_PER_SECOND,
        "m" => 60 * NANOS_PER_SECOND,
        "h" => 3600 * NANOS_PER_SECOND,
        _ => return None,
    })
}

/// The text before the first character that ends it, and the rest.
fn cut(text: &str, ends: impl Fn(char) -> bool) -> (&str, &str) {
    text.split_at_checked(text.find(ends).unwrap_or(text.len()))
        .unwrap_or((text, ""))
}

/// Go's `Duration.String`, since messages such as "next run in 10m0s" are compared with Flux's: `0s`, `1.5ms`, `176ms`, `10m0s`, `1h0m0.25s`.
fn go_text(nanos: u64) -> String {
    let (unit, per) = match nanos {
        0 => return "0s".to_owned(),
        1..1_000 => return format!("{nanos}ns"),
        1_000..1_000_000 => ("µs", 1_000),
        1_000_000..NANOS_PER_SECOND => ("ms", 1_000_000),
        _ => ("s", NANOS_PER_SECOND),
    };
    if unit != "s" {
        return format!("{}{unit}", decimal(nanos, per));
    }
    let (minutes, rest) = (nanos / (60 * per), nanos % (60 * per));
    let seconds = decimal(rest, per);
    match (minutes / 60, minutes % 60) {
        (0, 0) => format!("{seconds}s"),
        (0, minutes) => format!("{minutes}m{seconds}s"),
        (hours, minutes) => format!("{hours}h{minutes}m{seconds}s"),
    }
}

/// `nanos / per` in as few digits as say it exactly.
fn decimal(nanos: u64, per: u64) -> String {
    let (whole, fraction) = (nanos / per, nanos % per);
    if fraction == 0 {
        return whole.to_string();
    }
    let width = per.ilog10() as usize;
    let text = format!("{whole}.{fraction:0width$}");
    text.trim_end_matches('0').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duration_is_as_long_as_go_reads_it() {
        for (text, nanos) in [
            ("10m", 600_000_000_000_u64),
            ("1h30m", 5_400_000_000_000),
            ("1.5s", 1_500_000_000),
            (".5s", 500_000_000),
            ("1.s", 1_000_000_000),
            ("500ms", 500_000_000),
            ("1m0.25s", 60_250_000_000),
            ("0", 0),
            ("0s", 0),
            ("1s1s", 2_000_000_000),
            ("2562047h47m16.854775807s", MAX_NANOS),
            ("0.3333333333333333333h", 1_199_999_999_999),
            ("176.5µs", 176_500),
        ] {
            let read: Duration = text.parse().expect(text);
            assert_eq!(read.get().as_nanos(), u128::from(nanos), "{text}");
            assert_eq!(
                serde_json::to_value(&read).unwrap(),
                text,
                "{text} is written back as it was read"
            );
        }
    }

    #[test]
    fn what_is_not_a_duration_is_refused_in_words() {
        use NotADuration::*;
        let long = "9".repeat(65);
        for (text, why) in [
            ("", Length),
            (long.as_str(), Length),
            ("1d", Unit),
            ("10", Unit),
            ("10 m", Unit),
            ("10M", Unit),
            ("m", Number),
            (".s", Number),
            ("1.2.3s", Number),
            ("-1s", Number),
            ("+1s", Number),
            ("1s\u{0}", Unit),
            ("１s", Number),
            ("9999999999h", TooLong),
            ("99999999999999999999999h", TooLong),
            ("2562047h47m16.854775808s", TooLong),
        ] {
            assert_eq!(text.parse::<Duration>(), Err(why), "{text:?}");
        }
    }

    #[test]
    fn a_measured_time_is_written_as_go_writes_it() {
        for (nanos, text) in [
            (0_u64, "0s"),
            (7, "7ns"),
            (1_500, "1.5µs"),
            (176_000_000, "176ms"),
            (176_500_001, "176.500001ms"),
            (1_000_000_000, "1s"),
            (1_050_000_000, "1.05s"),
            (600_000_000_000, "10m0s"),
            (3_600_250_000_000, "1h0m0.25s"),
        ] {
            let made = Duration::from(std::time::Duration::from_nanos(nanos));
            assert_eq!(made.as_str(), text);
            assert_eq!(
                text.parse::<Duration>().unwrap().get().as_nanos(),
                u128::from(nanos)
            );
        }
        assert_eq!(
            Duration::from(std::time::Duration::MAX).get().as_nanos(),
            u128::from(MAX_NANOS)
        );
    }
}
