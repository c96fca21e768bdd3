//! A file of data of any bytes beside a policy that looks at all of it.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    reeve_fuzz::judges("limits/data.yaml", bytes);
    reeve_fuzz::judges("limits/data.json", bytes);
});
