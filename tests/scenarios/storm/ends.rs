//! How a push ended: everything that tenants have, in words that are the same for every push.
//!
//! A version, a commit and a tenant's name stand for themselves in no two pushes, so words take their place. What Kubernetes
//! makes of objects is left out. Which object it is (its uid) is kept apart: what git goes on to have must stay the same one.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::ensure;
use kube::ResourceExt as _;
use kube::api::{DynamicObject, ListParams};
use reeve_tests::install::CONFIG;
use serde_json::{Value, json};

use super::crowd::{Crowd, KUSTOMIZE, OURS, SOURCE, TIDE, name, token};

/// The kinds that tenants have.
const HELD: [(&str, &str); 6] = [
    ("v1", "ConfigMap"),
    ("v1", "ServiceAccount"),
    ("apps/v1", "Deployment"),
    ("batch/v1", "Job"),
    ("rbac.authorization.k8s.io/v1", "RoleBinding"),
    TIDE,
];
/// Annotations and labels that say which push it was, or what Kubernetes made of it.
const PASSING: [&str; 5] = [
    "reeve.dev/sync",
    "deployment.kubernetes.io/revision",
    "batch.kubernetes.io/controller-uid",
    "batch.kubernetes.io/job-name",
    "batch.kubernetes.io/job-tracking",
];

/// What one tenant has: `Kind/name`, and how it is.
type Held = BTreeMap<String, Value>;

/// How a push ended.
#[derive(Clone, Default)]
pub(super) struct Ends {
    held: BTreeMap<String, Held>,
    uids: BTreeMap<(String, String), String>,
}

/// What need not be the same object as before.
#[derive(Default)]
pub(super) struct Excuse {
    /// Everything of these tenants.
    pub(super) tenants: BTreeSet<String>,
    /// Every object of this kind.
    pub(super) kind: Option<&'static str>,
}

impl Ends {
    /// Looks at all tenants, after the push of that version, whose heads these are.
    pub(super) async fn look(
        crowd: &Crowd,
        version: usize,
        heads: &[String],
    ) -> anyhow::Result<Self> {
        let mut ends = Self::default();
        let plain: BTreeMap<String, Plain<'_>> = heads
            .iter()
            .enumerate()
            .map(|(at, head)| (name(at), Plain::of(at, version, head)))
            .collect();
        for kind in HELD {
            let all = crowd.list(kind, None, &ListParams::default()).await?;
            for object in all {
                let tenant = object.namespace().unwrap_or_default();
                if let Some(plain) = plain
                    .get(&tenant)
                    .filter(|_| !came_by_itself(kind.1, &object))
                {
                    ends.add(tenant, kind.1, &object, plain)?;
                }
            }
        }
        let ours = ListParams::default().labels(OURS);
        for (kind, namespace) in [
            ((KUSTOMIZE, "Kustomization"), None),
            ((SOURCE, "GitRepository"), Some(CONFIG)),
        ] {
            for object in crowd.list(kind, namespace, &ours).await? {
                let tenant = object.name_any();
                if let Some(plain) = plain.get(&tenant) {
                    ends.add(tenant, kind.1, &object, plain)?;
                }
            }
        }
        Ok(ends)
    }

    fn add(
        &mut self,
        tenant: String,
        kind: &str,
        object: &DynamicObject,
        plain: &Plain<'_>,
    ) -> anyhow::Result<()> {
        let key = plain.text(&format!("{kind}/{}", object.name_any()));
        let seen = match kind {
            "Kustomization" => kustomization(object),
            "GitRepository" => source(object),
            _ => held(kind, object),
        };
        let seen = serde_json::from_str(&plain.text(&seen.to_string()))?;
        let uid = object.uid().unwrap_or_default();
        self.uids.insert((tenant.clone(), key.clone()), uid);
        self.held.entry(tenant).or_default().insert(key, seen);
        Ok(())
    }

    /// Whether there is nothing to compare with yet.
    pub(super) fn is_nothing(&self) -> bool {
        self.held.is_empty()
    }

    /// All tenants have what they had at the end of the push to which nothing happened.
    pub(super) fn are(&self, want: &Self) -> anyhow::Result<()> {
        let nothing = Held::new();
        let mut differ = Vec::new();
        for (tenant, want) in &want.held {
            let is = self.held.get(tenant).unwrap_or(&nothing);
            let keys: BTreeSet<&String> = is.keys().chain(want.keys()).collect();
            let differs = keys
                .into_iter()
                .filter(|key| is.get(*key) != want.get(*key));
            differ.extend(differs.map(|key| {
                let shown = |held: &Held| {
                    held.get(key)
                        .map_or_else(|| "nothing".to_owned(), Value::to_string)
                };
                format!(
                    "{tenant} {key}\n  is   {}\n  want {}",
                    shown(is),
                    shown(want)
                )
            }));
        }
        let first = differ.iter().take(4).map(String::as_str);
        let first = first.collect::<Vec<_>>().join("\n");
        ensure!(differ.is_empty(), "{} differ:\n{first}", differ.len());
        Ok(())
    }

