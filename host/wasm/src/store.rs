//! A fresh store for every call: its memory, tables, deadline, output and log, and nothing of
//! anybody else.
//!
//! Enforces the budget from the host's side. It never outlives its call; what wasmtime says when a
//! limit is met becomes words in `trap`.

use std::collections::VecDeque;
use std::fmt;
use std::time::Instant;

use wasmtime::{Engine, ResourceLimiter, Store, UpdateDeadline};

use crate::budget::Budget;
use crate::engine::{INSTANCES, MEMORIES, TABLE_ELEMENTS, TABLES};
use crate::words::{bytes, tame};

/// The longest log line that is kept, in bytes.
const LINE: usize = 1024;
/// How much more than it may keep a guest may write to its log before that is a flood.
const FLOOD: usize = 64;
/// What a log line costs beyond its text, so that empty lines flood too.
const LINE_COST: usize = 64;
/// What a list element costs at the boundary beyond its text.
const ELEMENT: usize = 8;
/// Room for a refusal beside an empty answer.
const SLACK: usize = 64 << 10;

/// What the host keeps for one call.
#[derive(Debug)]
pub(crate) struct State {
    pub(crate) limits: Limits,
    pub(crate) log: Log,
}

/// A store in which `budget` is all there is, running from now.
pub(crate) fn fresh(engine: &Engine, budget: &Budget) -> Store<State> {
    let state = State {
        limits: Limits::new(budget.memory),
        log: Log::new(budget.log),
    };
    let mut store = Store::new(engine, state);
    store.limiter(|state| &mut state.limits);
    store.set_hostcall_fuel(
        budget
            .output
            .saturating_add(budget.objects * ELEMENT)
            .saturating_add(SLACK),
    );
    store.set_max_component_handles(64);
    store.set_epoch_deadline(1);
    // A guest gives way at every tick, so that it never holds a worker thread, and ends at the
    // first tick past its deadline.
    let begun = Instant::now();
    let deadline = budget.deadline;
    store.epoch_deadline_callback(move |_| {
        if begun.elapsed() >= deadline {
            Err(Overdue.into())
        } else {
            Ok(UpdateDeadline::YieldCustom(
                1,
                Box::pin(tokio::task::yield_now()),
            ))
        }
    });
    store
}

/// Its time is over.
#[derive(Debug)]
pub(crate) struct Overdue;

impl fmt::Display for Overdue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("past its deadline")
    }
}

impl std::error::Error for Overdue {}

/// It asked for more than it may have of something.
#[derive(Debug)]
pub(crate) struct Excess {
    /// "64 MiB of memory"
    pub(crate) limit: String,
}

impl fmt::Display for Excess {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "more than {}", self.limit)
    }
}

impl std::error::Error for Excess {}

/// It flooded its log.
#[derive(Debug)]
pub(crate) struct Flood {
    pub(crate) limit: usize,
}

impl fmt::Display for Flood {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "more than {} bytes of log", self.limit)
    }
}

impl std::error::Error for Flood {}

/// What a call may hold of memory, tables and instances.
#[derive(Debug)]
pub(crate) struct Limits {
    memory: usize,
    held: usize,
}

impl Limits {
    fn new(memory: usize) -> Self {
        Self { memory, held: 0 }
    }
}

impl ResourceLimiter for Limits {
    fn memory_growing(
        &mut self,
        current: usize,
        desired: usize,
        maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        let held = self.held.saturating_add(desired.saturating_sub(current));
        if held > self.memory {
            return Err(Excess {
                limit: format!("{} of memory", bytes(self.memory)),
            }
            .into());
        }
        // Past what the component itself declared: wasm's own answer to that is -1.
        if maximum.is_some_and(|most| desired > most) {
            return Ok(false);
        }
        self.held = held;
        Ok(true)
    }

    fn table_growing(
        &mut self,
        _: usize,
        desired: usize,
        maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        if desired > TABLE_ELEMENTS {
            return Err(Excess {
                limit: format!("{TABLE_ELEMENTS} table elements"),
            }
            .into());
        }
        Ok(maximum.is_none_or(|most| desired <= most))
    }

    fn instances(&self) -> usize {
        INSTANCES as usize
    }

    fn tables(&self) -> usize {
        TABLES as usize
    }

    fn memories(&self) -> usize {
        MEMORIES as usize
    }
}

/// What a guest said, the last lines of it.
#[derive(Debug)]
pub(crate) struct Log {
    lines: VecDeque<String>,
    held: usize,
    keep: usize,
    written: usize,
    dropped: usize,
}

impl Log {
    fn new(keep: usize) -> Self {
        Self {
            lines: VecDeque::new(),
            held: 0,
            keep,
            written: 0,
            dropped: 0,
        }
    }

    /// Keeps one line, and forgets the oldest when it takes too much room.
    pub(crate) fn line(&mut self, level: &str, message: &str) -> Result<(), Flood> {
        let limit = self.keep.saturating_mul(FLOOD);
        self.written = self
            .written
            .saturating_add(message.len())
            .saturating_add(LINE_COST);
        if self.written > limit {
            return Err(Flood { limit });
        }
        let line = format!("{level}: {}", tame(message, LINE));
        self.held += line.len();
        self.lines.push_back(line);
        while self.held > self.keep {
            let Some(oldest) = self.lines.pop_front() else {
                break;
            };
            self.held -= oldest.len();
            self.dropped += 1;
        }
        Ok(())
    }

    /// The lines that were kept, oldest first, after a note about those that were not.
    pub(crate) fn into_lines(self) -> Vec<String> {
        let note = (self.dropped > 0).then(|| format!("({} earlier lines dropped)", self.dropped));
        note.into_iter().chain(self.lines).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_lines_are_kept_and_the_dropped_ones_counted() {
        let mut log = Log::new(30);
        for i in 0..5 {
            log.line("info", &format!("line {i}")).expect("no flood");
        }
        assert_eq!(
            log.into_lines(),
            ["(3 earlier lines dropped)", "info: line 3", "info: line 4"]
        );
    }

    #[test]
    fn empty_lines_flood_too() {
        let mut log = Log::new(1024);
        let lines = (0..).take_while(|_| log.line("info", "").is_ok()).count();
        assert_eq!(lines, 1024);
    }

    #[test]
    fn memory_is_counted_over_all_memories() {
        let mut limits = Limits::new(3 << 16);
        assert!(limits.memory_growing(0, 2 << 16, None).is_ok_and(|yes| yes));
        assert!(limits.memory_growing(0, 1 << 16, None).is_ok_and(|yes| yes));
        assert!(limits.memory_growing(1 << 16, 2 << 16, None).is_err());
    }

    #[test]
    fn growth_past_its_own_maximum_fails_as_wasm_says_and_costs_nothing() {
        let mut limits = Limits::new(4 << 16);
        assert!(
            limits
                .memory_growing(0, 2 << 16, Some(1 << 16))
                .is_ok_and(|yes| !yes)
        );
        assert!(limits.memory_growing(0, 4 << 16, None).is_ok_and(|yes| yes));
    }
}
