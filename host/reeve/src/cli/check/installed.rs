//! What is installed: the kinds with the versions that are served and stored, the controller, the landlord, and the webhook.
//!
//! A Deployment is taken for one of them by the labels of the chart, in whatever namespace. Whether the schemas of the kinds
//! are this version's is deliberately not looked at: Flux's own definitions do as well.

use k8s_openapi::api::admissionregistration::v1::ValidatingWebhookConfiguration;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use serde_json::{Value, json};

use super::Finding;
use crate::cluster::{CallError, Cluster};

/// What makes the kinds.
const DEFINE: &str =
    "`reeve crds | kubectl apply --server-side -f -`, or install the chart reeve-crds";
/// What all controllers of the chart are labelled with, and all landlords.
pub(super) const CONTROLLERS: &str = "app.kubernetes.io/component=controller";
const LANDLORDS: &str = "app.kubernetes.io/component=landlord";
/// How the chart calls the webhook.
const WEBHOOK: &str = "admission.reeve.dev";

pub(super) async fn kinds(cluster: &Cluster) -> Vec<Finding> {
    let there = match cluster.definitions().await {
        Ok(there) => there,
        Err(why) => return vec![Finding::unasked("listing the kinds", &why)],
    };
    let found = |want: &CustomResourceDefinition| {
        let mut there = there.iter();
        there.find(|one| one.metadata.name == want.metadata.name)
    };
    let wanted = reeve_api::crds();
    wanted.iter().map(|want| kind(want, found(want))).collect()
}

pub(super) async fn controllers(cluster: &Cluster) -> Vec<Finding> {
    let none = || {
        Finding::failed(
            "no namespace has a Deployment of the controller",
            "install the chart reeve; a controller that runs elsewhere is not found by this",
        )
    };
    running(cluster.deployments(CONTROLLERS).await, none)
}

pub(super) async fn landlords(cluster: &Cluster) -> Vec<Finding> {
    running(cluster.deployments(LANDLORDS).await, || {
        // An installation may do without: landlord.enabled, and Kubernetes before 1.30.
        Finding::skipped("no namespace has a Deployment of the landlord: Tenants make nothing here")
    })
}

/// How each of ours among these stands, or what is said where there is none.
fn running(all: Result<Vec<Value>, CallError>, none: impl FnOnce() -> Finding) -> Vec<Finding> {
    let all = match all {
        Ok(all) => all,
        Err(why) => return vec![Finding::unasked("listing Deployments", &why)],
    };
    let ours: Vec<Finding> = all
        .iter()
        .filter(|one| is_ours(one))
        .map(deployment)
        .collect();
    match ours.is_empty() {
        true => vec![none()],
        false => ours,
    }
}

pub(super) async fn admission(cluster: &Cluster) -> Vec<Finding> {
    let all = match cluster.webhooks().await {
        Ok(all) => all,
        Err(why) => return vec![Finding::unasked("listing admission webhooks", &why)],
    };
    match trusted(&all) {
        Err(told) => vec![told],
        Ok(()) => {
            let name = "reeve-check";
            let object = bad(name);
            let answer = cluster.rehearse_kustomization("default", name, &object);
            vec![webhook(&answer.await)]
        }
    }
}

fn kind(want: &CustomResourceDefinition, there: Option<&CustomResourceDefinition>) -> Finding {
    let name = want.metadata.name.as_deref().unwrap_or_default();
    let Some(there) = there else {
        return Finding::failed(format!("{name} is not there"), DEFINE);
    };
    if there.metadata.deletion_timestamp.is_some() {
        let remedy = "all objects of the kind go with it: save what you need; then make it again";
        return Finding::failed(format!("{name} is being deleted"), remedy);
    }
    let status = there.status.as_ref();
    let conditions = status.and_then(|status| status.conditions.as_ref());
    let mut conditions = conditions.into_iter().flatten();
    if !conditions.any(|one| one.type_ == "Established" && one.status == "True") {
        let remedy = format!("`kubectl describe crd {name}` says why");
        return Finding::failed(format!("{name} is not established"), remedy);
    }
    let versions = &there.spec.versions;
    let served: Vec<&str> = versions
        .iter()
        .filter(|version| version.served)
        .map(|version| version.name.as_str())
        .collect();
    let mut wanted = want.spec.versions.iter();
    let ours = wanted.find(|version| version.storage);
    let ours = ours.map_or("", |version| version.name.as_str());
    let listed = served.join(", ");
    if !served.contains(&ours) {
        let message = format!("{name} is served as {listed}, and not as {ours}");
        return Finding::failed(message, DEFINE);
    }
    let stored = status.and_then(|status| status.stored_versions.clone());
    let stored = stored.unwrap_or_default().join(", ");
    Finding::passed(format!("{name} served: {listed}; stored: {stored}"))
}

