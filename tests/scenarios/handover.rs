//! Objects that go from one Kustomization to another, and objects that two of them want.

mod others;
mod through;

use anyhow::{Context as _, ensure};
use kube::api::{DeleteParams, DynamicObject, Patch, PatchParams};
use reeve_api::reason::Reason;
use reeve_core::caution::CONFIRM;
use reeve_tests::tenant::{Tenant, says};
use reeve_tests::{Estate, objects, scenario, wait};
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

/// The same for a path, with more in its spec.
async fn apply_with(
    tenant: &Tenant<'_>,
    name: &str,
    path: &str,
    more: &[(&str, Value)],
) -> anyhow::Result<()> {
    let mut spec = spec(tenant).await?;
    for (field, value) in more {
        spec[*field] = value.clone();
    }
    apply(tenant, name, &spec, path).await
}

/// Applies `a`, which has `moves`, and `b` beside it with more in its spec, and returns the uid of `moves`.
async fn two_of_them(tenant: &Tenant<'_>, more: &[(&str, Value)]) -> anyhow::Result<String> {
    let (moves, stays) = (map("moves"), map("stays"));
    let files = [
        ROOT,
        ("a/moves.yaml", Some(moves.as_str())),
        ("a/README.md", Some("a")),
        ("b/stays.yaml", Some(stays.as_str())),
    ];
    tenant.push(&files).await?;
    apply_with(tenant, "a", "./a", &[]).await?;
    let uid = owned_by(tenant, "moves", "a").await?;
    apply_with(tenant, "b", "./b", more).await?;
    owned_by(tenant, "stays", "b").await?;
    Ok(uid)
}

/// One push moves it from `a` to `b`, with other files.
async fn move_it(tenant: &Tenant<'_>, more: &[(&str, Option<&str>)]) -> anyhow::Result<()> {
    let moves = map("moves");
    let mut files = vec![
        ("a/moves.yaml", None),
        ("b/moves.yaml", Some(moves.as_str())),
    ];
    files.extend_from_slice(more);
    tenant.push(&files).await?;
    Ok(())
}

/// Waits until deleting waits in `a` for this, and returns the digest that confirms it.
async fn held(tenant: &Tenant<'_>, words: &str) -> anyhow::Result<String> {
    let kustomizations = tenant.kustomizations();
    let held = Reason::PruneHeld;
    let told = says(wait::PATIENCE, &kustomizations, "a", held, words).await?;
    let ready = objects::condition(&told.data, "Ready").context("Ready")?;
    let asked = ready.message.split_once("confirm-prune: ");
    let digest = asked.and_then(|(_, rest)| rest.get(..16));
    Ok(digest.context("a digest")?.to_owned())
}

/// The uid of the ConfigMap, if it is there.
async fn uid_of(tenant: &Tenant<'_>, name: &str) -> anyhow::Result<Option<String>> {
    let map = tenant.api("v1", "ConfigMap").get_opt(name).await?;
    Ok(map.and_then(|map| map.metadata.uid))
}

/// Waits until `b` has `moves` and these are applied: it is the one that was there, before that and after.
async fn is_handed_over(tenant: &Tenant<'_>, uid: &str, applied: &[&str]) -> anyhow::Result<()> {
    ensure!(owned_by(tenant, "moves", "b").await? == uid);
    let kustomizations = tenant.kustomizations();
    let done = Reason::ReconciliationSucceeded;
    for name in applied {
        says(wait::PATIENCE, &kustomizations, name, done, "Applied").await?;
    }
    ensure!(uid_of(tenant, "moves").await?.as_deref() == Some(uid));
    Ok(())
}

#[test]
fn an_object_that_moves_to_who_depends_on_who_had_it_is_not_deleted_on_its_way() {
    scenario(async {
        let estate = Estate::shared().await?;
        let tenant = estate.healthy_tenant("depends").await?;
        let on_a = [("dependsOn", json!([{"name": "a"}]))];
        let uid = two_of_them(&tenant, &on_a).await?;
        move_it(&tenant, &[]).await?;
        let now = owned_by(&tenant, "moves", "b").await?;
        ensure!(now == uid, "made anew on its way to who depends on a");
        Ok(())
    });
}

