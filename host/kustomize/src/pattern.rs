//! Regular expressions that others wrote, for Go's engine (`pattern/go.rs`).
//!
//! The engine behind them takes time linear in pattern and text; here both are bounded and counted, so that many small
//! ones are no way around.

mod go;

use regex::{Regex, RegexBuilder};

use crate::budget::Budget;
use crate::error::Why;

/// How large a compiled expression may be, and what compiling one counts: most are small, and a few may be large.
const SIZES: [(usize, u64); 2] = [(256 << 10, 5_000), (8 << 20, 2_000_000)];
/// The longest text that is looked at: no name, namespace or image is longer.
const TEXT: usize = 4 << 10;

/// A compiled expression.
pub(crate) enum Pattern {
    Regex(Regex),
    /// This text and no other.
    Exact(String),
}

impl Pattern {
    pub(crate) fn exact(text: &str) -> Self {
        Self::Exact(text.to_owned())
    }

    /// Compiles an expression; nothing when it is none, or too large.
    pub(crate) fn new(text: &str, budget: &Budget) -> Result<Option<Self>, Why> {
        let text = go::translated(text);
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

    pub(crate) fn fits(&self, text: &str) -> bool {
        match self {
            Self::Regex(regex) => text.len() <= TEXT && regex.is_match(text),
            Self::Exact(exact) => text == exact,
        }
    }
}
