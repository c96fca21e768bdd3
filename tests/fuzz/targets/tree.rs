//! A whole repository out of one text.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| reeve_fuzz::ends(&reeve_fuzz::tree(text)));
