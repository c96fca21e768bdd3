//! OPA's `semver.*`: a version may begin with one `v`, and its three numbers fit 64 bits.
//!
//! It deliberately knows no ranges, as OPA does not.

use std::cmp::Ordering;

use regorus::Value;

use super::Refusal;

/// Which of two versions comes first: -1, 0 or 1.
pub(super) fn compare(arguments: &[Value]) -> Result<Value, Refusal> {
    let [Value::String(one), Value::String(two)] = arguments else {
        return Err(Refusal::Argument(1, "a string, or 2 is none"));
    };
    let one = read(one).ok_or(Refusal::Argument(1, "a version"))?;
    let two = read(two).ok_or(Refusal::Argument(2, "a version"))?;
    let order = one.numbers.cmp(&two.numbers);
    let order = order.then_with(|| before_release(one.before, two.before));
    Ok(Value::from(order as i64))
}

/// Whether a value is a version.
pub(super) fn is_valid(arguments: &[Value]) -> Result<Value, Refusal> {
    let is_one = matches!(arguments, [Value::String(text)] if read(text).is_some());
    Ok(Value::Bool(is_one))
}

struct Version<'a> {
    numbers: [i64; 3],
    /// What is said behind a hyphen: it comes before the release.
    before: &'a str,
}

fn read(text: &str) -> Option<Version<'_>> {
    let text = text.strip_prefix('v').unwrap_or(text);
    let (text, build) = split(text, '+');
    let (numbers, before) = split(text, '-');
    if build.is_some_and(|build| !are_identifiers(build))
        || before.is_some_and(|before| !are_identifiers(before) || has_zeros(before))
    {
        return None;
    }
    let mut parts = numbers.split('.').map(number);
    let numbers = [parts.next()??, parts.next()??, parts.next()??];
    parts.next().is_none().then_some(Version {
        numbers,
        before: before.unwrap_or_default(),
    })
}

fn split(text: &str, at: char) -> (&str, Option<&str>) {
    match text.split_once(at) {
        Some((before, after)) => (before, Some(after)),
        None => (text, None),
    }
}

fn number(text: &str) -> Option<i64> {
    let is_plain = text.len() == 1 || !text.starts_with('0');
    let is_plain = is_plain && is_number(text);
    text.parse().ok().filter(|_| is_plain)
}

fn is_number(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

fn are_identifiers(text: &str) -> bool {
    let is_letter = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
    text.split('.')
        .all(|one| !one.is_empty() && one.bytes().all(is_letter))
}

/// Whether a number among identifiers begins with a needless zero.
fn has_zeros(text: &str) -> bool {
    text.split('.')
        .any(|one| one.len() > 1 && one.starts_with('0') && is_number(one))
}

/// Numbers by value and before names, names by their bytes, the longer list behind the shorter, and nothing behind all.
fn before_release(one: &str, two: &str) -> Ordering {
    match (one.is_empty(), two.is_empty()) {
        (false, false) => {}
        (is_release, is_other) => return is_release.cmp(&is_other),
    }
    let (mut ones, mut twos) = (one.split('.'), two.split('.'));
    loop {
        let (one, two) = match (ones.next(), twos.next()) {
            (Some(one), Some(two)) => (one, two),
            (one, two) => return one.is_some().cmp(&two.is_some()),
        };
        let order = match (is_number(one), is_number(two)) {
            (true, true) => value(one).cmp(&value(two)),
            (false, false) => one.cmp(two),
            (is_one, is_two) => is_two.cmp(&is_one),
        };
        if order.is_ne() {
            return order;
        }
    }
}

/// The value of a number, which to OPA is at most the largest of 64 bits.
fn value(digits: &str) -> i64 {
    digits.parse().unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_ordered_as_by_opa() {
        let ascending = [
            "v0.9.9",
            "1.0.0-1",
            "1.0.0-2",
            "v1.0.0-alpha",
            "1.0.0-alpha.1",
            "1.0.0-alpha.beta",
            "1.0.0-rc-1",
            "1.0.0",
            "1.0.1+build.7",
            "1.10.0",
        ];
        for (at, one) in ascending.iter().enumerate() {
            for (other, two) in ascending.iter().enumerate() {
                let told = compare(&[Value::from(*one), Value::from(*two)]).unwrap();
                assert_eq!(told, Value::from(at.cmp(&other) as i64), "{one} {two}");
            }
        }
        let same = compare(&[Value::from("v1.0.0+a"), Value::from("1.0.0+b")]);
        assert_eq!(same.unwrap(), Value::from(0_i64));
        assert!(compare(&[Value::from("1.0"), Value::from("1.0.0")]).is_err());
    }

    #[test]
    fn a_version_has_three_numbers_and_at_most_one_v() {
        for (text, want) in [
            ("1.2.3", true),
            ("v1.2.3", true),
            ("1.2.3-a.0.b+001", true),
            ("1.2.3-0a", true),
            ("vv1.2.3", false),
            ("V1.2.3", false),
            ("1.2", false),
            ("1.2.3.4", false),
            ("01.2.3", false),
            ("+1.2.3", false),
            ("1.2.3-", false),
            ("1.2.3-01", false),
            ("1.2.3+", false),
            ("1.2.3-a_b", false),
            ("9223372036854775808.0.0", false),
            ("", false),
        ] {
            assert_eq!(
                is_valid(&[Value::from(text)]).unwrap(),
                want.into(),
                "{text}"
            );
        }
        assert_eq!(is_valid(&[Value::from(1_u64)]).unwrap(), false.into());
    }
}
