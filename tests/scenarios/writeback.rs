//! What changes on the cluster becomes a commit: by rule, as the account, in the file where the value comes from; and nothing is
//! reverted, written twice, lost, or written for somebody whom it is not.

mod agreed;
mod anew;
mod attacks;
mod away;
mod careful;
mod claims;
mod counted;
mod deletions;
mod fresh;
mod hands;
mod kinds;
mod moments;
mod named;
mod places;
mod recovery;
mod remote;
mod rights;
mod signed;
mod snapshots;
mod unseen;
mod users;

use kube::api::{Api, DynamicObject, Patch, PatchParams};
use reeve_tests::git::git;
use reeve_tests::install::CONFIG;
use reeve_tests::tenant::{Draft, Tenant};
use reeve_tests::{Estate, objects, wait};
use serde_json::{Value, json};

/// What people write has comments, and an order of its own.
const WEB: &str = "# The shop.\napiVersion: apps/v1\nkind: Deployment\nmetadata:\n  name: web\nspec:\n  replicas: 1 # one is enough\n  selector:\n    matchLabels: {app: web}\n  template:\n    metadata:\n      labels: {app: web}\n    spec:\n      containers:\n        - name: web\n          image: registry.local/web:1 # pinned by hand\n";

const API: &str = "reeve.dev/v1alpha1";

/// A healthy tenant with a Deployment, whose repository may be pushed to.
async fn tenant<'a>(estate: &'a Estate, name: &str) -> anyhow::Result<Tenant<'a>> {
    let tenant = estate.healthy_tenant(name).await?;
    git(tenant.repo().bare(), ["config", "http.receivepack", "true"])?;
    tenant.push(&[("web.yaml", Some(WEB))]).await?;
    Ok(tenant)
}

/// However much of the tenant's goes at once, nothing asks about it.
async fn all_may_go(tenant: &Tenant<'_>) -> anyhow::Result<()> {
    let budget = ("reeve.dev/prune-budget", Some("100%"));
    tenant.annotate(budget.0, budget.1).await
}

/// Has the tenant's Kustomization build `app`, where the Deployment is from then on; with more that changes at once.
async fn build_app(tenant: &Tenant<'_>, more: impl FnOnce(&mut Draft)) -> anyhow::Result<()> {
    all_may_go(tenant).await?;
    tenant
        .after(|draft| {
            draft.commit("app/web.yaml", WEB);
            draft.delete("web.yaml");
            draft.set("path", json!("./app"));
            more(draft);
        })
        .await?;
    Ok(())
}

/// A WriteBack of the tenant by these rules, which writes soon.
fn writeback(tenant: &Tenant<'_>, name: &str, rules: &Value) -> Value {
    let namespace = tenant.name();
    json!({
        "apiVersion": API, "kind": "WriteBack", "metadata": {"name": name, "namespace": namespace},
        "spec": {
            "interval": "1h", "debounce": "100ms", "serviceAccountName": "flux", "rules": rules,
            "sourceRef": {"kind": "GitRepository", "name": namespace, "namespace": CONFIG},
        },
    })
}

fn writebacks(tenant: &Tenant<'_>) -> Api<DynamicObject> {
    tenant.api(API, "WriteBack")
}

/// Makes a WriteBack, and waits until it says that it looks, and until what is applied goes by it: a run that was begun before it
/// was there puts right what it finds.
async fn begin(tenant: &Tenant<'_>, object: &Value) -> anyhow::Result<()> {
    tenant.apply(object).await?;
    let name = objects::text(object, "/metadata/name").unwrap_or_default();
    told(tenant, name, "True", "Succeeded").await?;
    tenant.reconcile(None).await?;
    Ok(())
}

/// Waits until a WriteBack says so, and returns it.
async fn told(
    tenant: &Tenant<'_>,
    name: &str,
    status: &str,
    reason: &str,
) -> anyhow::Result<DynamicObject> {
    let what = format!("the WriteBack is {status}, {reason}");
    wait::for_object(&writebacks(tenant), name, &what, |object| {
        objects::condition(&object.data, "Ready")
            .is_some_and(|ready| ready.status == status && ready.reason == reason)
    })
    .await
}

/// Waits until a WriteBack lists an object as refused, and returns the entry.
async fn refused(tenant: &Tenant<'_>, name: &str, object: &str) -> anyhow::Result<Value> {
    let entry = |found: &DynamicObject| {
        let all = found.data.pointer("/status/refused")?.as_array()?;
        let mut all = all.iter();
        all.find(|one| objects::text(one, "/object") == Some(object))
            .cloned()
    };
    let what = format!("{object} is refused");
    let found = wait::for_object(&writebacks(tenant), name, &what, |found| {
        entry(found).is_some()
    })
    .await?;
    Ok(entry(&found).unwrap_or_default())
}

/// Somebody changes an object of the tenant's by hand, as this field manager.
async fn change(
    api: &Api<DynamicObject>,
    name: &str,
    manager: &str,
    change: &Value,
) -> anyhow::Result<()> {
    let params = PatchParams {
        field_manager: Some(manager.to_owned()),
        ..PatchParams::default()
    };
    api.patch(name, &params, &Patch::Strategic(change)).await?;
    Ok(())
}

/// Another image for the Deployment.
fn image(tag: &str) -> Value {
    let containers = json!([{"name": "web", "image": format!("registry.local/web:{tag}")}]);
    json!({"spec": {"template": {"spec": {"containers": containers}}}})
}

/// The file at the newest commit of the server, if there is one.
fn file(tenant: &Tenant<'_>, path: &str) -> Option<String> {
    let at = format!("main:{path}");
    git(tenant.repo().bare(), ["show", at.as_str()]).ok()
}

/// Waits until a file of the server holds these words, and returns it.
async fn written(tenant: &Tenant<'_>, path: &str, words: &str) -> anyhow::Result<String> {
    let what = format!("{path} holds {words:?}");
    let look = || async { file(tenant, path).filter(|text| text.contains(words)) };
    wait::until(wait::PATIENCE, &what, look).await
}

/// How many commits the server has.
fn commits(tenant: &Tenant<'_>) -> anyhow::Result<usize> {
    let count = git(tenant.repo().bare(), ["rev-list", "--count", "main"])?;
    Ok(count.parse()?)
}

/// Waits until what the server has is applied.
async fn applied(tenant: &Tenant<'_>) -> anyhow::Result<()> {
    let head = git(tenant.repo().bare(), ["rev-parse", "main"])?;
    let what = format!("{head} is applied");
    wait::for_object(&tenant.kustomizations(), tenant.name(), &what, |ks| {
        let revision = objects::text(&ks.data, "/status/lastAppliedRevision");
        revision.is_some_and(|revision| revision.ends_with(&head))
    })
    .await?;
    Ok(())
}

/// Has a WriteBack look at everything, and waits until it has.
async fn looked(tenant: &Tenant<'_>, name: &str) -> anyhow::Result<()> {
    let at = format!("{:016x}", rand::random::<u64>());
    let patch = json!({"metadata": {"annotations": {"reconcile.fluxcd.io/requestedAt": at}}});
    let api = writebacks(tenant);
    api.patch(name, &PatchParams::default(), &Patch::Merge(&patch))
        .await?;
    wait::for_object(&api, name, "the request was handled", |object| {
        objects::text(&object.data, "/status/lastHandledReconcileAt") == Some(&at)
    })
    .await?;
    Ok(())
}

fn everything() -> Value {
    json!([{"resources": ["deployments", "configmaps"], "syncTo": "git"}])
}
