//! Who lets the controller act as the accounts of a namespace: the landlord, and nobody who is only that namespace's admin.

use anyhow::{Context as _, ensure};
use reeve_tests::install::{self, SYSTEM};
use reeve_tests::{Estate, objects, plane, scenario, wait};
use serde_json::{Value, json};

use super::RBAC;
use super::fence::{patched, tried};

/// A namespace of nobody's, and the account that is its admin.
const SQUAT: &str = "squat";
const ADMIN: &str = "flux";
const WORDS: &str = "a namespace is onboarded by a Tenant";

fn binding(name: &str, role: [&str; 2], subjects: Value) -> Value {
    let [kind, role] = role;
    let group = "rbac.authorization.k8s.io";
    json!({
        "apiVersion": RBAC, "kind": "RoleBinding",
        "metadata": {"name": name, "namespace": SQUAT, "labels": {"kept": "yes"}},
        "roleRef": {"apiGroup": group, "kind": kind, "name": role}, "subjects": subjects,
    })
}

fn account(namespace: &str, name: &str) -> Value {
    json!([{"kind": "ServiceAccount", "name": name, "namespace": namespace}])
}

fn named(kind: &str, name: &str) -> Value {
    json!([{"apiGroup": "rbac.authorization.k8s.io", "kind": kind, "name": name}])
}

/// The namespace, its admin, the right to act as its accounts, and the controller bound to that by an administrator.
fn furnished() -> Vec<Value> {
    let meta = |name: &str| json!({"name": name, "namespace": SQUAT});
    let acts =
        json!([{"apiGroups": [""], "resources": ["serviceaccounts"], "verbs": ["impersonate"]}]);
    vec![
        json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": SQUAT}}),
        json!({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": meta(ADMIN)}),
        json!({"apiVersion": RBAC, "kind": "Role", "metadata": meta("acts"), "rules": acts}),
        binding("admin", ["ClusterRole", "admin"], account(SQUAT, ADMIN)),
        binding("by-hand", ["Role", "acts"], account(SYSTEM, "reeve")),
    ]
}

/// How it would onboard its namespace by itself.
fn raids() -> Vec<Value> {
    let acts = ["Role", "acts"];
    let mine = |subjects: Value| binding("mine", acts, subjects);
    let user = format!("system:serviceaccount:{SYSTEM}:reeve");
    let all = format!("system:serviceaccounts:{SYSTEM}");
    let mut both = account(SQUAT, ADMIN);
    if let (Some(both), Value::Array(more)) = (both.as_array_mut(), account(SYSTEM, "reeve")) {
        both.extend(more);
    }
    vec![
        mine(account(SYSTEM, "reeve")),
        mine(both),
        mine(named("User", &user)),
        mine(named("Group", &all)),
        mine(named("Group", "system:serviceaccounts")),
        mine(named("Group", "system:authenticated")),
        binding("mine", ["ClusterRole", "edit"], account(SYSTEM, "reeve")),
        // In the place of what an administrator or the landlord has made.
        binding("reeve-delivery", acts, account(SYSTEM, "reeve")),
    ]
}

#[test]
fn an_admin_of_a_namespace_does_not_onboard_it_and_an_administrator_may() {
    scenario(async {
        let estate = Estate::shared().await?;
        // The last of them is let through: its writer may act as everybody.
        install::apply(&estate.plane, &install::list(&furnished()).to_string()).await?;
        let client = plane::client(&estate.plane.kubeconfig_of(SQUAT, ADMIN).await?).await?;
        let acts = ["Role", "acts"];
        let mine = |subjects: Value| binding("mine", acts, subjects);
        // The authorizer and the fence are read a moment later.
        wait::until(wait::PATIENCE, "it is its admin", || async {
            let own = tried(&client, &mine(account(SQUAT, ADMIN))).await;
            let denied = tried(&client, &mine(account(SYSTEM, "reeve")))
                .await
                .err()?;
            (own.is_ok() && denied.contains(WORDS)).then_some(())
        })
        .await?;
        for raid in raids() {
            let why = tried(&client, &raid).await.err();
            let why = why.with_context(|| format!("it onboards itself: {raid}"))?;
            ensure!(why.contains(WORDS), "{raid}: {why}");
        }
        let view = ["ClusterRole", "view"];
        for work in [
            mine(account(SQUAT, "another")),
            mine(account(SYSTEM, "another")),
            mine(named("Group", "acme-devs")),
            binding("mine", view, named("Group", "system:authenticated")),
        ] {
            let done = tried(&client, &work).await;
            ensure!(done.is_ok(), "it cannot do its work: {work}: {done:?}");
        }

        let bindings = objects::api(client, RBAC, "RoleBinding", Some(SQUAT));
        for (change, is_let) in [
            (json!({"metadata": {"labels": {"kept": null}}}), false),
            (
                json!({"metadata": {"finalizers": ["example.com/never"]}}),
                false,
            ),
            (json!({"metadata": {"annotations": {"a": "b"}}}), false),
            (json!({"metadata": {"labels": {"kept": "yes"}}}), true),
            (json!({"subjects": account(SQUAT, ADMIN)}), true),
        ] {
            let done = patched(&bindings, "by-hand", &change).await;
            match done {
                Ok(()) => ensure!(is_let, "it keeps it when it is to go: {change}"),
                Err(why) => ensure!(!is_let && why.contains(WORDS), "{change}: {why}"),
            }
        }
        Ok(())
    });
}