/// Flux's controllers have other names.
pub(in crate::cli) fn is_ours(deployment: &Value) -> bool {
    let label = |name: &str| {
        let labels = deployment.pointer("/metadata/labels")?;
        labels.get(name)?.as_str()
    };
    label("app.kubernetes.io/name") == Some("reeve")
        || label("helm.sh/chart").is_some_and(|chart| chart.starts_with("reeve-"))
}

fn deployment(object: &Value) -> Finding {
    let text = |pointer: &str| {
        let text = object.pointer(pointer).and_then(Value::as_str);
        text.unwrap_or_default()
    };
    let number = |pointer: &str| object.pointer(pointer).and_then(Value::as_i64);
    let (namespace, name) = (text("/metadata/namespace"), text("/metadata/name"));
    let wanted = number("/spec/replicas").unwrap_or(1);
    let ready = number("/status/readyReplicas").unwrap_or(0);
    let updated = number("/status/updatedReplicas").unwrap_or(0);
    let image = text("/spec/template/spec/containers/0/image");
    let is_seen = number("/status/observedGeneration") >= number("/metadata/generation");
    let told = format!("{namespace}/{name}: deployment");
    if wanted == 0 {
        let remedy = format!("`kubectl -n {namespace} scale deployment {name} --replicas=1`");
        return Finding::failed(format!("{told} is scaled to nothing"), remedy);
    }
    if ready < wanted || updated < wanted || !is_seen {
        let remedy = format!(
            "`kubectl -n {namespace} describe deployment {name}` and `kubectl -n {namespace} logs deployment/{name}`"
        );
        let message = format!("{told} not ready, {ready} of {wanted} are, {updated} of them new");
        return Finding::failed(message, remedy);
    }
    Finding::passed(format!("{told} ready ({ready}/{wanted}, {image})"))
}

/// An error: nobody needs to be asked.
fn trusted(all: &[ValidatingWebhookConfiguration]) -> Result<(), Finding> {
    let hooks = all.iter().flat_map(|one| {
        let hooks = one.webhooks.iter().flatten();
        hooks.map(move |hook| (one.metadata.name.as_deref().unwrap_or_default(), hook))
    });
    let mut ours = hooks.filter(|(_, hook)| hook.name == WEBHOOK);
    let Some((name, hook)) = ours.next() else {
        return Err(Finding::skipped(
            "no admission webhook is configured: what is wrong is told by runs",
        ));
    };
    let bundle = hook.client_config.ca_bundle.as_ref();
    match bundle.is_some_and(|bundle| !bundle.0.is_empty()) {
        true => Ok(()),
        false => Err(Finding::failed(
            format!("ValidatingWebhookConfiguration {name} trusts nobody"),
            "the controller puts its CA bundle in: see its log, and that --admission-configuration names this one",
        )),
    }
}

/// What the webhook refuses whoever asks, and the kind's schema takes.
fn bad(name: &str) -> Value {
    json!({
        "apiVersion": "kustomize.toolkit.fluxcd.io/v1", "kind": "Kustomization",
        "metadata": {"name": name, "namespace": "default"},
        "spec": {
            "interval": "1h", "prune": false, "path": "../..",
            "sourceRef": {"kind": "GitRepository", "name": name},
        },
    })
}

