//! A number of bytes as Kubernetes writes quantities: `64Mi`, `1G`, `65536`.
//!
//! Only what makes sense for memory: whole numbers of bytes. Fractions and exponents (`0.5Gi`, `1e3`) are refused.

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

/// A number of bytes that remembers how it was written.
///
/// ```
/// use reeve_api::size::Size;
///
/// let memory: Size = "64Mi".parse()?;
/// assert_eq!(memory.bytes(), 64 * 1024 * 1024);
/// // A bare number is bytes, and `M` is a million of them.
/// assert_eq!(serde_json::from_str::<Size>("65536").unwrap(), Size::new(65536));
/// assert_eq!("1M".parse::<Size>()?.bytes(), 1_000_000);
/// # Ok::<(), reeve_api::size::NotASize>(())
/// ```
///
/// Two sizes are equal when they are as many bytes, however they are written.
#[derive(Clone, Debug)]
pub struct Size {
    text: Cow<'static, str>,
    bytes: u64,
}

/// Why a text is not a size.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotASize {
    /// It does not begin with a whole number, or ends in a unit that does not exist.
    #[error(
        "a size is a whole number with a unit of Ki, Mi, Gi, Ti, k, M, G, T or none, for example `64Mi`"
    )]
    Form,
    /// More bytes than a 64-bit number holds.
    #[error("a size cannot be larger than 8Ei")]
    TooLarge,
}

impl Size {
    /// That many bytes.
    pub fn new(bytes: u64) -> Self {
        Self {
            text: Cow::Owned(bytes.to_string()),
            bytes,
        }
    }

    /// How many bytes it is; never more than an `i64` holds, which is what Kubernetes' own quantities stop at.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }
}

impl FromStr for Size {
    type Err = NotASize;

    fn from_str(text: &str) -> Result<Self, NotASize> {
        let split = text
            .find(|c: char| !c.is_ascii_digit())
            .unwrap_or(text.len());
        let (number, unit) = text.split_at_checked(split).ok_or(NotASize::Form)?;
        let unit: u64 = match unit {
            "" => 1,
            "Ki" => 1 << 10,
            "Mi" => 1 << 20,
            "Gi" => 1 << 30,
            "Ti" => 1 << 40,
            "k" => 1_000,
            "M" => 1_000_000,
            "G" => 1_000_000_000,
            "T" => 1_000_000_000_000,
            _ => return Err(NotASize::Form),
        };
        if number.is_empty() {
            return Err(NotASize::Form);
        }
        let number: u64 = number.parse().map_err(|_| NotASize::TooLarge)?;
        let bytes = number.checked_mul(unit).filter(|n| *n <= i64::MAX as u64);
        Ok(Self {
            bytes: bytes.ok_or(NotASize::TooLarge)?,
            text: Cow::Owned(text.to_owned()),
        })
    }
}

impl PartialEq for Size {
    fn eq(&self, other: &Self) -> bool {
        self.bytes == other.bytes
    }
}

impl Eq for Size {}

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl Serialize for Size {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.text)
    }
}

impl<'de> Deserialize<'de> for Size {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct NumberOrText;
        impl de::Visitor<'_> for NumberOrText {
            type Value = Size;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a size such as `64Mi`")
            }
            fn visit_str<E: de::Error>(self, text: &str) -> Result<Size, E> {
                text.parse().map_err(E::custom)
            }
            fn visit_u64<E: de::Error>(self, bytes: u64) -> Result<Size, E> {
                bytes.to_string().parse().map_err(E::custom)
            }
        }
        deserializer.deserialize_any(NumberOrText)
    }
}

/// A number or a string, as quantities are everywhere in Kubernetes. The pattern is checked for strings only; a negative
/// number passes the schema and is refused when the object is decoded.
impl JsonSchema for Size {
    fn schema_name() -> Cow<'static, str> {
        "Size".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "x-kubernetes-int-or-string": true,
            "pattern": "^[0-9]+(Ki|Mi|Gi|Ti|k|M|G|T)?$",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_size_is_read_from_a_number_and_from_a_quantity() {
        for (written, bytes) in [
            (serde_json::json!(65536), 65536),
            (serde_json::json!("65536"), 65536),
            (serde_json::json!("64Mi"), 64 << 20),
            (serde_json::json!("1G"), 1_000_000_000),
        ] {
            let size: Size = serde_json::from_value(written.clone()).unwrap();
            assert_eq!(size.bytes(), bytes, "{written}");
        }
    }

    #[test]
    fn what_is_not_a_size_is_refused() {
        for (text, why) in [
            ("", NotASize::Form),
            ("Mi", NotASize::Form),
            ("1.5Gi", NotASize::Form),
            ("-1", NotASize::Form),
            ("64 Mi", NotASize::Form),
            ("64mi", NotASize::Form),
            ("99999999999999999999", NotASize::TooLarge),
            ("9223372036854775808", NotASize::TooLarge),
            ("9999999999Ti", NotASize::TooLarge),
        ] {
            assert_eq!(text.parse::<Size>(), Err(why), "{text:?}");
        }
        assert!(serde_json::from_value::<Size>(serde_json::json!(-1)).is_err());
    }
}
