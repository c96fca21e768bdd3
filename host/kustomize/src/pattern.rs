//! Regular expressions that others wrote, for Go's engine (`pattern/go.rs`).
//!
//! The engine behind them takes time linear in pattern and text; here both are bounded and counted, so that many small
//! ones are no way around.

mod go;

use regex::{Regex, RegexBuilder};

use crate::budget::Budget;
use crate::error::Why;

/// How large a compiled expression may be.
const SIZE: usize = 256 << 10;
/// What compiling one counts.
const COMPILING: u64 = 5_000;
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
        budget.steps(COMPILING)?;
        Ok(RegexBuilder::new(&go::translated(text))
            .size_limit(SIZE)
            .build()
            .ok()
            .map(Self::Regex))
    }

    pub(crate) fn fits(&self, text: &str) -> bool {
        match self {
            Self::Regex(regex) => text.len() <= TEXT && regex.is_match(text),
            Self::Exact(exact) => text == exact,
        }
    }
}
