//! OPA's functions that make numbers, where regorus makes others.
//!
//! Decimals are added up and multiplied as OPA does (`wide`), and what is read from a text is what OPA reads. It
//! deliberately keeps no number as it was written: regorus has doubles, and `1.50` is `1.5` to it.

use std::collections::BTreeSet;

use regorus::Value;

use super::Refusal;
use super::wide::{BITS, DOUBLE, Wide};

const NO_NUMBER: Refusal = Refusal::Argument(1, "a number, as a text or otherwise");
const BEYOND: Refusal = Refusal::Argument(1, "of numbers that are not too large");
const TOO_LONG: Refusal = Refusal::Undone("a number of more than about 10,000 digits");
/// The most digits of a whole number, to the base of 16: 10,000 to that of 10. Multiplied by itself time and again, a
/// number would keep a thread busy for ever.
const DIGITS: usize = 8_304;

/// The sum of numbers.
pub(super) fn sum(arguments: &[Value]) -> Result<Value, Refusal> {
    let numbers = numbers(arguments)?;
    if numbers.iter().all(|number| is_whole(number)) {
        let mut sum = Value::from(0_u64);
        for number in numbers {
            if let (Value::Number(so_far), Value::Number(next)) = (&sum, number) {
                sum = bounded(Value::from(so_far.add(next).map_err(|_| BEYOND)?))?;
            }
        }
        return Ok(sum);
    }
    let mut sum = Wide::ZERO;
    for number in numbers {
        sum = sum.plus(wide(number)?);
    }
    made(sum)
}

/// The product of numbers.
pub(super) fn product(arguments: &[Value]) -> Result<Value, Refusal> {
    let numbers = numbers(arguments)?;
    if numbers.iter().all(|number| is_whole(number)) {
        let mut product = Value::from(1_u64);
        for number in numbers {
            if let (Value::Number(so_far), Value::Number(next)) = (&product, number) {
                product = bounded(Value::from(so_far.mul(next).map_err(|_| BEYOND)?))?;
            }
        }
        return Ok(product);
    }
    // OPA begins with a double, and so never has more bits than one.
    let mut product = Wide::ONE;
    for number in numbers {
        product = product.times(wide(number)?, DOUBLE);
    }
    made(product)
}

/// What `+` is to OPA.
pub(super) fn plus(arguments: &[Value]) -> Result<Value, Refusal> {
    all_bounded(arguments)?;
    match arguments {
        [Value::Number(one), Value::Number(two)] if one.is_integer() && two.is_integer() => {
            bounded(Value::from(one.add(two).map_err(|_| BEYOND)?))
        }
        [one, two] => made(wide(one)?.plus(wide(two)?)),
        _ => Err(NO_NUMBER),
    }
}

/// What `-` is to OPA: of sets the difference.
pub(super) fn minus(arguments: &[Value]) -> Result<Value, Refusal> {
    all_bounded(arguments)?;
    match arguments {
        [Value::Set(one), Value::Set(two)] => {
            let left = one.iter().filter(|item| !two.contains(item));
            Ok(Value::from(left.cloned().collect::<BTreeSet<_>>()))
        }
        [Value::Number(one), Value::Number(two)] if one.is_integer() && two.is_integer() => {
            bounded(Value::from(one.sub(two).map_err(|_| BEYOND)?))
        }
        [one, two] => made(wide(one)?.plus(wide(two)?.negated())),
        _ => Err(NO_NUMBER),
    }
}

/// What `*` is to OPA.
pub(super) fn times(arguments: &[Value]) -> Result<Value, Refusal> {
    all_bounded(arguments)?;
    match arguments {
        [Value::Number(one), Value::Number(two)] if one.is_integer() && two.is_integer() => {
            bounded(Value::from(one.mul(two).map_err(|_| BEYOND)?))
        }
        [one, two] => made(wide(one)?.times(wide(two)?, BITS)),
        _ => Err(NO_NUMBER),
    }
}

/// What `/` is to OPA.
pub(super) fn over(arguments: &[Value]) -> Result<Value, Refusal> {
    let [one, two] = arguments else {
        return Err(NO_NUMBER);
    };
    all_bounded(arguments)?;
    let quotient = wide(one)?.over(wide(two)?);
    made(quotient.ok_or(Refusal::Argument(2, "another number than zero"))?)
}

