//! Values that stand in manifests and must not be told: what came from a Secret is covered wherever it shows.
//!
//! The API server quotes a value that it refuses, and a policy or a plugin may. Short ones are left: covering a `1` or
//! a `yes` would make what is told unreadable, and hides nothing.

use crate::failure::Explained;

/// Shorter values are words that anybody may say.
const SHORTEST: usize = 4;

/// What is covered. Prints nothing of it.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Veil(Vec<String>);

impl Veil {
    /// Covers these.
    pub fn of(values: impl IntoIterator<Item = String>) -> Self {
        let mut values: Vec<String> = values
            .into_iter()
            .filter(|value| value.len() >= SHORTEST)
            .collect();
        // A value may be a part of another.
        values.sort_by_key(|value| std::cmp::Reverse(value.len()));
        Self(values)
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

    fn cover(&self, text: String) -> String {
        let cover = |text: String, value: &String| match text.contains(value) {
            true => text.replace(value, "***"),
            false => text,
        };
        self.0.iter().fold(text, cover)
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
}
