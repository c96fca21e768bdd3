//! Workloads: when a rollout is over, when a Job is done, and when either has failed.
//!
//! The rules and their order are kstatus'. What it deliberately doesn't: look at pods to explain a rollout that is stuck;
//! it reads the one object it is given. Other kinds are next door in `custom`.

use serde_json::Value;

use super::{Verdict, condition, count, number, text};

/// How many replicas the spec asks for; unset means one.
fn wanted(object: &Value) -> i64 {
    number(object, "/spec/replicas").unwrap_or(1)
}

pub(super) fn deployment(object: &Value) -> Verdict {
    if let Some(progress) = condition(object, "Progressing")
        && progress.reason == "ProgressDeadlineExceeded"
    {
        return Verdict::Failed(format!("progress deadline exceeded: {}", progress.message));
    }
    let wanted = wanted(object);
    let total = count(object, "/status/replicas");
    let updated = count(object, "/status/updatedReplicas");
    let ready = count(object, "/status/readyReplicas");
    let available = count(object, "/status/availableReplicas");
    if let Some(short) = rollout(wanted, total, updated, ready) {
        return short;
    }
    if available < wanted {
        return Verdict::waiting(format!("{available} of {wanted} replicas available"));
    }
    // Without a deadline the controller says nothing of progress.
    let deadline = number(object, "/spec/progressDeadlineSeconds");
    if deadline.is_some_and(|deadline| deadline != i64::from(i32::MAX))
        && !condition(object, "Progressing")
            .is_some_and(|c| c.is("True") && c.reason == "NewReplicaSetAvailable")
    {
        return Verdict::waiting("the new replica set is not available yet");
    }
    match condition(object, "Available") {
        Some(c) if c.is("True") => Verdict::Current,
        Some(c) => Verdict::waiting(c.message),
        None if number(object, "/status/observedGeneration").is_some() => {
            Verdict::waiting("the Available condition is not set yet")
        }
        None => Verdict::waiting("the deployment controller has not seen it yet"),
    }
}

pub(super) fn stateful_set(object: &Value) -> Verdict {
    if text(object, "/spec/updateStrategy/type") == Some("OnDelete") {
        return Verdict::Current;
    }
    if number(object, "/status/observedGeneration").is_none() {
        return Verdict::waiting("the stateful set controller has not seen it yet");
    }
    let wanted = wanted(object);
    let total = count(object, "/status/replicas");
    let ready = count(object, "/status/readyReplicas");
    let updated = count(object, "/status/updatedReplicas");
    let partition = count(object, "/spec/updateStrategy/rollingUpdate/partition");
    if let Some(short) = rollout(wanted, total, updated.max(wanted.min(total)), ready) {
        return short;
    }
    if updated < wanted - partition {
        return Verdict::waiting(format!(
            "{updated} of {} replicas updated",
            wanted - partition
        ));
    }
    let revisions = ["currentRevision", "updateRevision"]
        .map(|field| text(object, &format!("/status/{field}")));
    if partition == 0 && revisions.iter().all(Option::is_some) && revisions[0] != revisions[1] {
        return Verdict::waiting("the update is still rolling out");
    }
    Verdict::Current
}

pub(super) fn replica_set(object: &Value) -> Verdict {
    if let Some(failure) = condition(object, "ReplicaFailure").filter(|c| c.is("True")) {
        return Verdict::waiting(failure.message);
    }
    let wanted = wanted(object);
    let labelled = count(object, "/status/fullyLabeledReplicas");
    let total = count(object, "/status/replicas");
    let ready = count(object, "/status/readyReplicas");
    let available = count(object, "/status/availableReplicas");
    let whole = match available < wanted {
        true => Verdict::waiting(format!("{available} of {wanted} replicas available")),
        false => Verdict::Current,
    };
    rollout(wanted, total, labelled, ready).unwrap_or(whole)
}

