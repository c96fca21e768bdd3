//! What it means that a call ended in an error, in words a tenant understands.
//!
//! wasmtime's errors go in, ours come out; nothing of wasmtime's backtraces or types is shown.
//! Which limit it was that a call met is known by type, never by reading a message.

use std::fmt::Write as _;

use wasmtime::{PoolConcurrencyLimitError, Trap};

use crate::budget::Budget;
use crate::error::{Error, LastWords};
use crate::store::{Excess, Flood, Overdue};
use crate::words::{bytes, tame};

/// The longest explanation that is taken from wasmtime's own words.
const WORDS: usize = 512;

/// Why a call with `budget` ended.
pub(crate) fn explain(why: &wasmtime::Error, budget: &Budget, log: LastWords) -> Error {
    if why.is::<Overdue>() {
        return Error::Deadline {
            deadline: budget.deadline,
            log,
        };
    }
    if let Some(excess) = why.downcast_ref::<Excess>() {
        return Error::Memory {
            limit: excess.limit.clone(),
            log,
        };
    }
    if let Some(flood) = why.downcast_ref::<Flood>() {
        return Error::Log {
            limit: flood.limit,
            log,
        };
    }
    if why.is::<PoolConcurrencyLimitError>() {
        return Error::Engine("its pool is smaller than its places".to_owned());
    }
    match why.downcast_ref::<Trap>() {
        Some(Trap::Interrupt) => Error::Deadline {
            deadline: budget.deadline,
            log,
        },
        Some(trap) => Error::Trap {
            what: words(*trap),
            log,
        },
        None => unnamed(why, budget, log),
    }
}

/// Those errors of wasmtime that have no type of their own to be told by.
fn unnamed(why: &wasmtime::Error, budget: &Budget, log: LastWords) -> Error {
    let said = chain(why);
    // The one limit that wasmtime reports in words only (`HostcallFuelExhausted` is private).
    if said.contains("fuel allocated for hostcalls has been exhausted") {
        let most = bytes(budget.output);
        return Error::Output {
            why: format!("it is larger than {most}"),
            log,
        };
    }
    // Likewise: more instances, tables or memories than the store's limiter allows.
    if let Some((_, limit)) = said.split_once("resource limit exceeded: ") {
        return Error::Memory {
            limit: format!("instances, tables and memories ({limit})"),
            log,
        };
    }
    Error::Trap { what: said, log }
}

/// An error and its causes in one tamed line.
pub(crate) fn chain(why: &wasmtime::Error) -> String {
    let mut said = String::new();
    for (i, cause) in why.chain().enumerate() {
        let separator = if i == 0 { "" } else { ": " };
        // A `String` takes whatever is written to it.
        let _written = write!(said, "{separator}{cause}");
    }
    tame(&said, WORDS)
}

/// A trap, in words.
fn words(trap: Trap) -> String {
    let known = match trap {
        Trap::UnreachableCodeReached => {
            "it reached code marked unreachable, which is how a panic or an abort looks from outside"
        }
        Trap::StackOverflow => "its call stack is exhausted: it recurses too deeply",
        Trap::MemoryOutOfBounds => "it accessed memory that it does not have",
        Trap::TableOutOfBounds | Trap::IndirectCallToNull | Trap::NullReference => {
            "it called a function that does not exist"
        }
        Trap::BadSignature => "it called a function with the wrong signature",
        Trap::IntegerDivisionByZero => "it divided by zero",
        Trap::IntegerOverflow => "an integer overflowed",
        Trap::BadConversionToInteger => "it converted a number to an integer that cannot hold it",
        Trap::StringOutOfBounds | Trap::ListOutOfBounds => {
            "it returned text or a list that lies outside its memory"
        }
        Trap::UnalignedPointer => "it returned an address that is not aligned",
        Trap::InvalidDiscriminant => "it returned a value that its type does not have",
        Trap::InvalidChar => "it returned a character that does not exist",
        Trap::CannotEnterComponent | Trap::CannotLeaveComponent => {
            "it called its host at a moment when that is not allowed"
        }
        Trap::AllocationTooLarge => "it asked for more memory than there can be",
        // Not reachable with the features that are on; wasmtime's own words are better than none.
        other => return tame(&other.to_string(), WORDS),
    };
    known.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_trap_has_words_without_jargon() {
        for number in 0..=u8::MAX {
            let Some(trap) = Trap::from_u8(number) else {
                break;
            };
            assert!(!words(trap).is_empty());
            assert!(!words(trap).ends_with('.'));
        }
        assert!(words(Trap::UnreachableCodeReached).contains("panic"));
    }

    #[test]
    fn last_words_follow_the_cause() {
        let log = LastWords((1..=5).map(|i| format!("info: {i}")).collect());
        let told = explain(&Trap::IntegerDivisionByZero.into(), &Budget::default(), log);
        assert_eq!(
            told.to_string(),
            "the plugin crashed: it divided by zero; it last logged: info: 3 | info: 4 | info: 5"
        );
    }
}
