//! Every decision of reeve, and no effect.

pub mod health;
pub mod schedule;
