//! Amounts as Kubernetes writes them: `100m`, `1.5`, `64Mi`, `1e3`.

use serde_json::Value;

/// An amount, in billionths: what Kubernetes keeps of one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Quantity(u128);

const UNITS: [(&str, u128); 14] = [
    ("Ki", NANO << 10),
    ("Mi", NANO << 20),
    ("Gi", NANO << 30),
    ("Ti", NANO << 40),
    ("Pi", NANO << 50),
    ("Ei", NANO << 60),
    ("n", 1),
    ("u", 1_000),
    ("m", 1_000_000),
    ("k", NANO * 1_000),
    ("M", NANO * 1_000_000),
    ("G", NANO * 1_000_000_000),
    ("T", NANO * 1_000_000_000_000),
    ("P", NANO * 1_000_000_000_000_000),
];
const EXA: u128 = NANO * 1_000_000_000_000_000_000;
const NANO: u128 = 1_000_000_000;

impl Quantity {
    /// The amount in a manifest, which may be a number there. None for what is no amount.
    pub fn of(value: &Value) -> Option<Self> {
        match value {
            Value::String(text) => Self::parse(text),
            Value::Number(number) => Self::parse(&number.to_string()),
            _ => None,
        }
    }

    pub fn parse(text: &str) -> Option<Self> {
        let text = text.strip_prefix('+').unwrap_or(text);
        let unit = UNITS
            .iter()
            .find_map(|(unit, worth)| Some((text.strip_suffix(unit)?, *worth)));
        let (number, worth) = match unit {
            Some(found) => found,
            None => match text.split_once(['e', 'E']) {
                Some((number, "")) => (number, EXA),
                Some((number, power)) => (
                    number,
                    NANO.checked_mul(10_u128.checked_pow(power.parse().ok()?)?)?,
                ),
                None => (text, NANO),
            },
        };
        let (whole, part) = number.split_once('.').unwrap_or((number, ""));
        let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
        if (whole.is_empty() && part.is_empty()) || !digits(whole) || !digits(part) {
            return None;
        }
        let whole: u128 = if whole.is_empty() {
            0
        } else {
            whole.parse().ok()?
        };
        let mut amount = whole.checked_mul(worth)?;
        let mut worth = worth;
        for digit in part.bytes() {
            worth /= 10;
            amount = amount.checked_add(worth * u128::from(digit - b'0'))?;
        }
        Some(Self(amount))
    }
}
