//! The first write of a stage has no dry run of its own, and is told, refused and left alone as if it had.

use anyhow::{Context as _, ensure};
use k8s_openapi::api::authorization::v1::SubjectAccessReview;
use kube::api::{Api, Patch, PatchParams, PostParams};
use reeve_api::reason::Reason;
use reeve_tests::tenant::{Tenant, Told};
use reeve_tests::{Estate, objects, scenario, wait};
use serde_json::{Value, json};

fn map(name: &str, colour: &str) -> String {
    format!(
        "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: {name}\ndata:\n  colour: {colour}\n"
    )
}

fn service(port: u32) -> String {
    format!(
        "apiVersion: v1\nkind: Service\nmetadata:\n  name: web\nspec:\n  selector:\n    app: web\n  ports:\n    - port: {port}\n"
    )
}

/// How often the API server was asked what a write would do.
async fn dry_runs(estate: &Estate) -> anyhow::Result<f64> {
    let words = ["reeve_api_request_duration_seconds_count", "\"dry-run\""];
    estate.controller.sample(&words).await
}

/// What the last run is told to have done: the action, the object's id and the fields.
fn changes(told: &Told) -> Vec<String> {
    let changes = told.kustomization.pointer("/status/lastRun/changes");
    let changes = changes.and_then(Value::as_array).into_iter().flatten();
    let text = |change: &Value, key: &str| change.get(key).cloned().unwrap_or_default();
    changes
        .map(|change| {
            let [action, id, fields] = ["action", "id", "fields"].map(|key| text(change, key));
            format!("{action} {id} {fields}").replace('"', "")
        })
        .collect()
}

fn inventory(told: &Told) -> String {
    let entries = told.kustomization.pointer("/status/inventory/entries");
    entries.cloned().unwrap_or_default().to_string()
}

async fn colour(tenant: &Tenant<'_>) -> anyhow::Result<String> {
    let map = tenant.api("v1", "ConfigMap").get("settings").await?;
    let colour = objects::text(&map.data, "/data/colour").map(str::to_owned);
    colour.context("it has a colour")
}

#[test]
fn a_push_that_changes_one_object_asks_for_no_dry_run_and_of_several_one_has_none() {
    scenario(async {
        let estate = Estate::start().await?;
        let tenant = estate.healthy_tenant("leads").await?;
        let name = tenant.name();
        let before = dry_runs(&estate).await?;
        let red = map("settings", "red");
        let told = tenant.push(&[("settings.yaml", Some(&red))]).await?;
        let want = format!("configured {name}_settings__ConfigMap [data.colour]");
        ensure!(changes(&told) == [want], "{:?}", changes(&told));
        ensure!(colour(&tenant).await? == "red");
        let after = dry_runs(&estate).await?;
        ensure!(after == before, "{} dry runs", after - before);

        let before = dry_runs(&estate).await?;
        let (blue, new, web) = (map("settings", "blue"), map("added", "red"), service(81));
        let told = tenant
            .push(&[
                ("added.yaml", Some(&new)),
                ("settings.yaml", Some(&blue)),
                ("service.yaml", Some(&web)),
            ])
            .await?;
        let made = changes(&told);
        ensure!(made.len() == 3, "{made:?}");
        let created = format!("created {name}_added__ConfigMap");
        ensure!(made.iter().any(|one| one.starts_with(&created)), "{made:?}");
        let after = dry_runs(&estate).await?;
        ensure!(after == before + 2.0, "{} dry runs", after - before);
        Ok(())
    });
}

#[test]
fn a_single_object_that_is_refused_changes_nothing_and_is_told_as_any_other() {
    scenario(async {
        let estate = Estate::shared().await?;
        let tenant = estate.healthy_tenant("lead-refused").await?;
        let wrong = service(99_999_999);
        let told = tenant
            .after(|draft| draft.commit("service.yaml", &wrong))
            .await?;
        let message = &told.ready.message;
        let words = format!("Service/{}/web dry-run failed", tenant.name());
        ensure!(message.contains(&words), "{message}");
        ensure!(
            told.ready.reason == Reason::ReconciliationFailed.as_str(),
            "{message}"
        );

        let typo = "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: added\ndate: {}\n";
        let right = service(80);
        let told = tenant
            .after(|draft| {
                draft.commit("service.yaml", &right);
                draft.commit("added.yaml", typo);
            })
            .await?;
        let message = &told.ready.message;
        let words = format!("ConfigMap/{}/added dry-run failed", tenant.name());
        ensure!(message.contains(&words), "{message}");
        ensure!(!inventory(&told).contains("added"), "{}", inventory(&told));
        let changes = tenant.changes().await?;
        ensure!(changes.is_empty(), "{changes:?}");
        Ok(())
    });
}

