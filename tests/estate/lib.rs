//! The estate: a real Kubernetes control plane, real git servers and the controller, for tests and
//! the demo.
//!
//! Everything here is a process of its own on a free loopback port, with its data in a temporary
//! directory, and is gone when the estate is: on drop, on panic, on Ctrl-C and when this process is
//! killed. Nothing is mocked; faults are made by stopping, cutting, filling and delaying the real things.

pub mod binaries;
pub mod book;
pub mod chart;
pub mod controller;
pub mod crowd;
pub mod dice;
pub mod disk;
pub mod flux;
pub mod forges;
pub mod gate;
pub mod git;
pub mod gitea;
pub mod guest;
pub mod install;
pub mod landlord;
pub mod leftover;
pub mod objects;
pub mod older;
pub mod pki;
pub mod plane;
pub mod pod;
pub mod process;
pub mod scenario;
pub mod secrecy;
pub mod sight;
pub mod skew;
pub mod story;
pub mod tenant;
pub mod wait;
pub mod world;

pub use plane::Plane;
pub use scenario::scenario;
pub use world::Estate;

use std::path::{Path, PathBuf};

/// The repository's root.
#[must_use]
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .map_or_else(PathBuf::new, Path::to_owned)
}
