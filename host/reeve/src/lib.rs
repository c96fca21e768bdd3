//! The shell of reeve: the rooms.

pub mod git;
mod keyfile;
pub mod store;
