//! What a plain scalar means.
//!
//! kustomize reads with two libraries that disagree: manifests and strategic merge patches with go-yaml v3
//! ([`Typing::Manifest`]: `yes` is text), kustomization files and JSON patches with go-yaml v2 ([`Typing::Config`]: `yes`
//! is true). Both read `0777` as octal and drop `_` from numbers. A date in a manifest is printed as a full timestamp. What
//! is data for a policy and no input of kustomize is read as OPA reads it ([`Typing::Data`]). A scalar keeps the text it
//! was written with, since merge keys, annotations and merged data are compared and copied as text.

use std::fmt;

use serde_json::{Number, Value};

use super::fold;

/// Which of the two rule sets holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Typing {
    /// go-yaml v3: YAML 1.2 booleans, `0o17` is a number.
    Manifest,
    /// go-yaml v2: YAML 1.1 booleans.
    Config,
    /// go-yaml v3 on the way to JSON: a date stays the text that it was written as, unless `!!timestamp` stands before it.
    Data,
}

/// The type of a scalar.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Tag {
    Null,
    Bool,
    Int,
    Float,
    Timestamp,
    Str,
}

/// A scalar: its type and the text it was written with.
#[derive(Clone, Debug)]
pub(crate) struct Scalar {
    pub(crate) tag: Tag,
    pub(crate) text: String,
    /// What it shares its value with; 0 for nothing. See [`crate::yaml::Node::share`].
    pub(crate) shared: u32,
    /// How it was written. A number that is merged over what was not plain becomes text.
    pub(crate) style: Style,
    /// Whether kustomize has set it without a type: it passes for text, and is printed as what it looks like.
    pub(crate) bare: bool,
    /// Whether its type is written in front of it: `!!int "5"`. As the style, this is of the place, not of the value.
    pub(crate) tagged: bool,
    /// Whether it stands as it was read. kustomize remembers the line of what was read, and of nothing that it has set.
    pub(crate) read: bool,
}

/// What is read and what is set may be the same.
impl PartialEq for Scalar {
    fn eq(&self, other: &Self) -> bool {
        let value = |one: &Self| (one.tag, one.shared, one.style, one.bare, one.tagged);
        value(self) == value(other) && self.text == other.text
    }
}

/// A scalar that cannot be printed: the field it is in, and why. Its text may be a secret.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Unprintable {
    pub(crate) field: String,
    pub(crate) why: &'static str,
}

impl Unprintable {
    /// The same, seen from one value further out.
    pub(super) fn below(mut self, step: &str) -> Self {
        let dot = if self.field.is_empty() || self.field.starts_with('[') {
            ""
        } else {
            "."
        };
        self.field = format!("{step}{dot}{}", self.field);
        self
    }
}

impl fmt::Display for Unprintable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.field.is_empty() {
            write!(f, "{}: ", self.field)?;
        }
        f.write_str(self.why)
    }
}

/// How a scalar was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Style {
    Plain,
    /// In quotes, or as a literal block.
    Quoted,
    /// As a folded block.
    Folded,
    /// Not at all, between brackets or braces: `{key: }`. kustomize writes its objects and reads them again on their way out,
    /// and finds empty text there.
    Missing,
}

impl Style {
    /// How go-yaml writes a new text.
    pub(crate) fn of(text: &str) -> Self {
        if text.contains('\n') || needs_quotes(text) {
            Self::Quoted
        } else {
            Self::Plain
        }
    }
}

impl Default for Scalar {
    fn default() -> Self {
        Self::new(Tag::Null, "null".to_owned())
    }
}

impl Scalar {
    pub(crate) fn new(tag: Tag, text: String) -> Self {
        Self {
            tag,
            text,
            shared: 0,
            style: Style::Plain,
            bare: false,
            tagged: false,
            read: false,
        }
    }

    /// A string.
    pub(crate) fn string(text: impl Into<String>) -> Self {
        Self::new(Tag::Str, text.into())
    }

    /// Sets the text as kustomize sets names and images: what stood there in quotes keeps them, else it is what it looks
    /// like. An image called 5 is a number.
    pub(crate) fn set_bare(&mut self, text: String) {
        *self = Self {
            bare: true,
            style: self.style,
            tagged: self.tagged,
            ..Self::string(text)
        };
    }

