//! Objects that go to a Kustomization that is not there yet: it comes with the push that moves them, from a parent or with a
//! source of its own.

use anyhow::ensure;
use reeve_tests::tenant::Tenant;
use reeve_tests::{Estate, scenario, wait};
use serde_json::json;

use super::{apply, delete, map, owned_by, spec};

/// Lets the tenant's account apply Kustomizations in its namespace.
async fn may_apply_kustomizations(tenant: &Tenant<'_>) -> anyhow::Result<()> {
    let (api, name) = ("rbac.authorization.k8s.io/v1", tenant.name());
    let metadata = json!({"name": "kustomizations", "namespace": name});
    let role = json!({
        "apiVersion": api, "kind": "Role", "metadata": metadata,
        "rules": [{
            "apiGroups": ["kustomize.toolkit.fluxcd.io"], "resources": ["kustomizations"], "verbs": ["*"],
        }],
    });
    let binding = json!({
        "apiVersion": api, "kind": "RoleBinding", "metadata": metadata,
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "kustomizations"},
        "subjects": [{"kind": "ServiceAccount", "name": "flux", "namespace": name}],
    });
    tenant.apply(&role).await?;
    tenant.apply(&binding).await
}

/// The manifest of a Kustomization like the tenant's own, for a path.
async fn manifest(tenant: &Tenant<'_>, name: &str, path: &str) -> anyhow::Result<String> {
    let mut object = json!({
        "apiVersion": "kustomize.toolkit.fluxcd.io/v1", "kind": "Kustomization",
        "metadata": {"name": name, "namespace": tenant.name()}, "spec": spec(tenant).await?,
    });
    object["spec"]["path"] = json!(path);
    Ok(object.to_string())
}

#[test]
fn a_kustomization_that_is_split_through_its_parent_and_joined_again_deletes_nothing() {
    scenario(async {
        let estate = Estate::shared().await?;
        let tenant = estate.healthy_tenant("split").await?;
        may_apply_kustomizations(&tenant).await?;
        let root = |more: &str| format!("resources: [settings.yaml, service.yaml{more}]\n");
        let [one, two] = [root(", ks-a.yaml"), root(", ks-a.yaml, ks-b.yaml")];
        let a = manifest(&tenant, "a", "./a").await?;
        let b = manifest(&tenant, "b", "./b").await?;
        let (moves, stays) = (map("moves"), map("stays"));
        tenant
            .push(&[
                ("kustomization.yaml", Some(&one)),
                ("ks-a.yaml", Some(&a)),
                ("ks-b.yaml", Some(&b)),
                ("a/moves.yaml", Some(&moves)),
                ("a/stays.yaml", Some(&stays)),
            ])
            .await?;
        let uid = owned_by(&tenant, "moves", "a").await?;
        for _round in 0..3 {
            // a is woken by this push as its parent is, and b is not there yet.
            let split = [
                ("kustomization.yaml", Some(two.as_str())),
                ("a/moves.yaml", None),
                ("b/moves.yaml", Some(moves.as_str())),
            ];
            tenant.push(&split).await?;
            let now = owned_by(&tenant, "moves", "b").await?;
            ensure!(now == uid, "made anew on its way to a new Kustomization");
            let joined = [
                ("kustomization.yaml", Some(one.as_str())),
                ("a/moves.yaml", Some(moves.as_str())),
                ("b/moves.yaml", None),
                ("b/README.md", Some("b")),
            ];
            tenant.push(&joined).await?;
            let now = owned_by(&tenant, "moves", "a").await?;
            ensure!(now == uid, "made anew on its way back");
            wait::until_gone(&tenant.kustomizations(), "b").await?;
        }
        Ok(())
    });
}

#[test]
fn a_kustomization_that_gives_an_object_to_one_that_it_applies_itself_deletes_nothing() {
    scenario(async {
        let estate = Estate::shared().await?;
        let tenant = estate.healthy_tenant("child").await?;
        may_apply_kustomizations(&tenant).await?;
        let own = tenant.name().to_owned();
        let uid = owned_by(&tenant, "settings", &own).await?;
        let child = manifest(&tenant, "child", "./child").await?;
        let settings = map("settings");
        let root = "resources: [service.yaml, ks-child.yaml]\n";
        tenant
            .push(&[
                ("kustomization.yaml", Some(root)),
                ("ks-child.yaml", Some(&child)),
                ("settings.yaml", None),
                ("child/settings.yaml", Some(&settings)),
            ])
            .await?;
        let now = owned_by(&tenant, "settings", "child").await?;
        ensure!(now == uid, "made anew on its way to a child");
        Ok(())
    });
}

#[test]
fn a_kustomization_that_is_renamed_together_with_its_source_deletes_nothing() {
    scenario(async {
        let estate = Estate::shared().await?;
        let tenant = estate.healthy_tenant("resourced").await?;
        let mut spec = spec(&tenant).await?;
        let mut old = tenant.name().to_owned();
        let uid = owned_by(&tenant, "settings", &old).await?;
        for round in 0..3 {
            let new = format!("resourced-{round}");
            let source = json!({
                "apiVersion": "source.toolkit.fluxcd.io/v1", "kind": "GitRepository",
                "metadata": {"name": new, "namespace": tenant.name()},
                "spec": {
                    "interval": "1h", "url": estate.git.url(tenant.name()), "ref": {"branch": "main"},
                },
            });
            tenant.apply(&source).await?;
            spec["sourceRef"] = json!({"kind": "GitRepository", "name": new});
            // Its source is still being fetched when the one before it goes.
            apply(&tenant, &new, &spec, "./").await?;
            delete(&tenant, &old).await?;
            let now = owned_by(&tenant, "settings", &new).await?;
            ensure!(now == uid, "made anew in round {round}");
            old = new;
        }
        Ok(())
    });
}
