//! Every object has the annotations that the config names: `{"annotations": ["example.com/owner"]}`.
//!
//! Written as a KRM function: what it says, it says in results, and `krm` makes a plugin of it. It changes nothing, so it
//! can be a validator of a kustomization as well as a plugin.

use krm::{Outcome, ResourceList};
use serde_json::Value;

krm::function!(check, "../../wit");

fn check(list: &mut ResourceList) -> Result<(), String> {
    let wanted = list
        .function_config
        .get("annotations")
        .and_then(Value::as_array);
    let wanted: Option<Vec<&str>> =
        wanted.and_then(|names| names.iter().map(Value::as_str).collect());
    let Some(wanted) = wanted else {
        return Err(r#"the config must be {"annotations": ["example.com/owner", ..]}"#.to_owned());
    };
    for item in &list.items {
        for name in &wanted {
            let annotations = item
                .get("metadata")
                .and_then(|metadata| metadata.get("annotations"));
            let there = annotations.and_then(|annotations| annotations.get(name));
            if there.and_then(Value::as_str).is_none_or(str::is_empty) {
                let wrong = Outcome::error(
                    item,
                    "metadata.annotations",
                    format!("{name} is missing: say who it is"),
                );
                list.results.push(wrong);
            }
        }
    }
    Ok(())
}
