//! Answers with what it was given: the least that a plugin can be, and what a call costs without one.

use exports::reeve::plugin::transform::{Guest, Refusal};

wit_bindgen::generate!({ path: "../../wit", world: "transformer" });

struct Echo;

impl Guest for Echo {
    fn transform(manifests: Vec<String>, _config: String) -> Result<Vec<String>, Refusal> {
        Ok(manifests)
    }
}

export!(Echo);
