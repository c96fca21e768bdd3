//! One argument of `sprintf`, printed as its verb says.
//!
//! A verb that an argument has not is told in the text, as Go does (`%!d(string=a)`). It deliberately prints no decimal in
//! base two or sixteen and no address: those are refused.

use std::borrow::Cow;

use regorus::Value;

use super::super::{Refusal, quote};

/// What Go is given for a value.
pub(super) enum Argument<'a> {
    Whole(i64),
    /// One of more than 64 bits.
    Large(&'a Value),
    Double(f64),
    Text(Cow<'a, str>),
}

/// What stands between a percent sign and the verb.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Spec {
    pub(super) sharp: bool,
    pub(super) zero: bool,
    pub(super) plus: bool,
    pub(super) minus: bool,
    pub(super) space: bool,
    /// `%#v` and `%+v`, where the flags mean something else.
    pub(super) is_go: bool,
    pub(super) is_plus: bool,
    pub(super) width: Option<usize>,
    pub(super) precision: Option<usize>,
}

/// Prints an argument.
pub(super) fn print(
    made: &mut String,
    spec: Spec,
    argument: &Argument<'_>,
    verb: char,
) -> Result<(), Refusal> {
    if verb == 'T' {
        spec.text(made, argument.type_name());
        return Ok(());
    }
    let is_printed = match argument {
        Argument::Text(text) => spec.string(made, text, verb),
        Argument::Whole(number) => spec.whole(made, *number, verb),
        Argument::Double(number) => spec.double(made, *number, verb)?,
        Argument::Large(_) if matches!(verb, 'p' | 'w') => {
            return Err(Refusal::Undone("the address of a number in sprintf"));
        }
        Argument::Large(number) => spec.large(made, number, verb),
    };
    if !is_printed {
        made.push_str(&format!("%!{verb}({}=", argument.type_name()));
        print(made, spec, argument, 'v')?;
        made.push(')');
    }
    Ok(())
}

impl Argument<'_> {
    /// What Go calls it.
    pub(super) fn type_name(&self) -> &'static str {
        match self {
            Self::Whole(_) => "int64",
            Self::Large(_) => "*big.Int",
            Self::Double(_) => "float64",
            Self::Text(_) => "string",
        }
    }
}

impl Spec {
    fn fill(self, made: &mut String, length: usize) {
        let by = if self.zero && !self.minus { '0' } else { ' ' };
        made.extend(std::iter::repeat_n(by, length));
    }

    fn padded(self, made: &mut String, text: &str) {
        let wide = self.width.unwrap_or(0);
        let missing = wide.saturating_sub(text.chars().count());
        if self.minus {
            made.push_str(text);
            self.fill(made, missing);
        } else {
            self.fill(made, missing);
            made.push_str(text);
        }
    }

    fn unpadded_zero(self) -> Self {
        Self {
            zero: false,
            ..self
        }
    }

    fn text(self, made: &mut String, text: &str) {
        self.padded(made, self.cut(text));
    }

    fn cut(self, text: &str) -> &str {
        let end = self
            .precision
            .and_then(|most| text.char_indices().nth(most));
        end.and_then(|(end, _)| text.get(..end)).unwrap_or(text)
    }

    fn string(self, made: &mut String, text: &str, verb: char) -> bool {
        match verb {
            'v' if self.is_go => self.quoted(made, text),
            'v' | 's' => self.text(made, text),
            'q' => self.quoted(made, text),
            'x' => self.bytes(made, text, false),
            'X' => self.bytes(made, text, true),
            _ => return false,
        }
        true
    }

    fn quoted(self, made: &mut String, text: &str) {
        let text = self.cut(text);
        let is_raw = |c: char| c == '\t' || !(c.is_ascii_control() || c == '`' || c == '\u{feff}');
        if self.sharp && text.chars().all(is_raw) {
            self.padded(made, &format!("`{text}`"));
        } else {
            self.padded(made, &quote::quoted(text, '"', self.plus));
        }
    }

    /// The bytes of a text in hexadecimal.
    fn bytes(self, made: &mut String, text: &str, is_upper: bool) {
        let length = self.precision.unwrap_or(text.len()).min(text.len());
        if length == 0 {
            self.fill(made, self.width.unwrap_or(0));
            return;
        }
        let prefix = match (self.sharp, is_upper) {
            (false, _) => "",
            (true, false) => "0x",
            (true, true) => "0X",
        };
        let mut digits = String::from(prefix);
        for (at, byte) in text.bytes().take(length).enumerate() {
            if self.space && at > 0 {
                digits.push(' ');
                digits.push_str(prefix);
            }
            match is_upper {
                true => digits.push_str(&format!("{byte:02X}")),
                false => digits.push_str(&format!("{byte:02x}")),
            }
        }
        self.padded(made, &digits);
    }

