//! Objects of any kind: reaching them by their names, reading their conditions, and taking stock of
//! everything a tenant has, to see that nothing was written.

use std::collections::BTreeMap;

use anyhow::Context as _;
use futures::{StreamExt as _, TryStreamExt as _};
use kube::api::{Api, ApiResource, DynamicObject, ListParams};
use kube::core::GroupVersionKind;
use kube::discovery::{Discovery, Scope, verbs};
use kube::{Client, ResourceExt as _};
use serde_json::Value;

use crate::wait;

/// The objects of one kind, in one namespace or (for `None`) everywhere.
#[must_use]
pub fn api(
    client: Client,
    api_version: &str,
    kind: &str,
    namespace: Option<&str>,
) -> Api<DynamicObject> {
    let (group, version) = api_version.split_once('/').unwrap_or(("", api_version));
    let resource = ApiResource::from_gvk(&GroupVersionKind::gvk(group, version, kind));
    match namespace {
        Some(namespace) => Api::namespaced_with(client, namespace, &resource),
        None => Api::all_with(client, &resource),
    }
}

/// One condition of an object.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Condition {
    /// `True`, `False` or `Unknown`.
    pub status: String,
    /// The word.
    pub reason: String,
    /// The sentence.
    pub message: String,
    /// The generation of the spec that it is about.
    pub observed_generation: Option<i64>,
}

/// The condition `kind` in an object's status.
#[must_use]
pub fn condition(object: &Value, kind: &str) -> Option<Condition> {
    let all = object.pointer("/status/conditions")?.as_array()?;
    let found = all
        .iter()
        .find(|condition| condition.get("type").and_then(Value::as_str) == Some(kind))?;
    let text = |key: &str| {
        found
            .get(key)
            .and_then(Value::as_str)
            .unwrap_or_default()
            .to_owned()
    };
    Some(Condition {
        status: text("status"),
        reason: text("reason"),
        message: text("message"),
        observed_generation: found.get("observedGeneration").and_then(Value::as_i64),
    })
}

/// The text at a JSON pointer.
#[must_use]
pub fn text<'a>(object: &'a Value, pointer: &str) -> Option<&'a str> {
    object.pointer(pointer).and_then(Value::as_str)
}

/// What a namespace holds, and what was applied for it elsewhere: everything that is somebody's
/// intent. What Kubernetes derives from that (pods, endpoints, events, status) is not in it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Stock(BTreeMap<String, Value>);

impl Stock {
    /// The identities: `Kind.group/namespace/name`.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }

    /// The object with this identity.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Value> {
        self.0.get(name)
    }

    /// What was added, changed or removed since `before`, a line each.
    #[must_use]
    pub fn changes_since(&self, before: &Self) -> Vec<String> {
        let added = self
            .0
            .keys()
            .filter(|name| !before.0.contains_key(*name))
            .map(|name| format!("added {name}"));
        let removed = before
            .0
            .keys()
            .filter(|name| !self.0.contains_key(*name))
            .map(|name| format!("removed {name}"));
        let changed = self.0.iter().filter_map(|(name, now)| {
            let was = before.0.get(name)?;
            (was != now).then(|| format!("changed {name}:\n  was {was}\n  is  {now}"))
        });
        added.chain(removed).chain(changed).collect()
    }
}

/// Kinds that Kubernetes itself makes from others, and the kinds that steer reeve.
const DERIVED: &[&str] = &[
    "Event",
    "Endpoints",
    "EndpointSlice",
    "Pod",
    "PodMetrics",
    "ReplicaSet",
    "ControllerRevision",
    "Lease",
];
const STEERING: &[&str] = &[
    "kustomize.toolkit.fluxcd.io",
    "source.toolkit.fluxcd.io",
    "notification.toolkit.fluxcd.io",
    "reeve.dev",
];

/// Takes stock of `namespace`, and of everything anywhere that bears its owner label.
pub async fn stock(client: &Client, namespace: &str) -> anyhow::Result<Stock> {
    let discovery = Discovery::new(client.clone())
        .exclude(STEERING)
        .run()
        .await
        .context("discovery")?;
    let owned = ListParams::default().labels(&format!(
        "kustomize.toolkit.fluxcd.io/namespace={namespace}"
    ));
    let mut lists = Vec::new();
    for group in discovery.groups() {
        for (resource, capabilities) in group.recommended_resources() {
            if !capabilities.supports_operation(verbs::LIST)
                || DERIVED.contains(&resource.kind.as_str())
            {
                continue;
            }
            let everywhere: Api<DynamicObject> = Api::all_with(client.clone(), &resource);
            lists.push((everywhere, owned.clone(), resource.clone()));
            if capabilities.scope == Scope::Namespaced {
                lists.push((
                    Api::namespaced_with(client.clone(), namespace, &resource),
                    ListParams::default(),
                    resource,
                ));
            }
        }
    }
    let lists = lists
        .into_iter()
        .map(|(api, which, resource)| async move { listed(&api, &which, &resource).await });
    let found: Vec<Vec<(String, Value)>> = futures::stream::iter(lists)
        .buffered(16)
        .try_collect()
        .await?;
    Ok(Stock(found.into_iter().flatten().collect()))
}

async fn listed(
    api: &Api<DynamicObject>,
    which: &ListParams,
    resource: &ApiResource,
) -> anyhow::Result<Vec<(String, Value)>> {
    let list = || async {
        match api.list(which).await {
            // A server that has just started asks to come again.
            Err(kube::Error::Api(refused)) if refused.code == 429 => None,
            answer => Some(answer),
        }
    };
    let found = wait::until(wait::PATIENCE, "the API server can list", list).await?;
    let found = found.with_context(|| format!("listing {}", resource.plural))?;
    let meant = found
        .into_iter()
        .filter(|object| !came_by_itself(object, resource));
    Ok(meant
        .map(|object| (identity(&object, resource), intent(&object)))
        .collect())
}

/// What Kubernetes puts into every namespace, sooner or later.
fn came_by_itself(object: &DynamicObject, resource: &ApiResource) -> bool {
    let what = (resource.kind.as_str(), object.metadata.name.as_deref());
    matches!(
        what,
        ("ConfigMap", Some("kube-root-ca.crt")) | ("ServiceAccount", Some("default"))
    )
}

fn identity(object: &DynamicObject, resource: &ApiResource) -> String {
    let namespace = object.namespace().unwrap_or_default();
    format!(
        "{}.{}/{namespace}/{}",
        resource.kind,
        resource.group,
        object.name_any()
    )
}

/// The object without what the cluster keeps about it.
fn intent(object: &DynamicObject) -> Value {
    let mut value = object.data.clone();
    if let Some(fields) = value.as_object_mut() {
        fields.remove("status");
        let mut annotations = object.annotations().clone();
        annotations.remove("deployment.kubernetes.io/revision");
        let kept = serde_json::json!({
            "uid": object.uid(), "labels": object.labels(), "annotations": annotations,
            "deletionTimestamp": object.metadata.deletion_timestamp,
        });
        fields.insert("metadata".to_owned(), kept);
    }
    value
}
