//! Values that stand in manifests and must not be told: what came from a Secret is covered wherever it shows.
//!
//! The API server quotes a value that it refuses, and a policy or a plugin may. Short ones are left: covering a `1` or
//! a `yes` would make what is told unreadable, and hides nothing. It deliberately knows no piece of a value: who may take one
//! apart is shown something else instead ([`Veil::replace`], `admit::discretion`).

use std::collections::BTreeSet;

use serde_json::{Map, Value};
use sha2::{Digest as _, Sha256};

use crate::failure::Explained;

/// Shorter values are words that anybody may say.
const SHORTEST: usize = 4;

/// What stands for it in what is told.
const COVER: &str = "***";
/// What is shown instead of it: nothing in it is odd for a name, a host or an image, and it means nothing.
const INSTEAD: &str = "nottobetold";
/// Of a value that is a list or a mapping in YAML, the shortest texts that are covered by themselves, and the most of them.
const LONG: usize = 8;
const SCALARS: usize = 1_000;

/// What is covered. Prints nothing of it.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Veil(Vec<String>);

impl Veil {
    /// Covers nothing.
    pub fn nothing() -> &'static Self {
        static NOTHING: Veil = Veil(Vec::new());
        &NOTHING
    }

    /// Covers these.
    pub fn of(values: impl IntoIterator<Item = String>) -> Self {
        let told = values.into_iter().flat_map(forms);
        Self::sorted(told.filter(|value| value.len() >= SHORTEST).collect())
    }

    fn sorted(mut values: Vec<String>) -> Self {
        // A value may be a part of another.
        values.sort_by(|a, b| b.len().cmp(&a.len()).then_with(|| a.cmp(b)));
        values.dedup();
        Self(values)
    }

    /// Whether it covers nothing.
    pub fn is_nothing(&self) -> bool {
        self.0.is_empty()
    }

    /// Covers what either covers.
    #[must_use]
    pub fn and(&self, other: &Self) -> Self {
        Self::sorted(self.0.iter().chain(&other.0).cloned().collect())
    }

    /// Of all that is covered: what was told under another veil is not told the same under this one.
    pub fn digest(&self) -> [u8; 32] {
        let mut digest = Sha256::new();
        for value in &self.0 {
            digest.update(value.len().to_be_bytes());
            digest.update(value);
        }
        digest.finalize().into()
    }

    /// The same, with what must not be told covered.
    #[must_use]
    pub fn over(&self, why: Explained) -> Explained {
        Explained {
            message: self.cover(why.message),
            hint: why.hint.map(|hint| self.cover(hint)),
            ..why
        }
    }

    /// A text, with what must not be told covered.
    pub fn cover(&self, text: String) -> String {
        let cover = |text: String, value: &String| match text.contains(value) {
            true => text.replace(value, COVER),
            false => text,
        };
        self.0.iter().fold(text, cover)
    }

    /// Puts something else in the place of what must not be told, in keys and numbers too, and says whether there was any.
    pub fn replace(&self, manifest: &mut Value) -> bool {
        let mut found = false;
        match manifest {
            Value::String(text) => found = self.replace_in(text),
            Value::Number(number) => {
                let mut text = number.to_string();
                if self.replace_in(&mut text) {
                    found = true;
                    *manifest = text.into();
                }
            }
            Value::Array(items) => {
                for item in items {
                    found |= self.replace(item);
                }
            }
            Value::Object(fields) => {
                let mut replaced = Map::new();
                for (mut key, mut value) in std::mem::take(fields) {
                    found |= self.replace_in(&mut key);
                    found |= self.replace(&mut value);
                    replaced.insert(key, value);
                }
                *fields = replaced;
            }
            Value::Null | Value::Bool(_) => {}
        }
        found
    }

    fn replace_in(&self, text: &mut String) -> bool {
        let mut found = false;
        for value in &self.0 {
            if text.contains(value) {
                *text = text.replace(value, INSTEAD);
                found = true;
            }
        }
        found
    }

    /// What was said of a document in which something stood instead of what must not be told, as it is told.
    pub fn revealed(text: String) -> String {
        text.replace(INSTEAD, COVER)
    }
}