    fn whole(self, made: &mut String, number: i64, verb: char) -> bool {
        let size = number.unsigned_abs();
        let character = || {
            let code = u32::try_from(number).ok().and_then(char::from_u32);
            code.unwrap_or(char::REPLACEMENT_CHARACTER)
        };
        let (prefix, digits) = match verb {
            'v' | 'd' => ("", size.to_string()),
            'b' => ("0b", format!("{size:b}")),
            'o' | 'O' => ("0", format!("{size:o}")),
            'x' => ("0x", format!("{size:x}")),
            'X' => ("0X", format!("{size:X}")),
            'c' => {
                self.padded(made, character().encode_utf8(&mut [0; 4]));
                return true;
            }
            'q' => {
                let text = character().to_string();
                self.padded(made, &quote::quoted(&text, '\'', self.plus));
                return true;
            }
            'U' => {
                self.code_point(made, number);
                return true;
            }
            _ => return false,
        };
        self.digits(made, number < 0, prefix, digits, verb);
        true
    }

    fn digits(
        self,
        made: &mut String,
        is_negative: bool,
        prefix: &str,
        mut digits: String,
        verb: char,
    ) {
        let wide = self.width.unwrap_or(0);
        let least = match self.precision {
            Some(0) if digits == "0" => {
                self.unpadded_zero().fill(made, wide);
                return;
            }
            Some(precision) => precision,
            // Zeros in front fill the column, but for the sign.
            None if self.zero && !self.minus => {
                wide.saturating_sub(usize::from(is_negative || self.plus || self.space))
            }
            None => 0,
        };
        let missing = least.saturating_sub(digits.len());
        digits.insert_str(0, &"0".repeat(missing));
        let is_octal = prefix == "0";
        if self.sharp && !(is_octal && digits.starts_with('0')) {
            digits.insert_str(0, prefix);
        }
        if verb == 'O' {
            digits.insert_str(0, "0o");
        }
        let sign = match (is_negative, self.plus, self.space) {
            (true, ..) => "-",
            (_, true, _) => "+",
            (_, _, true) => " ",
            _ => "",
        };
        digits.insert_str(0, sign);
        self.unpadded_zero().padded(made, &digits);
    }

    fn code_point(self, made: &mut String, number: i64) {
        let least = self.precision.unwrap_or(0).max(4);
        let mut text = format!("U+{:0least$X}", number.cast_unsigned());
        let shown = u32::try_from(number).ok().and_then(char::from_u32);
        if let Some(shown) = shown.filter(|c| self.sharp && quote::is_printed(*c)) {
            text.push_str(&format!(" '{shown}'"));
        }
        self.unpadded_zero().padded(made, &text);
    }

    /// A number of more than 64 bits, which Go prints by other rules.
    fn large(self, made: &mut String, value: &Value, verb: char) -> bool {
        let Value::Number(number) = value else {
            return false;
        };
        let (prefix, digits) = match verb {
            'b' => ("0b", number.format_bin()),
            'o' => ("0", number.format_octal()),
            'O' => ("0o", number.format_octal()),
            'd' | 's' | 'v' => ("", number.format_decimal()),
            'x' => ("0x", number.format_hex()),
            'X' => ("0X", number.format_big_hex()),
            _ => {
                made.push_str(&format!("%!{verb}(big.Int={})", number.format_decimal()));
                return true;
            }
        };
        let unsigned = digits.strip_prefix('-');
        let sign = match (unsigned, self.plus || self.is_plus, self.space) {
            (Some(_), ..) => "-",
            (None, true, _) => "+",
            (None, _, true) => " ",
            _ => "",
        };
        let prefix = match self.sharp || self.is_go || verb == 'O' {
            true => prefix,
            false => "",
        };
        let digits = unsigned.unwrap_or(&digits);
        let mut zeros = self.precision.unwrap_or(0).saturating_sub(digits.len());
        let length = sign.len() + prefix.len() + zeros + digits.len();
        let missing = self.width.unwrap_or(0).saturating_sub(length);
        let (mut left, mut right) = (0, 0);
        if self.minus {
            right = missing;
        } else if self.zero && self.precision.is_none() {
            zeros = missing;
        } else {
            left = missing;
        }
        let [left, zeros, right] =
            [(" ", left), ("0", zeros), (" ", right)].map(|(by, n)| by.repeat(n));
        made.push_str(&format!("{left}{sign}{prefix}{zeros}{digits}{right}"));
        true
    }

