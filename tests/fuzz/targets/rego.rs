//! A policy's module of any text: it is refused, or it answers, with its tests, in time.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| reeve_fuzz::judges("policy.rego", text.as_bytes()));
