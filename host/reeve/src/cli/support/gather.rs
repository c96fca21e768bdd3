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
/// Where the chart's pods serve metrics.
const METRICS: u16 = 8080;

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
    let containers = pods
        .iter()
        .take(PODS)
        .flat_map(|pod| containers(namespace, pod));
    for (container, restarted) in containers.collect::<Vec<_>>() {
        said(cluster, &container, restarted, bundle).await;
    }
    bundle.value(&format!("pods/{namespace}-{name}.json"), Value::Array(pods));
}

/// The containers of a pod, and whether each was started before.
fn containers(namespace: &str, pod: &Value) -> Vec<(Container, bool)> {
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
    let names = all.into_iter().flatten();
    let names = names.filter_map(|one| one.get("name")?.as_str());
    let container = |name: &str| {
        let container = Container {
            namespace: namespace.to_owned(),
            pod: pod_name.to_owned(),
            name: name.to_owned(),
        };
        (container, restarts(name).is_some_and(|times| times > 0))
    };
    names.map(container).collect()
}

/// The log of a container, the one before it, and its metrics.
async fn said(cluster: &Cluster, container: &Container, restarted: bool, bundle: &mut Bundle) {
    let Container {
        namespace,
        pod,
        name,
    } = container;
    let file = format!("{namespace}-{pod}-{name}");
    match cluster.log_of(container, false).await {
        Ok(log) => bundle.log(&format!("logs/{file}.log"), &log),
        Err(why) => bundle.lacks(format!("the log of {namespace}/{pod}"), &chain(&why)),
    }
    if restarted {
        match cluster.log_of(container, true).await {
            Ok(log) => bundle.log(&format!("logs/{file}.previous.log"), &log),
            Err(why) => bundle.lacks(format!("the log before of {namespace}/{pod}"), &chain(&why)),
        }
    }
    match cluster.metrics_of(container, METRICS).await {
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
