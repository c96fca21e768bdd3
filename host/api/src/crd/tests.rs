//! The definitions as they are checked in.

use super::*;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use std::path::Path;

#[test]
fn the_checked_in_definitions_are_those_of_the_types() {
    let chart = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../charts/reeve-crds/templates");
    let mut left = std::fs::read_dir(&chart)
        .map(|dir| {
            dir.map(|entry| entry.unwrap().file_name().into_string().unwrap())
                .collect()
        })
        .unwrap_or_else(|_| Vec::new());
    for crd in crds() {
        let name = format!("{}_{}.yaml", crd.spec.group, crd.spec.names.plural);
        let text = format!(
            "# Generated from the types of host/api; REEVE_BLESS=1 cargo test -p reeve-api writes it anew.\n{}",
            yaml_serde::to_string(&crd).unwrap()
        );
        assert!(
            !text.contains("{{"),
            "{name}: Helm would take it for a template"
        );
        let path = chart.join(&name);
        if std::env::var_os("REEVE_BLESS").is_some() {
            std::fs::create_dir_all(&chart).unwrap();
            std::fs::write(&path, &text).unwrap();
        }
        let checked_in = std::fs::read_to_string(&path).unwrap_or_default();
        assert!(
            checked_in == text,
            "{} is stale: run REEVE_BLESS=1 cargo test -p reeve-api",
            path.display()
        );
        left.retain(|file| *file != name);
    }
    assert!(left.is_empty(), "nothing generates {left:?}");
}

/// What our schema has and Flux's has not: fields of the beta versions that must not be lost unnoticed, and
/// what we tell beyond Flux.
const BEYOND_FLUX: &[&str] = &[
    ".spec.accessFrom",
    ".spec.patchesJson6902",
    ".spec.patchesStrategicMerge",
    ".status.delivered",
    ".status.deployKey",
    ".status.inventoryCluster",
    ".status.lastAppliedDigest",
    ".status.lastAppliedFrom",
    ".status.lastRun",
    ".status.leftAlone",
    ".status.remoteBases",
    ".status.replacing",
    ".status.sync",
    ".status.upstream",
    ".status.url",
    ".status.webhooks",
];

#[test]
fn every_field_of_flux_is_there_and_demands_what_flux_demands() {
    for (plural, flux) in [
        (
            "gitrepositories",
            include_str!("../../flux/gitrepositories.txt"),
        ),
        (
            "kustomizations",
            include_str!("../../flux/kustomizations.txt"),
        ),
        ("receivers", include_str!("../../flux/receivers.txt")),
    ] {
        let crd = crds()
            .into_iter()
            .find(|crd| crd.spec.names.plural == plural)
            .unwrap();
        let mut ours = BTreeMap::new();
        flatten("", &schema(&crd, "v1"), &mut ours);
        ours.retain(|path, _| {
            !path.is_empty() && !BEYOND_FLUX.iter().any(|more| path.starts_with(more))
        });
        // The one type of caller that we know and Flux doesn't: what Flux takes is taken all the same.
        if let Some(types) = ours.get_mut(".spec.type")
            && let Some(types) = types["enum"].as_array_mut()
        {
            types.retain(|name| name != "gitea");
        }
        let theirs: BTreeMap<String, Value> = (flux.lines().filter(|line| !line.starts_with('#')))
            .map(|line| line.split_once(' ').unwrap())
            .map(|(path, demands)| (path.to_owned(), serde_json::from_str(demands).unwrap()))
            .collect();
        for path in ours.keys().chain(theirs.keys()) {
            assert_eq!(ours.get(path), theirs.get(path), "{plural} {path}");
        }
    }
}

