//! Values that stand in manifests and must not be told: what came from a Secret is covered wherever it shows.
//!
//! The API server quotes a value that it refuses, and a policy or a plugin may. Short ones are left in texts: covering a
//! `1` or a `yes` would make what is told unreadable. Only a field that is one, and nothing else, is shown as something
//! else. It deliberately knows no piece of a value but its lines, and the one that a text breaks off in: who may take one
//! apart is shown something else instead ([`Veil::replace`], `admit::discretion`). Which values of Secrets a plugin could
//! have put somewhere is [`shown`]'s.

pub(crate) mod shown;

use std::collections::BTreeSet;
use std::ops::Range;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use serde_json::{Map, Value};
use sha2::{Digest as _, Sha256};

use crate::failure::Explained;
use crate::framed::framed;
use crate::text::line;

/// Shorter values are words that anybody may say.
pub(crate) const SHORTEST: usize = 4;

/// What stands for it in what is told.
const COVER: &str = "***";
/// What is shown instead of it: nothing in it is odd for a name, a host or an image, and it means nothing.
pub const INSTEAD: &str = "nottobetold";
/// Of a value that is a list or a mapping in YAML, the shortest texts that are covered by themselves, and the most of them.
const LONG: usize = 8;
const SCALARS: usize = 1_000;
/// Of a value of many lines, the shortest that is covered by itself.
const LINE: usize = 12;
/// What ends a text that was cut, which may stand in another.
const BREAKS_OFF: char = '…';

/// What is covered. Prints nothing of it.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Veil {
    covered: Vec<Covered>,
    /// Whole fields that are too short to be looked for in a text.
    short: BTreeSet<String>,
}

/// One text that is covered. They are in order, so that what begins at a place of a text is found by halving.
#[derive(Clone, PartialEq, Eq)]
struct Covered {
    text: String,
    /// The place of the longest other one that it begins with.
    within: Option<usize>,
}

