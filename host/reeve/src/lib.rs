//! The shell of reeve: the rooms.

pub mod cluster;
pub mod git;
mod keyfile;
pub mod store;
