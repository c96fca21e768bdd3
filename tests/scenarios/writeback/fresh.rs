//! Objects that are made on the cluster: they become files, follow, and go by rule.

use anyhow::ensure;
use kube::api::{DeleteParams, PostParams};
use reeve_tests::git::git;
use reeve_tests::{Estate, objects, scenario, wait};
use serde_json::json;

use super::*;

async fn make(
    tenant: &Tenant<'_>,
    api_version: &str,
    kind: &str,
    object: Value,
) -> anyhow::Result<()> {
    let mut object = object;
    object["apiVersion"] = json!(api_version);
    object["kind"] = json!(kind);
    let object: DynamicObject = serde_json::from_value(object)?;
    let params = PostParams {
        field_manager: Some("snapshotter".to_owned()),
        ..PostParams::default()
    };
    tenant
        .api(api_version, kind)
        .create(&params, &object)
        .await?;
    Ok(())
}

#[test]
fn a_claim_that_is_made_becomes_a_file_and_goes_with_it_by_rule() {
    scenario(async {
        let estate = Estate::shared().await?;
        let tenant = tenant(estate, "wb-claim").await?;
        let rules = json!([{"resources": ["persistentvolumeclaims"], "syncTo": "git", "onDelete": "delete"}]);
        begin(&tenant, &writeback(&tenant, "back", &rules)).await?;
        let before = commits(&tenant)?;
        let claim = json!({
            "metadata": {"name": "data", "labels": {"app": "web"}},
            "spec": {"accessModes": ["ReadWriteOnce"], "storageClassName": "none", "resources": {"requests": {"storage": "1Gi"}}},
        });
        make(&tenant, "v1", "PersistentVolumeClaim", claim).await?;
        let path = format!("{}/persistentvolumeclaim-data.yaml", tenant.name());
        let text = written(&tenant, &path, "kind: PersistentVolumeClaim").await?;
        for words in ["name: data", "storage: 1Gi"] {
            ensure!(text.contains(words), "{words:?} is not in {text}");
        }
        for words in [
            "uid",
            "resourceVersion",
            "managedFields",
            "status",
            "creationTimestamp",
        ] {
            ensure!(!text.contains(words), "{words:?} is in {text}");
        }
        applied(&tenant).await?;
        looked(&tenant, "back").await?;
        ensure!(
            commits(&tenant)? == before + 1,
            "that it is applied is no news"
        );

        let claims = tenant.api("v1", "PersistentVolumeClaim");
        claims.delete("data", &DeleteParams::default()).await?;
        let gone = || async { file(&tenant, &path).is_none().then_some(()) };
        wait::until(wait::PATIENCE, "the file is gone", gone).await?;
        applied(&tenant).await?;
        wait::until_gone(&claims, "data").await?;
        ensure!(commits(&tenant)? == before + 2, "and nothing makes it anew");
        Ok(())
    });
}

#[test]
fn what_goes_with_its_kustomization_keeps_its_file() {
    scenario(async {
        let estate = Estate::shared().await?;
        let tenant = tenant(estate, "wb-going").await?;
        let rules = json!([{"resources": ["configmaps"], "labels": "made=yes", "syncTo": "git", "onDelete": "delete"}]);
        begin(&tenant, &writeback(&tenant, "back", &rules)).await?;
        let map =
            json!({"metadata": {"name": "kept", "labels": {"made": "yes"}}, "data": {"a": "b"}});
        make(&tenant, "v1", "ConfigMap", map).await?;
        let path = format!("{}/configmap-kept.yaml", tenant.name());
        written(&tenant, &path, "kind: ConfigMap").await?;
        applied(&tenant).await?;
        let before = commits(&tenant)?;
        let gone = DeleteParams::default();
        tenant.kustomizations().delete(tenant.name(), &gone).await?;
        wait::until_gone(&tenant.kustomizations(), tenant.name()).await?;
        wait::until_gone(&tenant.api("v1", "ConfigMap"), "kept").await?;
        looked(&tenant, "back").await?;
        // Whatever is made after it is written after it.
        let map =
            json!({"metadata": {"name": "last", "labels": {"made": "yes"}}, "data": {"a": "b"}});
        make(&tenant, "v1", "ConfigMap", map).await?;
        let last = format!("{}/configmap-last.yaml", tenant.name());
        written(&tenant, &last, "kind: ConfigMap").await?;
        ensure!(file(&tenant, &path).is_some(), "the file went with it");
        ensure!(commits(&tenant)? == before + 1, "one commit, and no other");
        Ok(())
    });
}

#[test]
fn a_secret_is_refused_with_a_hint_and_never_written() {
    scenario(async {
        let estate = Estate::shared().await?;
        let tenant = tenant(estate, "wb-secret").await?;
        let rules = json!([{"resources": ["secrets", "configmaps"], "syncTo": "git"}]);
        begin(&tenant, &writeback(&tenant, "back", &rules)).await?;
        let secret =
            json!({"metadata": {"name": "login"}, "stringData": {"password": "correct-horse"}});
        make(&tenant, "v1", "Secret", secret).await?;
        let map = json!({"metadata": {"name": "fresh"}, "data": {"a": "b"}});
        make(&tenant, "v1", "ConfigMap", map).await?;
        let subject = format!("Secret {}/login", tenant.name());
        let entry = refused(&tenant, "back", &subject).await?;
        ensure!(objects::text(&entry, "/hint").is_some(), "{entry}");
        let found = || async {
            let all = git(
                tenant.repo().bare(),
                ["ls-tree", "-r", "--name-only", "main"],
            )
            .ok()?;
            all.contains("-fresh.yaml").then_some(all)
        };
        let all = wait::until(wait::PATIENCE, "the ConfigMap beside it is written", found).await?;
        ensure!(!all.contains("login"), "{all}");
        let all = git(
            tenant.repo().bare(),
            ["grep", "-i", "correct-horse", "main"],
        );
        ensure!(all.is_err(), "{all:?}");
        Ok(())
    });
}

