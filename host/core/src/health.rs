//! The verdict on one live object: is it what its spec asks for, on its way, or failed.
//!
//! The rules are kstatus' (what `flux`, `kubectl wait` users and Kustomization health checks expect), one file a group of
//! kinds. Which objects have to be healthy is `check`'s, what is said of all of them `look`'s. What it deliberately doesn't:
//! read the object from anywhere, wait, or time out: the caller watches and asks again; `cluster` waits between stages on
//! [`Verdict::Current`].

mod check;
mod custom;
mod judge;
mod look;
mod workload;

use serde_json::Value;

pub use check::{Check, checks, wave_checks};
pub use judge::Judge;
pub use look::{Seen, Standing, late, stalled, standing, unwell};

/// What a live object's state amounts to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// It is what its spec asks for.
    Current,
    /// It is on its way; what is missing.
    InProgress(String),
    /// It will not get there by waiting; why.
    Failed(String),
    /// It is being deleted.
    Terminating,
}

impl Verdict {
    /// Whether waiting for this object is over, well.
    pub fn is_current(&self) -> bool {
        *self == Self::Current
    }

    fn waiting(why: impl Into<String>) -> Self {
        Self::InProgress(why.into())
    }
}

/// The verdict on `object`, as it was read from the API server.
///
/// Every controller's generic signs come first (deletion, an unobserved generation, `Reconciling` and `Stalled`); then the
/// rule of its kind; a kind without one is judged by its `Ready` condition if it has any, and is otherwise current once it
/// exists.
pub fn verdict(object: &Value) -> Verdict {
    if text(object, "/metadata/deletionTimestamp").is_some() {
        return Verdict::Terminating;
    }
    if let Some(early) = generic(object) {
        return early;
    }
    let group = text(object, "/apiVersion")
        .and_then(|version| version.split_once('/'))
        .map_or("", |(group, _)| group);
    match (group, text(object, "/kind").unwrap_or_default()) {
        ("apps", "Deployment") => workload::deployment(object),
        ("apps", "StatefulSet") => workload::stateful_set(object),
        ("apps", "DaemonSet") => workload::daemon_set(object),
        ("apps", "ReplicaSet") => workload::replica_set(object),
        ("batch", "Job") => workload::job(object),
        ("", "Pod") => workload::pod(object),
        ("", "PersistentVolumeClaim") => phase(object, "Bound"),
        ("", "Namespace") => phase(object, "Active"),
        ("", "Service") => custom::service(object),
        ("autoscaling", "HorizontalPodAutoscaler") => custom::autoscaler(object),
        ("argoproj.io", "Rollout") => custom::rollout(object),
        ("argoproj.io", "Workflow") => custom::workflow(object),
        // Whoever acts on them writes no word of it that one could wait for.
        ("", "ConfigMap" | "Secret")
        | ("batch", "CronJob")
        | ("policy", "PodDisruptionBudget")
        | ("networking.k8s.io", "Ingress") => Verdict::Current,
        ("apiextensions.k8s.io", "CustomResourceDefinition") => custom::definition(object),
        ("apiregistration.k8s.io", "APIService") => {
            if_true(object, "Available", "the API service is not available yet")
        }
        _ => custom::by_ready_condition(object),
    }
}

/// The verdict on something that is run: it is current once it has come to its end, well.
///
/// Only of a Pod that is more than its health, which is also that of one that goes on; a Job that is being deleted may have come
/// to its end before.
pub fn completion(object: &Value) -> Verdict {
    let leaves = text(object, "/metadata/deletionTimestamp").is_some();
    let version = text(object, "/apiVersion").unwrap_or_default();
    match (version, text(object, "/kind").unwrap_or_default()) {
        ("v1", "Pod") if !leaves => workload::errand(object),
        // What removes itself had ended before.
        ("batch/v1", "Job") if leaves => workload::ended(object).unwrap_or(Verdict::Terminating),
        _ => verdict(object),
    }
}

/// What any object may show, whatever its kind.
fn generic(object: &Value) -> Option<Verdict> {
    if let (Some(seen), Some(wanted)) = (
        number(object, "/status/observedGeneration"),
        number(object, "/metadata/generation"),
    ) && seen != wanted
    {
        return Some(Verdict::waiting(format!(
            "generation {wanted} is not observed yet, the last one is {seen}"
        )));
    }
    if let Some(stalled) = condition(object, "Stalled").filter(|c| c.is("True")) {
        return Some(Verdict::Failed(stalled.message.to_owned()));
    }
    condition(object, "Reconciling")
        .filter(|c| c.is("True"))
        .map(|reconciling| Verdict::waiting(reconciling.message))
}

fn phase(object: &Value, want: &str) -> Verdict {
    match text(object, "/status/phase") {
        Some(phase) if phase == want => Verdict::Current,
        Some(phase) => Verdict::waiting(format!("phase is {phase}, not {want}")),
        None => Verdict::waiting(format!("phase is not {want} yet")),
    }
}

