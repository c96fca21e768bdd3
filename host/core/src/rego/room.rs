//! Room on the stack for what regorus does, whatever thread asks.
//!
//! It calls itself for each level of a module's nesting and for each rule that asks for another; both are bounded
//! (`nesting`, `chain`), and this is enough for the bounds with a debug build. It deliberately starts no thread: the work
//! goes on where it is, on a stack of its own. Threads that `patience` starts have as much from the beginning.

/// Less than this, and another stack is taken.
const NEEDED: usize = 48 << 20;
/// How large that is. Only what is used of it takes memory.
pub(super) const TAKEN: usize = 64 << 20;

/// Does the work with enough room.
pub(super) fn with<T>(work: impl FnOnce() -> T) -> T {
    stacker::maybe_grow(NEEDED, TAKEN, work)
}
