//! Tenants that are deleted with what was made of them, and what stays.

use anyhow::{Context as _, ensure};
use kube::ResourceExt as _;
use kube::api::{DynamicObject, ListParams, Patch, PatchParams, PostParams};
use reeve_tests::git::Repo;
use reeve_tests::install::{self, CONFIG};
use reeve_tests::landlord::Landlord;
use reeve_tests::{objects, root, scenario, wait};
use serde_json::{Value, json};

use super::{KUSTOMIZE, Manor, OURS, RBAC};

const SOURCE: &str = "source.toolkit.fluxcd.io/v1";
const DELETE: &str = "Delete";

fn spec(manor: &Manor, name: &str, namespaces: &[&str], policy: &str) -> Value {
    json!({
        "namespaces": namespaces, "deletionPolicy": policy,
        "source": {"url": manor.estate.git.url(name)},
    })
}

/// A Tenant with a repository, until it is delivered.
async fn delivered(
    manor: &Manor,
    name: &str,
    namespaces: &[&str],
    policy: &str,
) -> anyhow::Result<Repo> {
    let repo = manor.repository(name)?;
    manor
        .tenant(name, spec(manor, name, namespaces, policy))
        .await?;
    manor.told(name, "Succeeded").await?;
    manor
        .ready(name, "ReconciliationSucceeded", "Applied revision")
        .await?;
    Ok(repo)
}

/// What there is anywhere that was made of the Tenant.
async fn made_of(manor: &Manor, name: &str) -> anyhow::Result<Vec<String>> {
    let label = ListParams::default().labels(&format!("reeve.dev/tenant={name}"));
    let mut found = Vec::new();
    for (version, kind) in [
        ("v1", "Namespace"),
        ("v1", "ServiceAccount"),
        ("v1", "ResourceQuota"),
        (RBAC, "Role"),
        (RBAC, "RoleBinding"),
        (SOURCE, "GitRepository"),
        (KUSTOMIZE, "Kustomization"),
    ] {
        let all = manor.api(version, kind, None).list(&label).await?;
        let names = all
            .items
            .iter()
            .map(|one| format!("{kind} {}", one.name_any()));
        found.extend(names);
    }
    Ok(found)
}

/// Its source was made without an interval, and so it is git configuration's to say how often it is asked.
async fn is_asked_as_configured(manor: &Manor, name: &str) -> anyhow::Result<()> {
    let sources = manor.api(SOURCE, "GitRepository", Some(CONFIG));
    let asked = |source: &DynamicObject| {
        let every = source.data.pointer("/status/upstream/polling/every");
        every == Some(&json!("3m0s"))
    };
    wait::for_object(&sources, name, "it is asked as configured", asked).await?;
    Ok(())
}

/// What delivers to Tenant acme has gone, and its namespaces wait.
async fn only_namespaces_are_left(manor: &Manor) -> anyhow::Result<()> {
    // What was applied went first, as the tenant's account; what it may do went last.
    let settings = manor
        .api("v1", "ConfigMap", Some("acme"))
        .get_opt("settings")
        .await?;
    ensure!(settings.is_none(), "what was applied stays");
    let sources = manor.api(SOURCE, "GitRepository", Some(CONFIG));
    ensure!(sources.get_opt("acme").await?.is_none(), "its source stays");
    let acts = manor.bindings("acme").get_opt("reeve-delivery").await?;
    ensure!(acts.is_none(), "the right to act as its account stays");
    let namespaces = manor.api("v1", "Namespace", None);
    for name in ["acme", "acme-dev"] {
        let there = namespaces.get(name).await?;
        ensure!(there.metadata.deletion_timestamp.is_none(), "{name} goes");
    }
    Ok(())
}

