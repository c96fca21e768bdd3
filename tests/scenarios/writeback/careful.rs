//! What would be something else once it is written: a base that others use where the source does not look, text that would be taken
//! for a variable, words of the API server that hold a Secret, an object that holds one and looks like nobody's.

use anyhow::ensure;
use kube::api::{DeleteParams, PostParams};
use reeve_tests::git::git;
use reeve_tests::{Estate, objects, scenario, secrecy, wait};
use serde_json::json;

use super::*;

#[test]
fn a_base_that_others_use_is_not_edited_where_the_source_leaves_these_out() {
    scenario(async {
        let estate = Estate::shared().await?;
        let tenant = tenant(estate, "wb-hidden").await?;
        let overlay = "resources:\n- ../base\n";
        all_may_go(&tenant).await?;
        tenant
            .after(|draft| {
                draft.commit("base/web.yaml", WEB);
                draft.commit("base/kustomization.yaml", "resources:\n- web.yaml\n");
                draft.commit("one/kustomization.yaml", overlay);
                draft.commit("two/kustomization.yaml", overlay);
                draft.set("path", json!("./one"));
                draft.set_source("ignore", json!("/*\n!/base\n!/one\n"));
            })
            .await?;
        begin(&tenant, &writeback(&tenant, "back", &everything())).await?;
        let webs = tenant.api("apps/v1", "Deployment");
        change(&webs, "web", "keel", &image("2")).await?;
        let bare = tenant.repo().bare();
        let look = || async {
            let found = git(bare, ["grep", "-l", "web:2\\|newTag: .*2", "main"]).ok()?;
            (!found.is_empty()).then_some(found)
        };
        let found = wait::until(wait::PATIENCE, "it is written", look).await?;
        ensure!(
            found.lines().all(|file| file.starts_with("main:one/")),
            "{found}"
        );
        let base = file(&tenant, "base/web.yaml").unwrap_or_default();
        ensure!(base == WEB.trim_end(), "{base}");
        Ok(())
    });
}

#[test]
fn what_would_be_taken_for_a_variable_is_not_written() {
    scenario(async {
        let estate = Estate::shared().await?;
        let tenant = tenant(estate, "wb-dollar").await?;
        tenant
            .after(|draft| draft.set("postBuild", json!({"substitute": {"a": "b"}})))
            .await?;
        begin(&tenant, &writeback(&tenant, "back", &everything())).await?;
        let before = commits(&tenant)?;
        let maps = tenant.api("v1", "ConfigMap");
        change(
            &maps,
            "settings",
            "painter",
            &json!({"data": {"colour": "${a}"}}),
        )
        .await?;
        for (name, run) in [("script", "echo ${HOME}"), ("fresh", "kill $$")] {
            let map = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": {"run": run}});
            let map: DynamicObject = serde_json::from_value(map)?;
            maps.create(&PostParams::default(), &map).await?;
        }
        for name in ["settings", "script", "fresh"] {
            let subject = format!("ConfigMap {}/{name}", tenant.name());
            let entry = refused(&tenant, "back", &subject).await?;
            let reason = objects::text(&entry, "/reason").unwrap_or_default();
            ensure!(reason.contains("puts variables in"), "{entry}");
            let hint = objects::text(&entry, "/hint").unwrap_or_default();
            ensure!(hint.contains("with `$$` for each `$`"), "{entry}");
        }
        let script = maps.get("script").await?;
        let run = objects::text(&script.data, "/data/run");
        ensure!(run == Some("echo ${HOME}"), "{run:?}");
        ensure!(commits(&tenant)? == before, "nothing is written");
        // Without a variable in it, it is.
        let red = json!({"data": {"colour": "red"}});
        change(&maps, "settings", "kubectl-patch", &red).await?;
        written(&tenant, "settings.yaml", "red").await?;
        Ok(())
    });
}

