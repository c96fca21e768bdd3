//! Whose a deletion is, and that it is not forgotten: what `force` makes anew nobody has deleted, what was refused is taken out later,
//! and what somebody has taken out of write-back is put right.

use anyhow::ensure;
use kube::api::DeleteParams;
use reeve_tests::{objects, scenario, wait};
use serde_json::json;

use super::*;
use crate::outage::rough;
use crate::replaced::{forced, is_new, keep, pushed};

/// Whatever is deleted of these goes from git as well. What keeps an object there is nobody's change.
fn goes(name: &str) -> Value {
    json!([
        {"resources": ["configmaps"], "names": [name], "filters": ["/metadata/finalizers"], "syncTo": "ignore"},
        {"resources": ["configmaps"], "names": [name], "syncTo": "git", "onDelete": "delete"},
    ])
}

/// Waits until the Kustomization says that it is to make the object anew, or that it is not any more.
async fn replaces(tenant: &Tenant<'_>, name: &str, is: bool) -> anyhow::Result<()> {
    let want = is.then(|| json!([format!("{}_{name}__ConfigMap", tenant.name())]));
    let what = format!("that {name} is to be made anew is told: {is}");
    wait::for_object(&tenant.kustomizations(), tenant.name(), &what, |ks| {
        ks.data.pointer("/status/replacing") == want.as_ref()
    })
    .await?;
    Ok(())
}

/// Waits until the WriteBack says that somebody has taken the ConfigMap out, or that nobody has.
async fn is_out(tenant: &Tenant<'_>, name: &str, is: bool) -> anyhow::Result<()> {
    let want = is.then(|| json!([format!("{}_{name}__ConfigMap", tenant.name())]));
    let what = format!("that {name} is out is told: {is}");
    wait::for_object(&writebacks(tenant), "back", &what, |back| {
        back.data.pointer("/status/takenOut") == want.as_ref()
    })
    .await?;
    Ok(())
}

#[test]
fn what_force_is_slow_to_make_anew_stays_in_git_although_deletions_go_from_it() {
    scenario(async {
        let (_turn, estate) = rough().await?;
        for (name, killed) in [("wb-anew", false), ("wb-anew-killed", true)] {
            let tenant = tenant(estate, name).await?;
            begin(&tenant, &writeback(&tenant, "back", &goes("fixed"))).await?;
            let old = forced(&tenant, "5m").await?;
            let commit = pushed(&tenant, "2").await?;
            replaces(&tenant, "fixed", true).await?;
            let before = commits(&tenant)?;
            let maps = tenant.api("v1", "ConfigMap");
            if killed {
                estate.controller.kill();
            }
            keep(&maps, "fixed", false).await?;
            if killed {
                wait::until_gone(&maps, "fixed").await?;
                estate.controller.restart().await?;
            }
            tenant.applied(&commit).await?;
            is_new(&tenant, old.as_ref(), "2").await?;
            replaces(&tenant, "fixed", false).await?;
            looked(&tenant, "back").await?;
            let text = file(&tenant, "fixed.yaml");
            ensure!(text.is_some(), "{name}: it was taken out of git");
            ensure!(commits(&tenant)? == before, "{name}: something is written");
            // Whoever deletes the new one means it.
            maps.delete("fixed", &DeleteParams::default()).await?;
            is_gone(&tenant, "fixed.yaml").await?;
        }
        Ok(())
    });
}

#[test]
fn a_deletion_that_is_refused_is_taken_out_of_git_once_it_may_be() {
    scenario(async {
        let estate = Estate::shared().await?;
        let tenant = tenant(estate, "wb-later").await?;
        begin(&tenant, &writeback(&tenant, "back", &goes("settings"))).await?;
        let kustomizations = tenant.kustomizations();
        let suspend = async |is: bool| {
            let patch = Patch::Merge(json!({"spec": {"suspend": is}}));
            let how = PatchParams::default();
            kustomizations.patch(tenant.name(), &how, &patch).await
        };
        suspend(true).await?;
        let maps = tenant.api("v1", "ConfigMap");
        maps.delete("settings", &DeleteParams::default()).await?;
        let subject = format!("ConfigMap {}/settings", tenant.name());
        refused(&tenant, "back", &subject).await?;
        // It is looked at again, and is refused again.
        looked(&tenant, "back").await?;
        refused(&tenant, "back", &subject).await?;
        ensure!(file(&tenant, "settings.yaml").is_some(), "it is suspended");
        suspend(false).await?;
        tenant.reconcile(None).await?;
        looked(&tenant, "back").await?;
        is_gone(&tenant, "settings.yaml").await?;
        applied(&tenant).await?;
        ensure!(maps.get_opt("settings").await?.is_none(), "it stays away");
        let told = writebacks(&tenant).get("back").await?;
        let none = objects::text(&told.data, "/status/refused/0/object");
        ensure!(none.is_none(), "{:?}", told.data);
        Ok(())
    });
}

#[test]
fn what_somebody_has_taken_out_is_put_right_when_it_is_deleted_and_stays_in_git() {
    scenario(async {
        let (_turn, estate) = rough().await?;
        let tenant = tenant(estate, "wb-out-gone").await?;
        begin(&tenant, &writeback(&tenant, "back", &goes("settings"))).await?;
        let before = commits(&tenant)?;
        let maps = tenant.api("v1", "ConfigMap");
        let out = json!({"metadata": {"annotations": {"reeve.dev/write-back": "disabled"}}});
        for killed in [false, true] {
            change(&maps, "settings", "kubectl-annotate", &out).await?;
            is_out(&tenant, "settings", true).await?;
            let old = maps.get("settings").await?.metadata.uid;
            if killed {
                estate.controller.kill();
            }
            maps.delete("settings", &DeleteParams::default()).await?;
            if killed {
                wait::until_gone(&maps, "settings").await?;
                estate.controller.restart().await?;
            }
            let what = "it is made again";
            wait::for_object(&maps, "settings", what, |map| map.metadata.uid != old).await?;
            looked(&tenant, "back").await?;
            // The new one is in again: nobody has taken it out.
            is_out(&tenant, "settings", false).await?;
            ensure!(commits(&tenant)? == before, "something is written");
        }
        Ok(())
    });
}

/// Waits until a file is gone from the server.
async fn is_gone(tenant: &Tenant<'_>, path: &str) -> anyhow::Result<()> {
    let gone = || async { file(tenant, path).is_none().then_some(()) };
    wait::until(wait::PATIENCE, &format!("{path} is gone"), gone).await
}