/// The part the rollouts have in common: enough updated, none left over, enough ready.
fn rollout(wanted: i64, total: i64, updated: i64, ready: i64) -> Option<Verdict> {
    let why = if total < wanted {
        format!("{total} of {wanted} replicas created")
    } else if updated < wanted {
        format!("{updated} of {wanted} replicas updated")
    } else if total > wanted {
        format!("{} replicas are still to be removed", total - wanted)
    } else if ready < wanted {
        format!("{ready} of {wanted} replicas ready")
    } else {
        return None;
    };
    Some(Verdict::waiting(why))
}

pub(super) fn daemon_set(object: &Value) -> Verdict {
    if number(object, "/status/observedGeneration").is_none() {
        return Verdict::waiting("the daemon set controller has not seen it yet");
    }
    let Some(wanted) = number(object, "/status/desiredNumberScheduled") else {
        return Verdict::waiting("how many nodes it needs is not known yet");
    };
    for (field, word) in [
        ("currentNumberScheduled", "scheduled"),
        ("updatedNumberScheduled", "updated"),
        ("numberAvailable", "available"),
        ("numberReady", "ready"),
    ] {
        let got = count(object, &format!("/status/{field}"));
        if got < wanted {
            return Verdict::waiting(format!("{got} of {wanted} pods {word}"));
        }
    }
    Verdict::Current
}

/// A Job is current when it is complete, as Flux has it: one that merely started is in progress, and one that is suspended is
/// what its spec asks for.
pub(super) fn job(object: &Value) -> Verdict {
    if object.pointer("/spec/suspend") == Some(&Value::Bool(true)) {
        return Verdict::Current;
    }
    ended(object).unwrap_or_else(|| {
        let done = count(object, "/status/succeeded");
        let wanted = number(object, "/spec/completions").unwrap_or(1);
        Verdict::waiting(format!("{done} of {wanted} completions"))
    })
}

/// How a Job has ended, if it has.
pub(super) fn ended(job: &Value) -> Option<Verdict> {
    if let Some(failed) = condition(job, "Failed").filter(|c| c.is("True")) {
        return Some(Verdict::Failed(format!(
            "the job failed: {}",
            failed.message
        )));
    }
    let complete = condition(job, "Complete").is_some_and(|c| c.is("True"));
    complete.then_some(Verdict::Current)
}

pub(super) fn pod(object: &Value) -> Verdict {
    match text(object, "/status/phase") {
        Some("Succeeded") => Verdict::Current,
        // As kstatus: it has come to its end, which is all that can be asked of a pod by itself.
        Some("Failed") => Verdict::Current,
        Some("Running") if condition(object, "Ready").is_some_and(|c| c.is("True")) => {
            Verdict::Current
        }
        Some("Running") if !crashing(object).is_empty() => {
            let names = crashing(object).join(", ");
            Verdict::Failed(format!("these containers crash again and again: {names}"))
        }
        Some(phase) => Verdict::waiting(format!("the pod is {phase} and not ready")),
        None => Verdict::waiting("the pod has no phase yet"),
    }
}

/// A Pod that is run for what it does.
pub(super) fn errand(pod: &Value) -> Verdict {
    let why = text(pod, "/status/message").unwrap_or_default();
    match text(pod, "/status/phase") {
        Some("Succeeded") => Verdict::Current,
        Some("Failed") => Verdict::Failed(format!("the pod failed: {why}")),
        Some(phase) => Verdict::waiting(format!("the pod is {phase}")),
        None => Verdict::waiting("the pod has no phase yet"),
    }
}

