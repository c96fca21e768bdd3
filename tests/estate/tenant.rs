//! A healthy tenant, and what becomes of it after one change.
//!
//! The layout is the platform's usual one: the source and its Secret in the platform's configuration
//! namespace, the Kustomization and its account in the tenant's own. Each scenario changes one thing
//! and reads what is told about it.

mod change;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use anyhow::Context as _;
use kube::api::{Api, DynamicObject, Patch, PatchParams};
use reeve_api::reason::Reason;
use serde_json::{Value, json};

use crate::git::Repo;
use crate::install::{self, CONFIG};
use crate::objects::{self, Condition, Stock};
use crate::secrecy;
use crate::wait;
use crate::world::Estate;

pub use change::says;

const SOURCE_API: &str = "source.toolkit.fluxcd.io/v1";
const KUSTOMIZATION_API: &str = "kustomize.toolkit.fluxcd.io/v1";
const RECEIVER_API: &str = "notification.toolkit.fluxcd.io/v1";
const REQUESTED_AT: &str = "reconcile.fluxcd.io/requestedAt";

/// What a healthy tenant's repository holds: two objects, one of which a rollout changes.
pub const MANIFESTS: [(&str, &str); 2] = [
    (
        "settings.yaml",
        "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: settings\ndata:\n  colour: green\n",
    ),
    (
        "service.yaml",
        "apiVersion: v1\nkind: Service\nmetadata:\n  name: web\nspec:\n  selector:\n    app: web\n  ports:\n    - port: 80\n",
    ),
];

/// A tenant of an [`Estate`].
pub struct Tenant<'a> {
    estate: &'a Estate,
    name: String,
    repo: Repo,
    before: Stock,
}

/// One change to a healthy tenant.
///
/// Specs are JSON, so that a change can also be one that the types would not allow.
#[derive(Clone, Debug)]
pub struct Draft {
    /// `spec` of the GitRepository.
    pub source: Value,
    /// `spec` of the Kustomization.
    pub kustomization: Value,
    files: BTreeMap<String, Option<Vec<u8>>>,
    objects: Vec<Value>,
    namespace: String,
}

impl Draft {
    /// Sets a field of the Kustomization's spec; `null` removes it.
    pub fn set(&mut self, field: &str, value: Value) {
        set(&mut self.kustomization, field, value);
    }

    /// Sets a field of the GitRepository's spec; `null` removes it.
    pub fn set_source(&mut self, field: &str, value: Value) {
        set(&mut self.source, field, value);
    }

    /// Commits a file.
    pub fn commit(&mut self, path: &str, content: impl AsRef<[u8]>) {
        self.files
            .insert(path.to_owned(), Some(content.as_ref().to_vec()));
    }

    /// Deletes a file in git.
    pub fn delete(&mut self, path: &str) {
        self.files.insert(path.to_owned(), None);
    }

    /// The platform gives this tenant a plugin: a file of the controller's plugin directory.
    pub fn plugin(&mut self, file: &str) {
        let plugin = json!({
            "apiVersion": "reeve.dev/v1alpha1", "kind": "ClusterPlugin",
            "metadata": {"name": format!("{}-plugin", self.namespace)},
            "spec": {
                "world": "transformer", "source": {"path": file},
                "selector": {"namespaces": [self.namespace]},
            },
        });
        self.objects.push(plugin);
    }

    /// An administrator applies an object.
    pub fn apply(&mut self, object: Value) {
        self.objects.push(object);
    }

    /// The tenant's namespace.
    #[must_use]
    pub fn namespace(&self) -> &str {
        &self.namespace
    }
}

fn set(spec: &mut Value, field: &str, value: Value) {
    if let Some(fields) = spec.as_object_mut() {
        if value.is_null() {
            fields.remove(field);
        } else {
            fields.insert(field.to_owned(), value);
        }
    }
}

/// What the tenant reads after a change.
#[derive(Clone, Debug)]
pub struct Told {
    /// The Kustomization's condition `Ready`.
    pub ready: Condition,
    /// The GitRepository's condition `Ready`.
    pub source: Condition,
    /// The whole Kustomization.
    pub kustomization: Value,
}

