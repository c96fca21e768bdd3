//! What was there before a policy, what is excepted from one, and what an audit says would be.

use anyhow::ensure;
use kube::api::{DynamicObject, Patch, PatchParams};
use reeve_api::reason::Reason;
use reeve_tests::git::{Signer, Signing};
use reeve_tests::install::{CONFIG, PLATFORM};
use reeve_tests::tenant::{Tenant, Told};
use reeve_tests::{Estate, objects, scenario, wait};
use serde_json::{Value, json};

use crate::outage::rough;
use crate::rules::{RED, colour, minds, policies, policy, ready};
use crate::signed::secret;

const REDDER: &str = "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: settings\ndata:\n  colour: red\n  shade: dark\n";

fn map(name: &str, colour: &str) -> String {
    format!(
        "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: {name}\ndata:\n  colour: {colour}\n"
    )
}

fn denied(told: &Told, words: &str) -> anyhow::Result<()> {
    let ready = &told.ready;
    ensure!(ready.reason == Reason::PolicyDenied.as_str(), "{ready:?}");
    ensure!(ready.message.contains(words), "{}", ready.message);
    Ok(())
}

/// Waits until the policy's status holds that.
async fn holds(
    estate: &Estate,
    name: &str,
    pointer: &str,
    want: &Value,
) -> anyhow::Result<DynamicObject> {
    let what = format!("{pointer} is {want}");
    wait::for_object(&policies(estate), name, &what, |policy| {
        policy.data.pointer(pointer) == Some(want)
    })
    .await
}

async fn ratchet(estate: &Estate, tenant: &Tenant<'_>) -> anyhow::Result<()> {
    let spec = json!({"rego": minds("red"), "ratchet": true});
    tenant.apply(&policy(tenant, &spec)).await?;
    ready(estate, tenant.name(), Reason::Succeeded, "in force").await?;
    Ok(())
}

#[test]
fn a_ratchet_lets_what_was_there_go_on_and_stops_what_is_new_or_changed() {
    scenario(async {
        let estate = Estate::shared().await?;
        let tenant = estate.healthy_tenant("ratchet").await?;
        tenant.push(&[("settings.yaml", Some(RED))]).await?;
        ratchet(estate, &tenant).await?;
        tenant
            .push(&[("other.yaml", Some(&map("other", "green")))])
            .await?;
        let told = holds(
            estate,
            tenant.name(),
            "/status/verdicts/tolerated",
            &json!(1),
        )
        .await?;
        let finding = told
            .data
            .pointer("/status/findings/0")
            .cloned()
            .unwrap_or_default();
        ensure!(finding["verdict"] == "tolerated", "{finding}");
        ensure!(
            finding["tolerated"] == "it is as it was when it was last applied",
            "{finding}"
        );
        let events = tenant.api("v1", "Event").list(&Default::default()).await?;
        let warned = events.items.iter().any(|event| {
            objects::text(&event.data, "/message")
                .is_some_and(|said| said.contains("tolerates: settings is red"))
        });
        ensure!(warned, "the tenant was not told");

        let told = tenant
            .after(|draft| draft.commit("settings.yaml", REDDER))
            .await?;
        denied(&told, "settings is red")?;
        let told = tenant
            .after(|draft| {
                draft.commit("settings.yaml", RED);
                draft.commit("another.yaml", map("another", "red"));
            })
            .await?;
        denied(&told, "another is red")?;
        ensure!(
            !told.ready.message.contains("settings"),
            "{}",
            told.ready.message
        );
        tenant
            .push(&[("another.yaml", None), ("other.yaml", None)])
            .await?;
        Ok(())
    });
}

#[test]
fn what_the_status_says_was_applied_comes_to_the_disk_when_it_was_told() {
    scenario(async {
        let (_turn, estate) = rough().await?;
        let tenant = estate.healthy_tenant("recalled").await?;
        ratchet(estate, &tenant).await?;
        let applied = estate.plane.room("storage-reeve")?.join("applied");
        for colour in ["green", "blue"] {
            let other = map("other", colour);
            let told = tenant.push(&[("other.yaml", Some(&other))]).await?;
            let digest = told.kustomization.pointer("/status/lastAppliedDigest");
            let digest = digest.and_then(Value::as_str).unwrap_or_default();
            let Some((_, digest)) = digest.split_once(':') else {
                anyhow::bail!("no digest is told: {}", told.kustomization["status"]);
            };
            let ending = format!("-{digest}.json.gz");
            wait::until(wait::PATIENCE, "it lies on the disk", || async {
                let mut files = std::fs::read_dir(&applied).ok()?.flatten();
                let is_it = |name: std::ffi::OsString| name.to_string_lossy().ends_with(&ending);
                files.any(|file| is_it(file.file_name())).then_some(())
            })
            .await?;
        }
        Ok(())
    });
}