/// The containers that are started again ever later, since they end each time.
fn crashing(pod: &Value) -> Vec<&str> {
    let all = pod.pointer("/status/containerStatuses");
    let all = all.and_then(Value::as_array).into_iter().flatten();
    let crashes = |one: &&Value| text(one, "/state/waiting/reason") == Some("CrashLoopBackOff");
    all.filter(crashes)
        .filter_map(|one| text(one, "/name"))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::super::{Verdict, verdict};
    use serde_json::{Value, json};

    fn says(object: &Value) -> String {
        match verdict(object) {
            Verdict::Current => "current".into(),
            Verdict::InProgress(why) => why,
            Verdict::Failed(why) => format!("failed: {why}"),
            Verdict::Terminating => "terminating".into(),
        }
    }

    /// Each row starts from the same healthy Deployment of two replicas and changes one thing.
    #[test]
    fn a_deployment_is_current_once_all_it_wants_is_there() {
        let healthy = json!({
            "apiVersion": "apps/v1", "kind": "Deployment",
            "metadata": {"generation": 1}, "spec": {"replicas": 2},
            "status": {"observedGeneration": 1, "replicas": 2, "updatedReplicas": 2,
                "readyReplicas": 2, "availableReplicas": 2,
                "conditions": [{"type": "Available", "status": "True"}]},
        });
        assert_eq!(says(&healthy), "current");
        for (pointer, value, want) in [
            ("/status/replicas", json!(1), "1 of 2 replicas created"),
            (
                "/status/updatedReplicas",
                json!(1),
                "1 of 2 replicas updated",
            ),
            (
                "/status/replicas",
                json!(3),
                "1 replicas are still to be removed",
            ),
            ("/status/readyReplicas", json!(0), "0 of 2 replicas ready"),
            (
                "/status/availableReplicas",
                json!(1),
                "1 of 2 replicas available",
            ),
            (
                "/status/conditions",
                json!([]),
                "the Available condition is not set yet",
            ),
            (
                "/status/conditions",
                json!([{"type": "Progressing", "status": "False", "message": "stuck",
                    "reason": "ProgressDeadlineExceeded"}]),
                "failed: progress deadline exceeded: stuck",
            ),
        ] {
            let mut object = healthy.clone();
            *object.pointer_mut(pointer).unwrap() = value;
            assert_eq!(says(&object), want, "{pointer}");
        }
    }

    #[test]
    fn a_deployment_scaled_to_nothing_is_current() {
        let object = json!({
            "apiVersion": "apps/v1", "kind": "Deployment", "spec": {"replicas": 0},
            "status": {"observedGeneration": 1,
                "conditions": [{"type": "Available", "status": "True"}]},
        });
        assert_eq!(says(&object), "current");
    }

    #[test]
    fn a_stateful_set_is_current_once_the_new_revision_is_everywhere() {
        let set = |status: Value| {
            json!({"apiVersion": "apps/v1", "kind": "StatefulSet", "spec": {"replicas": 2},
                "status": status})
        };
        for (status, want) in [
            (json!({}), "the stateful set controller has not seen it yet"),
            (
                json!({"observedGeneration": 1, "replicas": 2, "readyReplicas": 2,
                    "updatedReplicas": 1, "currentRevision": "a", "updateRevision": "b"}),
                "1 of 2 replicas updated",
            ),
            (
                json!({"observedGeneration": 1, "replicas": 2, "readyReplicas": 2,
                    "updatedReplicas": 2, "currentRevision": "a", "updateRevision": "b"}),
                "the update is still rolling out",
            ),
            (
                json!({"observedGeneration": 1, "replicas": 2, "readyReplicas": 2,
                    "updatedReplicas": 2, "currentRevision": "b", "updateRevision": "b"}),
                "current",
            ),
        ] {
            assert_eq!(says(&set(status)), want);
        }
    }

    #[test]
    fn a_daemon_set_is_current_once_every_node_has_its_pod() {
        let set = |ready: i64| {
            json!({"apiVersion": "apps/v1", "kind": "DaemonSet", "status": {
                "observedGeneration": 1, "desiredNumberScheduled": 3, "currentNumberScheduled": 3,
                "updatedNumberScheduled": 3, "numberAvailable": 3, "numberReady": ready}})
        };
        assert_eq!(says(&set(2)), "2 of 3 pods ready");
        assert_eq!(says(&set(3)), "current");
    }

    #[test]
    fn a_job_is_current_only_when_complete() {
        let job = |conditions: Value| {
            json!({"apiVersion": "batch/v1", "kind": "Job", "status": {
                "active": 1, "conditions": conditions}})
        };
        assert_eq!(says(&job(json!([]))), "0 of 1 completions");
        assert_eq!(
            says(&job(json!([{"type": "Complete", "status": "True"}]))),
            "current"
        );
        assert_eq!(
            says(&job(
                json!([{"type": "Failed", "status": "True", "message": "backoff"}])
            )),
            "failed: the job failed: backoff"
        );
    }
}