/// Whoever may write bindings in a namespace may mark them as the landlord's, and have them stay.
#[test]
fn marks_of_the_tenants_own_hide_nothing_that_is_to_go() {
    scenario(async {
        let manor = Manor::open().await?;
        manor
            .tenant("acme", json!({"namespaces": ["acme", "acme-dev"]}))
            .await?;
        manor.told("acme", "Succeeded").await?;
        for namespace in ["acme", "acme-dev"] {
            let bindings = manor.bindings(namespace);
            for number in 0..110 {
                let alike = json!({
                    "apiVersion": RBAC, "kind": "RoleBinding",
                    "metadata": {
                        "name": format!("a-{number:03}"), "finalizers": ["acme.example/stay"],
                        "labels": {"app.kubernetes.io/managed-by": "reeve-landlord", "reeve.dev/tenant": "acme"},
                    },
                    "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "view"},
                });
                let alike: DynamicObject = serde_json::from_value(alike)?;
                bindings.create(&PostParams::default(), &alike).await?;
            }
        }
        manor
            .tenant("acme", json!({"namespaces": ["acme"], "role": "edit"}))
            .await?;
        for (namespace, name) in [("acme", "reeve-admin"), ("acme-dev", "reeve-delivery")] {
            let bindings = manor.bindings(namespace);
            wait::until_gone(&bindings, name).await?;
        }
        Ok(())
    });
}

#[test]
fn a_tenant_goes_with_what_was_made_of_it_once_that_is_confirmed_and_touches_no_other() {
    scenario(async {
        let manor = Manor::open().await?;
        let _repo = delivered(&manor, "acme", &["acme", "acme-dev"], DELETE).await?;
        let _other = delivered(&manor, "other", &["other"], "Orphan").await?;
        is_asked_as_configured(&manor, "acme").await?;
        let client = manor.estate.admin();
        let before = objects::stock(&client, "other").await?;
        let of_other = made_of(&manor, "other").await?;

        let told = manor.reeve("tenant remove acme", 0).await?;
        ensure!(
            told.contains("wait for a confirmation: acme, acme-dev"),
            "{told}"
        );
        let tenants = manor.api(OURS, "Tenant", None);
        let acme = tenants.get("acme").await?;
        let waiting = acme.data.pointer("/status/departure/namespaces");
        ensure!(waiting == Some(&json!(["acme", "acme-dev"])), "{waiting:?}");
        only_namespaces_are_left(&manor).await?;
        let told = manor.reeve("tenant show acme", 0).await?;
        ensure!(
            told.contains("reeve tenant remove acme --confirm"),
            "{told}"
        );

        let told = manor.reeve("tenant remove acme --confirm", 0).await?;
        ensure!(
            told.contains("Tenant acme deleted, and what was made of it"),
            "{told}"
        );
        let left = made_of(&manor, "acme").await?;
        ensure!(left.is_empty(), "{left:?}");
        let changes = objects::stock(&client, "other")
            .await?
            .changes_since(&before);
        ensure!(changes.is_empty(), "{changes:#?}");
        ensure!(made_of(&manor, "other").await? == of_other);

        manor
            .tenant("acme", spec(&manor, "acme", &["acme", "acme-dev"], DELETE))
            .await?;
        manor.told("acme", "Succeeded").await?;
        manor
            .ready("acme", "ReconciliationSucceeded", "Applied revision")
            .await?;
        let again = manor.api("v1", "Namespace", None).get("acme").await?;
        let confirmed = again.annotations().get("reeve.dev/confirm-delete");
        ensure!(confirmed.is_none(), "a confirmation outlives its Tenant");
        Ok(())
    });
}

