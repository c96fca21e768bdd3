//! The defaults that Kubernetes documents for the fields of its own kinds, in the versions that are served.
//!
//! They are a part of the API, set before any admission sees an object, so that an API server of any cluster fills in the same. A
//! field whose default depends on another one is left out only where that one says so. What a cluster chooses (a storage class, an
//! address) is none. A volume's reclaim policy stays, too: what becomes of data is not left to be filled in.

use serde_json::{Map, Value, json};

use crate::create::strip::remove_defaults;

type Fields = Map<String, Value>;

/// Takes the defaults out of the `spec` of an object.
pub(super) fn take_out(version: &str, kind: &str, spec: &mut Fields) {
    match (version, kind) {
        ("apps/v1", "Deployment" | "StatefulSet" | "DaemonSet" | "ReplicaSet") => {
            workload(kind, spec);
        }
        ("batch/v1", "Job") => job(spec),
        ("batch/v1", "CronJob") => {
            less(
                spec,
                &json!({
                    "concurrencyPolicy": "Allow", "failedJobsHistoryLimit": 1,
                    "successfulJobsHistoryLimit": 3, "suspend": false,
                }),
            );
            if let Some(made) = inner(spec, "jobTemplate") {
                less(made, &json!({"metadata": {"creationTimestamp": null}}));
                if let Some(job) = inner(made, "spec") {
                    template(job);
                }
            }
        }
        ("v1", "Pod") => {
            pod(spec);
            less(spec, &json!({"enableServiceLinks": true}));
        }
        ("v1", "Service") => service(spec),
        ("v1", "PersistentVolume" | "PersistentVolumeClaim") => {
            less(spec, &json!({"volumeMode": "Filesystem"}));
        }
        _ => {}
    }
}

fn workload(kind: &str, spec: &mut Fields) {
    let defaults = match kind {
        "Deployment" => json!({
            "progressDeadlineSeconds": 600, "replicas": 1, "revisionHistoryLimit": 10,
            "strategy": {"rollingUpdate": {"maxSurge": "25%", "maxUnavailable": "25%"}, "type": "RollingUpdate"},
        }),
        "StatefulSet" => json!({
            "persistentVolumeClaimRetentionPolicy": {"whenDeleted": "Retain", "whenScaled": "Retain"},
            "podManagementPolicy": "OrderedReady", "replicas": 1, "revisionHistoryLimit": 10,
            "updateStrategy": {"rollingUpdate": {"partition": 0}, "type": "RollingUpdate"},
        }),
        "DaemonSet" => json!({
            "revisionHistoryLimit": 10,
            "updateStrategy": {"rollingUpdate": {"maxSurge": 0, "maxUnavailable": 1}, "type": "RollingUpdate"},
        }),
        _ => json!({"replicas": 1}),
    };
    less(spec, &defaults);
    template(spec);
    for claim in items(spec, "volumeClaimTemplates") {
        less(
            claim,
            &json!({"metadata": {"creationTimestamp": null}, "status": {"phase": "Pending"}}),
        );
        if let Some(spec) = inner(claim, "spec") {
            less(spec, &json!({"volumeMode": "Filesystem"}));
        }
    }
}

fn job(spec: &mut Fields) {
    less(
        spec,
        &json!({"completionMode": "NonIndexed", "suspend": false}),
    );
    // One of both alone says how many there are to be of the other.
    let one = Some(&json!(1));
    if spec.get("completions") == one && spec.get("parallelism") == one {
        less(spec, &json!({"completions": 1, "parallelism": 1}));
    }
    if !spec.contains_key("backoffLimitPerIndex") {
        less(spec, &json!({"backoffLimit": 6}));
    }
    if !spec.contains_key("podFailurePolicy") {
        less(
            spec,
            &json!({"podReplacementPolicy": "TerminatingOrFailed"}),
        );
    }
    template(spec);
}

fn service(spec: &mut Fields) {
    let is = |kind: &str| spec.get("type").and_then(Value::as_str) == Some(kind);
    let (outside, balanced) = (is("NodePort") || is("LoadBalancer"), is("LoadBalancer"));
    if outside || is("ClusterIP") {
        less(spec, &json!({"internalTrafficPolicy": "Cluster"}));
    }
    if outside {
        less(spec, &json!({"externalTrafficPolicy": "Cluster"}));
    }
    if balanced {
        less(spec, &json!({"allocateLoadBalancerNodePorts": true}));
    }
    less(
        spec,
        &json!({"sessionAffinity": "None", "type": "ClusterIP"}),
    );
    for port in items(spec, "ports") {
        less(port, &json!({"protocol": "TCP"}));
        if port.get("targetPort") == port.get("port") {
            port.shift_remove("targetPort");
        }
    }
}

