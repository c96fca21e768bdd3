//! Definitions of kinds, and objects of kinds nobody here knows.
//!
//! What it deliberately doesn't: evaluate a user's own health expressions; the workloads are next door in `workload`.

use serde_json::Value;

use super::{Verdict, condition, text};

/// A CustomResourceDefinition is current once its kind is served; one whose names are taken will never be.
pub(super) fn definition(object: &Value) -> Verdict {
    if let Some(refused) = condition(object, "NamesAccepted").filter(|c| c.is("False")) {
        return Verdict::Failed(format!("its names are not accepted: {}", refused.message));
    }
    match condition(object, "Established") {
        Some(c) if c.is("True") => Verdict::Current,
        // `Installing` is how every definition begins
        Some(c) if c.is("False") && c.reason != "Installing" => {
            Verdict::Failed(c.message.to_owned())
        }
        _ => Verdict::waiting("the kind is not established yet"),
    }
}

/// An autoscaler is current once it has something that it can scale; what it scales by may come later.
pub(super) fn autoscaler(object: &Value) -> Verdict {
    match condition(object, "AbleToScale") {
        Some(c) if c.is("False") => Verdict::waiting(c.message),
        _ => Verdict::Current,
    }
}

/// A Service is current once it has an address in the cluster, where it is to have one from outside too.
pub(super) fn service(object: &Value) -> Verdict {
    let balanced = text(object, "/spec/type") == Some("LoadBalancer");
    let address = text(object, "/spec/clusterIP").unwrap_or_default();
    match balanced && address.is_empty() {
        true => Verdict::waiting("it has no address in the cluster yet"),
        false => Verdict::Current,
    }
}

/// Argo's Rollout, which says in one word how far it is.
pub(super) fn rollout(object: &Value) -> Verdict {
    let why = text(object, "/status/message").unwrap_or_default();
    match text(object, "/status/phase") {
        Some("Healthy") => Verdict::Current,
        Some("Degraded") => Verdict::Failed(format!("the rollout is degraded: {why}")),
        Some(phase) => Verdict::waiting(format!("the rollout is {phase}: {why}")),
        None => Verdict::waiting("the rollout has no phase yet"),
    }
}

/// Argo's Workflow, which comes to an end.
pub(super) fn workflow(object: &Value) -> Verdict {
    let why = text(object, "/status/message").unwrap_or_default();
    match text(object, "/status/phase") {
        Some("Succeeded") => Verdict::Current,
        Some("Failed" | "Error") => Verdict::Failed(format!("the workflow failed: {why}")),
        Some(phase) if !phase.is_empty() => {
            Verdict::waiting(format!("the workflow is {phase}: {why}"))
        }
        _ => Verdict::waiting("the workflow has no phase yet"),
    }
}

/// By the `Ready` condition, if the kind has one; an object without it is current once it exists.
pub(super) fn by_ready_condition(object: &Value) -> Verdict {
    match condition(object, "Ready") {
        None => Verdict::Current,
        Some(c) if c.is("True") => Verdict::Current,
        Some(c) => Verdict::waiting(c.message),
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Verdict, verdict};
    use serde_json::{Value, json};

    fn definition(conditions: &Value) -> Value {
        json!({"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
            "status": {"conditions": conditions}})
    }

    #[test]
    fn a_definition_is_current_once_established() {
        for (conditions, want) in [
            (
                json!([{"type": "NamesAccepted", "status": "True"},
                    {"type": "Established", "status": "True"}]),
                Verdict::Current,
            ),
            (
                json!([{"type": "Established", "status": "False", "reason": "Installing"}]),
                Verdict::InProgress("the kind is not established yet".into()),
            ),
            (
                json!([]),
                Verdict::InProgress("the kind is not established yet".into()),
            ),
            (
                json!([{"type": "NamesAccepted", "status": "False", "message": "taken"}]),
                Verdict::Failed("its names are not accepted: taken".into()),
            ),
        ] {
            assert_eq!(verdict(&definition(&conditions)), want);
        }
    }

    #[test]
    fn an_unknown_kind_is_judged_by_its_ready_condition() {
        let with = |status: &str| {
            json!({"apiVersion": "cert-manager.io/v1", "kind": "Certificate", "status":
                {"conditions": [{"type": "Ready", "status": status, "message": "issuing"}]}})
        };
        assert!(verdict(&with("True")).is_current());
        assert_eq!(
            verdict(&with("False")),
            Verdict::InProgress("issuing".into())
        );
        assert!(verdict(&json!({"apiVersion": "v1", "kind": "ConfigMap"})).is_current());
    }
}
