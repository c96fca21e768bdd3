//! Values that stand in manifests and must not be told: what came from a Secret is covered wherever it shows.
//!
//! The API server quotes a value that it refuses, and a policy or a plugin may. Short ones are left: covering a `1` or
//! a `yes` would make what is told unreadable, and hides nothing. It deliberately knows no piece of a value: a policy that
//! takes one apart and quotes a part of it tells that part.

use sha2::{Digest as _, Sha256};

use crate::failure::Explained;

/// Shorter values are words that anybody may say.
const SHORTEST: usize = 4;

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
            true => text.replace(value, "***"),
            false => text,
        };
        self.0.iter().fold(text, cover)
    }
}

/// How a value may show: a manifest may hold it without what stands around it, and a quotation has it escaped.
fn forms(value: String) -> [String; 2] {
    let around = |c: char| c.is_whitespace() || c == '"' || c == '\'';
    let bare = value.trim_matches(around).to_owned();
    let quoted = serde_json::Value::from(bare.as_str()).to_string();
    let escaped = quoted.trim_matches('"').to_owned();
    [bare, escaped]
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