/// A number in another base, cut to a whole one.
pub(super) fn format(arguments: &[Value]) -> Result<Value, Refusal> {
    let [number, Value::Number(base)] = arguments else {
        return Err(NO_NUMBER);
    };
    let whole = match number {
        Value::Number(number) if number.is_integer() => Value::from(number.floor()),
        Value::Number(number) if number.is_positive() => Value::from(number.floor()),
        Value::Number(number) => Value::from(number.ceil()),
        _ => return Err(NO_NUMBER),
    };
    match (&whole, base.as_u64()) {
        (Value::Number(whole), Some(2)) => Ok(Value::from(whole.format_bin())),
        (Value::Number(whole), Some(8)) => Ok(Value::from(whole.format_octal())),
        (Value::Number(whole), Some(10)) => Ok(Value::from(whole.format_decimal())),
        (Value::Number(whole), Some(16)) => Ok(Value::from(whole.format_hex())),
        _ => Err(Refusal::Argument(2, "2, 8, 10 or 16")),
    }
}

/// The number that a value stands for.
pub(super) fn read(arguments: &[Value]) -> Result<Value, Refusal> {
    let [value] = arguments else {
        return Err(NO_NUMBER);
    };
    match value {
        Value::Null => Ok(Value::from(0_u64)),
        Value::Bool(is_one) => Ok(Value::from(u64::from(*is_one))),
        Value::Number(_) => Ok(value.clone()),
        Value::String(text) => decimal_value(&decimal(text, true)?),
        _ => Err(NO_NUMBER),
    }
}

/// Whether a decimal that is written out is a double to the last digit: all that is behind its point is halves of halves.
pub(super) fn is_exact(written: &str) -> bool {
    let Ok(Value::Number(number)) = decimal_value(written) else {
        return true;
    };
    // A double's last digit is at most as many places behind the point as it has halves, and so is its text's.
    let double = number.as_f64().filter(|_| !number.is_integer());
    double.is_none_or(|double| {
        let shown = format!("{double:.1074}");
        let short = number.format_decimal();
        shown.trim_end_matches('0') == short
    })
}

/// Whether a number is one of regorus' doubles, as `1.0` is and `1` is not.
pub(super) fn is_double(value: &Value) -> bool {
    matches!(value, Value::Number(number) if number.format_decimal_with_width(1).contains('.'))
}

/// A number as JSON has it. What was written as `1.0` keeps its point.
pub(super) fn text(value: &Value) -> String {
    let Value::Number(number) = value else {
        return String::new();
    };
    let double = number.as_f64().filter(|_| is_double(value));
    let text = double.and_then(|double| serde_json::to_string(&double).ok());
    text.unwrap_or_else(|| number.format_decimal())
}

/// The number that plain digits say, with a sign, a point and an exponent where they have them.
pub(super) fn decimal_value(text: &str) -> Result<Value, Refusal> {
    let text = decimal(text, false)?;
    if !text.contains(['.', 'e']) {
        // As JSON it would be a double as soon as it has more than 64 bits.
        return text.parse::<i128>().map(Value::from).map_err(|_| BEYOND);
    }
    match Value::from_json_str(&text) {
        Ok(number @ Value::Number(_)) => Ok(number),
        _ => Err(NO_NUMBER),
    }
}

fn numbers(arguments: &[Value]) -> Result<Vec<&Value>, Refusal> {
    let items: Vec<&Value> = match arguments {
        [Value::Array(items)] => items.iter().collect(),
        [Value::Set(items)] => items.iter().collect(),
        _ => return Err(Refusal::Argument(1, "an array or a set")),
    };
    match items.iter().all(|item| matches!(item, Value::Number(_))) {
        true => items
            .iter()
            .try_for_each(|item| is_bounded(item))
            .map(|()| items),
        false => Err(Refusal::Argument(1, "of numbers")),
    }
}

fn is_whole(value: &Value) -> bool {
    matches!(value, Value::Number(number) if number.is_integer())
}

fn all_bounded(arguments: &[Value]) -> Result<(), Refusal> {
    arguments.iter().try_for_each(is_bounded)
}

