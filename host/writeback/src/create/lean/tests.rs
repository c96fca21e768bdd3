//! What of a new object is left out of its file, and what stays.

use serde_json::json;

use super::*;

fn object(value: Value) -> Object {
    Object::try_from(value).unwrap()
}

/// As `kubectl create deployment web --image` makes it, with all that is filled in for it.
fn deployment() -> Value {
    json!({
        "apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web", "labels": {"app": "web"}},
        "spec": {
            "progressDeadlineSeconds": 600, "replicas": 1, "revisionHistoryLimit": 10,
            "selector": {"matchLabels": {"app": "web"}},
            "strategy": {"rollingUpdate": {"maxSurge": "25%", "maxUnavailable": "25%"}, "type": "RollingUpdate"},
            "template": {"metadata": {"creationTimestamp": null, "labels": {"app": "web"}}, "spec": {
                "containers": [{"image": "web:1", "imagePullPolicy": "IfNotPresent", "name": "web", "resources": {},
                    "terminationMessagePath": "/dev/termination-log", "terminationMessagePolicy": "File"}],
                "dnsPolicy": "ClusterFirst", "restartPolicy": "Always", "schedulerName": "default-scheduler",
                "securityContext": {}, "terminationGracePeriodSeconds": 30,
            }},
        },
    })
}

fn lean_deployment() -> Value {
    json!({
        "apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web", "labels": {"app": "web"}},
        "spec": {
            "selector": {"matchLabels": {"app": "web"}},
            "template": {"metadata": {"labels": {"app": "web"}}, "spec": {"containers": [{"image": "web:1", "name": "web"}]}},
        },
    })
}

#[test]
fn what_every_api_server_fills_in_is_left_out_and_what_was_chosen_is_not() {
    assert_eq!(
        without_defaults(&object(deployment())),
        object(lean_deployment())
    );
    let mut chosen = deployment();
    let spec = &mut chosen["spec"];
    spec["replicas"] = json!(3);
    spec["strategy"] =
        json!({"rollingUpdate": {"maxSurge": 1, "maxUnavailable": "25%"}, "type": "RollingUpdate"});
    spec["template"]["spec"]["dnsPolicy"] = json!("Default");
    spec["template"]["spec"]["containers"][0]["imagePullPolicy"] = json!("Always");
    let lean = Value::from(without_defaults(&object(chosen)));
    assert_eq!(lean["spec"]["replicas"], json!(3));
    assert_eq!(
        lean["spec"]["strategy"],
        json!({"rollingUpdate": {"maxSurge": 1}})
    );
    let pod = &lean["spec"]["template"]["spec"];
    assert_eq!(pod["dnsPolicy"], json!("Default"));
    assert_eq!(pod["containers"][0]["imagePullPolicy"], json!("Always"));
    assert_eq!(pod.get("restartPolicy"), None);
    let mut custom = deployment();
    custom["apiVersion"] = json!("example.com/v1");
    let custom = object(custom);
    assert_eq!(
        without_defaults(&custom),
        custom,
        "of other kinds nothing is known"
    );
}

