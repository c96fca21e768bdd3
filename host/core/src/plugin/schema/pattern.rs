//! What the patterns of a schema weigh.
//!
//! A few bytes may stand for thousands of states: `(a|b){3000}`, `\pL{30}`. So a pattern is expanded here, only as far as
//! it may be, before anybody compiles it for use.

use std::collections::BTreeMap;

use regex_automata::nfa::thompson::{Compiler, Config};

use super::{SchemaError, shortened, unusable};

/// How large one may be compiled, in bytes.
pub(super) const COMPILED: usize = 1 << 20;
/// How much one may remember while it matches, in bytes, in each direction.
pub(super) const CACHE: usize = 64 << 10;
/// How large one may be expanded, in bytes. Compiled it is there several times: forwards, backwards, with what it needs
/// to run.
const EXPANDED: usize = COMPILED / COPIES;
const COPIES: usize = 4;
/// How much memory all of them may take.
const MEMORY: usize = 8 << 20;
/// How long they may be together, as they are written.
const WRITTEN: usize = 16 << 10;

/// The patterns that were met. Each is compiled once, wherever it stands.
#[derive(Default)]
pub(super) struct Patterns<'d> {
    known: BTreeMap<&'d str, u64>,
    written: usize,
    memory: usize,
}

impl<'d> Patterns<'d> {
    /// How many states it has: the steps that it may take for each byte.
    pub(super) fn states(&mut self, pattern: &'d str) -> Result<u64, SchemaError> {
        if let Some(states) = self.known.get(pattern) {
            return Ok(*states);
        }
        self.written = self.written.saturating_add(pattern.len());
        if self.written > WRITTEN {
            return Err(too_large(pattern));
        }
        let Ok(translated) = jsonschema_regex::to_rust_regex(pattern) else {
            let why = format!("the pattern {:?} cannot be used", shortened(pattern));
            return Err(unusable(why));
        };
        let expanded = Compiler::new()
            .configure(Config::new().nfa_size_limit(Some(EXPANDED)))
            .build(&translated);
        let expanded = match expanded {
            Ok(expanded) => expanded,
            Err(why) if why.size_limit().is_some() => return Err(too_large(pattern)),
            Err(_) => {
                let shown = shortened(pattern);
                return Err(unusable(format!("the pattern {shown:?} cannot be used")));
            }
        };
        let states = expanded.states().len();
        // What it matched so far is kept for each state, twice.
        let slots = expanded.group_info().slot_len().saturating_mul(16);
        let memory = [
            CACHE,
            expanded.memory_usage().saturating_mul(COPIES),
            states.saturating_mul(slots),
        ];
        self.memory = memory.into_iter().fold(self.memory, usize::saturating_add);
        if self.memory > MEMORY {
            return Err(too_large(pattern));
        }
        let states = u64::try_from(states).unwrap_or(u64::MAX);
        self.known.insert(pattern, states);
        Ok(states)
    }
}

fn too_large(pattern: &str) -> SchemaError {
    let shown = shortened(pattern);
    unusable(format!(
        "its patterns are too large when they are expanded, at {shown:?}"
    ))
}