    fn is_quoted(&self) -> bool {
        matches!(self.style, Style::Quoted | Style::Folded)
    }

    /// This value in the place of `old`, whose way of being written stays.
    pub(crate) fn over(self, old: &Self) -> Self {
        Self {
            shared: old.shared,
            style: old.style,
            tagged: old.tagged,
            ..self
        }
    }

    /// The type it has once it is printed and read again. kustomize writes the type of a value in front of it only where it
    /// was written so, or where the value does not look like it.
    pub(crate) fn printed(&self) -> Tag {
        let looks = || resolve(&self.text, Typing::Manifest);
        match (self.bare, self.is_quoted()) {
            (true, true) => Tag::Str,
            (true, false) => looks(),
            (false, true) if !self.tagged && (self.tag == Tag::Str || looks() == self.tag) => {
                Tag::Str
            }
            (false, _) => self.tag,
        }
    }

    /// Makes the text what is read once it is written: kustomize writes a folded block with other line breaks.
    pub(crate) fn settle(&mut self) {
        if self.style == Style::Folded {
            self.text = fold::rewritten(&self.text);
        }
    }

    /// Whether it can be printed.
    pub(crate) fn printable(&self) -> Result<(), Unprintable> {
        let looks = || resolve(&self.text, Typing::Manifest);
        let why = match self.printed() {
            Tag::Null if self.style == Style::Missing => return Ok(()),
            tag @ (Tag::Null | Tag::Bool) => (looks() != tag).then_some(MISFIT),
            Tag::Str => holds_control(&self.text).then_some(CONTROL),
            Tag::Timestamp => timestamp(&self.text).is_none().then_some(MISFIT),
            tag @ (Tag::Int | Tag::Float) => match looks() {
                looks if looks != tag && (tag, looks) != (Tag::Float, Tag::Int) => Some(MISFIT),
                _ => number(&self.text).is_none().then_some(NO_JSON),
            },
        };
        let field = String::new();
        why.map_or(Ok(()), |why| Err(Unprintable { field, why }))
    }

    /// The value kustomize would print.
    pub(crate) fn into_value(self) -> Result<Value, Unprintable> {
        self.printable()?;
        Ok(self.value())
    }

    /// The value kustomize would print, if it is [`Self::printable`].
    pub(crate) fn value(mut self) -> Value {
        match self.printed() {
            Tag::Null if self.style == Style::Missing => Value::String(String::new()),
            Tag::Null => Value::Null,
            Tag::Bool => Value::Bool(is_true(&self.text)),
            Tag::Str => {
                self.settle();
                Value::String(self.text)
            }
            Tag::Timestamp => Value::String(timestamp(&self.text).unwrap_or(self.text)),
            Tag::Int | Tag::Float => number(&self.text).map_or(Value::Null, Value::Number),
        }
    }
}

/// Why a number cannot be printed.
const NO_JSON: &str = "is a number that JSON cannot hold: quote it";

/// Why a text cannot be printed.
pub(super) const CONTROL: &str =
    "holds a control character that kustomize cannot print: leave it out, or encode it";

/// Whether a text holds what YAML does not allow, and JSON does not escape.
pub(super) fn holds_control(text: &str) -> bool {
    let is_plain = text.is_ascii() && !text.as_bytes().contains(&0x7f);
    !is_plain
        && text
            .chars()
            .any(|c| matches!(c, '\x7f'..='\u{84}' | '\u{86}'..='\u{9f}' | '\u{fffe}' | '\u{ffff}'))
}

/// Why a value cannot be printed that was written where another type was.
const MISFIT: &str = "holds text where another type is written: give the field a value of its type";

/// Whether a boolean of YAML 1.1 is true.
pub(super) fn is_true(text: &str) -> bool {
    matches!(text.as_bytes().first(), Some(b't' | b'T' | b'y' | b'Y'))
        || text.eq_ignore_ascii_case("on")
}