fn bounded(value: Value) -> Result<Value, Refusal> {
    is_bounded(&value).map(|()| value)
}

/// Its digits are counted to the base of 16, which takes no longer than to read the number.
fn is_bounded(value: &Value) -> Result<(), Refusal> {
    match value {
        Value::Number(number)
            if number.is_integer()
                && number.as_i128().is_none()
                && number.format_hex().len() > DIGITS =>
        {
            Err(TOO_LONG)
        }
        _ => Ok(()),
    }
}

fn wide(value: &Value) -> Result<Wide, Refusal> {
    match value {
        Value::Number(number) => Wide::read(&number.format_decimal()).ok_or(BEYOND),
        _ => Err(BEYOND),
    }
}

/// The nearest number that regorus has.
pub(super) fn made(wide: Wide) -> Result<Value, Refusal> {
    let made = Value::from(wide.as_double().ok_or(BEYOND)?);
    match &made {
        Value::Number(number) if number.is_integer() => Ok(Value::from(number.floor())),
        _ => Ok(made),
    }
}

/// What Go reads as a decimal, as JSON writes it: without a plus and needless zeros, and with a digit on both sides of its
/// point. In a number as in Go's own sources `_` may be between digits.
fn decimal(text: &str, is_go: bool) -> Result<String, Refusal> {
    let (sign, rest) = match text.strip_prefix('-') {
        Some(rest) => ("-", rest),
        None => ("", text.strip_prefix('+').unwrap_or(text)),
    };
    if is_go && (rest.starts_with("0x") || rest.starts_with("0X")) {
        return Err(Refusal::Undone("a hexadecimal number in a text"));
    }
    let (mantissa, exponent) = match rest.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, Some(exponent)),
        None => (rest, None),
    };
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let (whole, fraction) = (digits(whole, is_go)?, digits(fraction, is_go)?);
    if whole.is_empty() && fraction.is_empty() {
        return Err(NO_NUMBER);
    }
    let whole = match whole.trim_start_matches('0') {
        "" => "0",
        digits => digits,
    };
    let mut made = format!("{sign}{whole}");
    if !fraction.is_empty() {
        made.push('.');
        made.push_str(&fraction);
    }
    if let Some(exponent) = exponent {
        let unsigned = exponent.strip_prefix(['+', '-']).unwrap_or(exponent);
        let unsigned = digits(unsigned, is_go)?;
        let minus = if exponent.starts_with('-') { "-" } else { "" };
        made.push_str(&format!("e{minus}{unsigned}"));
    }
    Ok(made)
}

