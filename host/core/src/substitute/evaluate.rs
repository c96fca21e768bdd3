//! What an expression comes to: Flux's functions on values, each with its oddities.
//!
//! Lengths and positions count bytes. Everything that is done is paid for, so that no text takes long or grows without
//! end.

use std::collections::BTreeSet;

use super::Variables;
use super::glob::{self, BadPattern};
use super::template::{Expression, Function, Match, Piece, Reach, Template};
use crate::veil::SHORTEST;

/// Why it came to nothing.
pub(super) enum Why {
    /// Nobody sets this variable.
    NotSet(String),
    /// Something of this variable is no text any more.
    Cut(String),
    /// It takes too much.
    Limit,
}

/// The variables, and how much may still be done.
pub(super) struct Evaluation<'v> {
    variables: &'v Variables,
    left: usize,
    /// What expressions with secret variables came to.
    pub(super) secret: BTreeSet<String>,
    /// The fields in which a secret value was taken apart, as they are now.
    pub(super) fields: BTreeSet<String>,
}

impl<'v> Evaluation<'v> {
    pub(super) fn new(variables: &'v Variables, effort: usize) -> Self {
        Self {
            variables,
            left: effort,
            secret: BTreeSet::new(),
            fields: BTreeSet::new(),
        }
    }

    /// The text with everything put in.
    pub(super) fn run(&mut self, template: &Template) -> Result<String, Why> {
        self.pieces(&template.0)
    }

    fn pieces(&mut self, pieces: &[Piece]) -> Result<String, Why> {
        let mut text = String::new();
        for piece in pieces {
            match piece {
                Piece::Text(piece) => {
                    self.pay(piece.len())?;
                    text.push_str(piece);
                }
                Piece::Expression(expression) => text.push_str(&self.expression(expression)?),
            }
        }
        Ok(text)
    }

    fn expression(&mut self, expression: &Expression) -> Result<String, Why> {
        let Expression {
            name,
            function,
            arguments,
        } = expression;
        // As Flux: what stands in a default must be there even where the default is not needed.
        let mut given = Vec::with_capacity(arguments.len());
        for argument in arguments {
            given.push(self.pieces(std::slice::from_ref(argument))?);
        }
        let value = match (self.variables.get(name), function) {
            (Some(value), _) => value,
            (None, Function::Default) => "",
            (None, _) => return Err(Why::NotSet(name.clone())),
        };
        let text = self.call(name, value, *function, &given)?;
        self.pay(text.len())?;
        // How long a value is says as much as that there is one.
        let tells = *function != Function::Length && !value.is_empty();
        if tells && self.variables.is_secret(name) {
            self.secret.insert(text.clone());
        }
        Ok(text)
    }

    /// Whether what comes of it may have to do with a secret variable.
    pub(super) fn names_a_secret(&self, pieces: &[Piece]) -> bool {
        pieces.iter().any(|piece| match piece {
            Piece::Text(_) => false,
            Piece::Expression(expression) => {
                self.variables.is_secret(&expression.name)
                    || self.names_a_secret(&expression.arguments)
            }
        })
    }

    /// Whether something of a secret value is put in that cannot be covered by itself: a part of one, what else a function
    /// makes of it, or one that is too short.
    pub(super) fn takes_apart(&self, pieces: &[Piece]) -> bool {
        pieces.iter().any(|piece| match piece {
            Piece::Text(_) => false,
            Piece::Expression(expression) => {
                let value = self.variables.get(&expression.name).unwrap_or_default();
                let whole = match expression.function {
                    Function::Length => true,
                    Function::Value | Function::Default => value.len() >= SHORTEST,
                    _ => false,
                };
                let is_secret = !value.is_empty() && self.variables.is_secret(&expression.name);
                (is_secret && !whole) || self.takes_apart(&expression.arguments)
            }
        })
    }

