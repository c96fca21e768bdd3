//! What is read for a bundle, part by part; a part that cannot be read is named and the others go on.
//!
//! The controller's pods are found by the labels of the chart, as `reeve check` finds them. It deliberately takes nothing out:
//! `bundle` does, whatever is put in.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use reeve_core::failure::chain;
use serde_json::{Value, json};

use super::bundle::Bundle;
use crate::cli::check::is_ours;
use crate::cli::text::counted;
use crate::cli::ui::{Sign, Ui};
use crate::cluster::{CallError, Cluster, Container, Gathered, Listed};

/// Labels of what the chart runs: the controller, and the landlord.
const RUN: [&str; 2] = [
    "app.kubernetes.io/component=controller",
    "app.kubernetes.io/component=landlord",
];
/// The most pods of a Deployment that are asked for their logs.
const PODS: usize = 10;
/// What the chart calls the ports where metrics are served: the controller has one for them, the landlord serves them beside its health.
const METRICS: [&str; 2] = ["http-prom", "healthz"];

/// All there is, in a namespace or everywhere.
pub(super) async fn all(
    cluster: &Cluster,
    namespace: Option<&str>,
    now: Timestamp,
    ui: &mut Ui,
) -> Bundle {
    let mut bundle = Bundle::default();
    ui.step(Sign::Doing, "versions");
    versions(cluster, &mut bundle, now).await;
    ui.step(Sign::Doing, "objects and their conditions");
    objects(cluster, namespace, &mut bundle).await;
    ui.step(Sign::Doing, "the controller, its logs and its metrics");
    let homes = controllers(cluster, &mut bundle).await;
    ui.step(Sign::Doing, "events, Leases and nodes");
    events(cluster, namespace, &homes, &mut bundle).await;
    leases(cluster, &homes, &mut bundle).await;
    nodes(cluster, &mut bundle).await;
    bundle
}

async fn versions(cluster: &Cluster, bundle: &mut Bundle, now: Timestamp) {
    let server = cluster.version().await;
    if let Err(why) = &server {
        bundle.lacks("the API server's version", &chain(why));
    }
    let kinds = cluster.definitions().await;
    if let Err(why) = &kinds {
        bundle.lacks("the definitions of the kinds", &chain(why));
    }
    let ours: BTreeSet<Option<String>> = reeve_api::crds()
        .into_iter()
        .map(|one| one.metadata.name)
        .collect();
    let kinds = kinds.unwrap_or_default().into_iter();
    let kinds: Vec<Value> = kinds
        .filter(|one| ours.contains(&one.metadata.name))
        .map(|one| {
            let versions = one.spec.versions.iter();
            let served = versions.filter(|it| it.served).map(|it| it.name.clone());
            let served: Vec<String> = served.collect();
            json!({
                "name": one.metadata.name, "generation": one.metadata.generation, "served": served,
                "labels": one.metadata.labels, "status": one.status,
            })
        })
        .collect();
    let told = json!({
        "command": env!("CARGO_PKG_VERSION"), "at": now.to_string(),
        "server": server.unwrap_or_default(), "kinds": kinds,
    });
    bundle.value("versions.json", told);
}

/// Every object of the kinds, and in one list how each stands.
async fn objects(cluster: &Cluster, namespace: Option<&str>, bundle: &mut Bundle) {
    let mut conditions = Vec::new();
    for what in Listed::OURS {
        let Some(items) = listed(cluster.gather(what, namespace).await, what.name(), bundle) else {
            continue;
        };
        conditions.extend(items.iter().flat_map(|item| stands(what.name(), item)));
        bundle.value(
            &format!("objects/{}.json", what.name()),
            Value::Array(items),
        );
    }
    bundle.value("conditions.json", Value::Array(conditions));
}

/// What came of a list; None: nothing, which is named.
fn listed(
    found: Result<Gathered, CallError>,
    what: &str,
    bundle: &mut Bundle,
) -> Option<Vec<Value>> {
    match found {
        Ok(Gathered { items, cut_off }) => {
            if cut_off {
                let read = items.len();
                bundle.lacks(
                    format!("more {what}"),
                    &format!("only the first {read} are read"),
                );
            }
            Some(items)
        }
        Err(why) => {
            bundle.lacks(what, &chain(&why));
            None
        }
    }
}

/// The conditions of an object, each with whose it is.
fn stands(kind: &str, object: &Value) -> Vec<Value> {
    let text = |pointer: &str| object.pointer(pointer).and_then(Value::as_str);
    let conditions = object.pointer("/status/conditions");
    let conditions = conditions.and_then(Value::as_array);
    let one = |condition: &Value| {
        let of = |field: &str| condition.get(field).cloned().unwrap_or_default();
        json!({
            "kind": kind, "namespace": text("/metadata/namespace"), "name": text("/metadata/name"),
            "type": of("type"), "status": of("status"), "reason": of("reason"), "message": of("message"),
            "since": of("lastTransitionTime"),
        })
    };
    conditions.into_iter().flatten().map(one).collect()
}