    fn double(self, made: &mut String, number: f64, verb: char) -> Result<bool, Refusal> {
        let size = number.abs();
        let text = match verb {
            'v' | 'g' | 'G' => shortest(size, self.precision),
            'f' | 'F' => format!("{size:.*}", self.precision.unwrap_or(6)),
            'e' | 'E' => scientific(&format!("{size:.*e}", self.precision.unwrap_or(6))),
            'b' | 'x' | 'X' => {
                let what = "a decimal in another base in sprintf";
                return Err(Refusal::Undone(what));
            }
            _ => return Ok(false),
        };
        let mut text = match self.sharp {
            true => self.pointed(&text, verb),
            false => text,
        };
        if verb.is_ascii_uppercase() {
            text.make_ascii_uppercase();
        }
        let sign = match (number.is_sign_negative(), self.plus, self.space) {
            (true, ..) => "-",
            (_, true, _) => "+",
            (_, _, true) => " ",
            _ => "",
        };
        let length = sign.len() + text.len();
        let missing = self.width.unwrap_or(0).saturating_sub(length);
        if self.zero && !self.minus && !sign.is_empty() && missing > 0 {
            made.push_str(sign);
            self.fill(made, missing);
            made.push_str(&text);
        } else {
            self.padded(made, &format!("{sign}{text}"));
        }
        Ok(true)
    }

    /// With its point and its zeros behind it, whether they are needed or not.
    fn pointed(self, text: &str, verb: char) -> String {
        let (body, tail) = text.split_at(text.find('e').unwrap_or(text.len()));
        let mut missing = match verb {
            'v' | 'g' | 'G' => self.precision.unwrap_or(6),
            _ => 0,
        };
        let digits = body.trim_start_matches(['0', '.']);
        let counted = digits.chars().filter(char::is_ascii_digit).count();
        missing = missing.saturating_sub(counted);
        let mut made = body.to_owned();
        if !body.contains('.') {
            missing = missing.saturating_sub(usize::from(body == "0"));
            made.push('.');
        }
        made.push_str(&"0".repeat(missing));
        made.push_str(tail);
        made
    }
}

/// A decimal without sign in its shortest form, or with that many digits.
fn shortest(size: f64, precision: Option<usize>) -> String {
    if size == 0.0 {
        return "0".to_owned();
    }
    let most = precision.map(|digits| digits.max(1));
    let written = match most {
        Some(digits) => format!("{size:.*e}", digits - 1),
        None => format!("{size:e}"),
    };
    let (mantissa, exponent) = written.split_once('e').unwrap_or((&written, "0"));
    let mantissa = match mantissa.contains('.') {
        true => mantissa.trim_end_matches('0').trim_end_matches('.'),
        false => mantissa,
    };
    let digits = mantissa.chars().filter(char::is_ascii_digit).count();
    let exponent: i64 = exponent.parse().unwrap_or(0);
    let before = exponent + 1;
    let length = i64::try_from(digits).unwrap_or(i64::MAX);
    let most = most.and_then(|most| i64::try_from(most).ok());
    let from = match most {
        None => 6,
        Some(most) if most > length && length >= before => length,
        Some(most) => most,
    };
    if exponent < -4 || exponent >= from {
        return scientific(&format!("{mantissa}e{exponent}"));
    }
    let decimals = usize::try_from(length - before).unwrap_or(0);
    match most {
        // Rounded already: what is written has no more digits than that.
        Some(_) => format!("{:.decimals$}", written.parse().unwrap_or(size)),
        None => format!("{size:.decimals$}"),
    }
}

/// `1.5e-7` as `1.5e-07`.
fn scientific(written: &str) -> String {
    let (mantissa, exponent) = written.split_once('e').unwrap_or((written, "0"));
    let (sign, digits) = match exponent.strip_prefix('-') {
        Some(digits) => ('-', digits),
        None => ('+', exponent),
    };
    format!("{mantissa}e{sign}{digits:0>2}")
}
