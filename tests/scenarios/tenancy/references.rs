//! What a Kustomization must not refer to: another's source, another cluster, what its account may not read.

use reeve_api::reason::Reason;
use reeve_tests::install::{CONFIG, PLATFORM};
use serde_json::json;

use super::{RED, Row, row};

pub(super) fn rows() -> Vec<Row> {
    let all = sources().into_iter().chain(names()).chain(fields());
    let all = all.chain(readings());
    all.map(Row::mighty).collect()
}

fn sources() -> Vec<Row> {
    let denied = Reason::AccessDenied;
    let words = "cross-namespace references have been blocked";
    vec![
        row(
            "a source in a neighbour's namespace",
            |d, neighbour| d.set("sourceRef", source(neighbour, neighbour)),
            denied,
            words,
        ),
        row(
            "a neighbour's source in the platform's namespace for sources",
            |d, neighbour| d.set("sourceRef", source(neighbour, CONFIG)),
            denied,
            words,
        ),
        row(
            "a source of the platform's",
            |d, _| d.set("sourceRef", source("platform", PLATFORM)),
            denied,
            words,
        ),
        row(
            "a source whose name leads to a neighbour's",
            |d, neighbour| d.set("sourceRef", source(&format!("../{neighbour}"), CONFIG)),
            Reason::InvalidSpec,
            "spec.sourceRef.name",
        ),
        row(
            "a source's namespace in capitals",
            |d, _| d.set("sourceRef", source(d.namespace(), &CONFIG.to_uppercase())),
            Reason::InvalidSpec,
            "spec.sourceRef.namespace",
        ),
        row(
            "a neighbour's bucket",
            |d, neighbour| {
                let bucket = json!({"kind": "Bucket", "name": neighbour, "namespace": neighbour});
                d.set("sourceRef", bucket);
            },
            Reason::AccessDenied,
            "cross-namespace references have been blocked",
        ),
    ]
}

/// What goes by a name that is another's.
fn names() -> Vec<Row> {
    vec![
        row(
            "a namespace that is called like a Tenant which does not have it",
            |d, _| d.apply(declared(d.namespace(), &[])),
            Reason::AccessDenied,
            "is called like Tenant",
        ),
        row(
            "a source that bears the namespace's name, and that another's Tenant names",
            |d, _| {
                let own = d.namespace().to_owned();
                d.apply(declared(&format!("{own}-else"), &[&own]));
            },
            Reason::AccessDenied,
            "cross-namespace references have been blocked",
        ),
    ]
}

/// A Tenant that has none of the namespaces of the attempt.
fn declared(name: &str, sources: &[&str]) -> serde_json::Value {
    json!({
        "apiVersion": "reeve.dev/v1alpha1", "kind": "Tenant", "metadata": {"name": name},
        "spec": {"namespaces": [format!("{name}-own")], "sources": sources},
    })
}

fn source(name: &str, namespace: &str) -> serde_json::Value {
    json!({"kind": "GitRepository", "name": name, "namespace": namespace})
}

fn fields() -> Vec<Row> {
    let unsupported = Reason::Unsupported;
    vec![
        row(
            "an expression that reads a neighbour's Kustomization",
            |d, neighbour| {
                let reads = json!([{
                    "name": neighbour, "namespace": neighbour,
                    "readyExpr": "dep.status.lastAppliedRevision.startsWith('m')",
                }]);
                d.set("dependsOn", reads);
            },
            Reason::AccessDenied,
            "cross-namespace references have been blocked",
        ),
        row(
            "another cluster",
            |d, _| d.set("kubeConfig", json!({"secretRef": {"name": "elsewhere"}})),
            Reason::AccessDenied,
            "may not apply to another cluster",
        ),
        row(
            "another cluster by its provider",
            |d, _| d.set("kubeConfig", json!({"configMapRef": {"name": "elsewhere"}})),
            unsupported,
            "spec.kubeConfig.configMapRef",
        ),
    ]
}

fn readings() -> Vec<Row> {
    let unsupported = Reason::Unsupported;
    vec![
        row(
            "values from a Secret that its account may not read",
            |d, _| {
                let from = json!([{"kind": "Secret", "name": "elsewhere"}]);
                d.set("postBuild", json!({"substituteFrom": from}));
                d.commit("settings.yaml", RED);
            },
            Reason::BuildFailed,
            "spec.postBuild.substituteFrom",
        ),
        row(
            "keys of a Secret that its account may not read",
            |d, _| {
                let keys = json!({"provider": "sops", "secretRef": {"name": "elsewhere"}});
                d.set("decryption", keys);
            },
            unsupported,
            "spec.decryption",
        ),
    ]
}
