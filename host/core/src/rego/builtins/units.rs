//! OPA's `units.*`: amounts with the units that OPA knows, and no others.
//!
//! What is not whole has ten decimals, and bytes are cut to whole ones. It deliberately knows no unit below a thousandth:
//! what Kubernetes takes beside these OPA doesn't either.

use regorus::Value;

use super::wide::{BITS, Wide};
use super::{Refusal, number};

const NO_AMOUNT: Refusal = Refusal::Argument(1, "an amount in one of OPA's units");

/// The longest exponent, in digits.
const EXPONENT: usize = 6;

/// An amount in any unit.
pub(super) fn parse(arguments: &[Value]) -> Result<Value, Refusal> {
    let text = plain(arguments)?;
    let (amount, unit) = split(&text)?;
    let mut letters = unit.chars();
    let first = letters.next().map(String::from).unwrap_or_default();
    let unit = format!("{first}{}", letters.as_str().to_lowercase());
    let made = match unit.as_str() {
        "m" => product(amount, "0.001")?,
        // Of no other unit does it matter how large its letter is.
        "M" => times(amount, 1_000, 2)?,
        unit => {
            let (base, power) = power(&unit.to_lowercase()).ok_or(NO_AMOUNT)?;
            times(amount, base, power)?
        }
    };
    match &made {
        Value::Number(number) if !number.is_integer() => {
            let rounded = number.as_f64().map(|double| format!("{double:.10}"));
            number::decimal_value(&rounded.ok_or(NO_AMOUNT)?)
        }
        _ => Ok(made),
    }
}

/// An amount of bytes.
pub(super) fn parse_bytes(arguments: &[Value]) -> Result<Value, Refusal> {
    let text = plain(arguments)?.to_lowercase();
    let (amount, unit) = split(&text)?;
    let unit = unit
        .strip_suffix('b')
        .filter(|unit| !unit.is_empty())
        .unwrap_or(unit);
    let (base, power) = power(unit).ok_or(NO_AMOUNT)?;
    let made = times(amount, base, power)?;
    Ok(match &made {
        Value::Number(number) if number.is_positive() => Value::from(number.floor()),
        Value::Number(number) => Value::from(number.ceil()),
        _ => made,
    })
}

fn plain(arguments: &[Value]) -> Result<String, Refusal> {
    match arguments {
        [Value::String(text)] => Ok(text.replace('"', "")),
        _ => Err(Refusal::Argument(1, "a string")),
    }
}

/// What a unit in small letters stands for: a number and how often it is taken.
fn power(unit: &str) -> Option<(u64, u32)> {
    let (unit, base) = match unit.strip_suffix('i') {
        Some(unit) => (unit, 1_024),
        None => (unit, 1_000),
    };
    let power = match unit {
        "" if base == 1_000 => 0,
        "k" => 1,
        "m" => 2,
        "g" => 3,
        "t" => 4,
        "p" => 5,
        "e" => 6,
        _ => return None,
    };
    Some((base, power))
}

/// The number and the unit behind it.
fn split(text: &str) -> Result<(&str, &str), Refusal> {
    let bytes = text.as_bytes();
    let at = |at: usize| bytes.get(at).copied();
    let is_digit = |byte: Option<u8>| byte.is_some_and(|byte| byte.is_ascii_digit());
    let mut end = 0;
    while let Some(byte) = at(end) {
        match byte {
            b'0'..=b'9' | b'.' | b'+' | b'-' => {}
            b'e' | b'E' => {
                let sign = usize::from(matches!(at(end + 1), Some(b'+' | b'-')));
                if sign == 0 && !is_digit(at(end + 1)) {
                    break;
                }
                let from = end + 1 + sign;
                let digits = (from..).take_while(|place| is_digit(at(*place))).count();
                if digits > EXPONENT {
                    return Err(NO_AMOUNT);
                }
                end += sign;
            }
            _ => break,
        }
        end += 1;
    }
    let (amount, unit) = text.split_at_checked(end).ok_or(NO_AMOUNT)?;
    let is_plain = !amount.is_empty() && !text.contains(' ');
    is_plain.then_some((amount, unit)).ok_or(NO_AMOUNT)
}

fn times(amount: &str, base: u64, power: u32) -> Result<Value, Refusal> {
    let unit = Value::from(base.pow(power));
    let amount_value = number::decimal_value(amount)?;
    match (&amount_value, &unit) {
        (Value::Number(amount), Value::Number(unit)) if amount.is_integer() => {
            amount.mul(unit).map(Value::from).map_err(|_| NO_AMOUNT)
        }
        _ => product(amount, &base.pow(power).to_string()),
    }
}

fn product(amount: &str, unit: &str) -> Result<Value, Refusal> {
    let amount = match number::decimal_value(amount)? {
        Value::Number(amount) => Wide::read(&amount.format_decimal()),
        _ => None,
    };
    let product = amount
        .zip(Wide::read(unit))
        .map(|(one, two)| one.times(two, BITS));
    number::made(product.ok_or(NO_AMOUNT)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(function: fn(&[Value]) -> Result<Value, Refusal>, text: &str) -> String {
        match function(&[Value::from(text)]) {
            Ok(value) => number::text(&value),
            Err(_) => "none".to_owned(),
        }
    }

    #[test]
    fn amounts_have_opas_units_and_ten_decimals() {
        for (text, want) in [
            ("100m", "0.1"),
            ("57m", "0.057"),
            ("1e3m", "1"),
            ("1.5Gi", "1610612736"),
            ("4.35G", "4350000000"),
            ("1MI", "1048576"),
            ("1M", "1000000"),
            ("1k", "1000"),
            ("1E", "1000000000000000000"),
            ("1e3", "1000"),
            ("+.5", "0.5"),
            ("0.1234567890123", "0.123456789"),
            ("\"1\"", "1"),
            ("1mi", "1048576"),
            ("9007199254740993", "9007199254740993"),
            ("100n", "none"),
            ("1h", "none"),
            ("1i", "none"),
            ("1_0", "none"),
            ("1 m", "none"),
            ("1.5.5", "none"),
            ("m", "none"),
            ("", "none"),
        ] {
            assert_eq!(told(parse, text), want, "{text}");
        }
    }

    #[test]
    fn bytes_are_whole() {
        for (text, want) in [
            ("1.5", "1"),
            ("-1.5k", "-1500"),
            ("1.5KiB", "1536"),
            ("10MB", "10000000"),
            ("1mb", "1000000"),
            ("1ei", "1152921504606846976"),
            ("1b", "none"),
            ("1R", "none"),
            ("1 mb", "none"),
        ] {
            assert_eq!(told(parse_bytes, text), want, "{text}");
        }
    }
}