/// A row of a table: a healthy tenant, one change, one expected reason.
pub struct Row {
    /// What the change is, in words.
    pub says: &'static str,
    /// The change.
    pub change: fn(&mut Draft),
    /// What `Ready` should say about it.
    pub want: Reason,
}

/// A row of a table.
pub fn row(says: &'static str, change: fn(&mut Draft), want: Reason) -> Row {
    Row { says, change, want }
}

impl<'a> Tenant<'a> {
    /// Makes the tenant and waits until its repository is applied.
    pub async fn healthy(estate: &'a Estate, name: &str) -> anyhow::Result<Self> {
        let repo = estate.repo(name)?;
        let mut tenant = Self {
            estate,
            name: name.to_owned(),
            repo,
            before: Stock::default(),
        };
        let commit = tenant.commit(MANIFESTS.map(|(path, text)| (path, Some(text))))?;
        for object in tenant.objects_of_a_tenant() {
            tenant.apply(&object).await?;
        }
        wait::for_object(
            &tenant.kustomizations(),
            name,
            "the first commit is applied",
            |ks| is_current(ks) && revision(ks, "lastAppliedRevision").ends_with(&commit),
        )
        .await?;
        tenant.before = tenant.objects().await?;
        Ok(tenant)
    }

    fn objects_of_a_tenant(&self) -> Vec<Value> {
        let name = &self.name;
        let token = format!("{:032x}", rand::random::<u128>());
        secrecy::used(&token);
        let account = json!({"kind": "ServiceAccount", "name": "flux", "namespace": name});
        let [role, granted] = install::grant(self.estate.system(), name);
        vec![
            json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}),
            role,
            granted,
            json!({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "flux", "namespace": name}}),
            json!({
                "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "RoleBinding",
                "metadata": {"name": "flux", "namespace": name},
                "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "admin"},
                "subjects": [account],
            }),
            json!({
                "apiVersion": "v1", "kind": "Secret",
                "metadata": {"name": format!("{name}-webhook"), "namespace": CONFIG},
                "stringData": {"token": token},
            }),
            json!({
                "apiVersion": SOURCE_API, "kind": "GitRepository", "metadata": {"name": name, "namespace": CONFIG},
                "spec": {"interval": "1h", "url": self.estate.git.url(name), "ref": {"branch": "main"}},
            }),
            json!({
                "apiVersion": RECEIVER_API, "kind": "Receiver", "metadata": {"name": name, "namespace": CONFIG},
                "spec": {
                    "type": "generic", "secretRef": {"name": format!("{name}-webhook")},
                    "resources": [{"kind": "GitRepository", "name": name}],
                },
            }),
            json!({
                "apiVersion": KUSTOMIZATION_API, "kind": "Kustomization",
                "metadata": {"name": name, "namespace": name},
                "spec": {
                    "interval": "1h", "retryInterval": "1h", "path": "./", "prune": true,
                    "serviceAccountName": "flux", "targetNamespace": name,
                    "sourceRef": {"kind": "GitRepository", "name": name, "namespace": CONFIG},
                },
            }),
        ]
    }

    /// Its name, which is also its namespace's and its Kustomization's.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its repository.
    #[must_use]
    pub fn repo(&self) -> &Repo {
        &self.repo
    }

    /// Objects of one kind in its namespace.
    #[must_use]
    pub fn api(&self, api_version: &str, kind: &str) -> Api<DynamicObject> {
        objects::api(self.estate.admin(), api_version, kind, Some(&self.name))
    }

    /// Kustomizations of its namespace.
    #[must_use]
    pub fn kustomizations(&self) -> Api<DynamicObject> {
        self.api(KUSTOMIZATION_API, "Kustomization")
    }

    /// The platform's GitRepositories; the tenant's is called as the tenant.
    #[must_use]
    pub fn sources(&self) -> Api<DynamicObject> {
        objects::api(
            self.estate.admin(),
            SOURCE_API,
            "GitRepository",
            Some(CONFIG),
        )
    }

    /// What it holds now.
    pub async fn objects(&self) -> anyhow::Result<Stock> {
        objects::stock(&self.estate.admin(), &self.name).await
    }

    /// What it held when it was healthy.
    #[must_use]
    pub fn objects_before(&self) -> &Stock {
        &self.before
    }

    /// What was added, changed or removed since it was healthy.
    pub async fn changes(&self) -> anyhow::Result<Vec<String>> {
        Ok(self.objects().await?.changes_since(&self.before))
    }

    /// Applies an object as an administrator.
    pub async fn apply(&self, object: &Value) -> anyhow::Result<()> {
        let text = |pointer| objects::text(object, pointer);
        let (version, kind) = (
            text("/apiVersion").context("apiVersion")?,
            text("/kind").context("kind")?,
        );
        let name = text("/metadata/name").context("metadata.name")?;
        let api = objects::api(
            self.estate.admin(),
            version,
            kind,
            text("/metadata/namespace"),
        );
        api.patch(
            name,
            &PatchParams::apply("estate").force(),
            &Patch::Apply(object),
        )
        .await
        .with_context(|| format!("applying {kind} {name}"))?;
        Ok(())
    }

    /// Commits files (`None` deletes one) and returns the commit's id.
    pub fn commit<P, C>(
        &self,
        files: impl IntoIterator<Item = (P, Option<C>)>,
    ) -> anyhow::Result<String>
    where
        P: AsRef<str>,
        C: AsRef<[u8]>,
    {
        for (path, content) in files {
            match content {
                Some(content) => self.repo.write(path.as_ref(), content)?,
                None => self.repo.remove(path.as_ref())?,
            };
        }
        let commit = self.repo.commit("A change")?;
        self.repo.push()?;
        Ok(commit)
    }

    /// Commits files, calls the webhook, and waits until the commit is applied.
    pub async fn push(&self, files: &[(&str, Option<&str>)]) -> anyhow::Result<Told> {
        let commit = self.commit(files.iter().copied())?;
        self.call_hook().await?;
        let seen = wait::for_object(
            &self.kustomizations(),
            &self.name,
            "the pushed commit is applied",
            |ks| is_current(ks) && revision(ks, "lastAppliedRevision").ends_with(&commit),
        )
        .await?;
        self.told(seen).await
    }

    /// The address of the Receiver's hook.
    pub async fn hook_url(&self) -> anyhow::Result<String> {
        let receivers = objects::api(self.estate.admin(), RECEIVER_API, "Receiver", Some(CONFIG));
        let has_path = |receiver: &DynamicObject| {
            objects::text(&receiver.data, "/status/webhookPath").is_some()
        };
        let receiver =
            wait::for_object(&receivers, &self.name, "the Receiver has a path", has_path).await?;
        let path = objects::text(&receiver.data, "/status/webhookPath").unwrap_or_default();
        Ok(self.estate.controller.hook_url(path))
    }

    /// Calls the Receiver's hook.
    pub async fn call_hook(&self) -> anyhow::Result<()> {
        let call = reqwest::Client::new().post(self.hook_url().await?);
        call.send()
            .await?
            .error_for_status()
            .context("calling the hook")?;
        Ok(())
    }

    /// Makes one change, asks for a reconcile, and returns what is then told.
    pub async fn after(&self, change: impl FnOnce(&mut Draft)) -> anyhow::Result<Told> {
        let commit = self.make(change).await?;
        self.reconcile(commit.as_deref()).await
    }

    /// Makes one change and returns the commit, if it made one.
    async fn make(&self, change: impl FnOnce(&mut Draft)) -> anyhow::Result<Option<String>> {
        let was = self.draft().await?;
        let mut draft = was.clone();
        change(&mut draft);
        for object in &draft.objects {
            self.apply(object).await?;
        }
        let commit = match draft.files.is_empty() {
            true => None,
            false => Some(self.commit(draft.files)?),
        };
        if draft.kustomization != was.kustomization {
            replace_spec(&self.kustomizations(), &self.name, &draft.kustomization).await?;
        }
        if draft.source != was.source {
            replace_spec(&self.sources(), &self.name, &draft.source).await?;
        }
        Ok(commit)
    }

    /// How it stands, for somebody to change.
    async fn draft(&self) -> anyhow::Result<Draft> {
        let source = self.sources().get(&self.name).await?;
        let kustomization = self.kustomizations().get(&self.name).await?;
        let spec = |object: &DynamicObject| object.data.get("spec").cloned().unwrap_or_default();
        Ok(Draft {
            source: spec(&source),
            kustomization: spec(&kustomization),
            files: BTreeMap::new(),
            objects: Vec::new(),
            namespace: self.name.clone(),
        })
    }

    /// Asks for a reconcile of source and Kustomization, as `flux reconcile --with-source` does, and
    /// returns what is then told; about `commit`, if that can be fetched.
    pub async fn reconcile(&self, commit: Option<&str>) -> anyhow::Result<Told> {
        let source = ask(&self.sources(), &self.name, |_| true).await?;
        let fetched =
            objects::condition(&source.data, "Ready").is_some_and(|ready| ready.status == "True");
        let about = commit.filter(|_| fetched);
        let seen = ask(&self.kustomizations(), &self.name, |ks| {
            about.is_none_or(|commit| revision(ks, "lastAttemptedRevision").ends_with(commit))
                || stopped_before_fetch(ks)
        })
        .await?;
        self.told(seen).await
    }

    async fn told(&self, kustomization: DynamicObject) -> anyhow::Result<Told> {
        let source = self.sources().get(&self.name).await?;
        Ok(Told {
            ready: objects::condition(&kustomization.data, "Ready").unwrap_or_default(),
            source: objects::condition(&source.data, "Ready").unwrap_or_default(),
            kustomization: serde_json::to_value(&kustomization)?,
        })
    }
}