impl Veil {
    /// Covers nothing.
    pub fn nothing() -> &'static Self {
        static NOTHING: Veil = Veil {
            covered: Vec::new(),
            short: BTreeSet::new(),
        };
        &NOTHING
    }

    /// Covers these.
    pub fn of(values: impl IntoIterator<Item = String>) -> Self {
        Self::sorted(values.into_iter().flat_map(forms).collect())
    }

    /// Covers these, whatever they are as YAML.
    fn plainly(values: impl IntoIterator<Item = String>) -> Self {
        let plain = values.into_iter().map(|value| BTreeSet::from([value]));
        Self::sorted(plain.flat_map(written).collect())
    }

    /// Covers what whole fields are as well. One that is short is only where it is quoted, and where it is all of a field.
    #[must_use]
    pub(crate) fn with_fields(self, fields: BTreeSet<String>) -> Self {
        let (short, long): (BTreeSet<String>, BTreeSet<String>) =
            fields.into_iter().partition(|text| text.len() < SHORTEST);
        let quoted = short
            .iter()
            .map(|text| Value::from(text.as_str()).to_string());
        let mut made = self.and(&Self::of(long));
        made = made.and(&Self::sorted(quoted.collect()));
        made.short
            .extend(short.into_iter().filter(|text| !text.is_empty()));
        made
    }

    fn sorted(texts: BTreeSet<String>) -> Self {
        let mut all: Vec<Covered> = Vec::new();
        // Those that what comes next may begin with, each with its place.
        let mut open: Vec<(usize, String)> = Vec::new();
        let long = texts.into_iter().filter(|text| text.len() >= SHORTEST);
        for (place, text) in long.enumerate() {
            while open.last().is_some_and(|(_, last)| !text.starts_with(last)) {
                open.pop();
            }
            let within = open.last().map(|(place, _)| *place);
            open.push((place, text.clone()));
            all.push(Covered { text, within });
        }
        Self {
            covered: all,
            short: BTreeSet::new(),
        }
    }

    /// Whether it covers nothing.
    pub fn is_nothing(&self) -> bool {
        self.covered.is_empty() && self.short.is_empty()
    }

    /// Bytes of all that is covered.
    pub fn size(&self) -> usize {
        let covered = self.covered.iter().map(|one| one.text.len());
        covered.chain(self.short.iter().map(String::len)).sum()
    }

    /// Covers what either covers.
    #[must_use]
    pub fn and(&self, other: &Self) -> Self {
        if other.is_nothing() || self == other {
            return self.clone();
        }
        let both = self.covered.iter().chain(&other.covered);
        let mut both = Self::sorted(both.map(|one| one.text.clone()).collect());
        both.short = self.short.union(&other.short).cloned().collect();
        both
    }

    /// Of all that is covered: what was told under another veil is not told the same under this one.
    pub fn digest(&self) -> [u8; 32] {
        let mut digest = Sha256::new();
        let covered = self.covered.iter().map(|one| &one.text);
        for text in covered.chain(&self.short) {
            framed(&mut digest, text);
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
        self.with(&text, COVER).unwrap_or(text)
    }

    /// The text with something else in the place of what must not be told; None where there is nothing of it.
    fn with(&self, text: &str, instead: &str) -> Option<String> {
        let places = self.places(text);
        let mut told = String::new();
        let mut end = 0;
        for place in &places {
            told.push_str(text.get(end..place.start)?);
            told.push_str(instead);
            end = place.end;
        }
        told.push_str(text.get(end..)?);
        (!places.is_empty()).then_some(told)
    }

    /// Where it stands; what overlaps is one.
    fn places(&self, text: &str) -> Vec<Range<usize>> {
        let mut places: Vec<Range<usize>> = Vec::new();
        if self.is_nothing() {
            return places;
        }
        let cuts: Vec<usize> = text.match_indices(BREAKS_OFF).map(|(at, _)| at).collect();
        for (at, _) in text.char_indices() {
            let begins = text.get(at..).and_then(|rest| self.begins(rest));
            let breaks_off = || {
                let next = cuts.partition_point(|cut| *cut < at);
                let piece = text.get(at..*cuts.get(next)?)?;
                self.is_begun_by(piece).then_some(piece.len())
            };
            let Some(length) = begins.or_else(breaks_off) else {
                continue;
            };
            match places.last_mut() {
                Some(last) if at < last.end => last.end = last.end.max(at + length),
                _ => places.push(at..at + length),
            }
        }
        places
    }

    /// How long the longest is that a text begins with.
    fn begins(&self, text: &str) -> Option<usize> {
        let after = self
            .covered
            .partition_point(|one| one.text.as_str() <= text);
        // All between one that it begins with and the text itself begin with that one too.
        let mut place = after.checked_sub(1);
        while let Some(one) = place.and_then(|place| self.covered.get(place)) {
            if text.starts_with(&one.text) {
                return Some(one.text.len());
            }
            place = one.within;
        }
        None
    }

    /// Whether one begins with the text.
    fn is_begun_by(&self, text: &str) -> bool {
        let place = self.covered.partition_point(|one| one.text.as_str() < text);
        let one = self.covered.get(place).filter(|_| text.len() >= SHORTEST);
        one.is_some_and(|one| one.text.starts_with(text))
    }

    /// Puts something else in the place of what must not be told, in keys and numbers too, and says whether there was any.
    pub fn replace(&self, manifest: &mut Value) -> bool {
        self.put(INSTEAD, manifest)
    }

    /// Covers it there in the same way, for people: a field that is nothing else is covered however short it is.
    pub fn hide(&self, manifest: &mut Value) {
        let _whether_there_was_any = self.put(COVER, manifest);
    }

    fn put(&self, instead: &str, manifest: &mut Value) -> bool {
        let mut found = false;
        match manifest {
            Value::String(text) => found = self.put_in(instead, text),
            Value::Number(number) => {
                let mut text = number.to_string();
                if self.put_in(instead, &mut text) {
                    found = true;
                    *manifest = text.into();
                }
            }
            Value::Array(items) => {
                for item in items {
                    found |= self.put(instead, item);
                }
            }
            Value::Object(fields) => {
                let mut replaced = Map::new();
                for (mut key, mut value) in std::mem::take(fields) {
                    found |= self.put_in(instead, &mut key);
                    found |= self.put(instead, &mut value);
                    replaced.insert(key, value);
                }
                *fields = replaced;
            }
            Value::Null | Value::Bool(_) => {}
        }
        found
    }

    fn put_in(&self, instead: &str, text: &mut String) -> bool {
        if self.short.contains(text) {
            instead.clone_into(text);
            return true;
        }
        let replaced = self.with(text, instead);
        let found = replaced.is_some();
        if let Some(replaced) = replaced {
            *text = replaced;
        }
        found
    }

    /// What was said of a document in which something stood instead of what must not be told, as it is told.
    pub fn revealed(text: String) -> String {
        text.replace(INSTEAD, COVER)
    }
}

