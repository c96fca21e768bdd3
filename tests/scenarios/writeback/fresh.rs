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

/// What the API server fills in for a Deployment.
const FILLED_IN: [&str; 9] = [
    "progressDeadlineSeconds",
    "revisionHistoryLimit",
    "rollingUpdate",
    "terminationMessagePath",
    "imagePullPolicy",
    "dnsPolicy",
    "restartPolicy",
    "schedulerName",
    "securityContext",
];

#[test]
fn what_is_filled_in_for_a_new_object_is_in_no_file_and_the_file_gives_the_same_object() {
    scenario(async {
        let estate = Estate::shared().await?;
        let tenant = tenant(estate, "wb-lean").await?;
        begin(&tenant, &writeback(&tenant, "back", &everything())).await?;
        let before = commits(&tenant)?;
        // As `kubectl create deployment` makes it.
        let labels = json!({"app": "tool"});
        let pod = json!({"containers": [{"name": "tool", "image": "registry.local/web:1"}]});
        let tool = json!({
            "metadata": {"name": "tool", "labels": labels},
            "spec": {"replicas": 1, "selector": {"matchLabels": labels}, "template": {"metadata": {"labels": labels}, "spec": pod}},
        });
        make(&tenant, "apps/v1", "Deployment", tool).await?;
        let path = format!("{}/deployment.apps-tool.yaml", tenant.name());
        let text = written(&tenant, &path, "registry.local/web:1").await?;
        for words in FILLED_IN {
            ensure!(!text.contains(words), "{words:?} is in {text}");
        }
        applied(&tenant).await?;
        looked(&tenant, "back").await?;
        ensure!(
            commits(&tenant)? == before + 1,
            "what was filled in is no change: {:?}",
            file(&tenant, &path)
        );
        let tools = tenant.api("apps/v1", "Deployment");
        let was = tools.get("tool").await?;
        tools.delete("tool", &DeleteParams::default()).await?;
        wait::until_gone(&tools, "tool").await?;
        tenant.reconcile(None).await?;
        let is = wait::for_object(&tools, "tool", "it is made from the file", |_| true).await?;
        ensure!(is.metadata.uid != was.metadata.uid);
        let (was, is) = (was.data.get("spec"), is.data.get("spec"));
        ensure!(was == is, "it was\n{was:#?}\nand is\n{is:#?}");
        Ok(())
    });
}

#[test]
fn what_a_cluster_gives_to_a_service_is_in_no_file() {
    scenario(async {
        let estate = Estate::shared().await?;
        let tenant = tenant(estate, "wb-service").await?;
        let rules = json!([{"resources": ["services"], "syncTo": "git"}]);
        begin(&tenant, &writeback(&tenant, "back", &rules)).await?;
        let before = commits(&tenant)?;
        let service = json!({"metadata": {"name": "tool"}, "spec": {"selector": {"app": "tool"}, "ports": [{"port": 80}]}});
        make(&tenant, "v1", "Service", service).await?;
        let path = format!("{}/service-tool.yaml", tenant.name());
        let text = written(&tenant, &path, "port: 80").await?;
        // The first is the cluster's, the second nobody claims, the others are defaults.
        for words in [
            "clusterIP",
            "ipFamilies",
            "sessionAffinity",
            "internalTrafficPolicy",
            "protocol",
            "targetPort",
        ] {
            ensure!(!text.contains(words), "{words:?} is in {text}");
        }
        applied(&tenant).await?;
        looked(&tenant, "back").await?;
        ensure!(commits(&tenant)? == before + 1, "one commit, and no other");
        Ok(())
    });
}

/// Waits until it is remembered that a file was as its object.
async fn is_agreed(tenant: &Tenant<'_>, path: &str) -> anyhow::Result<()> {
    let what = format!("{path} was as its object");
    wait::for_object(&writebacks(tenant), "back", &what, |back| {
        let all = back.data.pointer("/status/agreed");
        let mut all = all.and_then(Value::as_array).into_iter().flatten();
        all.any(|one| objects::text(one, "/file") == Some(path))
    })
    .await?;
    Ok(())
}

