//! The YAML reader and writer: whatever the bytes are, they are read or refused.
#![no_main]

use libfuzzer_sys::fuzz_target;
use reeve_kustomize::{Object, parse_yaml, to_yaml};

fuzz_target!(|bytes: &[u8]| {
    let documents = parse_yaml(bytes, "a.yaml").unwrap_or_default();
    let objects: Vec<Object> = documents
        .into_iter()
        .filter_map(|document| Object::try_from(document).ok())
        .collect();
    drop(to_yaml(&objects));
});