/// How a value may show: as it is written, and as what it is in YAML.
fn forms(value: String) -> BTreeSet<String> {
    let mut all = BTreeSet::from([value.trim_matches(is_around).to_owned(), value.clone()]);
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
    written(all)
}

/// The same, and how each may be written: without what stands around it, by its lines or on one, escaped, or encoded.
fn written(mut all: BTreeSet<String>) -> BTreeSet<String> {
    for value in std::mem::take(&mut all) {
        let bare = value.trim_matches(is_around);
        let quoted = Value::from(bare).to_string();
        all.insert(quoted.trim_matches('"').to_owned());
        // As it stands in a Secret; without the padding, which some leave out.
        for bytes in [value.as_str(), bare] {
            all.insert(STANDARD_NO_PAD.encode(bytes));
        }
        if bare.contains(char::is_control) {
            all.insert(line(bare));
            let lines = bare.lines().map(str::trim);
            all.extend(
                lines
                    .filter(|line| line.len() >= LINE && !line.starts_with("-----"))
                    .map(str::to_owned),
            );
        }
        all.insert(bare.to_owned());
    }
    all
}

fn is_around(c: char) -> bool {
    c.is_whitespace() || c == '"' || c == '\''
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
        write!(f, "Veil({})", self.covered.len())
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
        assert!(!format!("{veil:?}").contains("hunter2"));
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
    fn a_value_is_covered_as_it_is_encoded_by_its_lines_and_where_a_text_breaks_off() {
        let key = "-----BEGIN KEY-----\nAbCdEfGhIjKlMnOp\nQrSt\n-----END KEY-----\n";
        let veil = Veil::of([key.to_owned(), "hunter2?!".to_owned()]);
        for (bare, told) in [
            ("it is aHVudGVyMj8h", "it is ***"),
            ("a line: AbCdEfGhIjKlMnOp", "a line: ***"),
            ("QrSt is too short", "QrSt is too short"),
            (
                "on one: -----BEGIN KEY----- AbCdEfGhIjKlMnOp QrSt -----END KEY-----.",
                "on one: ***.",
            ),
            ("it is hunter…", "it is ***…"),
            ("it is hun…", "it is hun…"),
            ("it is hunter…; and more", "it is ***…; and more"),
            ("it is hunter", "it is hunter"),
        ] {
            assert_eq!(veil.cover(bare.to_owned()), told);
        }
        assert_eq!(
            veil.cover(format!("it is {}", STANDARD_NO_PAD.encode(key))),
            "it is ***"
        );
    }

    #[test]
    fn of_values_that_overlap_all_is_covered() {
        let values = ["abcd", "abcdef", "abcxyz", "defghi", "öäü€"].map(str::to_owned);
        let veil = Veil::plainly(values);
        for (bare, told) in [
            ("abcdefghi", "***"),
            ("abcdxyz", "***xyz"),
            ("-abcxyz-abcd-", "-***-***-"),
            ("abcdeabcdef", "***e***"),
            ("ßöäü€ß abc", "ß***ß abc"),
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
    fn a_short_field_is_shown_as_something_else_where_it_is_all_of_a_field() {
        let fields = ["abc", "evil/abc:def", "7"].map(str::to_owned);
        let veil = Veil::default().with_fields(fields.into());
        let mut manifest = serde_json::json!({"a": "abc", "b": "abcd", "c": 7, "d": 17});
        assert!(veil.replace(&mut manifest));
        let want = serde_json::json!({"a": INSTEAD, "b": "abcd", "c": INSTEAD, "d": 17});
        assert_eq!(manifest, want);
        let told = "\"abc\" of evil/abc:def, abc, 7".to_owned();
        assert_eq!(veil.cover(told), "*** of ***, abc, 7");
        let short = |text: &str| Veil::default().with_fields([text.to_owned()].into());
        assert_ne!(short("1").digest(), short("2").digest());
        assert!(!short("1").is_nothing() && short("").is_nothing());
        assert!(
            short("1")
                .and(&short("2"))
                .replace(&mut serde_json::json!("1"))
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