/// A tenant that builds `app`, and a WriteBack whose new objects lie beside that, where nobody applies them.
async fn unbuilt<'a>(estate: &'a Estate, name: &str) -> anyhow::Result<Tenant<'a>> {
    let tenant = tenant(estate, name).await?;
    build_app(&tenant, |_| {}).await?;
    let rules = json!([{"resources": ["configmaps"], "labels": "made=yes", "syncTo": "git"}]);
    let mut back = writeback(&tenant, "back", &rules);
    back["spec"]["newObjects"] = json!({"path": "made/{namespace}/{kind}.{group}-{name}.yaml"});
    begin(&tenant, &back).await?;
    Ok(tenant)
}

#[test]
fn what_a_person_changes_in_the_file_of_a_new_object_stays_and_what_both_change_is_told() {
    scenario(async {
        let estate = Estate::shared().await?;
        let tenant = unbuilt(estate, "wb-agreed").await?;
        let map = json!({"metadata": {"name": "kept", "labels": {"made": "yes"}}, "data": {"a": "first", "c": "made"}});
        make(&tenant, "v1", "ConfigMap", map).await?;
        let path = format!("made/{}/configmap-kept.yaml", tenant.name());
        let text = written(&tenant, &path, "a: first").await?;
        is_agreed(&tenant, &path).await?;

        let theirs = text.replace("c: made", "c: mine # by hand");
        tenant.repo().pull()?.publish(&path, &theirs)?;
        tenant.call_hook().await?;
        applied(&tenant).await?;
        let before = commits(&tenant)?;
        looked(&tenant, "back").await?;
        ensure!(commits(&tenant)? == before, "{:?}", file(&tenant, &path));
        ensure!(file(&tenant, &path).as_deref() == Some(theirs.trim_end()));

        let maps = tenant.api("v1", "ConfigMap");
        let to = |value: &str| json!({"data": {"a": value}});
        change(&maps, "kept", "kubectl-edit", &to("second")).await?;
        let text = written(&tenant, &path, "a: second").await?;
        ensure!(text.contains("c: mine # by hand"), "{text}");
        let message = git(tenant.repo().bare(), ["log", "-1", "--format=%B", "main"])?;
        ensure!(!message.contains("Changed on both sides"), "{message}");

        let theirs = text.replace("a: second", "a: git");
        tenant.repo().pull()?.publish(&path, &theirs)?;
        change(&maps, "kept", "kubectl-edit", &to("third")).await?;
        written(&tenant, &path, "a: third").await?;
        let words = "kubernetes counts (third), the other had git";
        super::hands::conflict_is_told(&tenant, words).await?;
        let what = "the conflict is in the status";
        wait::for_object(&writebacks(&tenant), "back", what, |back| {
            let field = back.data.pointer("/status/conflicts/0/field");
            field == Some(&json!("data.a"))
        })
        .await?;
        Ok(())
    });
}

#[test]
fn a_file_of_a_new_object_that_a_person_takes_out_stays_out_until_the_object_changes() {
    scenario(async {
        let estate = Estate::shared().await?;
        let tenant = unbuilt(estate, "wb-taken-out").await?;
        let map =
            json!({"metadata": {"name": "old", "labels": {"made": "yes"}}, "data": {"a": "first"}});
        make(&tenant, "v1", "ConfigMap", map).await?;
        let path = format!("made/{}/configmap-old.yaml", tenant.name());
        written(&tenant, &path, "a: first").await?;
        is_agreed(&tenant, &path).await?;

        tenant.repo().pull()?;
        tenant.push(&[(path.as_str(), None)]).await?;
        let before = commits(&tenant)?;
        looked(&tenant, "back").await?;
        ensure!(commits(&tenant)? == before, "{:?}", file(&tenant, &path));
        ensure!(file(&tenant, &path).is_none());

        let maps = tenant.api("v1", "ConfigMap");
        let second = json!({"data": {"a": "second"}});
        change(&maps, "old", "kubectl-edit", &second).await?;
        written(&tenant, &path, "a: second").await?;
        let words = "kubernetes counts (second), the other had nothing";
        super::hands::conflict_is_told(&tenant, words).await?;
        Ok(())
    });
}
