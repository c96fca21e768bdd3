//! A process that has just begun asks the rules before it puts anything right, whatever it still knows of what was applied: its disk
//! may be another one, and another replica may have led. The same for what `force` would make anew.

use std::time::Duration;

use kube::api::PostParams;
use reeve_tests::controller::Controller;
use reeve_tests::install::{self, PLATFORM};

use super::*;
use crate::leader::until_it_leads;
use crate::outage::rough;
use crate::ratchet::lose_the_disk;

/// Such a tenant, whose next run knows that the cluster is right.
async fn of_the_cluster<'a>(estate: &'a Estate, name: &str) -> anyhow::Result<Tenant<'a>> {
    let tenant = with_variables(estate, name).await?;
    tenant.reconcile(None).await?;
    Ok(tenant)
}

#[test]
fn what_goes_while_no_controller_runs_stays_so_though_the_disk_is_lost_and_git_has_moved() {
    scenario(async {
        let (_turn, estate) = rough().await?;
        for (name, is_lost, moves) in [
            ("begun-kept", false, false),
            ("begun-lost", true, false),
            ("begun-moved", true, true),
        ] {
            let tenant = of_the_cluster(estate, name).await?;
            match is_lost {
                true => lose_the_disk(estate)?,
                false => estate.controller.kill(),
            }
            taken_out(&tenant).await?;
            let three = with_env(THREE);
            let moved = moves.then(|| tenant.commit([("web.yaml", Some(three.as_str()))]));
            let moved = moved.transpose()?;
            estate.controller.restart().await?;
            if let Some(commit) = &moved {
                let why = Reason::ReconciliationSucceeded;
                tenant.told_of(why, commit).await?;
            }
            is_judged(&tenant).await?;
            // What git alone has added is applied.
            let want: &[&str] = if moves { &["A", "C"] } else { &["A"] };
            stays_so(&tenant, name, want).await?;
            // The run after that has what the first one has kept, and so has another process.
            tenant.reconcile(None).await?;
            stays_so(&tenant, name, want).await?;
            lose_the_disk(estate)?;
            estate.controller.restart().await?;
            is_judged(&tenant).await?;
            stays_so(&tenant, name, want).await?;
        }
        Ok(())
    });
}

#[test]
fn what_goes_before_another_replica_leads_stays_so() {
    scenario(async {
        let estate = Estate::start_with(&[]).await?;
        until_it_leads(&estate.controller, true).await?;
        let tenant = of_the_cluster(&estate, "begun-leads").await?;
        let other = Controller::start_as("reeve-other", &estate.plane, &[]).await?;
        estate.controller.kill();
        taken_out(&tenant).await?;
        until_it_leads(&other, true).await?;
        is_judged(&tenant).await?;
        stays_so(&tenant, "another leads", &["A"]).await
    });
}

#[test]
fn what_nobody_can_say_any_more_is_waited_for_and_then_put_right() {
    scenario(async {
        let (_turn, estate) = rough().await?;
        let tenant = of_the_cluster(estate, "begun-unknown").await?;
        lose_the_disk(estate)?;
        taken_out(&tenant).await?;
        // Who has applied it, as which revision, nobody tells: that revision never was.
        let gone = format!("main@sha1:{}", "0".repeat(40));
        let status = json!({"status": {
            "lastAppliedDigest": null, "lastAppliedRevision": gone, "lastAttemptedRevision": gone,
        }});
        let how = PatchParams::default();
        tenant
            .kustomizations()
            .patch_status(tenant.name(), &how, &Patch::Merge(&status))
            .await?;
        let begun = std::time::Instant::now();
        estate.controller.restart().await?;
        let maps = tenant.api("v1", "ConfigMap");
        let patience = Duration::from_secs(120);
        wait::within(patience, &maps, "extra", "it is made again", |_| true).await?;
        let waited = begun.elapsed();
        ensure!(
            waited > Duration::from_secs(20),
            "it waited for {waited:?} only"
        );
        Ok(())
    });
}

/// A ConfigMap that can only be made anew; `forced` says so itself.
fn frozen(colour: &str, forced: bool) -> String {
    let force = match forced {
        true => "  annotations:\n    kustomize.toolkit.fluxcd.io/force: Enabled\n",
        false => "",
    };
    format!(
        "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: frozen\n{force}immutable: true\ndata:\n  colour: {colour}\n"
    )
}

/// Somebody takes it away and makes another one of that manifest; its uid.
async fn make_anew(tenant: &Tenant<'_>, manifest: &str) -> anyhow::Result<Option<String>> {
    let maps = tenant.api("v1", "ConfigMap");
    maps.delete("frozen", &DeleteParams::default()).await?;
    wait::until_gone(&maps, "frozen").await?;
    let object: DynamicObject = yaml_serde::from_str(manifest)?;
    let how = PostParams {
        field_manager: Some("kubectl-create".to_owned()),
        ..PostParams::default()
    };
    Ok(maps.create(&how, &object).await?.metadata.uid)
}

