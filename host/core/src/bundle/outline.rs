//! A bundle put down as text, to be kept: as values it takes five times as much.
//!
//! What is read of the text is the bundle that was put down, or nothing: it is checked as any bundle is. Where the text lies, and
//! how small it is made there, is whose who keeps it. This deliberately knows nothing of plugins: what they give back is
//! read elsewhere, as a stranger's.

use serde_json::{Map, Value};

use super::{Bundle, Digest, Object, Rendered, Veil};

/// Deeper values are read back before they are believed: the reader of JSON has a bound of its own.
const DEEP: usize = 100;

/// What there is of a bundle beside its objects. Prints nothing of it.
#[derive(Clone)]
pub struct Outline {
    digest: Digest,
    size: u64,
    values: usize,
    secret: Veil,
}

impl Bundle<Rendered> {
    /// Its objects as JSON, and the rest of it; nothing where another bundle would be read of that.
    pub fn put_down(&self) -> Option<(Outline, Vec<u8>)> {
        let fields: Vec<&Map<String, Value>> = self.objects.iter().map(Object::fields).collect();
        let text = serde_json::to_vec(&fields).ok()?;
        let outline = Outline {
            digest: self.digest,
            size: self.size,
            values: self.values,
            secret: self.secret.clone(),
        };
        let mut values = fields.iter().flat_map(|fields| fields.values());
        let is_exact = values.all(|value| is_exact(value, 0));
        let is_same = || {
            let read = outline.read(&text);
            read.is_some_and(|read| read.objects == self.objects)
        };
        (is_exact || is_same()).then_some((outline, text))
    }
}

impl Outline {
    /// The bundle that was put down as this text.
    pub fn read(&self, text: &[u8]) -> Option<Bundle<Rendered>> {
        let fields: Vec<Map<String, Value>> = serde_json::from_slice(text).ok()?;
        let objects = fields.into_iter().map(Object::from).collect();
        let read = Bundle::new(objects, self.digest, self.size).ok()?;
        let secret = self.secret.clone();
        (read.values == self.values).then_some(Bundle { secret, ..read })
    }

    /// Bytes that it takes beside itself.
    pub fn size(&self) -> usize {
        self.secret.size()
    }
}

/// Whether it is read as it was written: a fraction may differ in its last digit.
fn is_exact(value: &Value, depth: usize) -> bool {
    match value {
        _ if depth > DEEP => false,
        Value::Array(items) => items.iter().all(|item| is_exact(item, depth + 1)),
        Value::Object(fields) => fields.values().all(|field| is_exact(field, depth + 1)),
        Value::Number(number) => !number.is_f64(),
        Value::Null | Value::Bool(_) | Value::String(_) => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn built(value: &Value) -> Bundle<Rendered> {
        let mut object =
            json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}});
        object["v"] = value.clone();
        let object = Object::try_from(object).unwrap();
        Bundle::<Rendered>::built(vec![object]).unwrap()
    }

    #[test]
    fn a_bundle_is_read_as_it_was_put_down() {
        let veil = Veil::of(["not to be told".to_owned()]);
        for value in [
            json!({"z": 1, "a": [true, null, "ä\n\u{0}"], "m": {"": u64::MAX, "-": i64::MIN}}),
            json!([0.1, 1.0, -0.5e-7, 1e300]),
        ] {
            let bundle = built(&value).under(&veil);
            let (outline, text) = bundle.put_down().unwrap();
            let read = outline.read(&text).unwrap();
            assert!(read == bundle);
            let keys = |bundle: &Bundle<Rendered>| {
                let fields = bundle.objects[0].fields();
                Value::Object(fields.clone()).to_string()
            };
            assert_eq!(keys(&read), keys(&bundle), "in the same order");
            assert_eq!(read.weight(), bundle.weight());
        }
    }

    #[test]
    fn what_another_bundle_would_be_read_of_is_not_put_down() {
        let mut deep = json!(1);
        for _ in 0..200 {
            deep = json!([deep]);
        }
        assert!(built(&deep).put_down().is_none());
        let (outline, text) = built(&json!(1)).put_down().unwrap();
        let (_, other) = built(&json!([1])).put_down().unwrap();
        assert!(outline.read(&other).is_none());
        assert!(outline.read(&text[1..]).is_none());
    }
}