/// What came of the object that has to be refused.
fn webhook(answer: &Result<(), CallError>) -> Finding {
    let remedy = "see the controller's log, that its Service has endpoints, and that a NetworkPolicy lets the API server in (networkPolicy.apiServers)";
    let why = match answer {
        Ok(()) => {
            let message = "the admission webhook does not answer: what it has to refuse was let in (in a dry run)";
            return Finding::failed(message, remedy);
        }
        Err(why) => why.to_string(),
    };
    if why.contains(&format!("admission webhook \"{WEBHOOK}\" denied")) {
        return Finding::passed("the admission webhook answers");
    }
    match answer {
        Err(CallError::Refused(_)) if why.contains("failed calling webhook") => Finding::failed(
            format!("the admission webhook does not answer: {why}"),
            remedy,
        ),
        // Somebody else was asked first: RBAC, or another webhook.
        Err(CallError::Refused(_)) => {
            Finding::skipped(format!("the admission webhook could not be asked: {why}"))
        }
        _ => Finding::failed(
            format!("asking the admission webhook failed: {why}"),
            remedy,
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::super::Outcome;
    use super::*;

    fn made(change: impl FnOnce(&mut Value)) -> (CustomResourceDefinition, Finding) {
        let want = reeve_api::crds().remove(0);
        let mut there = serde_json::to_value(&want).unwrap();
        there["status"] = json!({
            "acceptedNames": {"kind": "GitRepository", "plural": "gitrepositories"},
            "conditions": [{"type": "Established", "status": "True"}],
            "storedVersions": ["v1"],
        });
        change(&mut there);
        let there = serde_json::from_value(there).unwrap();
        let found = kind(&want, Some(&there));
        (want, found)
    }

    #[test]
    fn a_kind_is_there_when_our_version_is_served() {
        let (want, found) = made(|_| {});
        assert_eq!(found.outcome, Outcome::Passed, "{found:?}");
        assert!(found.message.ends_with("stored: v1"), "{found:?}");
        let none = kind(&want, None);
        assert_eq!(none.outcome, Outcome::Failed);
        for (says, pointer, value) in [
            ("not served", "/spec/versions", json!([])),
            ("not established", "/status/conditions", json!([])),
        ] {
            let (_, found) = made(|there| *there.pointer_mut(pointer).unwrap() = value);
            assert_eq!(found.outcome, Outcome::Failed, "{says}: {found:?}");
        }
        let (_, going) = made(|there| {
            there["metadata"]["deletionTimestamp"] = json!("2026-11-22T18:10:31Z");
        });
        assert!(going.message.ends_with("is being deleted"), "{going:?}");
    }

    #[test]
    fn a_deployment_is_ready_when_all_of_its_newest_pods_are() {
        let of = |replicas: i64, status: Value| {
            deployment(&json!({
                "metadata": {"namespace": "reeve-system", "name": "reeve", "generation": 2},
                "spec": {"replicas": replicas}, "status": status,
            }))
        };
        let ready = json!({"readyReplicas": 2, "updatedReplicas": 2, "observedGeneration": 2});
        for (says, replicas, status, want) in [
            ("ready", 2, ready.clone(), Outcome::Passed),
            ("too few", 3, ready.clone(), Outcome::Failed),
            ("none wanted", 0, ready, Outcome::Failed),
            ("nothing said", 1, json!({}), Outcome::Failed),
            (
                "of an older spec",
                2,
                json!({"readyReplicas": 2, "updatedReplicas": 2, "observedGeneration": 1}),
                Outcome::Failed,
            ),
            (
                "not rolled out",
                2,
                json!({"readyReplicas": 2, "updatedReplicas": 1, "observedGeneration": 2}),
                Outcome::Failed,
            ),
        ] {
            assert_eq!(of(replicas, status).outcome, want, "{says}");
        }
    }

    #[test]
    fn where_none_of_ours_is_that_is_said_and_others_do_not_stand_in_for_it() {
        let none = || Finding::skipped("none");
        let of = |labels: Value| {
            let metadata = json!({"namespace": "reeve-system", "name": "it", "labels": labels});
            let ready = json!({"readyReplicas": 1, "updatedReplicas": 1, "observedGeneration": 1});
            json!({"metadata": metadata, "spec": {}, "status": ready})
        };
        let (ours, theirs) = (
            of(json!({"helm.sh/chart": "reeve-0.1.0"})),
            of(json!({"app.kubernetes.io/name": "other"})),
        );
        assert_eq!(running(Ok(vec![theirs.clone()]), none), [none()]);
        let found = running(Ok(vec![theirs, ours.clone(), ours]), none);
        assert_eq!(found.len(), 2, "{found:?}");
        assert_eq!(found[0].outcome, Outcome::Passed, "{found:?}");
        let gone = running(Err(CallError::Unreachable("refused".to_owned())), none);
        assert_eq!(gone[0].outcome, Outcome::Failed, "{gone:?}");
    }

    #[test]
    fn the_controllers_of_flux_are_not_ours() {
        let labelled = |labels: Value| is_ours(&json!({"metadata": {"labels": labels}}));
        assert!(labelled(json!({"app.kubernetes.io/name": "reeve"})));
        assert!(labelled(
            json!({"app.kubernetes.io/name": "gitops", "helm.sh/chart": "reeve-0.1.0"})
        ));
        assert!(!labelled(
            json!({"app.kubernetes.io/component": "source-controller"})
        ));
        assert!(!labelled(json!({})));
    }

    #[test]
    fn a_webhook_that_lets_a_bad_object_in_does_not_answer() {
        assert_eq!(webhook(&Ok(())).outcome, Outcome::Failed);
        let gone = Err(CallError::Unreachable("connection refused".to_owned()));
        assert_eq!(webhook(&gone).outcome, Outcome::Failed);
    }

    #[test]
    fn a_webhook_that_trusts_nobody_is_not_asked() {
        let of = |bundle: Value| {
            let configuration = json!({
                "metadata": {"name": "reeve"},
                "webhooks": [{
                    "name": WEBHOOK, "admissionReviewVersions": ["v1"], "sideEffects": "None",
                    "clientConfig": {"url": "https://127.0.0.1/validate", "caBundle": bundle},
                }],
            });
            trusted(&[serde_json::from_value(configuration).unwrap()])
        };
        assert_eq!(of(json!("QQ==")), Ok(()));
        let told = of(json!(null)).unwrap_err();
        assert_eq!(told.outcome, Outcome::Failed, "{told:?}");
        let none = trusted(&[]).unwrap_err();
        assert_eq!(none.outcome, Outcome::Skipped, "{none:?}");
    }
}
