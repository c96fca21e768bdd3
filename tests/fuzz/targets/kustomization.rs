//! A kustomization file of any bytes, beside which there is whatever it names.
#![no_main]

use libfuzzer_sys::fuzz_target;
use reeve_fuzz::Everything;

fuzz_target!(|bytes: &[u8]| reeve_fuzz::ends(&Everything(bytes.to_vec())));
