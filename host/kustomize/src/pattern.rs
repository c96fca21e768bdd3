//! Regular expressions that others wrote, for Go's engine (`pattern/go.rs`).
//!
//! Most hold no more than text and are compared as that (`pattern/plain.rs`). The engine behind the others takes time
//! linear in pattern and text; here both are bounded and counted, so that many small ones are no way around.

mod go;
mod plain;

use regex::{Regex, RegexBuilder};

use crate::budget::Budget;
use crate::error::Why;
pub(crate) use plain::Plain;

/// How large a compiled expression may be, and what compiling one counts: most are small, and a few may be large.
const SIZES: [(usize, u64); 2] = [(256 << 10, 5_000), (8 << 20, 2_000_000)];
/// The longest text that is looked at: no name, namespace or image is longer.
const TEXT: usize = 4 << 10;

/// A compiled expression.
pub(crate) enum Pattern {
    Regex(Regex),
    /// Text that is all of another.
    Whole(Plain),
    /// Text that is anywhere in another.
    Part(String),
}

impl Pattern {
    /// Compiles an expression that fits anywhere in a text; nothing when it is none, or too large.
    pub(crate) fn new(text: &str, budget: &Budget) -> Result<Option<Self>, Why> {
        match Plain::new(text) {
            Some(plain) if plain.is_exact() => {
                budget.steps(1)?;
                Ok(Some(Self::Part(text.to_owned())))
            }
            _ => Self::regex(text, budget),
        }
    }

    /// Compiles an expression that must fit all of a text.
    pub(crate) fn whole(text: &str, budget: &Budget) -> Result<Option<Self>, Why> {
        match Plain::new(text) {
            Some(plain) => {
                budget.steps(1)?;
                Ok(Some(Self::Whole(plain)))
            }
            None => Self::regex(&format!("^(?:{text})$"), budget),
        }
    }

    fn regex(text: &str, budget: &Budget) -> Result<Option<Self>, Why> {
        let Some(text) = go::translated(text) else {
            return Ok(None);
        };
        for (size, cost) in SIZES {
            budget.steps(cost)?;
            match RegexBuilder::new(&text).size_limit(size).build() {
                Ok(regex) => return Ok(Some(Self::Regex(regex))),
                Err(regex::Error::CompiledTooBig(_)) => {}
                Err(_) => return Ok(None),
            }
        }
        Ok(None)
    }

    /// What comparing a name with it counts.
    pub(crate) fn cost(&self) -> u64 {
        match self {
            Self::Regex(_) => 3,
            Self::Whole(_) | Self::Part(_) => 1,
        }
    }

    pub(crate) fn fits(&self, text: &str) -> bool {
        match self {
            Self::Regex(regex) => text.len() <= TEXT && regex.is_match(text),
            Self::Whole(plain) => plain.strip(text) == Some(""),
            Self::Part(part) => text.contains(part.as_str()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::options::Limits;

    #[test]
    fn text_is_compared_as_the_expression_that_it_is() {
        let budget = Budget::new(Limits::default());
        for (pattern, text, part, whole) in [
            ("web", "web", true, true),
            ("web", "a-web", true, false),
            ("a.io/b", "a.io/b", true, true),
            ("a.io/b", "a-io/b", true, true),
            ("a.io/b", "a\nio/b", false, false),
            ("a.b", "xaébx", true, false),
            ("a.b", "aéb", true, true),
            (".", "", false, false),
            ("a|b", "xb", true, false),
        ] {
            let fits = |pattern: Option<Pattern>| pattern.unwrap().fits(text);
            let new = Pattern::new(pattern, &budget).unwrap();
            assert_eq!(fits(new), part, "{pattern} in {text:?}");
            let new = Pattern::whole(pattern, &budget).unwrap();
            assert_eq!(fits(new), whole, "{pattern} is {text:?}");
        }
    }
}
