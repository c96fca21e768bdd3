//! A tenant's ground on a real cluster, and plans for it made by `core` as the controller makes them.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::Context as _;
use k8s_openapi::api::authorization::v1::SubjectAccessReview;
use kube::Client;
use kube::api::{Api, ApiResource, DynamicObject, Patch, PatchParams};
use kube::core::GroupVersionKind;
use reeve::cluster::{
    Applied, ApplyError, Cluster, Config, Progress, PruneError, Pruned, TenantClient, Witness,
};
use reeve_api::name::NamespaceName;
use reeve_core::admit::{self, AdmittedSpec, Circumstances, Rules};
use reeve_core::failure::Explained;
use reeve_core::inventory::Inventory;
use reeve_core::plan::{Admitted, Plan};
use reeve_core::render::{Rendering, Size, render};
use reeve_core::spec::Spec;
use reeve_core::tenancy::{Grounds, Tenant};
use reeve_core::veil::Veil;
use reeve_kustomize::{MemoryTree, Remotes, Stop};
use reeve_tests::{Plane, wait};
use serde_json::{Value, json};
use tokio::sync::OnceCell;
use tokio::time::Instant;

const PLATFORM: &str = "flux-system";

/// The files of a repository, and how they are wanted.
#[derive(Clone)]
pub(super) struct Wish {
    files: Vec<(String, String)>,
    force: bool,
}

impl Wish {
    pub(super) fn of(files: &[(&str, &str)]) -> Self {
        let own = |(file, text): &(&str, &str)| ((*file).to_owned(), (*text).to_owned());
        Self {
            files: files.iter().map(own).collect(),
            force: false,
        }
    }

    pub(super) fn with(&self, file: &str, text: &str) -> Self {
        let mut wish = self.clone();
        wish.files.retain(|(name, _)| name != file);
        wish.files.push((file.to_owned(), text.to_owned()));
        wish
    }

    pub(super) fn forced(mut self) -> Self {
        self.force = true;
        self
    }
}

/// A ConfigMap with one key.
pub(super) fn config_map(name: &str, value: &str) -> String {
    format!(
        "{{apiVersion: v1, kind: ConfigMap, metadata: {{name: {name}}}, data: {{k: \"{value}\"}}}}"
    )
}

/// One namespace, its account, and the cluster as the controller sees it.
pub(super) struct Ground {
    plane: Arc<Plane>,
    pub(super) cluster: Cluster,
    pub(super) namespace: String,
    platform: bool,
}

impl Ground {
    /// A tenant whose account is admin of its namespace.
    pub(super) async fn new(namespace: &str) -> anyhow::Result<Self> {
        Self::on(shared().await?, namespace, false).await
    }

    /// A namespace of the platform, whose account may do everything.
    pub(super) async fn platform(namespace: &str) -> anyhow::Result<Self> {
        Self::on(shared().await?, namespace, true).await
    }

    /// A tenant on a control plane that nobody else uses.
    pub(super) async fn alone(namespace: &str) -> anyhow::Result<Self> {
        Self::on(Arc::new(Plane::start().await?), namespace, false).await
    }

