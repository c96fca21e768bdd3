//! Nothing by halves: what an account has no right to, and what may not be deleted, is known before the first write, and all
//! of it is told at once.

use anyhow::ensure;
use reeve::cluster::Action;
use reeve_api::reason::Reason;
use reeve_tests::tenant::Tenant;
use reeve_tests::{Estate, objects, scenario};
use serde_json::{Value, json};

use crate::ground::{Ground, Wish, config_map};

const RED: &str =
    "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: settings\ndata:\n  colour: red\n";
const DEPLOYMENT: &str = "\
apiVersion: apps/v1
kind: Deployment
metadata:
  name: web
spec:
  selector:
    matchLabels: {app: web}
  template:
    metadata:
      labels: {app: web}
    spec:
      containers:
      - name: web
        image: registry.example/web:1
";

/// An account that may do this and nothing else.
async fn account(tenant: &Tenant<'_>, rules: Value) -> anyhow::Result<()> {
    let (name, rbac) = (tenant.name(), "rbac.authorization.k8s.io");
    let meta = json!({"name": "narrow", "namespace": name});
    let version = format!("{rbac}/v1");
    for object in [
        json!({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": meta}),
        json!({"apiVersion": version, "kind": "Role", "metadata": meta, "rules": rules}),
        json!({"apiVersion": version, "kind": "RoleBinding", "metadata": meta,
            "roleRef": {"apiGroup": rbac, "kind": "Role", "name": "narrow"},
            "subjects": [{"kind": "ServiceAccount", "name": "narrow", "namespace": name}]}),
    ] {
        tenant.apply(&object).await?;
    }
    Ok(())
}

/// The objects that git has, but for what makes up the account.
async fn written(tenant: &Tenant<'_>) -> anyhow::Result<Vec<String>> {
    let mut changes = tenant.changes().await?;
    changes.retain(|change| !change.contains("/narrow"));
    Ok(changes)
}

#[test]
fn every_right_that_is_missing_is_named_in_one_message_with_the_role_that_grants_them() {
    scenario(async {
        let estate = Estate::shared().await?;
        let tenant = estate.healthy_tenant("narrow").await?;
        let verbs = ["get", "patch", "create"];
        let rules = json!([{"apiGroups": [""], "resources": ["configmaps"], "verbs": verbs}]);
        account(&tenant, rules).await?;
        let told = tenant
            .after(|draft| {
                draft.set("serviceAccountName", json!("narrow"));
                draft.commit("settings.yaml", RED);
                draft.commit("web.yaml", DEPLOYMENT);
                draft.delete("service.yaml");
            })
            .await?;
        let (name, message) = (tenant.name(), told.ready.message);
        ensure!(
            message.starts_with(&format!("ServiceAccount {name}/narrow may not:")),
            "{message}"
        );
        for right in [
            format!("patch deployments.apps in {name}"),
            format!("create deployments.apps in {name}"),
            format!("delete services in {name}"),
        ] {
            ensure!(message.contains(&right), "{right}: {message}");
        }
        ensure!(!message.contains("patch configmaps"), "{message}");
        ensure!(
            message.contains(&format!("a Role in {name} with rules: [")),
            "{message}"
        );
        let changes = written(&tenant).await?;
        ensure!(changes.is_empty(), "{changes:?}");
        Ok(())
    });
}

#[test]
fn what_may_not_be_deleted_is_known_before_anything_is_written() {
    scenario(async {
        let estate = Estate::shared().await?;
        let tenant = estate.healthy_tenant("keeper").await?;
        let rules = |verbs: &[&str]| {
            let resources = ["configmaps", "services"];
            json!([{"apiGroups": [""], "resources": resources, "verbs": verbs}])
        };
        account(&tenant, rules(&["get", "patch", "create"])).await?;
        let told = tenant
            .after(|draft| {
                draft.set("serviceAccountName", json!("narrow"));
                draft.commit("settings.yaml", RED);
                draft.delete("service.yaml");
            })
            .await?;
        let message = &told.ready.message;
        ensure!(
            told.ready.reason == Reason::PruneFailed.as_str(),
            "{message}"
        );
        let right = format!("may not: delete services in {}", tenant.name());
        ensure!(message.contains(&right), "{message}");
        let changes = written(&tenant).await?;
        ensure!(changes.is_empty(), "{changes:?}");

        account(&tenant, rules(&["get", "patch", "create", "delete"])).await?;
        let mut told = tenant.reconcile(None).await?;
        for _ in 0..20 {
            // The authorizer hears of it a moment later.
            if told.ready.status == "True" {
                break;
            }
            told = tenant.reconcile(None).await?;
        }
        ensure!(told.ready.status == "True", "{:?}", told.ready);
        let changes = written(&tenant).await?;
        ensure!(changes.len() == 2, "changed and pruned: {changes:?}");
        Ok(())
    });
}

#[test]
fn what_a_later_stage_has_no_right_to_is_known_before_the_first_is_written() {
    scenario(async {
        let ground = Ground::new("foreseen").await?;
        let class = "{apiVersion: scheduling.k8s.io/v1, kind: PriorityClass, metadata: {name: foreseen}, value: 1}";
        let quota = "{apiVersion: v1, kind: ResourceQuota, metadata: {name: more}, spec: {hard: {pods: '9'}}}";
        let map = "{apiVersion: v1, kind: ConfigMap, metadata: {name: may}, data: {k: v}}";
        let wish = Wish::of(&[("class.yaml", class), ("map.yaml", map)]);
        ensure!(ground.foresee(&wish).await.is_ok());
        let why = ground.foresee(&wish.with("quota.yaml", quota)).await;
        let why = why.unwrap_err();
        let right = format!(
            "may not: create resourcequotas in {0}, patch resourcequotas in {0}",
            ground.namespace
        );
        ensure!(why.message.contains(&right), "{why}");
        ensure!(!why.message.contains("configmaps"), "{why}");
        Ok(())
    });
}

/// A Job that is a hook.
fn job(phase: &str, policy: &str, restarts: &str) -> String {
    json!({"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": "migrate", "annotations": {
        "argocd.argoproj.io/hook": phase, "argocd.argoproj.io/hook-delete-policy": policy}},
        "spec": {"template": {"spec": {"restartPolicy": restarts, "containers": [
            {"name": "job", "image": "registry.local/job:1"}]}}}})
    .to_string()
}

#[test]
fn a_hook_that_may_not_be_deleted_as_it_asks_does_not_even_begin() {
    scenario(async {
        let estate = Estate::shared().await?;
        let tenant = estate.healthy_tenant("untidy").await?;
        let verbs = ["get", "patch", "create", "list", "watch"];
        let rules =
            json!([{"apiGroups": ["", "batch", "apps"], "resources": ["*"], "verbs": verbs}]);
        account(&tenant, rules).await?;
        let told = tenant
            .after(|draft| {
                draft.set("serviceAccountName", json!("narrow"));
                draft.commit("settings.yaml", RED);
                draft.commit("migrate.yaml", job("PreSync", "HookSucceeded", "Never"));
            })
            .await?;
        let message = &told.ready.message;
        let right = format!("may not: delete jobs.batch in {}", tenant.name());
        ensure!(message.contains(&right), "{message}");
        ensure!(
            told.ready.reason == Reason::ReconciliationFailed.as_str(),
            "{:?}",
            told.ready
        );
        let changes = written(&tenant).await?;
        ensure!(changes.is_empty(), "{changes:?}");
        Ok(())
    });
}

#[test]
fn a_hook_beside_a_wave_that_is_refused_leaves_no_half_of_the_wave() {
    scenario(async {
        let estate = Estate::shared().await?;
        let tenant = estate.healthy_tenant("unhooked").await?;
        let told = tenant
            .after(|draft| {
                draft.commit("settings.yaml", RED);
                draft.commit("migrate.yaml", job("Sync", "HookSucceeded", "Always"));
            })
            .await?;
        let message = &told.ready.message;
        ensure!(message.contains("restartPolicy"), "{message}");
        let changes = written(&tenant).await?;
        ensure!(changes.is_empty(), "{changes:?}");
        Ok(())
    });
}

const READER: &str = "{apiVersion: rbac.authorization.k8s.io/v1, kind: Role, metadata: {name: reader}, \
    rules: [{apiGroups: [''], resources: [configmaps], verbs: [get]}]}";
const READS: &str = "{apiVersion: rbac.authorization.k8s.io/v1, kind: RoleBinding, metadata: {name: reader}, \
    roleRef: {apiGroup: rbac.authorization.k8s.io, kind: Role, name: reader}, \
    subjects: [{apiGroup: rbac.authorization.k8s.io, kind: Group, name: readers}]}";

/// The API server looks for the Role of a binding, even in a dry run, unless the account may bind whatever it likes.
#[test]
fn a_role_and_what_binds_it_arrive_in_one_push_of_an_account_that_is_only_admin() {
    scenario(async {
        let ground = Ground::new("binds").await?;
        let map = config_map("a", "1");
        let wish = Wish::of(&[
            ("binding.yaml", READS),
            ("map.yaml", &map),
            ("role.yaml", READER),
        ]);
        let typo =
            "{apiVersion: apps/v1, kind: Deployment, metadata: {name: typo}, spec: {replicaz: 1}}";
        let why = ground.apply(&wish.with("typo.yaml", typo)).await;
        let told = why.unwrap_err().to_string();
        ensure!(told.contains("/typo dry-run failed"), "{told}");
        ensure!(!told.contains("RoleBinding"), "{told}");
        let version = "rbac.authorization.k8s.io/v1";
        let roles = objects::api(ground.admin(), version, "Role", Some(&ground.namespace));
        let role = roles.get_opt("reader").await?;
        ensure!(role.is_none(), "a Role is written by halves: {role:?}");

        for want in [Action::Created, Action::Unchanged] {
            let (done, _) = ground.apply(&wish).await?;
            let mut all = done.entries.iter();
            ensure!(done.entries.len() == 3, "{done:?}");
            ensure!(all.all(|(_, action)| *action == want), "{done:?}");
        }
        Ok(())
    });
}