    fn call(
        &mut self,
        name: &str,
        value: &str,
        function: Function,
        given: &[String],
    ) -> Result<String, Why> {
        let first = given.first().map_or("", String::as_str);
        let second = given.get(1).map(String::as_str);
        Ok(match function {
            Function::Value => value.to_owned(),
            Function::Default if value.is_empty() => given.concat(),
            Function::Default => value.to_owned(),
            Function::Length => value.len().to_string(),
            Function::Lower(reach) => recased(value, reach, lower),
            Function::Upper(reach) => recased(value, reach, upper),
            Function::Substring => substring(value, first, second)
                .ok_or_else(|| Why::Cut(name.to_owned()))?
                .to_owned(),
            Function::TrimPrefix(which) => self.trimmed(value, first, which)?.to_owned(),
            Function::TrimSuffix(which) => {
                let backwards = |text: &str| text.chars().rev().collect::<String>();
                // As Flux: the pattern is turned round with the value, its classes and escapes too.
                let (value, pattern) = (backwards(value), backwards(first));
                backwards(self.trimmed(&value, &pattern, which)?)
            }
            Function::ReplacePrefix => match (value.strip_prefix(first), second) {
                (Some(rest), Some(second)) => format!("{second}{rest}"),
                _ => value.to_owned(),
            },
            Function::ReplaceSuffix => match (value.strip_suffix(first), second) {
                (Some(rest), Some(second)) => format!("{rest}{second}"),
                _ => value.to_owned(),
            },
            Function::Replace(reach) => {
                self.replaced(value, first, second.unwrap_or_default(), reach)?
            }
        })
    }

    fn replaced(&mut self, value: &str, from: &str, to: &str, reach: Reach) -> Result<String, Why> {
        self.pay(value.len())?;
        let times = match reach {
            Reach::First => 1,
            Reach::All => value.matches(from).count(),
        };
        // Before it is there: a text of a megabyte may have one put in a million times.
        self.pay(times.saturating_mul(to.len()))?;
        Ok(value.replacen(from, to, times))
    }

    /// What is left behind what the pattern matches at the beginning. One that cannot be read matches nothing.
    fn trimmed<'t>(&mut self, value: &'t str, pattern: &str, which: Match) -> Result<&'t str, Why> {
        self.pay(value.len())?;
        let mut found = value;
        let ends = value.char_indices().rev();
        let ends = ends.map(|(at, last)| value.split_at(at + last.len_utf8()));
        for (beginning, rest) in ends {
            let matches = glob::matches(pattern, beginning, &mut self.left);
            match matches.ok_or(Why::Limit)? {
                Err(BadPattern) => return Ok(value),
                Ok(false) => {}
                Ok(true) if which == Match::Longest => return Ok(rest),
                Ok(true) => found = rest,
            }
        }
        Ok(found)
    }

    fn pay(&mut self, price: usize) -> Result<(), Why> {
        self.left = self.left.checked_sub(price).ok_or(Why::Limit)?;
        Ok(())
    }
}

fn recased(value: &str, reach: Reach, case: fn(char) -> char) -> String {
    match reach {
        Reach::All => value.chars().map(case).collect(),
        Reach::First => {
            let mut chars = value.chars();
            let first = chars.next().map(case);
            first.into_iter().chain(chars).collect()
        }
    }
}

/// Letter by letter, as Go does it: what would become two letters stays.
fn lower(letter: char) -> char {
    let mut lower = letter.to_lowercase();
    match (lower.next(), lower.next()) {
        (Some(one), None) => one,
        _ => letter,
    }
}

fn upper(letter: char) -> char {
    let mut upper = letter.to_uppercase();
    match (upper.next(), upper.next()) {
        (Some(one), None) => one,
        _ => letter,
    }
}

/// The bytes from a position, at most so many; a negative number counts from the end. What is no number changes nothing.
/// None where a character would be cut in two.
fn substring<'t>(value: &'t str, from: &str, length: Option<&str>) -> Option<&'t str> {
    let long = i64::try_from(value.len()).unwrap_or(i64::MAX);
    let Ok(from) = from.parse::<i64>() else {
        return Some(value);
    };
    let from = match from < 0 {
        true => long.saturating_add(from).max(0),
        false => from,
    };
    let end = match length.map(str::parse::<i64>) {
        None => long,
        Some(Err(_)) => return Some(value),
        Some(Ok(length)) if length < 0 => long.saturating_add(length),
        Some(Ok(length)) => from.saturating_add(length).min(long),
    };
    if from >= end {
        return Some("");
    }
    value.get(usize::try_from(from).ok()?..usize::try_from(end).ok()?)
}
