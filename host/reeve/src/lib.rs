//! The shell: cluster, git, HTTP, clock, terminal.
//!
//! A list of rooms. Which way they may lean on each other: `cli`, `http`, `admission`, `landlord` and `controller` on `cluster`, `forge`,
//! `git`, `issuers` and `store`; those on `observe`, `clock` and `network`. Decisions are `reeve_core`'s.

pub mod admission;
pub mod bases;
pub mod cli;
pub mod clock;
pub mod cluster;
mod configs;
pub mod context;
pub mod controller;
pub mod disk;
pub mod forge;
mod functions;
pub mod git;
pub mod http;
mod images;
mod index;
pub mod issuers;
mod keyfile;
mod knocks;
mod landlord;
mod levels;
mod listed;
pub mod network;
pub mod observe;
pub mod oci;
mod others;
mod places;
mod quotas;
pub mod reading;
mod recollections;
mod renders;
mod schemas;
mod shards;
pub mod store;
mod transform;
mod variables;
