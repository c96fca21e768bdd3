//! Every decision of reeve, and no effect.

pub mod admit;
pub mod adoption;
pub mod artifact;
pub mod bundle;
pub mod caution;
pub mod cel;
pub mod depend;
pub mod drift;
pub mod failure;
pub mod health;
pub mod ignore;
pub mod index;
pub mod inventory;
pub mod library;
pub mod list;
pub mod ownership;
pub mod plan;
pub mod plugin;
pub mod policy;
pub mod quota;
pub mod rego;
pub mod remote;
pub mod render;
pub mod replay;
pub mod report;
#[cfg(test)]
mod rows;
pub mod schedule;
pub mod source;
pub mod spec;
mod spread;
pub mod status;
pub mod substitute;
pub mod sync;
pub mod tenancy;
pub mod veil;
pub mod webhook;