#[test]
fn an_older_version_accepts_what_v1_accepts_and_only_a_field_without_effect_more() {
    for (plural, more) in [
        ("gitrepositories", vec![".spec.gitImplementation"]),
        ("kustomizations", vec![".spec.validation"]),
        ("receivers", vec![]),
    ] {
        let crd = crds()
            .into_iter()
            .find(|crd| crd.spec.names.plural == plural)
            .unwrap();
        let mut stored = BTreeMap::new();
        flatten("", &schema(&crd, "v1"), &mut stored);
        for version in ["v1beta1", "v1beta2"] {
            let mut older = BTreeMap::new();
            flatten("", &schema(&crd, version), &mut older);
            let beyond: Vec<_> = older
                .keys()
                .filter(|path| !stored.contains_key(*path))
                .cloned()
                .collect();
            assert_eq!(beyond, more, "{plural} {version}");
            older.retain(|path, _| stored.contains_key(path));
            assert_eq!(older, stored, "{plural} {version}");
        }
        let storage: Vec<_> = crd
            .spec
            .versions
            .iter()
            .filter(|v| v.storage)
            .map(|v| v.name.as_str())
            .collect();
        assert_eq!(storage, ["v1"], "{plural}");
    }
}

#[test]
fn every_field_says_what_it_is() {
    for crd in crds() {
        for version in &crd.spec.versions {
            undescribed(&crd.spec.names.kind, &schema(&crd, &version.name));
        }
    }
}

fn undescribed(path: &str, schema: &Value) {
    for (name, field) in schema["properties"].as_object().into_iter().flatten() {
        let path = format!("{path}.{name}");
        let text = field["description"].as_str().unwrap_or_default();
        assert!(
            text.len() > 15 || path.ends_with(".status") || path.ends_with(".spec"),
            "{path}: {text:?}"
        );
        undescribed(&path, field);
        undescribed(&path, &field["items"]);
    }
}

#[test]
fn a_default_of_a_definition_is_what_a_decoded_object_gets() {
    let source =
        json!({"metadata": {}, "spec": {"interval": "1m", "url": "https://git.example/x"}});
    let source: GitRepository = crate::decode(&source).unwrap();
    let receiver = json!({"metadata": {}, "spec": {"type": "generic", "resources": []}});
    let receiver: Receiver = crate::decode(&receiver).unwrap();
    for known in [source.spec.timeout, receiver.spec.interval] {
        let read: crate::duration::Duration = known.as_str().parse().unwrap();
        assert_eq!(read.get(), known.get());
    }
}

#[test]
fn an_object_with_every_field_set_is_written_back_as_it_was_read() {
    fn kept<K: DeserializeOwned + Serialize>(crd: &CustomResourceDefinition) {
        let full = full(crd);
        let read: K =
            crate::decode(&full).unwrap_or_else(|why| panic!("{}: {why}", crd.spec.names.kind));
        let mut written = serde_json::to_value(read).unwrap();
        for made in ["apiVersion", "kind"] {
            written.as_object_mut().unwrap().remove(made);
        }
        assert_eq!(written, full);
    }
    let [
        source,
        kustomization,
        receiver,
        tenant,
        project,
        plugin,
        cluster_plugin,
        policy,
        write_back,
    ] = crds().try_into().ok().unwrap();
    kept::<GitRepository>(&source);
    kept::<Kustomization>(&kustomization);
    kept::<Receiver>(&receiver);
    kept::<Tenant>(&tenant);
    kept::<Project>(&project);
    kept::<Plugin>(&plugin);
    kept::<ClusterPlugin>(&cluster_plugin);
    kept::<Policy>(&policy);
    kept::<WriteBack>(&write_back);
}

/// Whatever stands in whichever field: an answer, never a panic.
#[test]
fn no_value_in_any_field_makes_decoding_panic() {
    fn answered<K: DeserializeOwned>(crd: &CustomResourceDefinition) {
        let mut paths = Vec::new();
        let full = full(crd);
        pointers("", &full, &mut paths);
        for path in &paths {
            for bad in [
                json!(null),
                json!(-1),
                json!(1e300),
                json!(""),
                json!("9999999999h"),
                json!([[]]),
                json!({"": 0}),
            ] {
                let mut object = full.clone();
                *object.pointer_mut(path).unwrap() = bad;
                if let Err(why) = crate::decode::<K>(&object) {
                    assert!(!why.field.is_empty() && !why.why.is_empty(), "{path}");
                }
            }
        }
    }
    let [
        source,
        kustomization,
        receiver,
        tenant,
        project,
        plugin,
        cluster_plugin,
        policy,
        write_back,
    ] = crds().try_into().ok().unwrap();
    answered::<GitRepository>(&source);
    answered::<Kustomization>(&kustomization);
    answered::<Receiver>(&receiver);
    answered::<Tenant>(&tenant);
    answered::<Project>(&project);
    answered::<Plugin>(&plugin);
    answered::<ClusterPlugin>(&cluster_plugin);
    answered::<Policy>(&policy);
    answered::<WriteBack>(&write_back);
}

