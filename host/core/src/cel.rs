//! Expressions that tenants write, evaluated at a bounded price.
//!
//! The language is CEL as Flux has it in `healthCheckExprs` and `readyExpr`; the `cel` crate reads it. What it reads is
//! evaluated here and not by that crate, which would go on for as long as an expression says: every step, every compared
//! value and every copied character has its price, and an expression that has spent what it may ends with an error. It
//! deliberately has no clock, no thread, and no function but those in `functions`; one that is not there is refused when
//! the expression is read, with its place.

mod check;
mod eval;
mod functions;
mod operators;
mod time;
mod value;

use std::fmt;
use std::sync::Arc;

use ::cel::IdedExpr;
use ::cel::parser::Parser;
use serde_json::Value;

use eval::Scope;
use value::Val;

/// The longest expression, in bytes.
const LONGEST: usize = 4096;
/// What one evaluation may spend: some milliseconds.
const PURSE: u64 = 200_000;
/// How deep an expression may be nested.
const DEEPEST: u16 = 48;
/// How many operators, calls and fields it may have: a chain of them is nested too, one in the other, and its reader
/// goes down as deep as that without counting.
const MOST_JOINTS: usize = 200;

/// An expression that can be evaluated.
#[derive(Clone)]
pub struct Expression {
    source: String,
    tree: Arc<IdedExpr>,
}

/// What several evaluations may spend together.
#[derive(Debug)]
pub struct Purse(u64);

impl Purse {
    /// One that pays for as much as that many of the dearest evaluations.
    pub fn of(evaluations: u64) -> Self {
        Self(PURSE.saturating_mul(evaluations))
    }
}

/// Why an expression cannot be used, or came to nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// It is longer than any that is read.
    #[error("it is longer than {LONGEST} bytes")]
    Long,
    /// It has more parts than any that is read.
    #[error("it has more than {MOST_JOINTS} operators, calls and fields")]
    Tangled,
    /// It is no expression, or uses what there is not.
    #[error("{line}:{column}: {why}")]
    Malformed {
        /// Where, from 1.
        line: usize,
        /// Where in the line, from 1.
        column: usize,
        /// What is wrong there.
        why: String,
    },
    /// What it was shown is not what it expects.
    #[error("{0}")]
    Failed(String),
    /// It has spent all that it may.
    #[error("it takes more than {PURSE} steps")]
    Spent,
}

impl Expression {
    /// Reads an expression; `variables` are all it may name, None: whatever the object that it is shown has.
    pub fn parse(source: &str, variables: Option<&[&str]>) -> Result<Self, Error> {
        if source.len() > LONGEST {
            return Err(Error::Long);
        }
        if joints(source) > MOST_JOINTS {
            return Err(Error::Tangled);
        }
        let parser = Parser::new()
            .max_recursion_depth(DEEPEST)
            .enable_optional_syntax(true);
        let read = || parser.parse_with_source_info(source);
        // Whatever somebody else's parser makes of hostile text, it ends here.
        let read = std::panic::catch_unwind(std::panic::AssertUnwindSafe(read));
        let read = read.map_err(|_| Error::Failed("it cannot be read".to_owned()))?;
        let (tree, places) = read.map_err(|why| malformed(&why))?;
        check::check(&tree, variables).map_err(|wrong| {
            let offset = places.offset_for(wrong.id).map_or(0, |(start, _)| start);
            let (line, column) = place(source, usize::try_from(offset).unwrap_or_default());
            Error::Malformed {
                line,
                column,
                why: wrong.why,
            }
        })?;
        Ok(Self {
            source: source.to_owned(),
            tree: Arc::new(tree),
        })
    }

    /// Whether it holds of these variables.
    pub fn holds<'v>(
        &self,
        variables: impl IntoIterator<Item = (&'v str, &'v Value)>,
    ) -> Result<bool, Error> {
        self.holds_within(variables, &mut Purse(PURSE))
    }

    /// The same, paid from a purse that others are paid from too.
    pub fn holds_within<'v>(
        &self,
        variables: impl IntoIterator<Item = (&'v str, &'v Value)>,
        purse: &mut Purse,
    ) -> Result<bool, Error> {
        let before = purse.0.min(PURSE);
        let mut scope = Scope::new(bound(variables), before);
        let value = scope.eval(&self.tree);
        purse.0 = purse.0.saturating_sub(before - scope.left().min(before));
        match value? {
            Val::Bool(holds) => Ok(holds),
            other => Err(Error::Failed(format!(
                "it comes to {}, not to true or false",
                other.kind()
            ))),
        }
    }

    /// What it comes to with these variables, as JSON; what is missing is null, times and lengths of time are texts.
    pub fn value<'v>(
        &self,
        variables: impl IntoIterator<Item = (&'v str, &'v Value)>,
        purse: &mut Purse,
    ) -> Result<Value, Error> {
        let before = purse.0.min(PURSE);
        let mut scope = Scope::new(bound(variables), before);
        let value = scope.eval(&self.tree);
        let value = value.and_then(|value| value.json(&mut |price| scope.pay(price)));
        purse.0 = purse.0.saturating_sub(before - scope.left().min(before));
        value
    }
}

impl fmt::Debug for Expression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.source, f)
    }
}

impl PartialEq for Expression {
    fn eq(&self, other: &Self) -> bool {
        self.source == other.source
    }
}

impl Eq for Expression {}

fn bound<'v>(variables: impl IntoIterator<Item = (&'v str, &'v Value)>) -> Vec<(&'v str, Val<'v>)> {
    let variables = variables.into_iter();
    variables
        .map(|(name, value)| (name, Val::of(value)))
        .collect()
}

/// At least as many as there are levels in what is read of it, but for those of `&&` and `||`, which lie side by side.
fn joints(source: &str) -> usize {
    let signs = source.chars().filter(|c| ".[({+-*/%<>=!?".contains(*c));
    let words = source.split(|c: char| !c.is_alphanumeric() && c != '_');
    signs.count() + words.filter(|word| *word == "in").count()
}

fn malformed(why: &::cel::ParseErrors) -> Error {
    let Some(first) = why.errors.first() else {
        return Error::Failed("it cannot be read".to_owned());
    };
    let (line, column) = first.pos;
    Error::Malformed {
        line: usize::try_from(line).unwrap_or(1).max(1),
        column: usize::try_from(column).unwrap_or(1).max(1),
        why: first.msg.chars().take(300).collect(),
    }
}

/// Line and column of a character, from 1.
fn place(source: &str, offset: usize) -> (usize, usize) {
    let before: String = source.chars().take(offset).collect();
    let line = before.matches('\n').count() + 1;
    let column = before.chars().rev().take_while(|c| *c != '\n').count() + 1;
    (line, column)
}

#[cfg(test)]
mod tests;
