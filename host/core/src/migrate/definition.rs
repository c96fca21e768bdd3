//! What adopting Flux's definitions of our common kinds would change.
//!
//! Ours are meant to hold all that Flux's hold, with fields of ours beside them. Flux has releases, so what is installed is
//! compared field by field: a field that only Flux's has would be dropped from every object that is written afterwards.
//! Defaults and validations are deliberately not compared: they are asked of an object when it is written.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::{Finding, Is};

/// So many fields are named.
const NAMED: usize = 8;
/// Deeper no schema is followed.
const DEPTH: usize = 32;
/// What every object has, whether its definition names it or not: Flux's name them, ours do not, and nothing is dropped.
const ENVELOPE: [&str; 3] = ["apiVersion", "kind", "metadata"];
/// What has Flux leave an object alone that it applies.
pub const LEFT_ALONE: (&str, &str) = ("kustomize.toolkit.fluxcd.io/reconcile", "disabled");

/// What is to be said of the definitions of Flux's that are there.
pub(super) fn judge(there: &[Value]) -> Vec<Finding> {
    let ours = reeve_api::crds().into_iter();
    let ours = ours.filter_map(|crd| serde_json::to_value(crd).ok());
    let shared = ours.filter(|crd| text(crd, "/spec/group").ends_with(".toolkit.fluxcd.io"));
    shared
        .flat_map(|want| {
            let name = text(&want, "/metadata/name").to_owned();
            let found = there.iter().find(|one| text(one, "/metadata/name") == name);
            let subject = format!("CustomResourceDefinition/{name}");
            match found {
                None => vec![Finding::new(
                    subject,
                    Is::Note,
                    "is not there, and would be made",
                )],
                Some(found) => one(&subject, &want, found),
            }
        })
        .collect()
}

fn one(subject: &str, want: &Value, there: &Value) -> Vec<Finding> {
    let mut all = Vec::new();
    let served = versions(want);
    let stored = there
        .pointer("/status/storedVersions")
        .and_then(Value::as_array);
    let stored: Vec<&str> = stored
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .collect();
    let unknown = stored.iter().filter(|one| !served.contains_key(**one));
    let unknown: Vec<&str> = unknown.copied().collect();
    if !unknown.is_empty() {
        let says = format!(
            "objects may be stored as {}, which reeve's definition does not have",
            unknown.join(", ")
        );
        all.push(
            Finding::new(subject, Is::InTheWay, says).next("`flux migrate` stores them anew as v1"),
        );
    }
    let installed = versions(there);
    let (lost, more) = differences(&served, &installed);
    if !lost.is_empty() {
        let says = format!("has fields that reeve's does not have: {}", named(&lost));
        all.push(Finding::new(subject, Is::InTheWay, says).next(
            "adopting it would drop them from objects: see that none has them set, or use a newer reeve",
        ));
    }
    let known: Vec<&str> = installed.keys().map(String::as_str).collect();
    let says = match more.is_empty() {
        true => "as reeve's".to_owned(),
        false => format!(
            "adopting it adds fields, and changes no object: {}",
            named(&more)
        ),
    };
    let (known, stored) = (known.join(", "), stored.join(", "));
    let says = format!("served as {known}, stored as {stored}; {says}");
    all.push(Finding::new(subject, Is::Note, says));
    if is_applied_by_flux(there) && !is_left_alone(there) {
        all.push(
            Finding::new(
                subject,
                Is::Note,
                "Flux applies it, and would put its own back",
            )
            .next("`reeve migrate flux crds` has Flux leave it alone"),
        );
    }
    all
}

/// The fields that only the installed versions have, and those that only ours have.
fn differences(
    ours: &BTreeMap<String, Value>,
    installed: &BTreeMap<String, Value>,
) -> (Vec<String>, Vec<String>) {
    let (mut lost, mut more) = (Vec::new(), Vec::new());
    for (version, schema) in installed {
        let Some(ours) = ours.get(version) else {
            continue;
        };
        let named = |one: &String| format!("{version} {one}");
        let (mine, theirs) = (fields(ours), fields(schema));
        let only_theirs = theirs.paths.iter().filter(|one| !mine.covers(one));
        lost.extend(only_theirs.map(named));
        more.extend(mine.paths.difference(&theirs.paths).map(named));
    }
    (lost, more)
}

/// Whether it bears the labels of a Kustomization.
fn is_applied_by_flux(definition: &Value) -> bool {
    let labels = definition.pointer("/metadata/labels");
    labels.is_some_and(|labels| labels.get("kustomize.toolkit.fluxcd.io/name").is_some())
}

fn is_left_alone(definition: &Value) -> bool {
    let (key, value) = LEFT_ALONE;
    let annotations = definition.pointer("/metadata/annotations");
    annotations.and_then(|all| all.get(key)?.as_str()) == Some(value)
}

/// The schema of each version that is served.
fn versions(definition: &Value) -> BTreeMap<String, Value> {
    let versions = definition
        .pointer("/spec/versions")
        .and_then(Value::as_array);
    let versions = versions.into_iter().flatten();
    versions
        .filter(|one| one.get("served").and_then(Value::as_bool) != Some(false))
        .map(|one| {
            let schema = one.pointer("/schema/openAPIV3Schema").cloned();
            (text(one, "/name").to_owned(), schema.unwrap_or_default())
        })
        .collect()
}

/// The fields of a schema.
#[derive(Default)]
struct Fields {
    paths: BTreeSet<String>,
    /// Those below which anything may stand.
    open: BTreeSet<String>,
}