    /// What git had before and has now was neither deleted nor made anew, but for what is excused.
    pub(super) fn stayed(&self, before: &Self, excuse: &Excuse) -> anyhow::Result<()> {
        let steady = |key: &str| !key.starts_with("Job/") && !key.contains("/passing-");
        let excused = |tenant: &String, key: &str| {
            let kind = excuse.kind;
            excuse.tenants.contains(tenant)
                || kind.is_some_and(|kind| key.starts_with(&format!("{kind}/")))
        };
        let mut gone = Vec::new();
        for ((tenant, key), uid) in &before.uids {
            if !steady(key) || excused(tenant, key) {
                continue;
            }
            let now = self.uids.get(&(tenant.clone(), key.clone()));
            if now != Some(uid) {
                gone.push(format!("{tenant} {key} was {uid}, is {now:?}"));
            }
        }
        ensure!(gone.is_empty(), "made anew:\n{}", gone.join("\n"));
        Ok(())
    }

    /// The Job of that name that a tenant has.
    pub(super) fn job(&self, tenant: &str, name: &str) -> Option<&String> {
        self.uids.get(&(tenant.to_owned(), format!("Job/{name}")))
    }
}

/// What stands for a tenant's own words.
struct Plain<'h> {
    tenant: String,
    token: String,
    head: &'h str,
}

impl<'h> Plain<'h> {
    fn of(at: usize, version: usize, head: &'h str) -> Self {
        let (tenant, token) = (name(at), token(version));
        Self {
            tenant,
            token,
            head,
        }
    }

    fn text(&self, text: &str) -> String {
        let text = text.replace(self.head, "HEAD");
        text.replace(&self.token, "NOW")
            .replace(&self.tenant, "TENANT")
    }
}

fn came_by_itself(kind: &str, object: &DynamicObject) -> bool {
    let what = (kind, object.metadata.name.as_deref());
    matches!(
        what,
        ("ConfigMap", Some("kube-root-ca.crt")) | ("ServiceAccount", Some("default"))
    )
}

/// What somebody wants an object to be, and who says so.
fn held(kind: &str, object: &DynamicObject) -> Value {
    let kept = |all: &BTreeMap<String, String>| -> BTreeMap<String, String> {
        let all = all
            .iter()
            .filter(|(key, _)| !PASSING.contains(&key.as_str()));
        all.map(|(key, value)| (key.clone(), value.clone()))
            .collect()
    };
    let pointers: &[&str] = match kind {
        // Its selector and its pod's labels hold its uid.
        "Job" => &[
            "/spec/template/spec/containers/0/image",
            "/status/succeeded",
        ],
        _ => &["/spec", "/data", "/roleRef", "/subjects"],
    };
    // How many pods of a Job ended well is for Kubernetes to say, which may start one twice when its API server goes away.
    let often = |value: &Value| value.as_i64().is_some_and(|often| often > 0);
    let content = pointers
        .iter()
        .map(|at| match (*at, object.data.pointer(at)) {
            ("/status/succeeded", value) => Some(json!(value.is_some_and(often))),
            (_, value) => value.cloned(),
        });
    let managers: BTreeSet<String> = object
        .managed_fields()
        .iter()
        .filter_map(|entry| entry.manager.clone())
        .filter(|manager| !manager.starts_with("kube-"))
        .collect();
    json!({
        "labels": kept(object.labels()), "annotations": kept(object.annotations()),
        "managers": managers, "content": content.collect::<Vec<_>>(),
        "going": object.metadata.deletion_timestamp.is_some(),
    })
}

fn conditions(object: &DynamicObject) -> Value {
    let all = object.data.pointer("/status/conditions");
    let all = all.and_then(Value::as_array).into_iter().flatten();
    let words = |it: &Value| ["type", "status", "reason"].map(|key| it.get(key).cloned());
    let told: BTreeSet<String> = all.map(|it| json!(words(it)).to_string()).collect();
    let observed = object.data.pointer("/status/observedGeneration");
    let current = observed.and_then(Value::as_i64) == object.metadata.generation;
    json!({"told": told, "current": current, "finalizers": object.metadata.finalizers})
}

fn kustomization(object: &DynamicObject) -> Value {
    let texts = |list: &str, keys: &[&str]| -> Vec<String> {
        let all = object.data.pointer(list);
        let all = all.and_then(Value::as_array).into_iter().flatten();
        let words = |it: &Value| {
            let each = keys.iter().filter_map(|key| it.get(*key)?.as_str());
            each.collect::<Vec<_>>().join(" ")
        };
        let mut all: Vec<String> = all.map(words).collect();
        all.sort();
        all
    };
    json!({
        "status": conditions(object),
        "inventory": texts("/status/inventory/entries", &["id", "v"]),
        "hooks": texts("/status/sync/hooks", &["id", "phase", "outcome"]),
        "waits": object.data.pointer("/status/sync/wave"),
        "applied": object.data.pointer("/status/lastAppliedRevision"),
        "attempted": object.data.pointer("/status/lastAttemptedRevision"),
    })
}

fn source(object: &DynamicObject) -> Value {
    json!({
        "status": conditions(object),
        "artifact": object.data.pointer("/status/artifact/revision"),
    })
}
