//! The sandbox that plugins run in.
//!
//! Compiles a component once, then calls it as often as wanted, each time in a fresh store with its
//! own budget of memory, time, output and log. It knows worlds (`wit/`), not Kubernetes: what comes
//! back is JSON objects within the budget and no more is promised; the next stage (`core::bundle`)
//! parses it again. It deliberately has no WASI, no file, no socket, no clock for a guest, and
//! nothing of a guest survives its call. Work on what others brought is done in processes that can be stopped
//! (`process`), also work of others than this crate. Which plugin is called for which bundle is decided in
//! `reeve::transform`.

#![deny(missing_docs)]

mod budget;
mod cache;
mod compiler;
mod disk;
mod engine;
mod error;
mod facts;
mod inspect;
mod lane;
mod ledger;
mod link;
mod meter;
mod module;
mod places;
pub mod process;
mod sandbox;
mod store;
mod trap;
mod words;
mod world {
    //! One file a world: its bindings, and one typed call.
    pub(crate) mod provide;
    pub(crate) mod shape;
    pub(crate) mod transform;
}

pub use budget::{Budget, Settings};
pub use compiler::{Compiler, compile_plugin};
pub use error::{Error, LastWords, ObjectId, Objection, Refusal};
pub use facts::{Facts, World, facts};
pub use module::{Module, Step, Transformed};
pub use process::Program;
pub use sandbox::Sandbox;
pub use world::provide::types as provider;
