//! Another cluster: an API server of its own, on which nothing of reeve is installed.

use std::sync::Arc;

use anyhow::Context as _;
use kube::api::{Api, DynamicObject, Patch, PatchParams};
use reeve_core::caution::BUDGET;
use reeve_tests::tenant::Tenant;
use reeve_tests::{Plane, objects};
use serde_json::{Value, json};
use tokio::sync::OnceCell;

/// Where the accounts are that come from elsewhere.
const HOME: &str = "reeve-edge";
const RBAC: &str = "rbac.authorization.k8s.io";

/// Another cluster.
#[derive(Clone)]
pub(super) struct Edge(pub(super) Arc<Plane>);

impl Edge {
    /// The one that all scenarios share which leave it running.
    pub(super) async fn shared() -> anyhow::Result<Self> {
        static SHARED: OnceCell<Edge> = OnceCell::const_new();
        let shared = SHARED.get_or_try_init(Self::alone).await?;
        Ok(shared.clone())
    }

    /// One that nobody else uses.
    pub(super) async fn alone() -> anyhow::Result<Self> {
        let edge = Self(Arc::new(Plane::bare().await?));
        edge.put(&json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": HOME}}))
            .await?;
        let impersonates = json!([{"apiGroups": [""], "resources": ["serviceaccounts"], "verbs": ["impersonate"]}]);
        edge.put(
            &json!({"apiVersion": format!("{RBAC}/v1"), "kind": "ClusterRole",
            "metadata": {"name": HOME}, "rules": impersonates}),
        )
        .await?;
        Ok(edge)
    }

    /// Its address, as Kustomizations tell it.
    pub(super) fn url(&self) -> String {
        self.0.url()
    }

    /// As its administrator, any object.
    pub(super) async fn put(&self, object: &Value) -> anyhow::Result<()> {
        let text = |pointer: &str| objects::text(object, pointer);
        let (version, kind) = (text("/apiVersion"), text("/kind"));
        let (version, kind) = (version.context("a version")?, kind.context("a kind")?);
        let name = text("/metadata/name").context("a name")?;
        let namespace = text("/metadata/namespace");
        let api = objects::api(self.0.admin(), version, kind, namespace);
        let how = PatchParams::apply("edge").force();
        api.patch(name, &how, &Patch::Apply(object)).await?;
        Ok(())
    }

    /// An account that comes from elsewhere, and may be any account; its kubeconfig.
    pub(super) async fn guest(&self, name: &str) -> anyhow::Result<Value> {
        let meta = json!({"name": name, "namespace": HOME});
        self.put(&json!({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": meta}))
            .await?;
        self.put(
            &json!({"apiVersion": format!("{RBAC}/v1"), "kind": "ClusterRoleBinding",
            "metadata": {"name": format!("{HOME}-{name}")},
            "roleRef": {"apiGroup": RBAC, "kind": "ClusterRole", "name": HOME},
            "subjects": [{"kind": "ServiceAccount", "name": name, "namespace": HOME}]}),
        )
        .await?;
        let path = self.0.kubeconfig_of(HOME, name).await?;
        Ok(serde_json::from_str(&std::fs::read_to_string(path)?)?)
    }

    /// The guest is no more, nor what it has been given.
    pub(super) async fn dismiss(&self, name: &str) -> anyhow::Result<()> {
        let accounts = objects::api(self.0.admin(), "v1", "ServiceAccount", Some(HOME));
        accounts.delete(name, &Default::default()).await?;
        Ok(())
    }

    /// The tenant has its namespace there too.
    pub(super) async fn room(&self, tenant: &Tenant<'_>) -> anyhow::Result<()> {
        let name = tenant.name();
        self.put(&json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}))
            .await
    }

    /// And its account, which need not exist, may do these there.
    pub(super) async fn allows(&self, tenant: &Tenant<'_>, verbs: &[&str]) -> anyhow::Result<()> {
        let meta = json!({"name": "flux", "namespace": tenant.name()});
        self.grants(&meta, verbs, (tenant.name(), "flux")).await
    }

    /// A guest may do all of that by itself in a namespace there.
    pub(super) async fn allows_guest(&self, name: &str, namespace: &str) -> anyhow::Result<()> {
        let meta = json!({"name": name, "namespace": namespace});
        self.grants(&meta, &["*"], (HOME, name)).await
    }

    async fn grants(
        &self,
        meta: &Value,
        verbs: &[&str],
        (home, account): (&str, &str),
    ) -> anyhow::Result<()> {
        let resources = ["configmaps", "services", "deployments", "jobs"];
        let rules =
            json!([{"apiGroups": ["", "apps", "batch"], "resources": resources, "verbs": verbs}]);
        self.put(&json!({"apiVersion": format!("{RBAC}/v1"), "kind": "Role", "metadata": meta, "rules": rules}))
            .await?;
        self.put(
            &json!({"apiVersion": format!("{RBAC}/v1"), "kind": "RoleBinding", "metadata": meta,
            "roleRef": {"apiGroup": RBAC, "kind": "Role", "name": meta["name"]},
            "subjects": [{"kind": "ServiceAccount", "name": account, "namespace": home}]}),
        )
        .await
    }

    /// A Job there comes to its end, well: there is nobody else who would have it do so.
    pub(super) async fn finishes(&self, tenant: &Tenant<'_>, name: &str) -> anyhow::Result<()> {
        let now = jiff::Timestamp::from_second(jiff::Timestamp::now().as_second())?.to_string();
        let is = |kind: &str| json!({"type": kind, "status": "True", "lastTransitionTime": now});
        let status = json!({"status": {"startTime": now, "completionTime": now, "succeeded": 1,
            "ready": 0, "terminating": 0, "uncountedTerminatedPods": {},
            "conditions": [is("SuccessCriteriaMet"), is("Complete")]}});
        let how = PatchParams::default();
        let jobs = self.api(tenant, "batch/v1", "Job");
        jobs.patch_status(name, &how, &Patch::Merge(&status))
            .await?;
        Ok(())
    }

    /// Objects of a kind in the tenant's namespace there.
    pub(super) fn api(&self, tenant: &Tenant<'_>, version: &str, kind: &str) -> Api<DynamicObject> {
        objects::api(self.0.admin(), version, kind, Some(tenant.name()))
    }
}

/// The Secret of the tenant's with a kubeconfig, whose changes wake who names it.
pub(super) async fn gives(tenant: &Tenant<'_>, kubeconfig: &Value) -> anyhow::Result<()> {
    let meta = json!({"name": "edge", "namespace": tenant.name(),
        "labels": {"reconcile.fluxcd.io/watch": "Enabled"}});
    let data = json!({"value": kubeconfig.to_string()});
    tenant
        .apply(&json!({"apiVersion": "v1", "kind": "Secret", "metadata": meta, "stringData": data}))
        .await
}

/// The platform lets the tenant reach these.
pub(super) async fn may_reach(tenant: &Tenant<'_>, clusters: &[&str]) -> anyhow::Result<()> {
    let name = tenant.name();
    tenant
        .apply(&json!({"apiVersion": "reeve.dev/v1alpha1", "kind": "Tenant", "metadata": {"name": name},
            "spec": {"namespaces": [name], "sources": [name], "remoteClusters": clusters}}))
        .await
}

/// It is soon tried again if it fails.
pub(super) async fn retries_soon(tenant: &Tenant<'_>) -> anyhow::Result<()> {
    let soon = json!("1s");
    tenant
        .change(|draft| draft.set("retryInterval", soon))
        .await?;
    Ok(())
}

/// What the tenant has is carried out there from now on, without anybody's confirmation, and soon again if it fails.
pub(super) async fn moves(tenant: &Tenant<'_>) -> anyhow::Result<()> {
    tenant.annotate(BUDGET, Some("100%")).await?;
    tenant
        .change(|draft| {
            draft.set("kubeConfig", json!({"secretRef": {"name": "edge"}}));
            draft.set("retryInterval", json!("1s"));
        })
        .await?;
    Ok(())
}