/// An object in which everything its schema knows is set.
fn full(crd: &CustomResourceDefinition) -> Value {
    let stored = crd
        .spec
        .versions
        .iter()
        .find(|version| version.storage)
        .unwrap();
    let mut object = example("", &schema(crd, &stored.name));
    object["metadata"] = json!({"name": "x", "namespace": "y"});
    object
}

fn example(name: &str, schema: &Value) -> Value {
    if let Some(words) = schema["enum"].as_array() {
        return words.last().unwrap().clone();
    }
    match schema["type"].as_str() {
        Some("object") => match (&schema["properties"], &schema["additionalProperties"]) {
            (Value::Object(fields), _) => fields
                .iter()
                .map(|(name, field)| (name.clone(), example(name, field)))
                .collect(),
            (_, Value::Object(values)) => json!({"key": example(name, &json!(values))}),
            _ => json!({"deep": {"er": [1, null, "a"]}}),
        },
        Some("array") => json!([example(name, &schema["items"])]),
        Some("boolean") => json!(true),
        Some("integer") => json!(7),
        Some("string") if schema["format"] == "date-time" => json!("2026-01-02T03:04:05Z"),
        Some("string") => match name {
            "interval"
            | "retryInterval"
            | "timeout"
            | "debounce"
            | "deadline"
            | "took"
            | "every"
            | "lastReconciledDuration" => {
                json!("1m30s")
            }
            "url" => json!("https://user:pass@git.example/x"),
            _ => json!("text"),
        },
        // Sizes, and things of any shape.
        _ if schema["x-kubernetes-int-or-string"] == true => json!("64Mi"),
        _ => json!({"any": ["thing"]}),
    }
}

fn pointers(path: &str, value: &Value, into: &mut Vec<String>) {
    into.push(path.to_owned());
    match value {
        Value::Object(fields) => fields
            .iter()
            .for_each(|(name, field)| pointers(&format!("{path}/{name}"), field, into)),
        Value::Array(items) => items
            .iter()
            .enumerate()
            .for_each(|(n, item)| pointers(&format!("{path}/{n}"), item, into)),
        _ => {}
    }
}

fn schema(crd: &CustomResourceDefinition, version: &str) -> Value {
    let version = crd
        .spec
        .versions
        .iter()
        .find(|known| known.name == version)
        .unwrap();
    serde_json::to_value(
        version
            .schema
            .as_ref()
            .unwrap()
            .open_api_v3_schema
            .as_ref()
            .unwrap(),
    )
    .unwrap()
}

/// One entry a field: its path and everything of its schema that is not prose or a field of its own.
fn flatten(path: &str, schema: &Value, into: &mut BTreeMap<String, Value>) {
    let mut demands = schema.as_object().unwrap().clone();
    for prose in ["properties", "items", "description"] {
        demands.remove(prose);
    }
    if let Some(values) = demands.remove("additionalProperties") {
        demands.insert("map".to_owned(), values["type"].clone());
    }
    if let Some(Value::Array(required)) = demands.get_mut("required") {
        required.sort_by_key(|name| name.as_str().unwrap().to_owned());
    }
    into.insert(path.to_owned(), Value::Object(demands));
    for (name, field) in schema["properties"].as_object().into_iter().flatten() {
        flatten(&format!("{path}.{name}"), field, into);
    }
    if let Some(items) = schema.get("items") {
        flatten(&format!("{path}[]"), items, into);
    }
}