/// The Deployments with their flags, their pods, and what those say. Returned is where they are.
async fn controllers(cluster: &Cluster, bundle: &mut Bundle) -> BTreeSet<String> {
    let mut deployments = Vec::new();
    for labels in RUN {
        match cluster.deployments(labels).await {
            Ok(found) => deployments.extend(found.into_iter().filter(is_ours)),
            Err(why) => bundle.lacks(format!("Deployments with {labels}"), &chain(&why)),
        }
    }
    if deployments.is_empty() {
        bundle.lacks(
            "logs, metrics and flags",
            "no Deployment of the chart is found",
        );
    }
    let mut homes = BTreeSet::new();
    for deployment in &deployments {
        let text = |pointer| deployment.pointer(pointer).and_then(Value::as_str);
        let namespace = text("/metadata/namespace").unwrap_or_default();
        homes.insert(namespace.to_owned());
        pods(cluster, namespace, deployment, bundle).await;
    }
    bundle.value("deployments.json", Value::Array(deployments));
    homes
}

async fn pods(cluster: &Cluster, namespace: &str, deployment: &Value, bundle: &mut Bundle) {
    let name = deployment.pointer("/metadata/name").and_then(Value::as_str);
    let name = name.unwrap_or_default();
    let labels = deployment.pointer("/spec/selector/matchLabels");
    let labels: BTreeMap<String, String> = labels
        .and_then(|labels| serde_json::from_value(labels.clone()).ok())
        .unwrap_or_default();
    if labels.is_empty() {
        // Without any it would be all pods.
        bundle.lacks(
            format!("pods of {namespace}/{name}"),
            "its selector has no labels",
        );
        return;
    }
    let labels = labels.iter().map(|(key, value)| format!("{key}={value}"));
    let labels: Vec<String> = labels.collect();
    let found = cluster.gather_pods(namespace, &labels.join(",")).await;
    let Some(pods) = listed(found, &format!("pods of {namespace}/{name}"), bundle) else {
        return;
    };
    if pods.len() > PODS {
        let all = counted(pods.len(), "pod", "pods");
        bundle.lacks(
            format!("more logs of {namespace}/{name}"),
            &format!("{all}, {PODS} are asked"),
        );
    }
    for pod in pods.iter().take(PODS) {
        let containers = containers(namespace, pod);
        if containers.iter().all(|one| one.metrics.is_none()) {
            let pod = pod.pointer("/metadata/name").and_then(Value::as_str);
            let what = format!("the metrics of {namespace}/{}", pod.unwrap_or_default());
            bundle.lacks(what, "no container of it names a port for them");
        }
        for one in &containers {
            said(cluster, one, bundle).await;
        }
    }
    bundle.value(&format!("pods/{namespace}-{name}.json"), Value::Array(pods));
}

/// A container of a pod.
struct Running {
    container: Container,
    /// Whether it was started before.
    restarted: bool,
    /// Where it serves metrics, if it does.
    metrics: Option<u16>,
}

fn containers(namespace: &str, pod: &Value) -> Vec<Running> {
    let text = |pointer: &str| pod.pointer(pointer).and_then(Value::as_str);
    let pod_name = text("/metadata/name").unwrap_or_default();
    let restarts = |name: &str| {
        let all = pod.pointer("/status/containerStatuses")?.as_array()?;
        let of = all
            .iter()
            .find(|one| one.get("name").and_then(Value::as_str) == Some(name))?;
        of.get("restartCount")?.as_u64()
    };
    let all = pod.pointer("/spec/containers").and_then(Value::as_array);
    let running = |one: &Value| {
        let name = one.get("name")?.as_str()?;
        let container = Container {
            namespace: namespace.to_owned(),
            pod: pod_name.to_owned(),
            name: name.to_owned(),
        };
        Some(Running {
            container,
            restarted: restarts(name).is_some_and(|times| times > 0),
            metrics: METRICS.iter().find_map(|port| port_of(one, port)),
        })
    };
    all.into_iter().flatten().filter_map(running).collect()
}

/// The port of a container that is called so.
fn port_of(container: &Value, name: &str) -> Option<u16> {
    let ports = container.get("ports")?.as_array()?;
    let is = |port: &&Value| port.get("name").and_then(Value::as_str) == Some(name);
    let port = ports.iter().find(is)?.get("containerPort")?.as_u64()?;
    port.try_into().ok()
}