/// The type that `text` has when it is written without quotes.
pub(crate) fn resolve(text: &str, typing: Typing) -> Tag {
    let Some(first) = text.bytes().next() else {
        return Tag::Null;
    };
    match text {
        "~" | "null" | "Null" | "NULL" => return Tag::Null,
        "true" | "True" | "TRUE" | "false" | "False" | "FALSE" => return Tag::Bool,
        "y" | "Y" | "yes" | "Yes" | "YES" | "on" | "On" | "ON" | "n" | "N" | "no" | "No" | "NO"
        | "off" | "Off" | "OFF"
            if typing == Typing::Config =>
        {
            return Tag::Bool;
        }
        ".nan" | ".NaN" | ".NAN" | ".inf" | ".Inf" | ".INF" | "+.inf" | "+.Inf" | "+.INF"
        | "-.inf" | "-.Inf" | "-.INF" => return Tag::Float,
        _ => {}
    }
    match first {
        b'.' => float(text).map_or(Tag::Str, |_| Tag::Float),
        b'0'..=b'9' if typing == Typing::Manifest && timestamp(text).is_some() => Tag::Timestamp,
        b'+' | b'-' | b'0'..=b'9' => {
            let plain = text.replace('_', "");
            if integer(&plain).is_some() {
                Tag::Int
            } else if looks_like_float(&plain) && float(&plain).is_some() {
                Tag::Float
            } else {
                Tag::Str
            }
        }
        _ => Tag::Str,
    }
}

/// Whether text must be quoted lest it is read as something else, by a reader of YAML 1.1 too.
pub(crate) fn needs_quotes(text: &str) -> bool {
    resolve(text, Typing::Config) != Tag::Str || timestamp(text).is_some() || is_base60(text)
}

/// `1:30` and the like, numbers to readers of YAML 1.1.
fn is_base60(text: &str) -> bool {
    let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
    let (number, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let mut parts = number.split(':');
    let first = parts.next().unwrap_or_default();
    let first_fits = first.starts_with(|c: char| c.is_ascii_digit())
        && first.chars().all(|c| c.is_ascii_digit() || c == '_');
    let mut count = 0;
    let rest_fits = parts.all(|part| {
        count += 1;
        match part.as_bytes() {
            [a] => a.is_ascii_digit(),
            [a, b] => (b'0'..=b'5').contains(a) && b.is_ascii_digit(),
            _ => false,
        }
    });
    first_fits && rest_fits && count > 0 && fraction.chars().all(|c| c.is_ascii_digit() || c == '_')
}

/// An integer as Go's `ParseInt(text, 0, 64)` or `ParseUint` read it.
fn integer(plain: &str) -> Option<Number> {
    let (negative, digits) = match plain.as_bytes().first()? {
        b'-' => (true, plain.get(1..)?),
        b'+' => (false, plain.get(1..)?),
        _ => (false, plain),
    };
    let prefix = digits.get(..2).unwrap_or_default();
    let (radix, digits) = match prefix {
        "0x" | "0X" => (16, digits.get(2..)?),
        "0b" | "0B" => (2, digits.get(2..)?),
        "0o" | "0O" => (8, digits.get(2..)?),
        _ if digits.len() > 1 && digits.starts_with('0') => (8, digits.get(1..)?),
        _ => (10, digits),
    };
    // `from_str_radix` would take a second sign.
    if !digits.bytes().all(|b| b.is_ascii_alphanumeric()) || digits.is_empty() {
        return None;
    }
    let magnitude = u64::from_str_radix(digits, radix).ok()?;
    if !negative {
        // A sign makes Go try the signed parser only.
        let signed_only = plain.starts_with('+');
        return (!signed_only || i64::try_from(magnitude).is_ok()).then(|| magnitude.into());
    }
    0i64.checked_sub_unsigned(magnitude).map(Number::from)
}

fn looks_like_float(plain: &str) -> bool {
    let rest = plain.strip_prefix(['+', '-']).unwrap_or(plain);
    let (mantissa, exponent) = match rest.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, Some(exponent)),
        None => (rest, None),
    };
    let digits = |s: &str| s.bytes().all(|b| b.is_ascii_digit());
    let mantissa_fits = match mantissa.split_once('.') {
        Some((whole, fraction)) => {
            digits(whole) && digits(fraction) && !(whole.is_empty() && fraction.is_empty())
        }
        None => !mantissa.is_empty() && digits(mantissa),
    };
    let exponent_fits = exponent.is_none_or(|e| {
        let e = e.strip_prefix(['+', '-']).unwrap_or(e);
        !e.is_empty() && digits(e)
    });
    mantissa_fits && exponent_fits
}