#[test]
fn who_needs_what_the_one_it_depends_on_brings_gets_it_with_what_moves() {
    scenario(async {
        let estate = Estate::shared().await?;
        let tenant = estate.healthy_tenant("brings").await?;
        let on_a = ("dependsOn", json!([{"name": "a"}]));
        let uid = two_of_them(&tenant, std::slice::from_ref(&on_a)).await?;
        // Until a brings these b cannot be built, and until a is ready nobody builds it.
        let from = json!({"substituteFrom": [{"kind": "ConfigMap", "name": "variables"}]});
        apply_with(&tenant, "b", "./b", &[on_a, ("postBuild", from)]).await?;
        let variables = format!("{}data:\n  colour: red\n", map("variables"));
        move_it(&tenant, &[("a/variables.yaml", Some(&variables))]).await?;
        is_handed_over(&tenant, &uid, &["a", "b"]).await
    });
}

#[test]
fn what_moves_to_who_cannot_be_built_waits_until_that_is_mended() {
    scenario(async {
        let estate = Estate::shared().await?;
        let tenant = estate.healthy_tenant("unbuilt").await?;
        let uid = two_of_them(&tenant, &[]).await?;
        move_it(&tenant, &[("b/stays.yaml", Some("not: [a manifest"))]).await?;
        let words = format!("waits for Kustomization {}/b (its manifests", tenant.name());
        held(&tenant, &words).await?;
        ensure!(uid_of(&tenant, "moves").await? == Some(uid.clone()));

        tenant
            .push(&[("b/stays.yaml", Some(&map("stays")))])
            .await?;
        is_handed_over(&tenant, &uid, &["a"]).await
    });
}

#[test]
fn what_somebody_suspended_may_want_is_deleted_once_that_is_confirmed() {
    scenario(async {
        let estate = Estate::shared().await?;
        let tenant = estate.healthy_tenant("parked").await?;
        let uid = two_of_them(&tenant, &[]).await?;
        apply_with(&tenant, "b", "./b", &[("suspend", json!(true))]).await?;
        tenant.push(&[("a/moves.yaml", None)]).await?;
        let words = format!("waits for Kustomization {}/b (suspended", tenant.name());
        let digest = held(&tenant, &words).await?;
        ensure!(uid_of(&tenant, "moves").await? == Some(uid));

        let confirmed = json!({"metadata": {"annotations": {CONFIRM: digest}}});
        let how = PatchParams::default();
        let patch = Patch::Merge(confirmed);
        tenant.kustomizations().patch("a", &how, &patch).await?;
        wait::until_gone(&tenant.api("v1", "ConfigMap"), "moves").await
    });
}

#[test]
fn what_moves_to_who_is_suspended_is_handed_over_when_that_goes_on() {
    scenario(async {
        let estate = Estate::shared().await?;
        let tenant = estate.healthy_tenant("resumed").await?;
        let uid = two_of_them(&tenant, &[]).await?;
        apply_with(&tenant, "b", "./b", &[("suspend", json!(true))]).await?;
        move_it(&tenant, &[]).await?;
        let words = format!("waits for Kustomization {}/b (suspended", tenant.name());
        held(&tenant, &words).await?;

        // Nothing is pushed, and a's own retry is an hour away: it is woken.
        apply_with(&tenant, "b", "./b", &[("suspend", json!(false))]).await?;
        is_handed_over(&tenant, &uid, &["a"]).await
    });
}

#[test]
fn a_kustomization_that_goes_leaves_what_somebody_may_want_who_cannot_be_built() {
    scenario(async {
        let estate = Estate::shared().await?;
        let tenant = estate.healthy_tenant("goes").await?;
        let uid = two_of_them(&tenant, &[]).await?;
        move_it(&tenant, &[("b/stays.yaml", Some("not: [a manifest"))]).await?;
        let words = format!("waits for Kustomization {}/b (its manifests", tenant.name());
        held(&tenant, &words).await?;
        let kustomizations = tenant.kustomizations();
        kustomizations.delete("a", &DeleteParams::default()).await?;
        let leaving = |one: &DynamicObject| {
            let ready = objects::condition(&one.data, "Ready").unwrap_or_default();
            let leaves = one.metadata.deletion_timestamp.is_some();
            leaves && ready.reason == Reason::PruneHeld.as_str() && ready.message.contains(&words)
        };
        wait::for_object(&kustomizations, "a", "it waits to go", leaving).await?;
        ensure!(uid_of(&tenant, "moves").await? == Some(uid.clone()));
        tenant
            .push(&[("b/stays.yaml", Some(&map("stays")))])
            .await?;
        wait::until_gone(&kustomizations, "a").await?;
        ensure!(owned_by(&tenant, "moves", "b").await? == uid);
        Ok(())
    });
}