fn digits(text: &str, is_go: bool) -> Result<String, Refusal> {
    let is_plain = text.split('_').all(|part| {
        let is_part = !part.is_empty() || text.is_empty();
        is_part && part.bytes().all(|byte| byte.is_ascii_digit())
    });
    match is_plain && (is_go || !text.contains('_')) {
        true => Ok(text.replace('_', "")),
        false => Err(NO_NUMBER),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(function: fn(&[Value]) -> Result<Value, Refusal>, json: &str) -> String {
        match function(&[Value::from_json_str(json).unwrap()]) {
            Ok(value) => text(&value),
            Err(why) => why.to_string(),
        }
    }

    #[test]
    fn decimals_add_up_as_in_opa() {
        for (numbers, want) in [
            ("[0.1, 0.2]", "0.3"),
            ("[0.1, 0.2, -0.3]", "0"),
            ("[0.5, 0.5]", "1"),
            ("[1.0, 2]", "3"),
            ("[1, 2]", "3"),
            ("[]", "0"),
            ("[18446744073709551615, 1]", "18446744073709551616"),
            ("[0.1, \"a\"]", "argument 1 is not of numbers"),
        ] {
            assert_eq!(asked(sum, numbers), want, "{numbers}");
        }
    }

    #[test]
    fn decimals_are_multiplied_as_in_opa() {
        for (numbers, want) in [
            ("[0.1, 3]", "0.30000000000000004"),
            ("[0.5, 4]", "2"),
            ("[2, 3]", "6"),
            ("[]", "1"),
        ] {
            assert_eq!(asked(product, numbers), want, "{numbers}");
        }
    }

    #[test]
    fn no_number_grows_without_an_end() {
        let mut number = Value::from(7_u64);
        let refused = (0..30).find_map(|_| {
            let twice = [number.clone(), number.clone()];
            number = match times(&twice) {
                Ok(next) => next,
                Err(why) => return Some(why.to_string()),
            };
            None
        });
        let words = "not done here: a number of more than about 10,000 digits";
        assert_eq!(refused.as_deref(), Some(words));
        assert!((5_000..=10_000).contains(&text(&number).len()));
        let many = [Value::from(vec![number; 3])];
        assert_eq!(product(&many).unwrap_err().to_string(), words);
        assert!(sum(&many).is_ok());
    }

    #[test]
    fn operators_have_opas_digits_as_functions() {
        let told = |function: fn(&[Value]) -> Result<Value, Refusal>, json: &str| {
            let numbers = Value::from_json_str(json).unwrap();
            let made = function(
                numbers
                    .as_array()
                    .unwrap()
                    .iter()
                    .cloned()
                    .collect::<Vec<_>>()
                    .as_slice(),
            );
            made.map_or_else(|why| why.to_string(), |value| text(&value))
        };
        assert_eq!(told(plus, "[0.1, 0.2]"), "0.3");
        assert_eq!(told(plus, "[1, 2]"), "3");
        assert_eq!(told(minus, "[0.3, 0.1]"), "0.2");
        assert_eq!(told(minus, "[1, 3]"), "-2");
        assert_eq!(told(times, "[0.1, 3]"), "0.3");
        assert_eq!(
            told(times, "[18446744073709551615, 2]"),
            "36893488147419103230"
        );
        assert_eq!(told(over, "[0.3, 0.1]"), "3");
        assert_eq!(told(over, "[7, 2]"), "3.5");
        assert_eq!(
            told(over, "[1, 0]"),
            "argument 2 is not another number than zero"
        );
        assert!(told(plus, "[1, \"a\"]").starts_with("argument 1 is not"));
        let set = |items: [u64; 2]| {
            Value::from(items.map(Value::from).into_iter().collect::<BTreeSet<_>>())
        };
        let left = minus(&[set([1, 2]), set([2, 3])]).unwrap();
        assert_eq!(left, Value::from(BTreeSet::from([Value::from(1_u64)])));
    }

    #[test]
    fn a_number_is_cut_to_a_whole_one_in_its_base() {
        let told = |json: &str, base: u64| {
            let number = Value::from_json_str(json).unwrap();
            let made = format(&[number, Value::from(base)]);
            made.map_or_else(|why| why.to_string(), |value| value.to_string())
        };
        assert_eq!(told("15.9", 16), "\"f\"");
        assert_eq!(told("-15.9", 16), "\"-f\"");
        assert_eq!(told("-0.5", 2), "\"0\"");
        assert_eq!(told("-8", 8), "\"-10\"");
        assert_eq!(told("1.0", 10), "\"1\"");
        assert_eq!(told("7", 3), "argument 2 is not 2, 8, 10 or 16");
    }

    #[test]
    fn a_text_is_the_number_that_go_reads() {
        let none = NO_NUMBER.to_string();
        for (text, want) in [
            ("1", "1"),
            ("+1", "1"),
            ("-7", "-7"),
            ("01", "1"),
            (".5", "0.5"),
            ("5.", "5"),
            ("1.0", "1.0"),
            ("1_000", "1000"),
            ("2.5e-1", "0.25"),
            ("12345678901234567890123", "12345678901234567890123"),
            ("", none.as_str()),
            (".", &none),
            (" 1", &none),
            ("1 ", &none),
            ("_1", &none),
            ("1__0", &none),
            ("1e", &none),
            ("--1", &none),
            ("Inf", &none),
            ("nan", &none),
            ("0b1", &none),
            ("1e400", &none),
        ] {
            let json = serde_json::to_string(text).unwrap();
            assert_eq!(asked(read, &json), want, "{text}");
        }
        assert!(asked(read, "\"0x10p0\"").contains(super::super::UNDONE));
        assert_eq!(asked(read, "true"), "1");
        assert_eq!(asked(read, "null"), "0");
        assert_eq!(asked(read, "[]"), none);
    }
}