/// Go's `ParseFloat`, which refuses what does not fit.
fn float(text: &str) -> Option<f64> {
    let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
    if !digits.starts_with(|c: char| c.is_ascii_digit() || c == '.') {
        return None;
    }
    text.parse::<f64>().ok().filter(|f| f.is_finite())
}

/// The number that a text tagged as one means; none for infinities.
pub(crate) fn number(text: &str) -> Option<Number> {
    let plain = text.replace('_', "");
    if let Some(number) = integer(&plain) {
        return Some(number);
    }
    let printed = go_json_number(float(&plain)?);
    integer(&printed).or_else(|| Number::from_f64(printed.parse().ok()?))
}

/// A date or a time of one of the forms go-yaml knows, as RFC 3339.
pub(crate) fn timestamp(text: &str) -> Option<String> {
    let (year, rest) = text.split_at_checked(4)?;
    let (month, rest) = rest.strip_prefix('-')?.split_once('-')?;
    let day_end = rest
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(rest.len());
    let (day, time) = rest.split_at_checked(day_end)?;
    let (year, month, day) = (digits(year, 4)?, digits(month, 2)?, digits(day, 2)?);
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let days = match month {
        2 => 28 + u32::from(leap),
        4 | 6 | 9 | 11 => 30,
        1..=12 => 31,
        _ => return None,
    };
    if day == 0 || day > days {
        return None;
    }
    let date = format!("{year:04}-{month:02}-{day:02}");
    if time.is_empty() {
        return Some(format!("{date}T00:00:00Z"));
    }
    let (zoned, clock) = match time.split_at_checked(1)? {
        ("T" | "t", clock) => (true, clock),
        (" ", clock) => (false, clock),
        _ => return None,
    };
    let zone_at = clock.find(['Z', '+', '-']).unwrap_or(clock.len());
    let (clock, zone) = clock.split_at_checked(zone_at)?;
    if zoned == zone.is_empty() {
        return None;
    }
    Some(format!("{date}T{}{}", clock_text(clock)?, zone_text(zone)?))
}

fn digits(text: &str, most: usize) -> Option<u32> {
    let fits = (1..=most).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit());
    text.parse().ok().filter(|_| fits)
}

fn clock_text(clock: &str) -> Option<String> {
    let (clock, fraction) = clock.split_once('.').unwrap_or((clock, ""));
    let mut parts = clock.split(':');
    let (hour, minute, second) = (parts.next()?, parts.next()?, parts.next()?);
    let (hour, minute, second) = (digits(hour, 2)?, digits(minute, 2)?, digits(second, 2)?);
    if parts.next().is_some() || hour > 23 || minute > 59 || second > 59 {
        return None;
    }
    if !fraction.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let fraction = fraction.get(..fraction.len().min(9))?.trim_end_matches('0');
    let dot = if fraction.is_empty() { "" } else { "." };
    Some(format!("{hour:02}:{minute:02}:{second:02}{dot}{fraction}"))
}

fn zone_text(zone: &str) -> Option<String> {
    if zone.is_empty() || zone == "Z" {
        return Some("Z".to_owned());
    }
    let (sign, rest) = zone.split_at_checked(1)?;
    let (hour, minute) = rest.split_once(':')?;
    if hour.len() != 2 || minute.len() != 2 {
        return None;
    }
    let (hour, minute) = (digits(hour, 2)?, digits(minute, 2)?);
    if hour > 24 || minute > 60 {
        return None;
    }
    let utc = hour == 0 && minute == 0;
    Some(if utc {
        "Z".to_owned()
    } else {
        format!("{sign}{hour:02}:{minute:02}")
    })
}

/// A float as Go's JSON encoder prints it: no exponent between 1e-6 and 1e21.
pub(crate) fn go_json_number(f: f64) -> String {
    let magnitude = f.abs();
    if magnitude != 0.0 && !(1e-6..1e21).contains(&magnitude) {
        let text = format!("{f:e}");
        return match text.split_once('e') {
            Some((mantissa, exponent)) if !exponent.starts_with('-') => {
                format!("{mantissa}e+{exponent}")
            }
            _ => text,
        };
    }
    format!("{f}")
}