/// The log of a container, the one before it, and its metrics.
async fn said(cluster: &Cluster, running: &Running, bundle: &mut Bundle) {
    let Container {
        namespace,
        pod,
        name,
    } = &running.container;
    let container = &running.container;
    let file = format!("{namespace}-{pod}-{name}");
    match cluster.log_of(container, false).await {
        Ok(log) => bundle.log(&format!("logs/{file}.log"), &log),
        Err(why) => bundle.lacks(format!("the log of {namespace}/{pod}"), &chain(&why)),
    }
    if running.restarted {
        match cluster.log_of(container, true).await {
            Ok(log) => bundle.log(&format!("logs/{file}.previous.log"), &log),
            Err(why) => bundle.lacks(format!("the log before of {namespace}/{pod}"), &chain(&why)),
        }
    }
    let Some(port) = running.metrics else {
        return;
    };
    match cluster.metrics_of(container, port).await {
        Ok(metrics) => bundle.log(&format!("metrics/{file}.txt"), &metrics),
        Err(why) => bundle.lacks(format!("the metrics of {namespace}/{pod}"), &chain(&why)),
    }
}

/// Events about the kinds, and those of the controller's namespaces.
async fn events(
    cluster: &Cluster,
    namespace: Option<&str>,
    homes: &BTreeSet<String>,
    bundle: &mut Bundle,
) {
    let found = cluster.gather(Listed::Events, namespace).await;
    let Some(mut items) = listed(found, "events", bundle) else {
        return;
    };
    let groups = [
        reeve_api::SOURCE_GROUP,
        reeve_api::KUSTOMIZE_GROUP,
        reeve_api::NOTIFICATION_GROUP,
        reeve_api::REEVE_GROUP,
    ];
    items.retain(|event| {
        let text = |pointer| event.pointer(pointer).and_then(Value::as_str);
        let group = text("/involvedObject/apiVersion").and_then(|it| it.split_once('/'));
        let is_ours = group.is_some_and(|(group, _)| groups.contains(&group));
        let is_home = text("/metadata/namespace").is_some_and(|it| homes.contains(it));
        is_ours || is_home
    });
    bundle.value("events.json", Value::Array(items));
}

async fn leases(cluster: &Cluster, homes: &BTreeSet<String>, bundle: &mut Bundle) {
    for namespace in homes {
        let found = cluster.gather_leases(namespace).await;
        if let Some(items) = listed(found, &format!("Leases of {namespace}"), bundle) {
            bundle.value(&format!("leases/{namespace}.json"), Value::Array(items));
        }
    }
}

/// Of each node what runs on it, and how it is.
async fn nodes(cluster: &Cluster, bundle: &mut Bundle) {
    let found = cluster.gather(Listed::Nodes, None).await;
    let Some(items) = listed(found, "nodes", bundle) else {
        return;
    };
    let node = |node: &Value| {
        let of = |pointer: &str| node.pointer(pointer).cloned().unwrap_or_default();
        json!({
            "name": of("/metadata/name"), "info": of("/status/nodeInfo"), "conditions": of("/status/conditions"),
            "capacity": of("/status/capacity"), "allocatable": of("/status/allocatable"), "taints": of("/spec/taints"),
        })
    };
    bundle.value("nodes.json", items.iter().map(node).collect());
}

#[cfg(test)]
mod tests {
    use super::*;

    fn metrics(containers: Value) -> Vec<Option<u16>> {
        let pod = json!({"metadata": {"name": "pod"}, "spec": {"containers": containers}});
        let found = super::containers("reeve-system", &pod);
        found.iter().map(|one| one.metrics).collect()
    }

    #[test]
    fn metrics_are_asked_for_where_the_pod_says_that_they_are_served() {
        let controller = json!([
            {"name": "healthz", "containerPort": 9440}, {"name": "http-prom", "containerPort": 8080},
        ]);
        let landlord = json!([{"name": "healthz", "containerPort": 9440}]);
        for (ports, want) in [
            (controller, Some(8080)),
            (landlord, Some(9440)),
            (json!([{"name": "http", "containerPort": 15090}]), None),
            (json!([{"name": "healthz", "containerPort": 70000}]), None),
            (Value::Null, None),
        ] {
            let found = metrics(json!([{"name": "manager", "ports": ports}]));
            assert_eq!(found, [want], "{ports}");
        }
        let beside = json!([
            {"name": "manager", "ports": [{"name": "http-prom", "containerPort": 8080}]}, {"name": "proxy"},
        ]);
        assert_eq!(metrics(beside), [Some(8080), None]);
    }
}