#[test]
fn what_a_kustomization_takes_with_it_keeps_its_file() {
    scenario(async {
        let estate = Estate::shared().await?;
        let tenant = tenant(estate, "wb-leaves").await?;
        let rules = json!([{"resources": ["configmaps"], "names": ["kept"], "syncTo": "git", "onDelete": "delete"}]);
        begin(&tenant, &writeback(&tenant, "back", &rules)).await?;
        let map = json!({"metadata": {"name": "kept"}, "data": {"a": "b"}});
        make(&tenant, "v1", "ConfigMap", map).await?;
        let path = format!("{}/configmap-kept.yaml", tenant.name());
        written(&tenant, &path, "a: b").await?;
        applied(&tenant).await?;
        looked(&tenant, "back").await?;
        let before = commits(&tenant)?;
        let (all, maps) = (tenant.kustomizations(), tenant.api("v1", "ConfigMap"));
        all.delete(tenant.name(), &DeleteParams::default()).await?;
        wait::until_gone(&maps, "kept").await?;
        wait::until_gone(&all, tenant.name()).await?;
        looked(&tenant, "back").await?;
        looked(&tenant, "back").await?;
        ensure!(commits(&tenant)? == before, "nobody has deleted it");
        ensure!(file(&tenant, &path).is_some());
        Ok(())
    });
}

/// Somebody made it with kubectl, so that nothing but the Kustomization claims it from then on.
#[test]
fn what_a_kustomization_takes_with_it_while_nobody_watches_keeps_its_file() {
    scenario(async {
        let estate = Estate::shared().await?;
        let tenant = tenant(estate, "wb-unseen").await?;
        let rules = json!([{"resources": ["configmaps"], "names": ["kept"], "syncTo": "git", "onDelete": "delete"}]);
        begin(&tenant, &writeback(&tenant, "back", &rules)).await?;
        let map = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "kept"}, "data": {"a": "b"}});
        let map: DynamicObject = serde_json::from_value(map)?;
        let params = PostParams {
            field_manager: Some("kubectl-create".to_owned()),
            ..PostParams::default()
        };
        let (all, maps) = (tenant.kustomizations(), tenant.api("v1", "ConfigMap"));
        maps.create(&params, &map).await?;
        let path = format!("{}/configmap-kept.yaml", tenant.name());
        written(&tenant, &path, "a: b").await?;
        applied(&tenant).await?;
        looked(&tenant, "back").await?;
        let what = "it is in the Kustomization's inventory, and remembered there";
        let backs = writebacks(&tenant);
        wait::for_object(&backs, "back", what, |back| {
            back.data.pointer("/status/made").is_none()
        })
        .await?;
        let before = commits(&tenant)?;
        suspend(&backs, true).await?;
        all.delete(tenant.name(), &DeleteParams::default()).await?;
        wait::until_gone(&maps, "kept").await?;
        wait::until_gone(&all, tenant.name()).await?;
        suspend(&backs, false).await?;
        looked(&tenant, "back").await?;
        looked(&tenant, "back").await?;
        ensure!(commits(&tenant)? == before, "nobody has deleted it");
        ensure!(file(&tenant, &path).is_some());
        Ok(())
    });
}

async fn suspend(all: &Api<DynamicObject>, suspend: bool) -> anyhow::Result<()> {
    let patch = json!({"spec": {"suspend": suspend}});
    all.patch("back", &PatchParams::default(), &Patch::Merge(&patch))
        .await?;
    Ok(())
}

#[test]
fn a_name_cannot_lead_out_of_the_directory() {
    scenario(async {
        let estate = Estate::shared().await?;
        let tenant = tenant(estate, "wb-names").await?;
        let rules = json!([{"resources": ["roles"], "apiGroups": ["rbac.authorization.k8s.io"], "syncTo": "git"}]);
        let mut back = writeback(&tenant, "back", &rules);
        back["spec"]["path"] = json!("made");
        begin(&tenant, &back).await?;
        for name in [":..:..:etc", ".git", "..x", "A", "-rf"] {
            let role = json!({"metadata": {"name": name}, "rules": []});
            make(&tenant, "rbac.authorization.k8s.io/v1", "Role", role).await?;
        }
        for name in [".git", "..x"] {
            let entry = refused(&tenant, "back", &format!("Role {}/{name}", tenant.name())).await?;
            let reason = objects::text(&entry, "/reason").unwrap_or_default();
            ensure!(reason.contains("begins or ends with a dot"), "{reason}");
        }
        let role = |name: &str| {
            let namespace = tenant.name();
            format!("made/{namespace}/role.rbac.authorization.k8s.io-{name}.yaml")
        };
        for name in ["%3A..%3A..%3Aetc", "%41", "-rf"] {
            written(&tenant, &role(name), "kind: Role").await?;
        }
        let list = ["ls-tree", "-r", "--name-only", "main"];
        let all = git(tenant.repo().bare(), list)?;
        let above = ["service.yaml", "settings.yaml", "web.yaml"];
        let is_fine = |file: &str| above.contains(&file) || file.starts_with("made/");
        ensure!(all.lines().all(is_fine), "{all}");
        Ok(())
    });
}