/// Fields of a kind, and what is left of them.
#[test]
fn a_default_that_depends_on_another_field_is_left_out_only_where_that_one_says_so() {
    for (version, kind, spec, want) in [
        (
            "v1",
            "Service",
            json!({"type": "ClusterIP", "internalTrafficPolicy": "Cluster", "sessionAffinity": "None",
                "ports": [{"port": 80, "protocol": "TCP", "targetPort": 80}, {"name": "b", "port": 81, "protocol": "UDP", "targetPort": 80}]}),
            json!({"ports": [{"port": 80}, {"name": "b", "port": 81, "protocol": "UDP", "targetPort": 80}]}),
        ),
        (
            "v1",
            "Service",
            json!({"type": "LoadBalancer", "externalTrafficPolicy": "Cluster", "allocateLoadBalancerNodePorts": true}),
            json!({"type": "LoadBalancer"}),
        ),
        (
            "v1",
            "Service",
            json!({"type": "ExternalName", "internalTrafficPolicy": "Cluster"}),
            json!({"type": "ExternalName", "internalTrafficPolicy": "Cluster"}),
        ),
        (
            "batch/v1",
            "Job",
            json!({"backoffLimit": 6, "completions": 1, "parallelism": 1, "suspend": false}),
            json!({}),
        ),
        // Without the one it would be another number of the other.
        (
            "batch/v1",
            "Job",
            json!({"backoffLimit": 6, "backoffLimitPerIndex": 1, "parallelism": 1}),
            json!({"backoffLimit": 6, "backoffLimitPerIndex": 1, "parallelism": 1}),
        ),
        (
            "v1",
            "PersistentVolume",
            json!({"volumeMode": "Filesystem", "persistentVolumeReclaimPolicy": "Retain"}),
            json!({"persistentVolumeReclaimPolicy": "Retain"}),
        ),
        (
            "v1",
            "Pod",
            json!({"containers": [
                {"name": "a", "image": "r.example:5000/a", "imagePullPolicy": "Always"},
                {"name": "b", "image": "b@sha256:00", "imagePullPolicy": "Always"},
                {"name": "c", "image": "c:latest", "imagePullPolicy": "IfNotPresent",
                    "livenessProbe": {"httpGet": {"path": "/", "port": 80, "scheme": "HTTP"}, "periodSeconds": 10, "timeoutSeconds": 5}},
            ], "volumes": [{"name": "v", "secret": {"secretName": "s", "defaultMode": 420}}, {"name": "e", "emptyDir": {}}]}),
            json!({"containers": [
                {"name": "a", "image": "r.example:5000/a"},
                {"name": "b", "image": "b@sha256:00", "imagePullPolicy": "Always"},
                {"name": "c", "image": "c:latest", "imagePullPolicy": "IfNotPresent",
                    "livenessProbe": {"httpGet": {"port": 80}, "timeoutSeconds": 5}},
            ], "volumes": [{"name": "v", "secret": {"secretName": "s"}}, {"name": "e", "emptyDir": {}}]}),
        ),
    ] {
        let of = |spec: &Value| {
            object(
                json!({"apiVersion": version, "kind": kind, "metadata": {"name": "a"}, "spec": spec}),
            )
        };
        assert_eq!(without_defaults(&of(&spec)), of(&want), "{kind} {spec}");
    }
}

#[test]
fn what_nobody_claims_is_left_out_but_not_what_tells_items_apart() {
    let claims = json!([
        {"manager": "a", "operation": "Apply", "fieldsV1": {"f:spec": {
            "f:size": {}, "f:atomic": {}, "f:none": {".": {}},
            "f:ports": {"k:{\"port\":80,\"protocol\":\"TCP\"}": {"f:name": {}}},
        }}},
        {"manager": "b", "operation": "Update", "fieldsV1": {"f:spec": {"f:inner": {"f:b": {}}}}},
    ]);
    let live = |claims: &Value| {
        object(json!({
            "apiVersion": "example.com/v1", "kind": "Disk",
            "metadata": {"name": "a", "labels": {"l": "m"}, "managedFields": claims},
            "spec": {
                "size": 1, "filled": true, "atomic": {"x": 1}, "none": {"y": 1}, "inner": {"a": 1, "b": 2},
                "ports": [{"name": "web", "port": 80, "protocol": "TCP", "weight": 1}, {"port": 81, "weight": 1}],
            },
            "extra": {"mode": "auto"},
        }))
    };
    let (asked, unknown) = (live(&claims), live(&json!([{"manager": "x"}])));
    let lean = without_unclaimed(&asked, &asked);
    let want = json!({
        "size": 1, "atomic": {"x": 1}, "none": {}, "inner": {"b": 2},
        "ports": [{"name": "web", "port": 80, "protocol": "TCP"}, {"port": 81, "weight": 1}],
    });
    assert_eq!(lean.get("/spec"), Some(&want));
    assert_eq!(lean.get("/extra"), None);
    assert_eq!(lean.get("/metadata"), asked.get("/metadata"));
    assert_eq!(
        without_unclaimed(&unknown, &unknown),
        unknown,
        "without claims nothing is known"
    );
    let mut claim = Value::from(asked.clone());
    claim["apiVersion"] = json!("v1");
    claim["kind"] = json!("PersistentVolumeClaim");
    let claim = object(claim);
    assert_eq!(
        without_unclaimed(&claim, &claim),
        claim,
        "to which class it belongs was chosen for it, and is its own"
    );
}

