//! OPA's `urlquery.*`, which reads and writes as Go does.
//!
//! It deliberately takes no bytes that are no text: Go has such texts, and regorus has not.

use std::collections::BTreeMap;

use regorus::Value;

use super::Refusal;

const NO_QUERY: Refusal = Refusal::Argument(1, "a query, or none whose bytes are a text");
const NO_FIELDS: Refusal = Refusal::Argument(1, "an object of texts, or of lists of texts");

/// A text as a part of a query.
pub(super) fn encode(arguments: &[Value]) -> Result<Value, Refusal> {
    let [Value::String(text)] = arguments else {
        return Err(Refusal::Argument(1, "a string"));
    };
    Ok(Value::from(escaped(text)))
}

/// A part of a query as a text.
pub(super) fn decode(arguments: &[Value]) -> Result<Value, Refusal> {
    let [Value::String(text)] = arguments else {
        return Err(Refusal::Argument(1, "a string"));
    };
    plain(text).map(Value::from)
}

/// The fields of an object as a query.
pub(super) fn encode_object(arguments: &[Value]) -> Result<Value, Refusal> {
    let [Value::Object(fields)] = arguments else {
        return Err(NO_FIELDS);
    };
    let mut pairs = Vec::new();
    for (key, value) in fields.iter_sorted() {
        let Value::String(key) = key else {
            return Err(NO_FIELDS);
        };
        let texts: Vec<&Value> = match value {
            Value::Array(items) => items.iter().collect(),
            Value::Set(items) => items.iter().collect(),
            one => vec![one],
        };
        for text in texts {
            let Value::String(text) = text else {
                return Err(NO_FIELDS);
            };
            pairs.push(format!("{}={}", escaped(key), escaped(text)));
        }
    }
    Ok(Value::from(pairs.join("&")))
}

/// A query as an object of lists.
pub(super) fn decode_object(arguments: &[Value]) -> Result<Value, Refusal> {
    let [Value::String(query)] = arguments else {
        return Err(Refusal::Argument(1, "a string"));
    };
    let mut fields: BTreeMap<Value, Vec<Value>> = BTreeMap::new();
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        if pair.contains(';') {
            return Err(NO_QUERY);
        }
        let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
        let values = fields.entry(Value::from(plain(key)?)).or_default();
        values.push(Value::from(plain(value)?));
    }
    let fields = fields
        .into_iter()
        .map(|(key, values)| (key, Value::from(values)));
    Ok(Value::from(fields.collect::<BTreeMap<_, _>>()))
}

fn escaped(text: &str) -> String {
    let mut made = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b' ' => made.push('+'),
            b'-' | b'_' | b'.' | b'~' => made.push(char::from(byte)),
            byte if byte.is_ascii_alphanumeric() => made.push(char::from(byte)),
            byte => made.push_str(&format!("%{byte:02X}")),
        }
    }
    made
}

fn plain(text: &str) -> Result<String, Refusal> {
    let mut made = Vec::with_capacity(text.len());
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        match byte {
            b'+' => made.push(b' '),
            b'%' => {
                let mut digit = || char::from(bytes.next()?).to_digit(16);
                let (high, low) = (digit().ok_or(NO_QUERY)?, digit().ok_or(NO_QUERY)?);
                made.push(u8::try_from(high * 16 + low).map_err(|_| NO_QUERY)?);
            }
            other => made.push(other),
        }
    }
    String::from_utf8(made).map_err(|_| NO_QUERY)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(function: fn(&[Value]) -> Result<Value, Refusal>, json: &str) -> String {
        match function(&[Value::from_json_str(json).unwrap()]) {
            Ok(value) => value.to_string(),
            Err(_) => "none".to_owned(),
        }
    }

    #[test]
    fn queries_are_written_and_read_as_by_go() {
        assert_eq!(
            told(encode, r#""é /+&=~*-_.""#),
            r#""%C3%A9+%2F%2B%26%3D~%2A-_.""#
        );
        assert_eq!(told(decode, r#""a=b&c=+%26#d""#), r#""a=b&c= &#d""#);
        for text in ["a%zz", "a%4", "%ff"] {
            assert_eq!(told(decode, &format!("\"{text}\"")), "none", "{text}");
        }
        let object = r#"{"a":"1 2","b":["x","y"]}"#;
        assert_eq!(told(encode_object, object), r#""a=1+2&b=x&b=y""#);
        assert_eq!(told(encode_object, r#"{"a": 1}"#), "none");
        assert_eq!(
            told(decode_object, r#""a=1&a=2&b&&c=d=e""#),
            r#"{"a":["1","2"],"b":[""],"c":["d=e"]}"#
        );
        assert_eq!(told(decode_object, r#""a;b=1""#), "none");
    }
}
