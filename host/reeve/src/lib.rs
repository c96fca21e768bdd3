//! The shell of reeve: the rooms.

pub mod clock;
pub mod cluster;
pub mod git;
pub mod http;
mod keyfile;
pub mod observe;
pub mod store;
