//! Kinds that are nearly another, or no objects: what policy saw is written, or nothing.
//!
//! The account may do everything everywhere.

use reeve_api::reason::Reason;

use super::{Row, row};

/// An object of that API and kind, which nobody serves or which cannot be written.
macro_rules! odd {
    ($says:literal, $api:literal, $kind:literal) => {
        row(
            $says,
            |d, _| {
                d.commit("odd.yaml", manifest($api, $kind));
                d.commit("kustomization.yaml", RESOURCES);
            },
            Reason::ReconciliationFailed,
            $kind,
        )
        .mighty()
    };
}

pub(super) fn rows() -> Vec<Row> {
    vec![
        odd!("a kind in capitals", "v1", "CONFIGMAP"),
        odd!("a kind in small letters", "v1", "configmap"),
        row(
            "a kind with a letter of another script",
            |d, _| {
                d.commit("odd.yaml", manifest("v1", "СonfigMap"));
                d.commit("kustomization.yaml", RESOURCES);
            },
            Reason::BuildFailed,
            "kind is not made of letters and digits",
        )
        .mighty(),
        odd!("a kind of another group", "apps/v1", "ConfigMap"),
        odd!(
            "an Ingress of an API that is gone",
            "extensions/v1beta1",
            "Ingress"
        ),
        odd!("what sets how many there are", "autoscaling/v1", "Scale"),
        odd!("what takes a Pod away", "policy/v1", "Eviction"),
        odd!(
            "a token of its account",
            "authentication.k8s.io/v1",
            "TokenRequest"
        ),
        odd!("what puts a Pod on a node", "v1", "Binding"),
        odd!(
            "a question about rights",
            "authorization.k8s.io/v1",
            "LocalSubjectAccessReview"
        ),
    ]
}

const RESOURCES: &str = "resources:\n- settings.yaml\n- service.yaml\n- odd.yaml\n";

fn manifest(api: &str, kind: &str) -> String {
    format!("apiVersion: {api}\nkind: {kind}\nmetadata:\n  name: moved\nspec: {{}}\n")
}