/// Waits until it has that colour, and returns its uid.
async fn is_frozen(tenant: &Tenant<'_>, colour: &str) -> anyhow::Result<Option<String>> {
    let maps = tenant.api("v1", "ConfigMap");
    let map = wait::for_object(&maps, "frozen", colour, |map| {
        objects::text(&map.data, "/data/colour") == Some(colour)
    });
    Ok(map.await?.metadata.uid)
}

#[test]
fn what_is_made_anew_by_hand_is_not_made_anew_by_force_before_it_is_committed() {
    scenario(async {
        let (_turn, estate) = rough().await?;
        for (name, forced, is_killed) in [
            ("yields-force", false, true),
            ("yields-forced", true, false),
        ] {
            let tenant = estate.healthy_tenant(name).await?;
            tenant
                .after(|draft| {
                    draft.commit("frozen.yaml", frozen("green", forced));
                    draft.set("force", json!(!forced));
                })
                .await?;
            let rule = json!([{"names": ["frozen"], "syncTo": "git", "onDelete": "delete"}]);
            write_back(&tenant, rule).await?;
            tenant.reconcile(None).await?;
            if is_killed {
                lose_the_disk(estate)?;
            }
            let uid = make_anew(&tenant, &frozen("red", forced)).await?;
            if is_killed {
                estate.controller.restart().await?;
            }
            is_judged(&tenant).await?;
            ensure!(
                is_frozen(&tenant, "red").await? == uid,
                "{name}: it is another"
            );

            // What git alone wants of it otherwise waits for that, or is applied beside it.
            let blue = frozen("blue", forced);
            tenant.push(&[("frozen.yaml", Some(&blue))]).await?;
            is_judged(&tenant).await?;
            ensure!(
                is_frozen(&tenant, "red").await? == uid,
                "{name}: it is another"
            );

            // The commit is there: both are the same, and what git alone changes from then on is made anew.
            let red = frozen("red", forced);
            tenant.push(&[("frozen.yaml", Some(&red))]).await?;
            ensure!(
                is_frozen(&tenant, "red").await? == uid,
                "{name}: it is another"
            );
            tenant.push(&[("frozen.yaml", Some(&blue))]).await?;
            ensure!(
                is_frozen(&tenant, "blue").await? != uid,
                "{name}: it is the same"
            );
        }
        Ok(())
    });
}

#[test]
fn what_is_deleted_under_a_rule_of_the_platform_stays_so_though_no_policy_is_asked() {
    scenario(async {
        let estate = Estate::shared().await?;
        let name = estate.unique("begun-platform");
        let repo = estate.repo(&name)?;
        let map = |of: &str| json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": of, "namespace": name}, "data": {"colour": "green"}});
        let namespace =
            json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}});
        let all = [namespace, map("settings"), map("extra")].map(|one| one.to_string());
        repo.publish("cluster/all.yaml", all.join("\n---\n"))?;
        let meta = json!({"name": name, "namespace": PLATFORM});
        let source = json!({"kind": "GitRepository", "name": name});
        let objects = [
            json!({"apiVersion": "source.toolkit.fluxcd.io/v1", "kind": "GitRepository", "metadata": meta,
                "spec": {"interval": "1h", "url": estate.git.url(&name), "ref": {"branch": "main"}}}),
            json!({"apiVersion": "reeve.dev/v1alpha1", "kind": "WriteBack", "metadata": meta,
                "spec": {"interval": "1h", "debounce": "1h", "sourceRef": source,
                    "rules": [{"names": ["extra"], "namespaces": [name], "syncTo": "git", "onDelete": "delete"}]}}),
            json!({"apiVersion": "kustomize.toolkit.fluxcd.io/v1", "kind": "Kustomization", "metadata": meta,
                "spec": {"interval": "1h", "path": "./cluster", "prune": true, "sourceRef": source}}),
        ];
        install::apply(&estate.plane, &install::list(&objects).to_string()).await?;
        let ours = |version, kind| objects::api(estate.admin(), version, kind, Some(PLATFORM));
        let applied = ours("kustomize.toolkit.fluxcd.io/v1", "Kustomization");
        wait::for_object(&applied, &name, "it is applied", |ks| {
            objects::condition(&ks.data, "Ready").is_some_and(|ready| ready.status == "True")
        })
        .await?;
        let backs = ours("reeve.dev/v1alpha1", "WriteBack");
        wait::for_object(&backs, &name, "it was seen", |back| {
            back.data["status"]["conditions"][0].is_object()
        })
        .await?;
        // One more run, which knows of it.
        let at = json!({"metadata": {"annotations": {"reconcile.fluxcd.io/requestedAt": "now"}}});
        let how = PatchParams::default();
        applied.patch(&name, &how, &Patch::Merge(&at)).await?;
        wait::for_object(&applied, &name, "it has run again", |ks| {
            objects::text(&ks.data, "/status/lastHandledReconcileAt") == Some("now")
        })
        .await?;

        let maps = objects::api(estate.admin(), "v1", "ConfigMap", Some(&name));
        maps.delete("extra", &DeleteParams::default()).await?;
        is_painted_back(&maps).await?;
        ensure!(maps.get_opt("extra").await?.is_none(), "it was made again");
        Ok(())
    });
}
