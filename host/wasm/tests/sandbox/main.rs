//! The sandbox from outside: hostile guests, neighbours, callers that go away, and the plugins that
//! are shipped.
//!
//! One binary, because linking wasmtime is slow.

#![expect(
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

mod cancel;
mod compiler;
mod disk;
mod facts;
mod fair;
mod guest;
mod hostile;
mod isolation;
mod plugin;
