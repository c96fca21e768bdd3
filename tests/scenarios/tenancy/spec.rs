//! Accounts and targets that a Kustomization must not name.

use reeve_api::reason::Reason;
use reeve_tests::install::PLATFORM;
use serde_json::{Value, json};

use super::{Row, row};

pub(super) fn rows() -> Vec<Row> {
    let all = accounts()
        .into_iter()
        .chain(odd_accounts())
        .chain(targets());
    all.map(Row::mighty).collect()
}

fn accounts() -> Vec<Row> {
    let (denied, invalid) = (Reason::PolicyDenied, Reason::InvalidSpec);
    let missing = "spec.serviceAccountName is missing";
    let field = "spec.serviceAccountName";
    vec![
        row(
            "a Kustomization without a ServiceAccount",
            |d, _| d.set("serviceAccountName", Value::Null),
            denied,
            missing,
        ),
        row(
            "a ServiceAccount without a name",
            |d, _| d.set("serviceAccountName", json!("")),
            denied,
            missing,
        ),
        row(
            "a neighbour's ServiceAccount",
            |d, neighbour| d.set("serviceAccountName", json!(format!("{neighbour}/flux"))),
            invalid,
            field,
        ),
        row(
            "a neighbour's ServiceAccount as the API server calls it",
            |d, neighbour| {
                let user = format!("system:serviceaccount:{neighbour}:flux");
                d.set("serviceAccountName", json!(user));
            },
            invalid,
            field,
        ),
    ]
}

fn odd_accounts() -> Vec<Row> {
    let invalid = Reason::InvalidSpec;
    let field = "spec.serviceAccountName";
    vec![
        row(
            "a group of the cluster's administrators",
            |d, _| d.set("serviceAccountName", json!("system:masters")),
            invalid,
            field,
        ),
        row(
            "a ServiceAccount with a space around it",
            |d, _| d.set("serviceAccountName", json!(" flux ")),
            invalid,
            field,
        ),
        row(
            "a ServiceAccount that leads out of its namespace",
            |d, neighbour| d.set("serviceAccountName", json!(format!("../{neighbour}/flux"))),
            invalid,
            field,
        ),
        row(
            "a ServiceAccount with a line break",
            |d, _| {
                d.set(
                    "serviceAccountName",
                    json!("flux\nImpersonate-Group: system:masters"),
                );
            },
            invalid,
            field,
        ),
    ]
}

fn targets() -> Vec<Row> {
    let (denied, invalid) = (Reason::PolicyDenied, Reason::InvalidSpec);
    let field = "spec.targetNamespace";
    vec![
        row(
            "a target in a neighbour's namespace",
            |d, neighbour| d.set("targetNamespace", json!(neighbour)),
            denied,
            "spec.targetNamespace is neighbour",
        ),
        row(
            "a target in the cluster's own namespace",
            |d, _| d.set("targetNamespace", json!("kube-system")),
            denied,
            "spec.targetNamespace is kube-system",
        ),
        row(
            "a target in the platform's namespace",
            |d, _| d.set("targetNamespace", json!(PLATFORM)),
            denied,
            "spec.targetNamespace is flux-system",
        ),
        row(
            "no target at all",
            |d, _| d.set("targetNamespace", Value::Null),
            denied,
            "spec.targetNamespace is missing",
        ),
        row(
            "its own name in capitals",
            |d, _| d.set("targetNamespace", json!(d.namespace().to_uppercase())),
            invalid,
            field,
        ),
        row(
            "its own name and a space",
            |d, _| d.set("targetNamespace", json!(format!("{} ", d.namespace()))),
            invalid,
            field,
        ),
        row(
            "its own name and a way out of it",
            |d, neighbour| {
                let target = format!("{}/../{neighbour}", d.namespace());
                d.set("targetNamespace", json!(target));
            },
            invalid,
            field,
        ),
        row(
            "two names",
            |d, neighbour| {
                let target = format!("{},{neighbour}", d.namespace());
                d.set("targetNamespace", json!(target));
            },
            invalid,
            field,
        ),
    ]
}
