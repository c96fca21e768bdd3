//! Why a component was not loaded or a call brought nothing, in words for the tenant who reads them
//! in a condition.
//!
//! Each variant is one cause that somebody can act on. How wasmtime's errors become these is in
//! `trap`; whose turn it is in the controller's terms is decided by the caller ([`Error::is_ours`]
//! tells which are no fault of the plugin's).

use std::fmt;
use std::time::Duration;

use crate::words::bytes;

/// Why a component was not loaded, or why a call brought no manifests.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The sandbox itself could not be set up: nothing a tenant can change.
    #[error("the sandbox cannot start: {0}")]
    Engine(String),
    /// The bytes are not a component that can be compiled within the limits.
    #[error("the component cannot be used: {0}")]
    Compile(String),
    /// It asks for imports that no plugin gets.
    #[error("the component asks for {}, but a plugin is given reeve:plugin/log only", quoted(.asked))]
    Imports {
        /// The names of what it asked for.
        asked: Vec<String>,
    },
    /// It does not implement the world, or not this version of it.
    #[error("the component does not implement the world {world}: {why}")]
    World {
        /// The world that was expected.
        world: &'static str,
        /// What is missing or differs.
        why: String,
    },
    /// It crashed.
    #[error("the plugin crashed: {what}{log}")]
    Trap {
        /// What happened, in words.
        what: String,
        /// The last lines it logged.
        log: LastWords,
    },
    /// It was still running when its time was over.
    #[error("the plugin was not done after {deadline:?} and was stopped{log}")]
    Deadline {
        /// The time it had.
        deadline: Duration,
        /// The last lines it logged.
        log: LastWords,
    },
    /// It wanted more memory, or larger tables, than its budget has.
    #[error("the plugin needs more than its {limit}{log}")]
    Memory {
        /// The limit it met: "64 MiB of memory", "65536 table elements".
        limit: String,
        /// The last lines it logged.
        log: LastWords,
    },
    /// What it returned is too much, or not JSON objects.
    #[error("the plugin's answer cannot be used: {why}{log}")]
    Output {
        /// What is wrong with it.
        why: String,
        /// The last lines it logged.
        log: LastWords,
    },
    /// It flooded its log.
    #[error("the plugin logged more than {limit} bytes in one call and was stopped{log}")]
    Log {
        /// How much it may write in one call.
        limit: usize,
        /// The last lines it logged.
        log: LastWords,
    },
    /// It said no.
    #[error("the plugin refuses: {0}")]
    Refused(Box<Refusal>),
    /// No place became free in time; nothing was run, and trying again later is all there is to do.
    #[error("no place for another plugin call became free within {0:?}")]
    Busy(Duration),
    /// The tenant's plugins used up their share of the processor; nothing was run.
    #[error(
        "the tenant's plugins used up their {limit:?} of processor time a minute; next in {again:.0?}"
    )]
    OverBudget {
        /// What they may use in a minute.
        limit: Duration,
        /// When to come again.
        again: Duration,
    },
    /// The tenant's components are too large together; this one was not loaded.
    #[error("the tenant's plugins together are larger than {}; remove one or make them smaller", bytes(*.limit))]
    Full {
        /// What they may have together, in bytes.
        limit: usize,
    },
}

impl Error {
    /// Whether time or the platform's operator mends it, rather than the plugin's author or user:
    /// retry.
    pub fn is_ours(&self) -> bool {
        matches!(
            self,
            Self::Busy(_) | Self::Engine(_) | Self::OverBudget { .. }
        )
    }

    /// How long to wait before trying again, where that is known.
    pub fn again(&self) -> Option<Duration> {
        match self {
            Self::OverBudget { again, .. } => Some(*again),
            _ => None,
        }
    }

    /// The last lines that the guest logged before the call failed; empty when it never ran.
    pub fn log(&self) -> &[String] {
        match self {
            Self::Trap { log, .. }
            | Self::Deadline { log, .. }
            | Self::Memory { log, .. }
            | Self::Output { log, .. }
            | Self::Log { log, .. } => &log.0,
            Self::Refused(refusal) => &refusal.log.0,
            Self::Engine(_)
            | Self::Compile(_)
            | Self::Imports { .. }
            | Self::World { .. }
            | Self::Busy(_)
            | Self::OverBudget { .. }
            | Self::Full { .. } => &[],
        }
    }
}

/// The last lines that a guest logged, oldest first. Displayed as a clause that can follow an
/// error's words: at most three lines.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LastWords(pub(crate) Vec<String>);

impl fmt::Display for LastWords {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let skipped = self.0.len().saturating_sub(3);
        for (i, line) in self.0.iter().skip(skipped).enumerate() {
            f.write_str(if i == 0 { "; it last logged: " } else { " | " })?;
            f.write_str(line)?;
        }
        Ok(())
    }
}

/// A guest's "no".
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Refusal {
    /// Why, in one clause.
    pub message: String,
    /// The objects it is about; empty when it is about the config or about everything.
    pub objects: Vec<Objection>,
    /// The lines it logged.
    pub log: LastWords,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)?;
        for objection in &self.objects {
            write!(f, "; {objection}")?;
        }
        Ok(())
    }
}

/// One thing that a guest finds wrong with one object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Objection {
    /// The object.
    pub object: ObjectId,
    /// The path of the field, empty for the whole object.
    pub field: String,
    /// What is wrong with it.
    pub message: String,
}

impl fmt::Display for Objection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.object)?;
        if !self.field.is_empty() {
            write!(f, " {}", self.field)?;
        }
        write!(f, ": {}", self.message)
    }
}

/// The object that a guest speaks of. Nothing says that it exists.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ObjectId {
    /// `apps/v1`
    pub api_version: String,
    /// `Deployment`
    pub kind: String,
    /// Empty for none.
    pub namespace: String,
    /// `metadata.name`
    pub name: String,
}

impl fmt::Display for ObjectId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ", self.kind)?;
        if !self.namespace.is_empty() {
            write!(f, "{}/", self.namespace)?;
        }
        f.write_str(&self.name)
    }
}

fn quoted(names: &[String]) -> String {
    let names: Vec<_> = names.iter().map(|name| format!("`{name}`")).collect();
    names.join(", ")
}