/// A Job cannot be applied over another: what the API server says of that repeats all of it.
#[test]
fn what_the_api_server_says_of_a_manifest_tells_no_value_of_a_secret() {
    scenario(async {
        let estate = Estate::shared().await?;
        let tenant = tenant(estate, "wb-words").await?;
        let word = format!("w{:024x}", rand::random::<u128>());
        secrecy::used(&word);
        let secret = json!({
            "apiVersion": "v1", "kind": "Secret", "metadata": {"name": "login", "namespace": tenant.name()},
            "stringData": {"PW": word},
        });
        tenant.apply(&secret).await?;
        let job = "apiVersion: batch/v1\nkind: Job\nmetadata:\n  name: once\nspec:\n  template:\n    spec:\n      restartPolicy: Never\n      containers:\n        - name: once\n          image: registry.local/once:1\n          env:\n            - {name: PW, value: \"${PW}\"}\n";
        tenant
            .after(|draft| {
                draft.commit("once.yaml", job);
                let from = json!([{"kind": "Secret", "name": "login"}]);
                draft.set("postBuild", json!({"substituteFrom": from}));
                draft.set("wait", json!(false));
            })
            .await?;
        // What is deleted is left alone then, so that nobody makes it again before we do.
        let rules = json!([{"resources": ["jobs"], "syncTo": "git", "onDelete": "delete"}]);
        let mut back = writeback(&tenant, "back", &rules);
        back["spec"]["debounce"] = json!("5s");
        begin(&tenant, &back).await?;
        let jobs = tenant.api("batch/v1", "Job");
        let mut other = jobs.get("once").await?;
        let labels = other.metadata.labels.clone();
        jobs.delete("once", &DeleteParams::background()).await?;
        wait::until_gone(&jobs, "once").await?;
        let spec = json!({"template": {"spec": {"restartPolicy": "Never", "containers": [
            {"name": "once", "image": "registry.local/once:2", "env": [{"name": "PW", "value": "other"}]},
        ]}}});
        other.metadata = kube::core::ObjectMeta {
            name: Some("once".to_owned()),
            labels,
            ..Default::default()
        };
        other.data = json!({"spec": spec});
        jobs.create(&PostParams::default(), &other).await?;
        let subject = format!("Job {}/once", tenant.name());
        let entry = refused(&tenant, "back", &subject).await?;
        let reason = objects::text(&entry, "/reason").unwrap_or_default();
        ensure!(reason.contains("a variable, a plugin"), "{entry}");
        let object = writebacks(&tenant).get("back").await?;
        let told = serde_json::to_string(&object)?;
        ensure!(!told.contains(&word), "{told}");
        Ok(())
    });
}

/// Whoever takes labels off, or copies an object, makes it nobody's own.
#[test]
fn a_value_of_a_secret_is_in_no_new_file_whatever_labels_its_object_has() {
    scenario(async {
        let estate = Estate::shared().await?;
        let tenant = tenant(estate, "wb-veiled").await?;
        let word = format!("v{:024x}", rand::random::<u128>());
        secrecy::used(&word);
        tenant
            .apply(&json!({
                "apiVersion": "v1", "kind": "Secret", "metadata": {"name": "login", "namespace": tenant.name()},
                "stringData": {"PW": word},
            }))
            .await?;
        let used = "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: used\ndata:\n  pw: ${PW}\n";
        tenant
            .after(|draft| {
                draft.commit("used.yaml", used);
                let from = json!([{"kind": "Secret", "name": "login"}]);
                draft.set("postBuild", json!({"substituteFrom": from}));
            })
            .await?;
        begin(&tenant, &writeback(&tenant, "back", &everything())).await?;
        let before = commits(&tenant)?;
        let labels = |value: Value| json!({"kustomize.toolkit.fluxcd.io/name": value, "kustomize.toolkit.fluxcd.io/namespace": value});
        make(&tenant, "stray", Value::Null, &format!("it is {word}")).await?;
        is_refused(&tenant, "stray", "came from a Secret").await?;
        make(&tenant, "twin", labels(json!(tenant.name())), "plain").await?;
        is_refused(&tenant, "twin", "has not applied it").await?;

        tenant
            .change(|draft| draft.set("suspend", json!(true)))
            .await?;
        make(&tenant, "late", Value::Null, "plain").await?;
        is_refused(&tenant, "late", "cannot be asked whether it fits").await?;
        let maps = tenant.api("v1", "ConfigMap");
        let off = json!({"metadata": {"labels": labels(Value::Null)}});
        change(&maps, "used", "kubectl-label", &off).await?;
        is_refused(&tenant, "used", "suspended").await?;
        ensure!(commits(&tenant)? == before, "nothing is written");

        tenant
            .change(|draft| draft.set("suspend", json!(false)))
            .await?;
        tenant.reconcile(None).await?;
        looked(&tenant, "back").await?;
        let late = format!("{}/configmap-late.yaml", tenant.name());
        written(&tenant, &late, "text: plain").await?;
        let told = serde_json::to_string(&writebacks(&tenant).get("back").await?)?;
        ensure!(!told.contains(&word), "{told}");
        let found = git(tenant.repo().bare(), ["grep", word.as_str(), "main"]);
        ensure!(found.is_err(), "{found:?}");
        Ok(())
    });
}

