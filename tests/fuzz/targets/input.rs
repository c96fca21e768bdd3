//! A document of any shape, put to every policy that is shipped.
#![no_main]

use libfuzzer_sys::fuzz_target;
use reeve_kustomize::parse_yaml;

fuzz_target!(|bytes: &[u8]| {
    for document in parse_yaml(bytes, "input.yaml").unwrap_or_default() {
        // A case of the policies is a document with the input in it.
        reeve_fuzz::asks(document.get("input").unwrap_or(&document));
    }
});