#[test]
fn what_was_there_before_a_tenant_stays_and_so_does_all_of_one_that_changes_its_mind() {
    scenario(async {
        let manor = Manor::open().await?;
        install::kubectl(&manor.estate.plane, &["create", "namespace", "old"]).await?;
        let adopted =
            json!({"namespaces": ["old"], "deletionPolicy": DELETE, "quota": {"pods": "9"}});
        manor.tenant("adopted", adopted).await?;
        manor.reeve("tenant adopt old --tenant adopted", 0).await?;
        manor.reeve("tenant remove adopted", 0).await?;
        let tenants = manor.api(OURS, "Tenant", None);
        wait::until_gone(&tenants, "adopted").await?;
        let namespaces = manor.api("v1", "Namespace", None);
        ensure!(
            namespaces
                .get("old")
                .await?
                .metadata
                .deletion_timestamp
                .is_none()
        );
        manor
            .api("v1", "ServiceAccount", Some("old"))
            .get("flux")
            .await?;
        let quota = manor.api("v1", "ResourceQuota", Some("old"));
        ensure!(
            quota.get_opt("reeve-tenant").await?.is_none(),
            "the quota stays"
        );
        let bindings = manor.bindings("old").list(&ListParams::default()).await?;
        ensure!(bindings.items.is_empty(), "{bindings:?}");

        let fresh = json!({"namespaces": ["fresh"], "deletionPolicy": DELETE});
        manor.tenant("fresh", fresh).await?;
        manor.told("fresh", "Succeeded").await?;
        let told = manor.reeve("tenant remove fresh", 0).await?;
        ensure!(told.contains("wait for a confirmation: fresh"), "{told}");
        let orphan = json!({"spec": {"deletionPolicy": "Orphan"}});
        let how = PatchParams::default();
        tenants.patch("fresh", &how, &Patch::Merge(&orphan)).await?;
        wait::until_gone(&tenants, "fresh").await?;
        let there = namespaces.get("fresh").await?;
        ensure!(there.metadata.deletion_timestamp.is_none(), "it goes");
        Ok(())
    });
}

#[test]
fn a_namespace_that_was_made_for_one_tenant_and_adopted_for_another_stays_with_what_is_in_it() {
    scenario(async {
        let manor = Manor::open().await?;
        manor.tenant("first", json!({"namespaces": ["x"]})).await?;
        manor.told("first", "Succeeded").await?;
        manor.reeve("tenant remove first", 0).await?;
        manor.reeve("tenant adopt x --tenant later", 0).await?;
        let takes_along = json!({"namespaces": ["x"], "deletionPolicy": DELETE});
        manor.tenant("later", takes_along).await?;
        manor.told("later", "Succeeded").await?;
        manor.reeve("tenant remove later", 0).await?;
        let tenants = manor.api(OURS, "Tenant", None);
        wait::until_gone(&tenants, "later").await?;
        let stays = manor.api("v1", "Namespace", None).get("x").await?;
        ensure!(stays.metadata.deletion_timestamp.is_none(), "it goes");
        let made = stays.annotations().get("reeve.dev/made-by");
        ensure!(made.is_none(), "it counts as made for the other: {made:?}");
        Ok(())
    });
}

#[test]
fn a_tenant_that_is_added_again_has_its_namespace_again_whoever_named_it_meanwhile() {
    scenario(async {
        let manor = Manor::open().await?;
        manor.tenant("yy", json!({"namespaces": ["yy"]})).await?;
        manor.told("yy", "Succeeded").await?;
        let more = json!({"namespaces": ["squat", "yy"]});
        manor.tenant("squat", more).await?;
        let message = manor.told("squat", "NamespaceTaken").await?;
        ensure!(message.contains("belongs to Tenant yy"), "{message}");

        manor.reeve("tenant remove yy", 0).await?;
        let message = manor.told("squat", "NamespaceNotAdopted").await?;
        let hint = "`reeve tenant adopt yy --tenant squat`";
        ensure!(message.contains(hint), "{message}");
        let bindings = manor.bindings("yy");
        wait::until_gone(&bindings, "reeve-delivery").await?;

        manor.tenant("yy", json!({"namespaces": ["yy"]})).await?;
        manor.told("yy", "Succeeded").await?;
        bindings.get("reeve-delivery").await?;
        let message = manor.told("squat", "NamespaceTaken").await?;
        ensure!(message.contains("belongs to Tenant yy"), "{message}");
        Ok(())
    });
}