/// What Kustomizations put in is known to the process alone that has built them.
#[test]
fn after_a_start_no_new_file_is_written_before_it_is_known_what_secrets_hold_wherever_these_are_put_in()
 {
    scenario(async {
        let estate = Estate::start().await?;
        let tenant = tenant(&estate, "wb-unlearnt").await?;
        let own = put_in(&tenant, "login").await?;
        let other = put_in(&tenant, "database").await?;
        all_may_go(&tenant).await?;
        tenant
            .after(|draft| {
                draft.commit("app/used.yaml", using("used"));
                draft.set("path", json!("./app"));
                draft.set("postBuild", from("login"));
            })
            .await?;
        elsewhere(&estate, &tenant).await?;
        let mut back = writeback(&tenant, "back", &everything());
        // Nobody builds what is written.
        back["spec"]["path"] = json!("backup");
        begin(&tenant, &back).await?;
        let before = commits(&tenant)?;
        for (name, word) in [("stray-own", &own), ("stray-other", &other)] {
            make(&tenant, name, Value::Null, &format!("it is {word}")).await?;
            says(&tenant, name, "came from a Secret").await?;
        }

        let own_name = tenant.name().to_owned();
        for name in [own_name.as_str(), "database"] {
            suspend(&tenant, name, true).await?;
        }
        estate.controller.restart().await?;
        make(&tenant, "plain", Value::Null, "plain").await?;
        for name in ["stray-own", "stray-other", "plain"] {
            says(&tenant, name, "nobody knows which values these are").await?;
        }
        suspend(&tenant, &own_name, false).await?;
        tenant.reconcile(None).await?;
        looked(&tenant, "back").await?;
        says(&tenant, "stray-own", "came from a Secret").await?;
        let by = format!("Kustomization {own_name}/database puts in");
        says(&tenant, "stray-other", &by).await?;
        says(&tenant, "plain", &by).await?;
        ensure!(commits(&tenant)? == before, "nothing is written");

        suspend(&tenant, "database", false).await?;
        looked(&tenant, "back").await?;
        let plain = format!("backup/{own_name}/configmap-plain.yaml");
        written(&tenant, &plain, "text: plain").await?;
        says(&tenant, "stray-other", "came from a Secret").await?;
        for word in [&own, &other] {
            let found = git(tenant.repo().bare(), ["grep", word.as_str(), "main"]);
            ensure!(found.is_err(), "{found:?}");
        }
        Ok(())
    });
}

/// Whoever may read what one Kustomization applies may copy it into what another does.
#[test]
fn a_changed_field_holds_no_secret_of_another_kustomization() {
    scenario(async {
        let estate = Estate::shared().await?;
        let tenant = tenant(estate, "wb-copied").await?;
        let namespace = tenant.name();
        let word = format!("c{:024x}", rand::random::<u128>());
        secrecy::used(&word);
        tenant
            .apply(&json!({
                "apiVersion": "v1", "kind": "Secret", "metadata": {"name": "login", "namespace": namespace},
                "stringData": {"PW": word},
            }))
            .await?;
        let map = |name: &str, text: &str| {
            format!(
                "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: {name}\ndata:\n  text: {text}\n"
            )
        };
        all_may_go(&tenant).await?;
        tenant
            .after(|draft| {
                draft.commit("web/web.yaml", map("web", "plain"));
                draft.commit("db/db.yaml", map("db", "${PW}"));
                draft.set("path", json!("./web"));
            })
            .await?;
        let spec = json!({
            "interval": "1h", "path": "./db", "prune": true, "serviceAccountName": "flux", "targetNamespace": namespace,
            "sourceRef": {"kind": "GitRepository", "name": namespace, "namespace": CONFIG},
            "postBuild": {"substituteFrom": [{"kind": "Secret", "name": "login"}]},
        });
        tenant
            .apply(&json!({
                "apiVersion": "kustomize.toolkit.fluxcd.io/v1", "kind": "Kustomization",
                "metadata": {"name": "db", "namespace": namespace}, "spec": spec,
            }))
            .await?;
        wait::for_object(&tenant.kustomizations(), "db", "it is applied", |object| {
            objects::condition(&object.data, "Ready").is_some_and(|ready| ready.status == "True")
        })
        .await?;
        begin(&tenant, &writeback(&tenant, "back", &everything())).await?;
        let before = commits(&tenant)?;
        let maps = tenant.api("v1", "ConfigMap");
        let copied = json!({"data": {"text": format!("it is {word}")}});
        change(&maps, "web", "painter", &copied).await?;
        is_refused(&tenant, "web", "came from a Secret").await?;
        ensure!(commits(&tenant)? == before, "nothing is written");

        let other = json!({"data": {"text": "another"}});
        change(&maps, "web", "painter", &other).await?;
        written(&tenant, "web/web.yaml", "another").await?;
        let told = serde_json::to_string(&writebacks(&tenant).get("back").await?)?;
        ensure!(!told.contains(&word), "{told}");
        let found = git(tenant.repo().bare(), ["grep", word.as_str(), "main"]);
        ensure!(found.is_err(), "{found:?}");
        Ok(())
    });
}

