//! The scenarios: each a sentence about the whole, told against real things.
//!
//! One binary, so that the control plane starts once; `estate::scenario` runs each story.

mod estate;
mod git;
mod policies;