impl Fields {
    fn covers(&self, path: &str) -> bool {
        let below = |open: &String| {
            let rest = path.strip_prefix(open.as_str());
            rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
        };
        self.paths.contains(path) || self.open.contains("") || self.open.iter().any(below)
    }

    fn walk(&mut self, schema: &Value, at: &str, depth: usize) {
        let open = schema.get("x-kubernetes-preserve-unknown-fields");
        if open.and_then(Value::as_bool) == Some(true) || depth == 0 {
            self.open.insert(at.to_owned());
        }
        if depth == 0 {
            return;
        }
        let properties = schema.get("properties").and_then(Value::as_object);
        for (name, below) in properties.into_iter().flatten() {
            if at.is_empty() && ENVELOPE.contains(&name.as_str()) {
                continue;
            }
            let path = match at {
                "" => name.clone(),
                at => format!("{at}.{name}"),
            };
            self.paths.insert(path.clone());
            self.walk(below, &path, depth - 1);
        }
        for (key, mark) in [("items", "[]"), ("additionalProperties", "[*]")] {
            match schema.get(key) {
                Some(Value::Bool(true)) => {
                    self.open.insert(at.to_owned());
                }
                Some(below) if below.is_object() => {
                    self.walk(below, &format!("{at}{mark}"), depth - 1);
                }
                _ => {}
            }
        }
    }
}

fn fields(schema: &Value) -> Fields {
    let mut fields = Fields::default();
    fields.walk(schema, "", DEPTH);
    fields
}

fn named(all: &[String]) -> String {
    let first: Vec<&str> = all.iter().take(NAMED).map(String::as_str).collect();
    match all.len().checked_sub(NAMED) {
        None | Some(0) => first.join(", "),
        Some(more) => format!("{} and {more} more", first.join(", ")),
    }
}

fn text<'v>(object: &'v Value, pointer: &str) -> &'v str {
    let text = object.pointer(pointer).and_then(Value::as_str);
    text.unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn found(change: impl FnOnce(&mut Value)) -> Vec<Finding> {
        let ours = reeve_api::crds().remove(1);
        let mut there = serde_json::to_value(ours).unwrap();
        there["status"] = json!({"storedVersions": ["v1"]});
        change(&mut there);
        let all = judge(&[there]);
        let ours = |one: &Finding| one.subject.contains("kustomizations");
        all.into_iter().filter(ours).collect()
    }

    fn properties(there: &mut Value) -> &mut Value {
        there
            .pointer_mut("/spec/versions/0/schema/openAPIV3Schema/properties/spec/properties")
            .unwrap()
    }

    #[test]
    fn a_definition_that_is_as_ours_changes_nothing() {
        let all = found(|_| {});
        assert_eq!(all.len(), 1, "{all:?}");
        assert!(all[0].says.starts_with("served as v1, "), "{all:?}");
        assert!(all[0].says.ends_with("stored as v1; as reeve's"), "{all:?}");
    }

    /// As Flux's are written, beside ours.
    #[test]
    fn a_definition_that_names_what_every_object_has_loses_nothing() {
        let all = found(|there| {
            let schema = "/spec/versions/0/schema/openAPIV3Schema/properties";
            let fields = there.pointer_mut(schema).unwrap();
            for name in ENVELOPE {
                fields[name] = json!({"type": "object", "properties": {"name": {}}});
            }
        });
        assert_eq!(all.len(), 1, "{all:?}");
        assert!(all[0].says.ends_with("as reeve's"), "{all:?}");
        let all = found(|there| {
            properties(there)["metadata"] = json!({"type": "object"});
        });
        assert_eq!(
            all[0].is,
            Is::InTheWay,
            "below the top it is a field: {all:?}"
        );
    }

    #[test]
    fn a_field_that_only_flux_has_is_in_the_way_and_one_that_only_we_have_is_told() {
        let all = found(|there| {
            properties(there)["fromTheFuture"] = json!({"type": "object", "properties": {"a": {}}});
        });
        let lost = all.iter().find(|one| one.is == Is::InTheWay).unwrap();
        assert!(
            lost.says
                .contains("v1 spec.fromTheFuture, v1 spec.fromTheFuture.a"),
            "{lost:?}"
        );
        let all = found(|there| {
            properties(there).as_object_mut().unwrap().remove("wait");
        });
        assert!(all[0].says.contains("adds fields"), "{all:?}");
        assert!(all[0].says.contains("v1 spec.wait"), "{all:?}");
    }

    #[test]
    fn what_is_stored_in_a_version_that_we_lack_is_in_the_way() {
        let all = found(|there| there["status"]["storedVersions"] = json!(["v1", "v0"]));
        assert_eq!(all[0].is, Is::InTheWay, "{all:?}");
        assert!(all[0].says.contains("v0"), "{all:?}");
    }

    #[test]
    fn one_that_flux_applies_is_told_until_flux_leaves_it_alone() {
        let label = json!({"kustomize.toolkit.fluxcd.io/name": "flux-system"});
        let labelled = label.clone();
        let all = found(move |there| there["metadata"]["labels"] = labelled);
        assert!(
            all.iter().any(|one| one.says.contains("put its own back")),
            "{all:?}"
        );
        let (key, value) = LEFT_ALONE;
        let all = found(move |there| {
            there["metadata"]["labels"] = label;
            there["metadata"]["annotations"] = json!({key: value});
        });
        assert!(
            !all.iter().any(|one| one.says.contains("put its own back")),
            "{all:?}"
        );
    }
}
