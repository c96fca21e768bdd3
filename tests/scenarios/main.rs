//! The scenarios: each a sentence about the whole, told against real things.
//!
//! One binary, so that the control plane starts once; `estate::scenario` runs each story.

#![allow(
    clippy::panic,
    clippy::print_stderr,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a scenario fails by panicking, and says aloud what it skips"
)]

mod abroad;
mod admission;
mod adoption;
mod advice;
mod apply;
mod book;
mod caution;
mod chart;
mod cluster;
mod command;
mod declared;
mod definitions;
mod deliver;
mod depend;
mod drift;
mod elsewhere;
mod estate;
mod fairness;
mod faults;
mod flux_cli;
mod flux_logs;
mod forge;
mod functions;
mod git;
mod gitconfig;
mod ground;
mod halves;
mod handover;
mod health;
mod hooks;
mod ignored;
mod image;
mod interrupted;
mod landlord;
mod lead;
mod leader;
mod limits;
mod meanwhile;
mod migrate;
mod monorepo;
mod oci;
mod outage;
mod platform;
mod plugins;
mod policies;
mod prune;
mod ratchet;
mod reading;
mod receivers;
mod remote;
mod replaced;
mod reports;
mod roads;
mod rules;
mod secrets;
mod shards;
mod signed;
mod sources;
mod stop;
mod storm;
mod story;
mod superseded;
mod tenancy;
mod tenant;
mod traces;
mod variables;
mod waves;
mod withdraw;
mod writeback;
mod yielding;