/// A Secret of this name, whose value is returned.
async fn put_in(tenant: &Tenant<'_>, name: &str) -> anyhow::Result<String> {
    let word = format!("u{:024x}", rand::random::<u128>());
    secrecy::used(&word);
    tenant
        .apply(&json!({
            "apiVersion": "v1", "kind": "Secret", "metadata": {"name": name, "namespace": tenant.name()},
            "stringData": {"PW": word},
        }))
        .await?;
    Ok(word)
}

fn using(name: &str) -> String {
    format!("apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: {name}\ndata:\n  pw: ${{PW}}\n")
}

fn from(secret: &str) -> Value {
    json!({"substituteFrom": [{"kind": "Secret", "name": secret}]})
}

/// A Kustomization `database` of the tenant that is applied from another repository, and puts the Secret of that name in.
async fn elsewhere(estate: &Estate, tenant: &Tenant<'_>) -> anyhow::Result<()> {
    let namespace = tenant.name();
    let name = format!("{namespace}-database");
    estate
        .repo(&name)?
        .publish("used.yaml", using("database"))?;
    let meta = json!({"name": "database", "namespace": namespace});
    tenant
        .apply(&json!({
            "apiVersion": "source.toolkit.fluxcd.io/v1", "kind": "GitRepository", "metadata": meta,
            "spec": {"interval": "1h", "url": estate.git.url(&name), "ref": {"branch": "main"}},
        }))
        .await?;
    tenant
        .apply(&json!({
            "apiVersion": "kustomize.toolkit.fluxcd.io/v1", "kind": "Kustomization", "metadata": meta,
            "spec": {
                "interval": "1h", "path": "./", "prune": true, "serviceAccountName": "flux",
                "targetNamespace": namespace, "sourceRef": {"kind": "GitRepository", "name": "database"},
                "postBuild": from("database"),
            },
        }))
        .await?;
    wait::for_object(
        &tenant.kustomizations(),
        "database",
        "it is applied",
        |ks| objects::condition(&ks.data, "Ready").is_some_and(|ready| ready.status == "True"),
    )
    .await?;
    Ok(())
}

async fn suspend(tenant: &Tenant<'_>, name: &str, is: bool) -> anyhow::Result<()> {
    let patch = json!({"spec": {"suspend": is}});
    let how = PatchParams::default();
    let all = tenant.kustomizations();
    all.patch(name, &how, &Patch::Merge(&patch)).await?;
    Ok(())
}

/// Waits until a ConfigMap is refused in these words.
async fn says(tenant: &Tenant<'_>, name: &str, words: &str) -> anyhow::Result<()> {
    let subject = format!("ConfigMap {}/{name}", tenant.name());
    let is = |entry: &Value| {
        objects::text(entry, "/object") == Some(subject.as_str())
            && objects::text(entry, "/reason").is_some_and(|reason| reason.contains(words))
    };
    let what = format!("{subject} is refused: {words}");
    wait::for_object(&writebacks(tenant), "back", &what, |found| {
        let all = found.data.pointer("/status/refused");
        let mut all = all.and_then(Value::as_array).into_iter().flatten();
        all.any(is)
    })
    .await?;
    Ok(())
}

/// A ConfigMap that nobody's manifests have.
async fn make(tenant: &Tenant<'_>, name: &str, labels: Value, text: &str) -> anyhow::Result<()> {
    let map = json!({
        "apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, "labels": labels}, "data": {"text": text},
    });
    let map: DynamicObject = serde_json::from_value(map)?;
    let maps = tenant.api("v1", "ConfigMap");
    maps.create(&PostParams::default(), &map).await?;
    Ok(())
}

async fn is_refused(tenant: &Tenant<'_>, name: &str, words: &str) -> anyhow::Result<()> {
    let subject = format!("ConfigMap {}/{name}", tenant.name());
    let entry = refused(tenant, "back", &subject).await?;
    let reason = objects::text(&entry, "/reason").unwrap_or_default();
    ensure!(reason.contains(words), "{entry}");
    Ok(())
}