    async fn on(plane: Arc<Plane>, namespace: &str, platform: bool) -> anyhow::Result<Self> {
        let cluster = connect(&plane.kubeconfig()).await?;
        let ground = Self {
            plane,
            cluster,
            namespace: namespace.to_owned(),
            platform,
        };
        let role = if platform { "cluster-admin" } else { "admin" };
        let rbac = "rbac.authorization.k8s.io";
        let subject =
            json!([{"kind": "ServiceAccount", "name": "deployer", "namespace": namespace}]);
        let role = json!({"apiGroup": rbac, "kind": "ClusterRole", "name": role});
        ground
            .put(json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}}))
            .await?;
        let within = json!({"name": "deployer", "namespace": namespace});
        ground
            .put(json!({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": within}))
            .await?;
        let (kind, meta) = if platform {
            (
                "ClusterRoleBinding",
                json!({"name": format!("deployer-{namespace}")}),
            )
        } else {
            ("RoleBinding", within)
        };
        let version = format!("{rbac}/v1");
        ground
            .put(json!({"apiVersion": version, "kind": kind, "metadata": meta, "roleRef": role, "subjects": subject}))
            .await?;
        for verb in ["get", "patch", "delete"] {
            ground.until_may(verb, true).await?;
        }
        Ok(ground)
    }

    /// Waits until the authorizer has seen what the account may, and may not, do to ConfigMaps.
    async fn until_may(&self, verb: &str, want: bool) -> anyhow::Result<()> {
        let reviews: Api<SubjectAccessReview> = Api::all(self.admin());
        let question: SubjectAccessReview = serde_json::from_value(json!({"spec": {
            "user": format!("system:serviceaccount:{}:deployer", self.namespace),
            "resourceAttributes": {"namespace": self.namespace, "verb": verb, "resource": "configmaps"},
        }}))?;
        wait::until(
            Duration::from_secs(30),
            "the account's rights are in force",
            || async {
                let answer = reviews.create(&Default::default(), &question).await.ok()?;
                (answer.status?.allowed == want).then_some(())
            },
        )
        .await
    }

    pub(super) fn plane(&self) -> Arc<Plane> {
        Arc::clone(&self.plane)
    }

    pub(super) fn admin(&self) -> Client {
        self.plane.admin()
    }

    /// As the administrator, any object of this namespace.
    pub(super) async fn put(&self, object: Value) -> anyhow::Result<()> {
        let object: DynamicObject = serde_json::from_value(object)?;
        let types = object.types.clone().context("it has a kind")?;
        let resource = ApiResource::from_gvk(&GroupVersionKind::try_from(&types)?);
        let api: Api<DynamicObject> = match &object.metadata.namespace {
            Some(namespace) => Api::namespaced_with(self.admin(), namespace, &resource),
            None => Api::all_with(self.admin(), &resource),
        };
        let name = object.metadata.name.clone().context("it has a name")?;
        api.patch(
            &name,
            &PatchParams::apply("test").force(),
            &Patch::Apply(&object),
        )
        .await?;
        Ok(())
    }

    /// Takes from the account the right to delete.
    pub(super) async fn forbid_deleting(&self) -> anyhow::Result<()> {
        let rbac = "rbac.authorization.k8s.io";
        let bindings: Api<DynamicObject> = Api::namespaced_with(
            self.admin(),
            &self.namespace,
            &ApiResource::from_gvk(&GroupVersionKind::gvk(rbac, "v1", "RoleBinding")),
        );
        bindings.delete("deployer", &Default::default()).await?;
        let within = json!({"name": "deployer", "namespace": self.namespace});
        let version = format!("{rbac}/v1");
        self.put(json!({"apiVersion": version, "kind": "Role", "metadata": within,
            "rules": [{"apiGroups": [""], "resources": ["configmaps"], "verbs": ["get", "patch", "create"]}]}))
            .await?;
        let binding = json!({"apiVersion": version, "kind": "RoleBinding", "metadata": within,
            "roleRef": {"apiGroup": rbac, "kind": "Role", "name": "deployer"},
            "subjects": [{"kind": "ServiceAccount", "name": "deployer", "namespace": self.namespace}]});
        self.put(binding).await?;
        self.until_may("get", true).await?;
        self.until_may("delete", false).await
    }

    pub(super) async fn api(&self, kind: &str) -> anyhow::Result<Api<DynamicObject>> {
        Ok(match kind {
            "CustomResourceDefinition" => {
                let gvk = GroupVersionKind::gvk("apiextensions.k8s.io", "v1", kind);
                Api::all_with(self.admin(), &ApiResource::from_gvk(&gvk))
            }
            _ => {
                let group = if kind == "Deployment" { "apps" } else { "" };
                let resource = ApiResource::from_gvk(&GroupVersionKind::gvk(group, "v1", kind));
                Api::namespaced_with(self.admin(), &self.namespace, &resource)
            }
        })
    }

    pub(super) async fn get(
        &self,
        kind: &str,
        name: &str,
    ) -> anyhow::Result<Option<DynamicObject>> {
        Ok(self.api(kind).await?.get_opt(name).await?)
    }

    /// As the administrator, annotates a ConfigMap.
    pub(super) async fn annotate(&self, name: &str, key: &str, value: &str) -> anyhow::Result<()> {
        let patch = Patch::Merge(json!({"metadata": {"annotations": {key: value}}}));
        let maps = self.api("ConfigMap").await?;
        maps.patch(name, &PatchParams::default(), &patch).await?;
        Ok(())
    }

    /// The resourceVersions of ConfigMaps.
    pub(super) async fn versions(&self, names: &[&str]) -> anyhow::Result<Vec<Option<String>>> {
        let mut versions = Vec::new();
        for name in names {
            let object = self.get("ConfigMap", name).await?.context("it is there")?;
            versions.push(object.metadata.resource_version);
        }
        Ok(versions)
    }

    pub(super) async fn apply(&self, wish: &Wish) -> Result<(Applied, Story), ApplyError> {
        let diary = diary();
        let applied = self.apply_told(wish, diary.clone()).await?;
        Ok((applied, diary.story()))
    }

    pub(super) async fn apply_told(
        &self,
        wish: &Wish,
        diary: Diary,
    ) -> Result<Applied, ApplyError> {
        let (spec, plan) = self
            .plan(wish, &Inventory::default())
            .await
            .expect("the wish can be planned");
        let deadline = Instant::now() + Duration::from_secs(60);
        let client = self.as_tenant(&spec).await;
        loop {
            match client.apply(&plan, deadline, &diary).await {
                // A run ends then, and the next one goes on.
                Err(ApplyError::NotReady { .. }) if Instant::now() < deadline => {}
                told => return told,
            }
        }
    }

    /// Whether what comes after the first stage may be written.
    pub(super) async fn foresee(&self, wish: &Wish) -> Result<(), Explained> {
        let planned = self.plan(wish, &Inventory::default()).await;
        let (spec, plan) = planned.expect("the wish can be planned");
        let goes: Vec<_> = plan.hooks().filter(|hook| hook.goes(true)).collect();
        let client = self.as_tenant(&spec).await;
        client.foresee(&plan, true, &goes).await
    }

    /// Prunes what `before` has and `now` has not.
    pub(super) async fn prune(&self, before: &Wish, now: &Wish) -> Result<Pruned, PruneError> {
        let planned = async {
            let (_, old) = self.plan(before, &Inventory::default()).await?;
            self.plan(now, old.inventory()).await
        };
        let (spec, plan) = planned.await.expect("both can be planned");
        let deadline = Instant::now() + Duration::from_secs(60);
        self.as_tenant(&spec).await.prune(&plan, deadline).await
    }

    async fn as_tenant(&self, spec: &AdmittedSpec) -> TenantClient {
        let client = self.cluster.as_tenant(spec).await;
        client.expect("it is carried out here")
    }

    async fn plan(
        &self,
        wish: &Wish,
        inventory: &Inventory,
    ) -> anyhow::Result<(AdmittedSpec, Plan<Admitted>)> {
        let own: NamespaceName = self.namespace.parse()?;
        let mut platform = BTreeSet::from([PLATFORM.parse()?]);
        if self.platform {
            platform.insert(own.clone());
        }
        let grounds = Grounds {
            platform_namespaces: platform,
            config_namespaces: BTreeSet::new(),
            platform_service_account: "deployer".parse()?,
            tenant_service_account: "deployer".parse()?,
            remote_bases: Vec::new(),
            remote_clusters: Vec::new(),
        };
        let mut spec = json!({"interval": "10m", "prune": true, "path": ".", "force": wish.force,
            "sourceRef": {"kind": "GitRepository", "name": "app"}, "serviceAccountName": "deployer"});
        if !self.platform {
            spec["targetNamespace"] = self.namespace.clone().into();
        }
        let object = json!({"apiVersion": "kustomize.toolkit.fluxcd.io/v1", "kind": "Kustomization",
            "metadata": {"name": "app", "namespace": self.namespace, "generation": 1}, "spec": spec});
        let parsed = Spec::parse(&reeve_api::decode(&object)?)?;
        let tenant = Tenant::of_namespace(&own);
        let rules = Rules::shipped();
        let around = Circumstances {
            tenant: &tenant,
            grounds: &grounds,
            source: None,
            now: jiff::Timestamp::now(),
            veil: Veil::nothing(),
        };
        let (admitted, _) = admit::spec(rules, &around, &object, parsed, None)?;
        let tree: MemoryTree = wish
            .files
            .iter()
            .map(|(file, text)| (file.clone(), text.clone().into_bytes()))
            .collect();
        let Rendering::Bundle(bundle) = render(
            &tree,
            &Remotes::refused(),
            &admitted,
            None,
            Size::Any,
            &Stop::default(),
        )?
        else {
            anyhow::bail!("something is wanted from elsewhere");
        };
        let bundle = bundle.settled();
        let proposed = Plan::propose(bundle, &self.cluster.scopes().await, inventory, &admitted)?;
        let (plan, _) = admit::plan(rules, &around, &admitted, proposed, None, None)?;
        Ok((admitted, plan))
    }
}

/// The controller's view, with its own defaults.
pub(super) async fn connect(kubeconfig: &Path) -> anyhow::Result<Cluster> {
    let config = Config {
        kubeconfig: Some(kubeconfig.to_owned()),
        ..Config::default()
    };
    Ok(Cluster::connect(config).await?)
}

async fn shared() -> anyhow::Result<Arc<Plane>> {
    static SHARED: OnceCell<Arc<Plane>> = OnceCell::const_new();
    let plane = SHARED
        .get_or_try_init(|| async { anyhow::Ok(Arc::new(Plane::start().await?)) })
        .await?;
    Ok(Arc::clone(plane))
}

/// What a run told: how many objects each record held.
#[derive(Debug)]
pub(super) struct Story {
    pub(super) recorded: Vec<usize>,
}

/// A witness that keeps a diary.
#[derive(Clone, Default)]
pub(super) struct Diary {
    recorded: Arc<Mutex<Vec<usize>>>,
    refuse: bool,
    on_writing: Option<Arc<dyn Fn() + Send + Sync>>,
    told: Arc<AtomicBool>,
}

pub(super) fn diary() -> Diary {
    Diary::default()
}

impl Diary {
    pub(super) fn refusing(mut self) -> Self {
        self.refuse = true;
        self
    }

    /// Does something when the first objects are about to be written.
    pub(super) fn on_writing(mut self, act: impl Fn() + Send + Sync + 'static) -> Self {
        self.on_writing = Some(Arc::new(act));
        self
    }

    fn story(&self) -> Story {
        Story {
            recorded: self
                .recorded
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .clone(),
        }
    }
}

impl Witness for Diary {
    async fn before_first_write(&self, inventory: &Inventory) -> Result<(), Explained> {
        if self.refuse {
            let (reason, turn) = (
                reeve_api::reason::Reason::PatchOperationFailed,
                reeve_core::failure::Turn::Ours,
            );
            return Err(Explained::new(reason, turn, "no ink"));
        }
        self.recorded
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(inventory.len());
        Ok(())
    }

    fn progress(&self, progress: Progress) {
        if let (Progress::Writing { .. }, Some(act)) = (progress, &self.on_writing)
            && !self.told.swap(true, Ordering::SeqCst)
        {
            act();
        }
    }
}
