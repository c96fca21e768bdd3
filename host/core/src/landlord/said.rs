//! Whether a source that the landlord has made is what its Tenant says.
//!
//! The controller logs in at whatever address such a source names, with a Secret of the platform's that it names too: it takes
//! neither on the landlord's word. A source whose Tenant says nothing any more goes on as it was when it was last let in. What
//! it deliberately doesn't compare: fields that show no login to anybody and bring nobody else's files.

use reeve_api::condition::{self, Type};
use reeve_api::reason::Reason;
use reeve_api::source::GitRepository;
use reeve_api::tenant::{Tenant, TenantSource};

use super::MANAGED_BY;
use super::made::reference;
use crate::failure::{Explained, Failure, Turn};

/// Whether the landlord has made it, by its label.
pub fn is_made(object: &GitRepository) -> bool {
    let (label, ours) = MANAGED_BY;
    let labels = object.metadata.labels.as_ref();
    labels.is_some_and(|labels| labels.get(label).is_some_and(|by| by == ours))
}

/// Whether one that the landlord has made may be fetched, given the Tenant of its name, if there is one.
///
/// # Errors
/// What of it nobody says.
pub fn is_as_said(object: &GitRepository, tenant: Option<&Tenant>) -> Result<(), Failure> {
    let name = object.metadata.name.as_deref().unwrap_or_default();
    let Some(source) = tenant.and_then(|tenant| tenant.spec.source.as_ref()) else {
        return match was_let_in(object) {
            true => Ok(()),
            false => Err(refused(
                name,
                "there is no Tenant of its name with a spec.source",
            )),
        };
    };
    match differs(object, source) {
        None => Ok(()),
        Some(field) => Err(refused(
            name,
            &format!("{field} is not what its Tenant says"),
        )),
    }
}

/// The first field that is another.
fn differs(object: &GitRepository, source: &TenantSource) -> Option<&'static str> {
    let spec = &object.spec;
    if spec.url != source.url {
        return Some("spec.url");
    }
    if spec.secret_ref != source.secret_ref {
        return Some("spec.secretRef");
    }
    if spec.reference.as_ref() != Some(&reference(source)) {
        return Some("spec.ref");
    }
    (!spec.include.is_empty()).then_some("spec.include")
}

/// Whether it was, as it is now: whatever is told of a generation but a refusal was found out after it was let in. Nobody but
/// the controller writes that. One that is suspended is told of without being looked at.
fn was_let_in(object: &GitRepository) -> bool {
    let status = object.status.as_ref();
    let ready = status.and_then(|status| condition::find(&status.conditions, Type::Ready));
    ready.is_some_and(|ready| {
        !object.spec.suspend
            && ready.observed_generation.is_some()
            && ready.observed_generation == object.metadata.generation
            && ready.reason != Reason::AccessDenied.as_str()
    })
}

fn refused(name: &str, why: &str) -> Failure {
    let message = format!("the landlord made this source and {why}: no login is shown for it");
    let (label, _) = MANAGED_BY;
    Explained::new(Reason::AccessDenied, Turn::Ours, message).with_hint(format!(
        "say it in spec.source of Tenant {name}; or take the label {label} off, if the platform keeps this source by hand"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn source(spec: &Value, ready: Option<(i64, &str)>) -> GitRepository {
        let conditions: Vec<Value> = ready
            .into_iter()
            .map(|(generation, reason)| {
                json!({
                    "type": "Ready", "status": "False", "reason": reason, "message": "",
                    "observedGeneration": generation, "lastTransitionTime": "2026-03-01T12:00:00Z",
                })
            })
            .collect();
        let mut made =
            json!({"interval": "3m", "url": "https://git.example/acme", "ref": {"branch": "main"}});
        let fields = made.as_object_mut().unwrap();
        fields.extend(spec.as_object().unwrap().clone());
        serde_json::from_value(json!({
            "apiVersion": "source.toolkit.fluxcd.io/v1", "kind": "GitRepository",
            "metadata": {
                "name": "acme", "namespace": "config", "generation": 2,
                "labels": {"app.kubernetes.io/managed-by": "reeve-landlord"},
            },
            "spec": made, "status": {"conditions": conditions},
        }))
        .unwrap()
    }

    fn tenant(source: &Value) -> Tenant {
        serde_json::from_value(json!({
            "apiVersion": "reeve.dev/v1alpha1", "kind": "Tenant", "metadata": {"name": "acme"},
            "spec": {"namespaces": ["acme"], "source": source},
        }))
        .unwrap()
    }

    #[test]
    fn a_source_that_the_landlord_made_is_let_in_as_its_tenant_says_it_and_not_otherwise() {
        let said =
            tenant(&json!({"url": "https://git.example/acme", "secretRef": {"name": "acme"}}));
        let login = json!({"secretRef": {"name": "acme"}});
        // What happened to another generation is nothing to go by.
        for ready in [None, Some((1, "Succeeded")), Some((2, "Succeeded"))] {
            assert_eq!(is_as_said(&source(&login, ready), Some(&said)), Ok(()));
            for (other, field) in [
                (json!({"url": "https://thief.example/acme"}), "spec.url"),
                (json!({"secretRef": {"name": "other"}}), "spec.secretRef"),
                (json!({"ref": {"name": "refs/pull/1/head"}}), "spec.ref"),
                (
                    json!({"include": [{"repository": {"name": "other"}}]}),
                    "spec.include",
                ),
            ] {
                let mut spec = login.clone();
                let fields = spec.as_object_mut().unwrap();
                fields.extend(other.as_object().unwrap().clone());
                let why = is_as_said(&source(&spec, ready), Some(&said)).unwrap_err();
                assert_eq!(why.reason, Reason::AccessDenied);
                assert!(why.message.contains(field), "{}", why.message);
                assert!(!why.message.contains("thief"), "{}", why.message);
            }
        }
    }

    #[test]
    fn one_whose_tenant_says_nothing_goes_on_only_as_it_was_let_in() {
        let none: Tenant = tenant(&Value::Null);
        for (ready, suspend, fine) in [
            (Some((2, "Succeeded")), false, true),
            (Some((2, "GitOperationFailed")), false, true),
            (Some((2, "Succeeded")), true, false),
            (Some((2, "AccessDenied")), false, false),
            (Some((1, "Succeeded")), false, false),
            (None, false, false),
        ] {
            let source = source(&json!({"suspend": suspend}), ready);
            for tenant in [None, Some(&none)] {
                let told = is_as_said(&source, tenant);
                assert_eq!(told.is_ok(), fine, "{ready:?} {suspend}: {told:?}");
            }
        }
    }
}