/// Ends the controller and takes its disk away.
pub(super) fn lose_the_disk(estate: &Estate) -> anyhow::Result<()> {
    estate.controller.kill();
    let storage = estate.plane.room("storage-reeve")?;
    std::fs::remove_dir_all(&storage)?;
    std::fs::create_dir(&storage)?;
    Ok(())
}

#[test]
fn what_was_applied_is_rendered_anew_when_the_disk_is_lost_and_without_it_nothing_is_tolerated() {
    scenario(async {
        let (_turn, estate) = rough().await?;
        let tenant = estate.healthy_tenant("emptied").await?;
        tenant.push(&[("settings.yaml", Some(RED))]).await?;
        ratchet(estate, &tenant).await?;
        // Another revision comes while nobody is there: the one before has to be fetched and rendered.
        for disk in ["kept", "lost"] {
            match disk {
                "kept" => estate.controller.kill(),
                _ => lose_the_disk(estate)?,
            }
            let other = map("other", disk);
            let commit = tenant.commit([("other.yaml", Some(other))])?;
            estate.controller.restart().await?;
            tenant
                .told_of(Reason::ReconciliationSucceeded, &commit)
                .await?;
        }
        // Nobody can say any more what was applied.
        lose_the_disk(estate)?;
        let forgotten = json!({"status": {"lastAppliedDigest": null}});
        tenant
            .kustomizations()
            .patch_status(
                tenant.name(),
                &PatchParams::default(),
                &Patch::Merge(&forgotten),
            )
            .await?;
        estate.controller.restart().await?;
        let told = tenant
            .after(|draft| draft.commit("other.yaml", map("other", "none")))
            .await?;
        denied(&told, "settings is red")?;
        Ok(())
    });
}

#[test]
fn what_was_applied_is_rendered_anew_only_where_it_is_signed_by_the_keys_of_now() {
    scenario(async {
        let (_turn, estate) = rough().await?;
        let (then, now) = (Signer::new(Signing::Ssh)?, Signer::new(Signing::Ssh)?);
        let tenant = estate.healthy_tenant("resigned").await?;
        let keys = "resigned-keys";
        let repo = tenant.repo();
        repo.write("settings.yaml", RED)?;
        let commit = then.publish(repo, "Red")?;
        tenant.apply(&secret(CONFIG, keys, &[&then])).await?;
        let asked = json!({"mode": "HEAD", "secretRef": {"name": keys}});
        tenant
            .change(|draft| draft.set_source("verify", asked))
            .await?;
        tenant.applied(&commit).await?;
        ratchet(estate, &tenant).await?;
        // Both are trusted: what was there before is known.
        lose_the_disk(estate)?;
        let both = secret(CONFIG, keys, &[&then, &now]);
        tenant.apply(&both).await?;
        repo.write("other.yaml", map("other", "green"))?;
        let commit = now.publish(repo, "Green")?;
        estate.controller.restart().await?;
        tenant.applied(&commit).await?;
        // Who signed that is no longer trusted: of what was applied then nothing is rendered.
        lose_the_disk(estate)?;
        tenant.apply(&secret(CONFIG, keys, &[&then])).await?;
        repo.write("other.yaml", map("other", "none"))?;
        then.publish(repo, "None")?;
        estate.controller.restart().await?;
        tenant
            .told_of(Reason::PolicyDenied, "settings is red")
            .await?;
        Ok(())
    });
}

#[test]
fn what_is_protected_is_deleted_only_after_it_said_so() {
    scenario(async {
        let estate = Estate::shared().await?;
        let tenant = estate.healthy_tenant("released").await?;
        let spec = json!({"shipped": "protected-objects", "parameters": {"kinds": ["ConfigMap"]}});
        tenant.apply(&policy(&tenant, &spec)).await?;
        ready(estate, tenant.name(), Reason::Succeeded, "in force").await?;
        let told = tenant.after(|draft| draft.delete("settings.yaml")).await?;
        denied(&told, "settings would be deleted")?;
        ensure!(colour(&tenant).await?.is_some());
        let released = RED.replace(
            "  name: settings\n",
            "  name: settings\n  annotations: {reeve.dev/allow-prune: 'true'}\n",
        );
        tenant.push(&[("settings.yaml", Some(&released))]).await?;
        tenant.push(&[("settings.yaml", None)]).await?;
        let settings = tenant.api("v1", "ConfigMap").get_opt("settings").await?;
        ensure!(settings.is_none(), "it is still there");
        Ok(())
    });
}