#[test]
fn what_the_server_fills_in_otherwise_is_put_back() {
    let live = |spec: Value| {
        object(
            json!({"apiVersion": "example.com/v1", "kind": "Disk", "metadata": {"name": "a"}, "spec": spec}),
        )
    };
    for (about, is, lean, made, want) in [
        (
            "the same",
            json!({"a": 1, "b": 2}),
            json!({"a": 1}),
            json!({"a": 1, "b": 2}),
            json!({"a": 1}),
        ),
        (
            "another value",
            json!({"a": 1, "b": 2}),
            json!({"a": 1}),
            json!({"a": 1, "b": 3}),
            json!({"a": 1, "b": 2}),
        ),
        (
            "none",
            json!({"a": 1, "b": {"c": 1, "d": 2}}),
            json!({"a": 1}),
            json!({"a": 1, "b": {"d": 2}}),
            json!({"a": 1, "b": {"c": 1}}),
        ),
        // Nothing is more than what is filled in.
        (
            "more of what was left out",
            json!({"a": 1, "b": {}}),
            json!({"a": 1}),
            json!({"a": 1, "b": {"c": 1}}),
            json!({"a": 1, "b": {}}),
        ),
        (
            "more of what is there is somebody else's",
            json!({"a": {"b": 1}}),
            json!({"a": {"b": 1}}),
            json!({"a": {"b": 1, "c": 2}}),
            json!({"a": {"b": 1}}),
        ),
        (
            "an item",
            json!({"l": [{"n": "x", "m": 1}, {"n": "y", "m": 2}]}),
            json!({"l": [{"n": "x"}, {"n": "y"}]}),
            json!({"l": [{"n": "x", "m": 1}, {"n": "y", "m": 1}]}),
            json!({"l": [{"n": "x"}, {"n": "y", "m": 2}]}),
        ),
        (
            "another list",
            json!({"l": [1, 2]}),
            json!({}),
            json!({"l": [1]}),
            json!({"l": [1, 2]}),
        ),
    ] {
        let got = restored(&live(lean), &live(made), &live(is));
        assert_eq!(got, live(want), "{about}");
    }
}

#[test]
fn a_default_that_the_file_says_stays_in_it() {
    let live = deployment();
    let said = |file: Option<Value>| {
        let live = object(live.clone());
        as_said(&live, &without_defaults(&live), file.map(object).as_ref())
    };
    assert_eq!(said(None), object(lean_deployment()));
    let mut file = lean_deployment();
    file["spec"]["replicas"] = json!(2);
    file["spec"]["template"]["spec"]["containers"][0]["terminationMessagePolicy"] = json!("File");
    let mut want = file.clone();
    want["spec"]["replicas"] = json!(1);
    assert_eq!(said(Some(file)), object(want));
}

#[test]
fn who_claims_a_default_has_added_nothing() {
    // The manifest as it is applied, without anything that was filled in: a dry run keeps it, and whoever created it claims it.
    let mut rehearsed = lean_deployment();
    with_defaults(&mut rehearsed, &deployment());
    assert_eq!(rehearsed, deployment());
    let mut live = deployment();
    live["spec"]["paused"] = json!(true);
    live["spec"]["template"]["spec"]["containers"][0]["imagePullPolicy"] = json!("Always");
    let mut rehearsed = lean_deployment();
    with_defaults(&mut rehearsed, &live);
    assert_eq!(rehearsed["spec"].get("paused"), None);
    let container = &rehearsed["spec"]["template"]["spec"]["containers"][0];
    assert_eq!(container.get("imagePullPolicy"), None);
    assert_eq!(container["resources"], json!({}));
}