#[test]
fn tenants_that_go_with_their_definition_take_nothing_along_and_do_not_hold_it() {
    scenario(async {
        let manor = Manor::open().await?;
        let _repo = delivered(&manor, "acme", &["acme"], DELETE).await?;
        let crds = manor.api("apiextensions.k8s.io/v1", "CustomResourceDefinition", None);
        crds.delete("tenants.reeve.dev", &Default::default())
            .await?;
        wait::until_gone(&crds, "tenants.reeve.dev").await?;
        let namespace = manor.api("v1", "Namespace", None).get("acme").await?;
        ensure!(namespace.metadata.deletion_timestamp.is_none(), "it goes");
        let settings = manor.api("v1", "ConfigMap", Some("acme"));
        settings
            .get("settings")
            .await
            .context("what was applied stays")?;
        manor
            .api(KUSTOMIZE, "Kustomization", Some("acme"))
            .get("acme")
            .await?;
        manor.bindings("acme").get("reeve-delivery").await?;
        Ok(())
    });
}

/// Nobody who looks now has seen under which definition it was.
#[test]
fn a_landlord_that_begins_anew_takes_nothing_of_tenants_that_went_with_their_definition() {
    scenario(async {
        let manor = Manor::open().await?;
        let only = |name: &str| json!({"namespaces": [name]});
        for name in ["acme", "removed"] {
            manor.tenant(name, only(name)).await?;
            manor.told(name, "Succeeded").await?;
        }
        let Manor { estate, landlord } = manor;
        drop(landlord);
        let crds = objects::api(
            estate.admin(),
            "apiextensions.k8s.io/v1",
            "CustomResourceDefinition",
            None,
        );
        let tenant = "tenants.reeve.dev";
        crds.delete(tenant, &Default::default()).await?;
        wait::until_gone(&crds, tenant).await?;
        let file = root().join("charts/reeve-crds/templates/reeve.dev_tenants.yaml");
        let file = format!("--filename={}", file.display());
        let how = ["apply", "--server-side", "--field-manager=estate"];
        install::kubectl(&estate.plane, &[&how[..], &[file.as_str()]].concat()).await?;
        let tenants = objects::api(estate.admin(), OURS, "Tenant", None);
        let all = ListParams::default();
        wait::until(wait::PATIENCE, "Tenants are listed", || async {
            tenants.list(&all).await.ok()
        })
        .await?;

        let landlord = Landlord::start(&estate.plane).await?;
        let manor = Manor { estate, landlord };
        // Those that are gone were due when all was listed, and this one is behind them.
        manor.tenant("beta", only("beta")).await?;
        manor.told("beta", "Succeeded").await?;
        manor.bindings("acme").get("reeve-delivery").await?;

        // Who is written again is its Tenant again, and goes as it would.
        manor.tenant("removed", only("removed")).await?;
        manor.told("removed", "Succeeded").await?;
        manor.reeve("tenant remove removed", 0).await?;
        wait::until_gone(&manor.bindings("removed"), "reeve-delivery").await?;
        manor.bindings("acme").get("reeve-delivery").await?;
        Ok(())
    });
}

#[test]
fn a_landlord_that_begins_anew_takes_nothing_of_a_tenant_that_it_cannot_read() {
    scenario(async {
        let manor = Manor::open().await?;
        let url = manor.estate.git.url("acme");
        let says = |interval: &str| json!({"namespaces": ["acme"], "source": {"url": url, "interval": interval}});
        manor.tenant("acme", says("3m")).await?;
        manor.told("acme", "Succeeded").await?;
        // The API server takes it, and it is longer than anything that can be held.
        manor.tenant("acme", says("9999999h")).await?;
        let Manor { estate, landlord } = manor;
        drop(landlord);
        let landlord = Landlord::start(&estate.plane).await?;
        let manor = Manor { estate, landlord };
        // What was due when all was listed is before this one.
        let only = json!({"namespaces": ["beta"]});
        manor.tenant("beta", only).await?;
        manor.told("beta", "Succeeded").await?;
        manor.bindings("acme").get("reeve-delivery").await?;

        manor.tenant("acme", says("5m")).await?;
        manor.told("acme", "Succeeded").await?;
        manor.bindings("acme").get("reeve-delivery").await?;
        Ok(())
    });
}