/// `exceptions.yaml` for a tenant's ConfigMaps.
fn exception(tenant: &Tenant<'_>, expires: &str) -> String {
    format!(
        "- policy: platform.colours\n  namespaces: [{}]\n  objects: [{{kind: ConfigMap, name: settings}}]\n  owner: web@acme.example\n  reason: it fades soon\n  expires: '{expires}'\n",
        tenant.name()
    )
}

/// A Policy whose rules lie in that repository.
async fn put_in_force(estate: &Estate, tenant: &Tenant<'_>, name: &str) -> anyhow::Result<()> {
    tenant
        .apply(&json!({
            "apiVersion": "source.toolkit.fluxcd.io/v1", "kind": "GitRepository",
            "metadata": {"name": name, "namespace": PLATFORM},
            "spec": {"interval": "1s", "url": estate.git.url(name), "ref": {"branch": "main"}},
        }))
        .await?;
    let source = json!({"sourceRef": {"name": name, "namespace": PLATFORM}});
    tenant.apply(&policy(tenant, &source)).await
}

#[test]
fn an_exception_holds_until_its_moment_and_is_announced_before() {
    scenario(async {
        let estate = Estate::shared().await?;
        let tenant = estate.healthy_tenant("excepted").await?;
        let name = "policies-excepted";
        let repo = estate.repo(name)?;
        let publish = |what: &str| {
            repo.commit(what)?;
            repo.push()
        };
        let now = jiff::Timestamp::now();
        let later = (now + jiff::SignedDuration::from_hours(48)).to_string();
        repo.write("colours.rego", minds("red"))?;
        repo.write("exceptions.yaml", exception(&tenant, &later))?;
        publish("Rules")?;
        put_in_force(estate, &tenant, name).await?;
        let words = "an exception of web@acme.example from platform.colours ends at";
        ready(estate, tenant.name(), Reason::Succeeded, words).await?;
        tenant.push(&[("settings.yaml", Some(RED))]).await?;
        let told = holds(
            estate,
            tenant.name(),
            "/status/verdicts/tolerated",
            &json!(1),
        )
        .await?;
        let why = objects::text(&told.data, "/status/findings/0/tolerated").unwrap_or_default();
        ensure!(
            why.starts_with("excepted by web@acme.example until "),
            "{why}"
        );

        repo.write("exceptions.yaml", exception(&tenant, "soon"))?;
        publish("A bad one")?;
        ready(
            estate,
            tenant.name(),
            Reason::PolicyFailed,
            "exceptions.yaml:1",
        )
        .await?;

        let end = jiff::Timestamp::now() + jiff::SignedDuration::from_secs(12);
        repo.write("exceptions.yaml", exception(&tenant, &end.to_string()))?;
        publish("A short one")?;
        let told = wait::for_object(
            &tenant.kustomizations(),
            tenant.name(),
            "it is denied",
            |ks| {
                objects::condition(&ks.data, "Ready")
                    .is_some_and(|ready| ready.reason == Reason::PolicyDenied.as_str())
            },
        )
        .await?;
        ensure!(jiff::Timestamp::now() >= end, "{:?}", told.data);
        ready(estate, tenant.name(), Reason::Succeeded, "has ended at").await?;
        Ok(())
    });
}

#[test]
fn an_audit_says_whom_it_would_deny_beyond_the_policy_in_force() {
    scenario(async {
        let estate = Estate::shared().await?;
        let tenant = estate.healthy_tenant("compared").await?;
        tenant
            .apply(&policy(&tenant, &json!({"rego": minds("blue")})))
            .await?;
        let mut next = policy(
            &tenant,
            &json!({"rego": minds("red"), "mode": "audit", "comparedWith": tenant.name()}),
        );
        let name = format!("{}-next", tenant.name());
        next["metadata"]["name"] = name.as_str().into();
        tenant.apply(&next).await?;
        ready(estate, &name, Reason::Succeeded, "in force").await?;
        tenant.push(&[("settings.yaml", Some(RED))]).await?;
        let one = json!({"count": 1, "kustomizations": [format!("{0}/{0}", tenant.name())]});
        let told = holds(estate, &name, "/status/whatIf/newlyDenied", &one).await?;
        let freed = told.data.pointer("/status/whatIf/freed/count");
        ensure!(freed == Some(&json!(0)), "{freed:?}");
        Ok(())
    });
}
