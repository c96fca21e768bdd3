//! What one call may use, and what all of them together may.
//!
//! Only numbers; they are enforced in `store`, `engine`, `places`, `compiler` and `inspect`.

use std::path::PathBuf;
use std::time::Duration;

use crate::compiler::Compiler;

const MIB: usize = 1 << 20;

/// What one call of a guest may use. Whatever it takes beyond that ends it, and only it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Budget {
    /// Bytes of linear memory, over all memories of the component. Never more than
    /// [`Settings::memory`].
    pub memory: usize,
    /// Time from the start of the call to its end, by the wall clock; waiting for a free place does
    /// not count.
    pub deadline: Duration,
    /// Bytes that the answer may have, over all manifests.
    pub output: usize,
    /// Manifests that the answer may have.
    pub objects: usize,
    /// Bytes of log that are kept (the last ones). A guest that writes 64 times as much is stopped.
    pub log: usize,
}

impl Default for Budget {
    fn default() -> Self {
        Self {
            memory: 64 * MIB,
            deadline: Duration::from_secs(5),
            output: 8 * MIB,
            objects: 10_000,
            log: 16 << 10,
        }
    }
}

/// What the sandbox as a whole may use.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// The most memory that any budget can give to a call, in bytes. Address space for it is
    /// reserved per place.
    pub memory: usize,
    /// How many calls may run at once; further ones wait for a place. Tenants take turns.
    pub calls: usize,
    /// How many of those may be one tenant's; never all.
    pub calls_each: usize,
    /// How long a call waits for a place before it ends as [`crate::Error::Busy`].
    pub patience: Duration,
    /// Processor time that the guests of one tenant may use in a minute.
    pub time_each: Duration,
    /// Bytes of components that one tenant may have loaded.
    pub bytes_each: usize,
    /// The largest component that is accepted, in bytes.
    pub component: usize,
    /// How many compiled components are kept; the one unused for longest goes first.
    pub modules: usize,
    /// The directory of machine code that was compiled before; none for no such cache. Made if there is
    /// none, in one that exists; it must be ours alone.
    pub cache: Option<PathBuf>,
    /// The most bytes of machine code kept there; what was used least recently goes first.
    pub cache_size: u64,
    /// Who compiles.
    pub compiler: Compiler,
    /// How many components may be compiled at once; one of each tenant. Each keeps one core busy.
    pub compilations: usize,
    /// How long a compilation may take by the clock, and how long one may wait for its turn.
    pub compile: Duration,
    /// Processor time that a compiling process may use, in whole seconds.
    pub compile_time: Duration,
    /// Address space that a compiling process may use, in bytes.
    pub compile_memory: usize,
    /// The most machine code that is taken for one component, in bytes.
    pub code: usize,
    /// Use the pooling allocator where this machine can hold it. Without it calls are slower, and
    /// just as isolated.
    pub pool: bool,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            memory: 128 * MIB,
            calls: 16,
            calls_each: 8,
            patience: Duration::from_secs(10),
            time_each: Duration::from_secs(30),
            bytes_each: 256 * MIB,
            component: 64 * MIB,
            modules: 2048,
            cache: None,
            cache_size: 4 << 30,
            compiler: Compiler::Thread,
            compilations: 2,
            compile: Duration::from_secs(120),
            compile_time: Duration::from_secs(60),
            compile_memory: 2048 * MIB,
            code: 128 * MIB,
            pool: true,
        }
    }
}