/// How a value may show: a manifest may hold it without what stands around it, or what it is as YAML, and a quotation has it
/// escaped.
fn forms(value: String) -> BTreeSet<String> {
    let around = |c: char| c.is_whitespace() || c == '"' || c == '\'';
    let mut all = BTreeSet::from([value.trim_matches(around).to_owned()]);
    for text in [value.clone(), format!("\"{value}\"")] {
        match reeve_kustomize::parse_yaml(text.as_bytes(), "").as_deref() {
            Ok([Value::String(whole)]) => {
                all.insert(whole.clone());
            }
            Ok([Value::Number(whole)]) => {
                all.insert(whole.to_string());
            }
            Ok([parts]) => scalars(parts, &mut all),
            _ => {}
        }
    }
    let escaped = all.iter().map(|bare| {
        let quoted = Value::from(bare.as_str()).to_string();
        quoted.trim_matches('"').to_owned()
    });
    let escaped: Vec<String> = escaped.collect();
    all.extend(escaped);
    all
}

/// The texts in it, but for words.
fn scalars(node: &Value, found: &mut BTreeSet<String>) {
    match node {
        Value::String(text) if text.len() >= LONG && found.len() < SCALARS => {
            found.insert(text.clone());
        }
        Value::Array(items) => items.iter().for_each(|item| scalars(item, found)),
        Value::Object(fields) => fields.values().for_each(|value| scalars(value, found)),
        Value::String(_) | Value::Number(_) | Value::Null | Value::Bool(_) => {}
    }
}

impl std::fmt::Debug for Veil {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Veil({})", self.0.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::failure::Turn;
    use reeve_api::reason::Reason;

    #[test]
    fn what_came_from_a_secret_is_covered_and_words_stay() {
        let values = ["hunter2", "hunter2-too", "yes"].map(str::to_owned);
        let veil = Veil::of(values);
        let why = Explained::new(
            Reason::ReconciliationFailed,
            Turn::Retry,
            "Invalid value: \"hunter2-too\": yes, hunter2 is no port",
        )
        .with_hint("not hunter2");
        let told = veil.over(why);
        assert_eq!(told.message, "Invalid value: \"***\": yes, *** is no port");
        assert_eq!(told.hint.as_deref(), Some("not ***"));
        assert_eq!(format!("{veil:?}"), "Veil(2)");
    }

    #[test]
    fn a_value_is_covered_without_what_stands_around_it_and_where_it_is_quoted() {
        let veil = Veil::of(["\"hunter2\" ".to_owned(), "a\\b\tc".to_owned()]);
        for (bare, told) in [
            ("it is hunter2", "it is ***"),
            ("it is \"hunter2\"", "it is \"***\""),
            ("it is a\\b\tc", "it is ***"),
            ("it is \"a\\\\b\\tc\"", "it is \"***\""),
        ] {
            assert_eq!(veil.cover(bare.to_owned()), told);
        }
    }

    #[test]
    fn a_value_is_covered_as_what_it_is_in_yaml() {
        let values = [
            "0x1F90F",
            "hunter\\x32\\x33",
            "{user: ab, password: hunter2-sesame}",
        ];
        let veil = Veil::of(values.map(str::to_owned));
        for (bare, told) in [
            ("it is 0x1F90F", "it is ***"),
            ("it is 129295", "it is ***"),
            ("it is hunter23", "it is ***"),
            ("ab has hunter2-sesame", "ab has ***"),
        ] {
            assert_eq!(veil.cover(bare.to_owned()), told);
        }
    }

    #[test]
    fn something_else_stands_in_a_manifest_instead_of_a_value_and_is_told_as_the_value_is() {
        let veil = Veil::of(["hunter2".to_owned(), "18443".to_owned()]);
        let mut manifest = serde_json::json!({
            "data": {"a": "it is hunter2", "hunter2-key": [18_443, true, 7]},
        });
        assert!(veil.replace(&mut manifest));
        let text = manifest.to_string();
        assert!(
            !text.contains("hunter2") && !text.contains("18443"),
            "{text}"
        );
        let want = r#"{"data":{"a":"it is ***","***-key":["***",true,7]}}"#;
        assert_eq!(Veil::revealed(text), want);
        assert!(
            !veil.replace(&mut manifest),
            "nothing is left to be replaced"
        );
    }

    #[test]
    fn two_veils_cover_what_either_covers_and_another_veil_has_another_digest() {
        let [one, other] = ["hunter2", "sesame"].map(|value| Veil::of([value.to_owned()]));
        let both = one.and(&other);
        assert_eq!(both.cover("sesame hunter2".to_owned()), "*** ***");
        assert_eq!(both, other.and(&one));
        let digests = [Veil::nothing(), &one, &other, &both].map(Veil::digest);
        let distinct: std::collections::BTreeSet<_> = digests.into_iter().collect();
        assert_eq!(distinct.len(), 4);
    }
}