async fn replace_spec(api: &Api<DynamicObject>, name: &str, spec: &Value) -> anyhow::Result<()> {
    let patch = serde_json::from_value(json!([{"op": "replace", "path": "/spec", "value": spec}]))?;
    api.patch(name, &PatchParams::default(), &Patch::<Value>::Json(patch))
        .await
        .context("changing a spec")?;
    Ok(())
}

/// Requests a reconcile and waits until it was handled, and `also` holds.
async fn ask(
    api: &Api<DynamicObject>,
    name: &str,
    also: impl Fn(&DynamicObject) -> bool,
) -> anyhow::Result<DynamicObject> {
    static REQUEST: AtomicU64 = AtomicU64::new(0);
    let token = format!("request-{}", REQUEST.fetch_add(1, Ordering::Relaxed));
    let patch = json!({"metadata": {"annotations": {REQUESTED_AT: token}}});
    api.patch_metadata(name, &PatchParams::default(), &Patch::Merge(&patch))
        .await
        .context("asking for a reconcile")?;
    let patience = Duration::from_secs(60);
    wait::within(patience, api, name, "the request was handled", |object| {
        let handled =
            objects::text(&object.data, "/status/lastHandledReconcileAt") == Some(token.as_str());
        handled && is_current(object) && also(object)
    })
    .await
}

/// The newest generation was told about, and no run is under way. The condition's generation is the
/// one to read: the status's own moves only when a run succeeds.
fn is_current(object: &DynamicObject) -> bool {
    objects::condition(&object.data, "Ready").is_some_and(|ready| {
        ready.status != "Unknown" && ready.observed_generation == object.metadata.generation
    })
}

fn revision<'a>(kustomization: &'a DynamicObject, field: &str) -> &'a str {
    objects::text(&kustomization.data, &format!("/status/{field}")).unwrap_or_default()
}

/// The spec itself was refused: no revision was attempted.
fn stopped_before_fetch(kustomization: &DynamicObject) -> bool {
    let reasons = [
        Reason::PolicyDenied,
        Reason::AccessDenied,
        Reason::InvalidSpec,
        Reason::Unsupported,
        Reason::ArtifactFailed,
    ];
    let ready = objects::condition(&kustomization.data, "Ready").unwrap_or_default();
    reasons.iter().any(|reason| reason.as_str() == ready.reason)
}