fn if_true(object: &Value, type_: &str, otherwise: &str) -> Verdict {
    match condition(object, type_) {
        Some(c) if c.is("True") => Verdict::Current,
        Some(c) if !c.message.is_empty() => Verdict::waiting(c.message),
        _ => Verdict::waiting(otherwise),
    }
}

/// One condition of an object, borrowed.
struct Condition<'o> {
    status: &'o str,
    reason: &'o str,
    message: &'o str,
}

impl Condition<'_> {
    fn is(&self, status: &str) -> bool {
        self.status == status
    }
}

fn condition<'o>(object: &'o Value, type_: &str) -> Option<Condition<'o>> {
    let found = object
        .pointer("/status/conditions")?
        .as_array()?
        .iter()
        .find(|c| text(c, "/type") == Some(type_))?;
    Some(Condition {
        status: text(found, "/status").unwrap_or("Unknown"),
        reason: text(found, "/reason").unwrap_or_default(),
        message: text(found, "/message").unwrap_or_default(),
    })
}

fn text<'o>(object: &'o Value, pointer: &str) -> Option<&'o str> {
    object.pointer(pointer)?.as_str()
}

fn number(object: &Value, pointer: &str) -> Option<i64> {
    object.pointer(pointer)?.as_i64()
}

fn count(object: &Value, pointer: &str) -> i64 {
    number(object, pointer).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn waiting(object: &Value) -> bool {
        matches!(verdict(object), Verdict::InProgress(_))
    }

    #[test]
    fn every_object_is_as_healthy_as_its_row_says() {
        let rows = crate::rows::rows("health");
        for (at, row) in &rows {
            let told = match verdict(&row["object"]) {
                Verdict::Current => "current".to_owned(),
                Verdict::InProgress(why) => format!("in progress: {why}"),
                Verdict::Failed(why) => format!("failed: {why}"),
                Verdict::Terminating => "terminating".to_owned(),
            };
            assert_eq!(row["want"], told.as_str(), "{at}");
        }
        assert!(rows.len() >= 45, "only {} rows were found", rows.len());
    }

    #[test]
    fn a_namespace_is_current_once_active() {
        let mut ns = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "a"}});
        assert!(waiting(&ns));
        ns["status"] = json!({"phase": "Active"});
        assert!(verdict(&ns).is_current());
        ns["metadata"]["deletionTimestamp"] = json!("2026-01-01T00:00:00Z");
        assert_eq!(verdict(&ns), Verdict::Terminating);
    }

    #[test]
    fn a_job_that_is_run_and_leaves_is_as_it_ended() {
        let mut job = json!({"apiVersion": "batch/v1", "kind": "Job", "metadata": {
            "deletionTimestamp": "2026-01-01T00:00:00Z"}});
        assert_eq!(completion(&job), Verdict::Terminating);
        job["status"] = json!({"conditions": [{"type": "Complete", "status": "True"}]});
        assert_eq!(completion(&job), Verdict::Current);
        assert_eq!(verdict(&job), Verdict::Terminating, "it is not run");
        let failed =
            json!({"conditions": [{"type": "Failed", "status": "True", "message": "late"}]});
        job["status"] = failed;
        assert_eq!(
            completion(&job),
            Verdict::Failed("the job failed: late".into())
        );
    }

    #[test]
    fn an_unobserved_generation_is_in_progress_whatever_the_kind() {
        let thing = json!({
            "apiVersion": "example.com/v1", "kind": "Thing",
            "metadata": {"generation": 3}, "status": {"observedGeneration": 2,
            "conditions": [{"type": "Ready", "status": "True"}]},
        });
        assert_eq!(
            verdict(&thing),
            Verdict::InProgress("generation 3 is not observed yet, the last one is 2".into())
        );
    }

    #[test]
    fn stalled_is_failed_and_reconciling_is_in_progress() {
        let with = |type_: &str| {
            json!({"apiVersion": "x.dev/v1", "kind": "T", "status": {"conditions": [
                {"type": type_, "status": "True", "message": "because"}]}})
        };
        assert_eq!(verdict(&with("Stalled")), Verdict::Failed("because".into()));
        assert_eq!(
            verdict(&with("Reconciling")),
            Verdict::InProgress("because".into())
        );
    }

    #[test]
    fn a_claim_is_current_once_bound() {
        let pvc = |phase| json!({"apiVersion": "v1", "kind": "PersistentVolumeClaim", "status": {"phase": phase}});
        assert!(verdict(&pvc("Bound")).is_current());
        assert_eq!(
            verdict(&pvc("Pending")),
            Verdict::InProgress("phase is Pending, not Bound".into())
        );
    }

    #[test]
    fn an_object_of_an_unknown_shape_does_not_break_the_judge() {
        for odd in [
            json!(null),
            json!([]),
            json!({"status": 3}),
            json!({"kind": 7, "status": {"conditions": {"a": 1}}}),
            json!({"apiVersion": "apps/v1", "kind": "Deployment", "spec": {"replicas": "x"}}),
        ] {
            let _verdict = verdict(&odd);
        }
    }
}