/// Lets the account `narrow` do this with ConfigMaps, and waits until the API server knows.
async fn allow(estate: &Estate, tenant: &Tenant<'_>, verbs: &[&str]) -> anyhow::Result<()> {
    let (name, rbac) = (tenant.name(), "rbac.authorization.k8s.io");
    let meta = json!({"name": "narrow", "namespace": name});
    let version = format!("{rbac}/v1");
    let all = json!({"apiGroups": [""], "resources": ["services"], "verbs": ["*"]});
    let maps = json!({"apiGroups": [""], "resources": ["configmaps"], "verbs": verbs});
    for object in [
        json!({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": meta}),
        json!({"apiVersion": version, "kind": "Role", "metadata": meta, "rules": [all, maps]}),
        json!({"apiVersion": version, "kind": "RoleBinding", "metadata": meta,
            "roleRef": {"apiGroup": rbac, "kind": "Role", "name": "narrow"},
            "subjects": [{"kind": "ServiceAccount", "name": "narrow", "namespace": name}]}),
    ] {
        tenant.apply(&object).await?;
    }
    let reviews: Api<SubjectAccessReview> = Api::all(estate.admin());
    let question: SubjectAccessReview = serde_json::from_value(json!({"spec": {
        "user": format!("system:serviceaccount:{name}:narrow"),
        "resourceAttributes": {"namespace": name, "verb": "patch", "resource": "configmaps"}}}))?;
    let may = verbs.contains(&"patch");
    wait::until(wait::PATIENCE, "its rights are known", || async {
        let answer = reviews.create(&PostParams::default(), &question).await;
        let allowed = answer.ok()?.status?.allowed;
        (allowed == may).then_some(())
    })
    .await
}

#[test]
fn a_single_object_that_may_not_be_written_is_told_with_all_that_is_missing() {
    scenario(async {
        let estate = Estate::shared().await?;
        let tenant = estate.healthy_tenant("lead-narrow").await?;
        allow(estate, &tenant, &["get", "patch", "create", "delete"]).await?;
        let told = tenant
            .after(|draft| draft.set("serviceAccountName", json!("narrow")))
            .await?;
        ensure!(told.ready.status == "True", "{:?}", told.ready);
        allow(estate, &tenant, &["get"]).await?;
        let red = map("settings", "red");
        let told = tenant
            .after(|draft| draft.commit("settings.yaml", &red))
            .await?;
        let (name, message) = (tenant.name(), told.ready.message);
        let words = format!("ServiceAccount {name}/narrow may not: patch configmaps in {name}");
        ensure!(message.starts_with(&words), "{message}");
        ensure!(colour(&tenant).await? == "green");
        Ok(())
    });
}

#[test]
fn what_others_have_done_to_an_object_counts_where_git_changes_it_alone() {
    scenario(async {
        let estate = Estate::shared().await?;
        let tenant = estate.healthy_tenant("lead-theirs").await?;
        let maps = tenant.api("v1", "ConfigMap");
        let by = |manager: &str| PatchParams {
            field_manager: Some(manager.to_owned()),
            ..PatchParams::default()
        };
        let alone = |asks: Value| json!({"metadata": {"annotations": {"kustomize.toolkit.fluxcd.io/reconcile": asks}}});
        // No field of ours, and not by kubectl: no watch wakes anybody for it.
        let ask = Patch::Merge(alone(json!("disabled")));
        maps.patch("settings", &by("painter"), &ask).await?;
        let red = map("settings", "red");
        tenant.push(&[("settings.yaml", Some(&red))]).await?;
        ensure!(colour(&tenant).await? == "green", "it is left alone");
        maps.patch(
            "settings",
            &by("painter"),
            &Patch::Merge(alone(Value::Null)),
        )
        .await?;
        tenant.reconcile(None).await?;

        // What `kubectl` has claimed is taken over, whoever is quicker: this push or the run that the watch begins.
        let more = json!({"data": {"more": "x"}});
        maps.patch("settings", &by("kubectl-edit"), &Patch::Merge(&more))
            .await?;
        let blue = map("settings", "blue");
        tenant.push(&[("settings.yaml", Some(&blue))]).await?;
        wait::for_object(&maps, "settings", "only what git has is there", |map| {
            map.data["data"] == json!({"colour": "blue"})
        })
        .await?;
        Ok(())
    });
}