/// The pods of a workload.
fn template(spec: &mut Fields) {
    let Some(template) = inner(spec, "template") else {
        return;
    };
    less(template, &json!({"metadata": {"creationTimestamp": null}}));
    if let Some(spec) = inner(template, "spec") {
        pod(spec);
    }
}

fn pod(spec: &mut Fields) {
    less(
        spec,
        &json!({
            "dnsPolicy": "ClusterFirst", "restartPolicy": "Always", "schedulerName": "default-scheduler",
            "securityContext": {}, "terminationGracePeriodSeconds": 30,
        }),
    );
    // The same by its former name.
    if spec.get("serviceAccount") == spec.get("serviceAccountName") {
        spec.shift_remove("serviceAccount");
    }
    for name in ["containers", "initContainers"] {
        items(spec, name).for_each(container);
    }
    items(spec, "volumes").for_each(volume);
}

fn container(one: &mut Fields) {
    let image = one.get("image").and_then(Value::as_str).unwrap_or_default();
    let pulled = pulled(image);
    less(
        one,
        &json!({
            "imagePullPolicy": pulled, "resources": {},
            "terminationMessagePath": "/dev/termination-log", "terminationMessagePolicy": "File",
        }),
    );
    for port in items(one, "ports") {
        less(port, &json!({"protocol": "TCP"}));
    }
    for variable in items(one, "env") {
        if let Some(from) = inner(variable, "valueFrom") {
            field(from);
        }
    }
    for name in ["livenessProbe", "readinessProbe", "startupProbe"] {
        if let Some(probe) = inner(one, name) {
            less(
                probe,
                &json!({"failureThreshold": 3, "periodSeconds": 10, "successThreshold": 1, "timeoutSeconds": 1}),
            );
            handler(probe);
            if let Some(call) = inner(probe, "grpc") {
                less(call, &json!({"service": ""}));
            }
        }
    }
    if let Some(cycle) = inner(one, "lifecycle") {
        for name in ["postStart", "preStop"] {
            if let Some(hook) = inner(cycle, name) {
                handler(hook);
            }
        }
    }
}

fn handler(one: &mut Fields) {
    if let Some(get) = inner(one, "httpGet") {
        less(get, &json!({"path": "/", "scheme": "HTTP"}));
    }
}

fn volume(one: &mut Fields) {
    for name in ["configMap", "downwardAPI", "projected", "secret"] {
        if let Some(source) = inner(one, name) {
            less(source, &json!({"defaultMode": 420}));
        }
    }
    if let Some(path) = inner(one, "hostPath") {
        less(path, &json!({"type": ""}));
    }
    if let Some(told) = inner(one, "downwardAPI") {
        items(told, "items").for_each(field);
    }
    if let Some(projected) = inner(one, "projected") {
        for source in items(projected, "sources") {
            if let Some(told) = inner(source, "downwardAPI") {
                items(told, "items").for_each(field);
            }
            if let Some(token) = inner(source, "serviceAccountToken") {
                less(token, &json!({"expirationSeconds": 3600}));
            }
        }
    }
}

fn field(one: &mut Fields) {
    if let Some(field) = inner(one, "fieldRef") {
        less(field, &json!({"apiVersion": "v1"}));
    }
}

/// When an image is pulled of which that is not said: each time where it may be another one.
fn pulled(image: &str) -> &'static str {
    let (name, digest) = match image.split_once('@') {
        Some((name, _)) => (name, true),
        None => (image, false),
    };
    let last = name.rsplit('/').next().unwrap_or(name);
    match last.split_once(':') {
        Some((_, "latest")) => "Always",
        None if !digest => "Always",
        _ => "IfNotPresent",
    }
}

fn less(fields: &mut Fields, defaults: &Value) {
    if let Value::Object(defaults) = defaults {
        remove_defaults(fields, defaults);
    }
}

fn inner<'f>(fields: &'f mut Fields, name: &str) -> Option<&'f mut Fields> {
    fields.get_mut(name)?.as_object_mut()
}

fn items<'f>(fields: &'f mut Fields, name: &str) -> impl Iterator<Item = &'f mut Fields> + use<'f> {
    let list = fields.get_mut(name).and_then(Value::as_array_mut);
    list.into_iter().flatten().filter_map(Value::as_object_mut)
}
