//! Objects that go from one Kustomization to another, and objects that two of them want.

use anyhow::{Context as _, ensure};
use kube::api::{DeleteParams, DynamicObject};
use reeve_api::reason::Reason;
use reeve_tests::tenant::{Tenant, says};
use reeve_tests::{Estate, scenario, wait};
use serde_json::{Value, json};

const OWNER: &str = "kustomize.toolkit.fluxcd.io/name";

fn map(name: &str) -> String {
    format!("apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: {name}\n")
}

/// The spec of the tenant's own Kustomization.
async fn spec(tenant: &Tenant<'_>) -> anyhow::Result<Value> {
    let own = tenant.kustomizations().get(tenant.name()).await?;
    Ok(own.data["spec"].clone())
}

/// Another Kustomization like the tenant's own, for a path.
async fn apply(tenant: &Tenant<'_>, name: &str, spec: &Value, path: &str) -> anyhow::Result<()> {
    let mut object = json!({
        "apiVersion": "kustomize.toolkit.fluxcd.io/v1", "kind": "Kustomization",
        "metadata": {"name": name, "namespace": tenant.name()}, "spec": spec,
    });
    object["spec"]["path"] = json!(path);
    tenant.apply(&object).await
}

/// Waits until `owner` has applied the ConfigMap, and returns its uid.
async fn owned_by(tenant: &Tenant<'_>, name: &str, owner: &str) -> anyhow::Result<String> {
    let maps = tenant.api("v1", "ConfigMap");
    let owns = |map: &DynamicObject| {
        let labels = map.metadata.labels.as_ref();
        labels.and_then(|all| all.get(OWNER)).map(String::as_str) == Some(owner)
    };
    let map = wait::for_object(&maps, name, "it has its new owner", owns).await?;
    map.metadata.uid.context("a uid")
}

async fn delete(tenant: &Tenant<'_>, name: &str) -> anyhow::Result<()> {
    let kustomizations = tenant.kustomizations();
    let how = DeleteParams::default();
    kustomizations.delete(name, &how).await?;
    wait::until_gone(&kustomizations, name).await
}

/// What stands in the root is the tenant's own, and nothing else.
const ROOT: (&str, Option<&str>) = (
    "kustomization.yaml",
    Some("resources: [settings.yaml, service.yaml]\n"),
);

#[test]
fn a_kustomization_that_is_renamed_deletes_nothing_whoever_runs_first() {
    scenario(async {
        let estate = Estate::shared().await?;
        let tenant = estate.healthy_tenant("renamed").await?;
        let (spec, mut old) = (spec(&tenant).await?, tenant.name().to_owned());
        let uid = owned_by(&tenant, "settings", &old).await?;
        for round in 0..4 {
            let new = format!("renamed-{round}");
            apply(&tenant, &new, &spec, "./").await?;
            if round % 2 == 1 {
                ensure!(owned_by(&tenant, "settings", &new).await? == uid);
            }
            delete(&tenant, &old).await?;
            let now = owned_by(&tenant, "settings", &new).await?;
            ensure!(now == uid, "made anew in round {round}");
            old = new;
        }
        delete(&tenant, &old).await?;
        let maps = tenant.api("v1", "ConfigMap");
        ensure!(maps.get_opt("settings").await?.is_none(), "nobody wants it");
        Ok(())
    });
}

#[test]
fn an_object_that_moves_to_another_kustomization_is_not_deleted_on_its_way() {
    scenario(async {
        let estate = Estate::shared().await?;
        let tenant = estate.healthy_tenant("moves").await?;
        let (moves, stays) = (map("moves"), map("stays"));
        tenant
            .push(&[
                ROOT,
                ("a/moves.yaml", Some(&moves)),
                ("b/stays.yaml", Some(&stays)),
                ("a/README.md", Some("a")),
            ])
            .await?;
        let spec = spec(&tenant).await?;
        for name in ["a", "b"] {
            apply(&tenant, name, &spec, &format!("./{name}")).await?;
        }
        let uid = owned_by(&tenant, "moves", "a").await?;
        owned_by(&tenant, "stays", "b").await?;
        for (from, to) in [("a", "b"), ("b", "a"), ("a", "b"), ("b", "a")] {
            let (gone, come) = (format!("{from}/moves.yaml"), format!("{to}/moves.yaml"));
            tenant.push(&[(&gone, None), (&come, Some(&moves))]).await?;
            let now = owned_by(&tenant, "moves", to).await?;
            ensure!(now == uid, "made anew on its way from {from} to {to}");
        }
        Ok(())
    });
}

#[test]
fn two_that_hold_one_object_are_told_and_a_second_owner_of_a_volume_is_refused() {
    scenario(async {
        let estate = Estate::shared().await?;
        let tenant = estate.healthy_tenant("shared").await?;
        let claim = "apiVersion: v1\nkind: PersistentVolumeClaim\nmetadata:\n  name: data\nspec:\n  accessModes: [ReadWriteOnce]\n  resources: {requests: {storage: 1Gi}}\n";
        let both = map("both");
        tenant
            .push(&[
                ROOT,
                ("a/both.yaml", Some(&both)),
                ("b/both.yaml", Some(&both)),
                ("a/data.yaml", Some(claim)),
                ("c/data.yaml", Some(claim)),
            ])
            .await?;
        let spec = spec(&tenant).await?;
        let kustomizations = tenant.kustomizations();
        let done = Reason::ReconciliationSucceeded;
        for name in ["a", "b"] {
            apply(&tenant, name, &spec, &format!("./{name}")).await?;
            says(wait::PATIENCE, &kustomizations, name, done, "Applied").await?;
        }
        let events = tenant.api("v1", "Event");
        for (of, with) in [("a", "b"), ("b", "a")] {
            let words = format!(
                "ConfigMap/{0}/both (Kustomization {0}/{with})",
                tenant.name()
            );
            wait::until(wait::PATIENCE, &words, || async {
                let all = events.list(&Default::default()).await.ok()?;
                let tells = |event: &DynamicObject| {
                    let data = &event.data;
                    data["involvedObject"]["name"] == of
                        && data["message"].to_string().contains(&words)
                };
                all.items.iter().any(tells).then_some(())
            })
            .await?;
        }

        apply(&tenant, "c", &spec, "./c").await?;
        let words = "PersistentVolumeClaim/";
        let refused = Reason::OwnershipConflict;
        says(wait::PATIENCE, &kustomizations, "c", refused, words).await?;
        let data = tenant
            .api("v1", "PersistentVolumeClaim")
            .get("data")
            .await?;
        let owner = data.metadata.labels.context("labels")?;
        ensure!(
            owner.get(OWNER).map(String::as_str) == Some("a"),
            "{owner:?}"
        );
        Ok(())
    });
}
