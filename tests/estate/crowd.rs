//! Everything that hangs or fails, many times over, in one tenant's namespace: to see what it costs others.
//!
//! Git servers that never answer, plugins that never end, an admission webhook that hangs, health that never comes, what
//! depends on what never will be ready, and what policy denies; all of it tried again every second.

use std::net::Ipv4Addr;

use reeve_api::reason::Reason;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio_util::task::AbortOnDropHandle;

use crate::guest;
use crate::install::CONFIG;
use crate::tenant::{Tenant, says};
use crate::wait::PATIENCE;

/// The crowd, until it is dropped: its objects stay, and the servers that never answered are gone.
pub struct Crowd {
    _silent: AbortOnDropHandle<()>,
}

/// The ways to hang or fail.
const KINDS: [(&str, Option<Reason>); 6] = [
    ("silent", None),
    ("endless", None),
    ("hooked", None),
    ("unwell", None),
    ("waiting", Some(Reason::DependencyNotReady)),
    ("denied", Some(Reason::PolicyDenied)),
];

impl Crowd {
    /// How many Kustomizations there are of each kind, for so many in all.
    #[must_use]
    pub fn each_of(all: usize) -> usize {
        all.div_ceil(KINDS.len())
    }

    /// Makes `each` Kustomizations of every kind for the tenant, and returns when the first of them have been tried: all of
    /// them wait for each other.
    pub async fn gather(tenant: &Tenant<'_>, each: usize) -> anyhow::Result<Self> {
        guest::install()?;
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let port = listener.local_addr()?.port();
        let silent = AbortOnDropHandle::new(tokio::spawn(never_answer(listener)));
        tenant.apply(&plugin(tenant.name())).await?;
        tenant.apply(&webhook(tenant.name(), port)).await?;
        for nth in 0..each {
            tenant.apply(&source(tenant.name(), nth, port)).await?;
            for (kind, _) in KINDS {
                let one = kustomization(tenant.name(), kind, nth);
                tenant.apply(&one).await?;
            }
        }
        let api = tenant.kustomizations();
        for (kind, reason) in KINDS {
            if let Some(reason) = reason {
                says(3 * PATIENCE, &api, &format!("{kind}-0"), reason, "").await?;
            }
        }
        Ok(Self { _silent: silent })
    }
}

/// Holds every connection and says nothing.
async fn never_answer(listener: TcpListener) {
    let mut held = Vec::new();
    while let Ok((stream, _)) = listener.accept().await {
        held.push(stream);
    }
}

fn plugin(namespace: &str) -> Value {
    json!({
        "apiVersion": "reeve.dev/v1alpha1", "kind": "Plugin",
        "metadata": {"name": "endless", "namespace": namespace},
        "spec": {
            "world": "transformer", "source": {"path": guest::LOOPS},
            "selector": {"matchLabels": {"crowd": "endless"}},
        },
    })
}

fn webhook(namespace: &str, port: u16) -> Value {
    json!({
        "apiVersion": "admissionregistration.k8s.io/v1", "kind": "ValidatingWebhookConfiguration",
        "metadata": {"name": format!("{namespace}-hangs")},
        "webhooks": [{
            "name": "hangs.example.com", "admissionReviewVersions": ["v1"], "sideEffects": "None",
            "timeoutSeconds": 10, "failurePolicy": "Fail",
            "clientConfig": {"url": format!("https://127.0.0.1:{port}/")},
            "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": namespace}},
            "objectSelector": {"matchLabels": {"crowd": "hooked"}},
            "rules": [{
                "apiGroups": ["*"], "apiVersions": ["*"], "operations": ["CREATE", "UPDATE"],
                "resources": ["configmaps", "services"],
            }],
        }],
    })
}

fn source(namespace: &str, nth: usize, port: u16) -> Value {
    json!({
        "apiVersion": "source.toolkit.fluxcd.io/v1", "kind": "GitRepository",
        "metadata": {"name": format!("silent-{nth}"), "namespace": namespace},
        "spec": {
            "interval": "1s", "timeout": "10s", "url": format!("http://127.0.0.1:{port}/{nth}"),
            "ref": {"branch": "main"},
        },
    })
}

fn kustomization(namespace: &str, kind: &str, nth: usize) -> Value {
    let mut spec = json!({
        "interval": "1m", "retryInterval": "1s", "timeout": "10s", "path": "./", "prune": false,
        "serviceAccountName": "flux", "targetNamespace": namespace,
        "sourceRef": {"kind": "GitRepository", "name": namespace, "namespace": CONFIG},
    });
    let (field, value) = match kind {
        "silent" => {
            let name = format!("silent-{nth}");
            let own = json!({"kind": "GitRepository", "name": name, "namespace": namespace});
            ("sourceRef", own)
        }
        "hooked" => ("commonMetadata", json!({"labels": {"crowd": "hooked"}})),
        "unwell" => {
            let never = json!({"apiVersion": "v1", "kind": "ConfigMap", "name": "never", "namespace": namespace});
            ("healthChecks", json!([never]))
        }
        "waiting" => ("dependsOn", json!([{"name": "never"}])),
        "denied" => ("serviceAccountName", Value::Null),
        _ => ("prune", json!(false)),
    };
    if let Some(fields) = spec.as_object_mut() {
        fields.insert(field.to_owned(), value);
        fields.retain(|_, value| !value.is_null());
    }
    json!({
        "apiVersion": "kustomize.toolkit.fluxcd.io/v1", "kind": "Kustomization",
        "metadata": {"name": format!("{kind}-{nth}"), "namespace": namespace, "labels": {"crowd": kind}},
        "spec": spec,
    })
}
