//! A KRM function as a plugin: ordinary function code, which takes a ResourceList and changes it, and one line.
//!
//! ```ignore
//! krm::function!(process);
//!
//! fn process(list: &mut krm::ResourceList) -> Result<(), String> {
//!     for item in &mut list.items {
//!         item["metadata"]["labels"]["by"] = list.function_config["spec"]["by"].clone();
//!     }
//!     Ok(())
//! }
//! ```
//!
//! The contract has no ResourceList: manifests are its items, the plugin's config its `functionConfig`. As a function of a
//! kustomization (`config.kubernetes.io/function: |- wasm: {path: …}`) the config is the object that asks for it. Results of
//! severity `error` make a refusal of the call; the others are logged.

use serde_json::Value;

/// What a KRM function is given and gives back (`config.kubernetes.io/v1`).
#[derive(Debug, Default)]
pub struct ResourceList {
    /// The objects. None for a generator.
    pub items: Vec<Value>,
    /// What the function is configured with.
    pub function_config: Value,
    /// What it has to say.
    pub results: Vec<Outcome>,
}

/// One thing that a function has to say.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Outcome {
    /// In one clause.
    pub message: String,
    /// How much it matters.
    pub severity: Severity,
    /// `apiVersion`, `kind`, `namespace` and `name` of the object that it is about; empty for none.
    pub resource: [String; 4],
    /// The field of that object; empty for the whole.
    pub field: String,
}

/// How much an [`Outcome`] matters.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub enum Severity {
    /// The function fails.
    #[default]
    Error,
    /// Worth a look.
    Warning,
    /// Good to know.
    Info,
}

impl Outcome {
    /// An error about an object's field.
    pub fn error(object: &Value, field: &str, message: impl Into<String>) -> Self {
        let text = |pointer| {
            object
                .pointer(pointer)
                .and_then(Value::as_str)
                .unwrap_or_default()
                .to_owned()
        };
        Self {
            message: message.into(),
            severity: Severity::Error,
            resource: [
                text("/apiVersion"),
                text("/kind"),
                text("/metadata/namespace"),
                text("/metadata/name"),
            ],
            field: field.to_owned(),
        }
    }
}

/// What came of a call.
#[derive(Debug)]
pub struct Done {
    /// The objects as JSON, or why there are none.
    pub items: Result<Vec<String>, String>,
    /// What the function had to say.
    pub results: Vec<Outcome>,
}

/// Calls a function. What [`function!`] does, for tests of one.
pub fn call(
    manifests: &[String],
    config: &str,
    process: impl FnOnce(&mut ResourceList) -> Result<(), String>,
) -> Done {
    let read =
        |text: &str| serde_json::from_str::<Value>(text).map_err(|why| format!("not JSON: {why}"));
    let items: Result<Vec<Value>, String> = manifests.iter().map(|text| read(text)).collect();
    let list = items.and_then(|items| {
        let function_config = read(config)?;
        Ok(ResourceList {
            items,
            function_config,
            results: Vec::new(),
        })
    });
    let mut list = match list {
        Ok(list) => list,
        Err(why) => {
            return Done {
                items: Err(why),
                results: Vec::new(),
            };
        }
    };
    let ended = process(&mut list);
    let errors = list
        .results
        .iter()
        .filter(|one| one.severity == Severity::Error)
        .count();
    let items = match (ended, errors) {
        (Err(why), _) => Err(why),
        (Ok(()), 0) => Ok(list.items.iter().map(Value::to_string).collect()),
        (Ok(()), 1) => Err("an object is not as it should be".to_owned()),
        (Ok(()), many) => Err(format!("{many} objects are not as they should be")),
    };
    Done {
        items,
        results: list.results,
    }
}

/// Makes a plugin of a function `fn(&mut ResourceList) -> Result<(), String>`. The contract lies in `wit`, where
/// `reeve plugin new` puts it, or where the second argument says.
#[macro_export]
macro_rules! function {
    ($process:path) => {
        $crate::function!($process, "wit");
    };
    ($process:path, $wit:tt) => {
        wit_bindgen::generate!({ path: $wit, world: "transformer" });

        struct Function;

        impl exports::reeve::plugin::transform::Guest for Function {
            fn transform(
                manifests: Vec<String>,
                config: String,
            ) -> Result<Vec<String>, reeve::plugin::types::Refusal> {
                use reeve::plugin::log::{Level, log};
                use reeve::plugin::types::{ObjectId, Objection, Refusal};
                let done = $crate::call(&manifests, &config, $process);
                let mut objects = Vec::new();
                for one in done.results {
                    let [api_version, kind, namespace, name] = one.resource;
                    let level = match one.severity {
                        $crate::Severity::Warning => Level::Warn,
                        $crate::Severity::Info => Level::Info,
                        $crate::Severity::Error => {
                            objects.push(Objection {
                                object: ObjectId { api_version, kind, namespace, name },
                                field: one.field,
                                message: one.message,
                            });
                            continue;
                        }
                    };
                    log(level, &format!("{kind} {name}: {}", one.message));
                }
                done.items.map_err(|message| Refusal { message, objects })
            }
        }

        export!(Function);
    };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_function_sees_items_and_its_config_and_gives_them_back() {
        let done = call(&[r#"{"kind":"A"}"#.to_owned()], r#"{"by":"me"}"#, |list| {
            let by = list.function_config["by"].clone();
            list.items
                .iter_mut()
                .for_each(|item| item["by"] = by.clone());
            Ok(())
        });
        assert_eq!(done.items.unwrap(), [r#"{"kind":"A","by":"me"}"#]);
    }

    #[test]
    fn results_that_are_errors_fail_the_call_and_say_which_object() {
        let done = call(
            &[r#"{"kind":"A","metadata":{"name":"a"}}"#.to_owned()],
            "{}",
            |list| {
                let wrong = Outcome::error(&list.items[0], "spec", "is missing");
                list.results.push(wrong);
                Ok(())
            },
        );
        assert_eq!(done.items.unwrap_err(), "an object is not as it should be");
        assert_eq!(done.results[0].resource[1..], ["A", "", "a"]);
    }
}