/// A float as go-yaml writes it: with an exponent from a million on.
pub(crate) fn go_yaml_number(f: f64) -> String {
    if f == 0.0 || (1e-4..1e6).contains(&f.abs()) {
        return format!("{f}");
    }
    let text = format!("{f:e}");
    match text.split_once('e') {
        Some((mantissa, exponent)) => match exponent.strip_prefix('-') {
            Some(digits) => format!("{mantissa}e-{digits:0>2}"),
            None => format!("{mantissa}e+{exponent:0>2}"),
        },
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn value(text: &str, typing: Typing) -> Value {
        Scalar::new(resolve(text, typing), text.to_owned())
            .into_value()
            .unwrap()
    }

    #[test]
    fn a_plain_scalar_in_a_manifest_is_typed_as_go_yaml_v3_types_it() {
        for (text, want) in [
            ("yes", json!("yes")),
            ("on", json!("on")),
            ("n", json!("n")),
            ("true", json!(true)),
            ("False", json!(false)),
            ("tRue", json!("tRue")),
            ("~", json!(null)),
            ("", json!(null)),
            ("0777", json!(511)),
            ("0o17", json!(15)),
            ("0x1F", json!(31)),
            ("0b11", json!(3)),
            ("-0b11", json!(-3)),
            ("1_000", json!(1000)),
            ("08", json!(8)),
            ("1e3", json!(1000)),
            ("1.10", json!(1.1)),
            ("1.", json!(1)),
            (".5", json!(0.5)),
            ("-.5", json!(-0.5)),
            ("1e-7", json!(1e-7)),
            ("1.2.3", json!("1.2.3")),
            ("12e", json!("12e")),
            ("+12", json!(12)),
            ("+-12", json!("+-12")),
            ("-", json!("-")),
            ("18446744073709551615", json!(18446744073709551615u64)),
            ("-9223372036854775808", json!(i64::MIN)),
            ("99999999999999999999", json!(1e20)),
            ("2020-01-01", json!("2020-01-01T00:00:00Z")),
            (
                "2020-1-2T3:4:5.600+01:00",
                json!("2020-01-02T03:04:05.6+01:00"),
            ),
            ("2020-01-02 03:04:05", json!("2020-01-02T03:04:05Z")),
            ("2020-02-30", json!("2020-02-30")),
            ("2020-01-01T00:00:00", json!("2020-01-01T00:00:00")),
            ("12:30:45", json!("12:30:45")),
            ("1e400", json!("1e400")),
            (".e5", json!(".e5")),
            ("._5", json!("._5")),
        ] {
            assert_eq!(value(text, Typing::Manifest), want, "{text}");
        }
    }

    #[test]
    fn a_plain_scalar_in_a_kustomization_file_has_yaml_1_1_booleans() {
        for (text, want) in [
            ("yes", true),
            ("Y", true),
            ("on", true),
            ("off", false),
            ("N", false),
        ] {
            assert_eq!(resolve(text, Typing::Config), Tag::Bool, "{text}");
            assert_eq!(is_true(text), want, "{text}");
        }
        assert_eq!(value("yEs", Typing::Config), json!("yEs"));
        assert_eq!(value("2020-01-01", Typing::Config), json!("2020-01-01"));
    }

    #[test]
    fn a_plain_scalar_in_data_is_what_it_is_in_a_manifest_but_a_date_stays_its_text() {
        for text in [
            "2026-12-24",
            "2001-12-14t21:59:43.10-05:00",
            "2026-1-2",
            "1:30",
            "yes",
            "N",
        ] {
            assert_eq!(value(text, Typing::Data), json!(text));
        }
        for text in [
            "0o14", "014", "1_000", "0x1F", "1e3", "018", "1e400", "true", "~", "0_7",
        ] {
            assert_eq!(
                value(text, Typing::Data),
                value(text, Typing::Manifest),
                "{text}"
            );
        }
    }

    #[test]
    fn floats_print_as_go_prints_them() {
        for (f, want) in [
            (1e20, "100000000000000000000"),
            (1e21, "1e+21"),
            (1e-7, "1e-7"),
            (0.5, "0.5"),
            (0.0, "0"),
        ] {
            assert_eq!(go_json_number(f), want);
        }
    }
}
