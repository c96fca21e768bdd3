//! What is made of which Tenant, and of which nothing.

use super::*;
use serde_json::{Value, json};

fn name<T: std::str::FromStr<Err: std::fmt::Debug>>(text: &str) -> T {
    text.parse().unwrap()
}

fn terms() -> Terms {
    Terms {
        config_namespace: Some(name("config")),
        home: name("reeve-system"),
        delivery: name("reeve"),
        roles: [name("admin"), name("edit"), name("view")].into(),
        exec: name("reeve-exec"),
        label: None,
    }
}

fn tenant(more: &Value) -> Tenant {
    let mut spec = json!({"namespaces": ["acme", "acme-dev"]});
    let fields = spec.as_object_mut().unwrap();
    fields.extend(more.as_object().unwrap().clone());
    serde_json::from_value(json!({
        "apiVersion": "reeve.dev/v1alpha1", "kind": "Tenant", "metadata": {"name": "acme"},
        "spec": spec,
    }))
    .unwrap()
}

fn made(more: &Value) -> Vec<Wanted> {
    let (tenant, at) = (tenant(more), name("acme"));
    let mut all = vec![namespace(&name("acme"), &tenant, &at)];
    all.extend(within(&terms(), &name("acme"), &tenant, &at));
    all.extend(delivered(&terms(), &name("acme"), &tenant, &at));
    all
}

fn object(more: &Value, kind: Made, called: &str) -> Value {
    let found = made(more).into_iter();
    let mut found = found.filter(|one| one.kind == kind && one.name == called);
    found.next().unwrap().object
}

#[test]
fn the_least_that_onboards_is_a_namespace_an_account_its_role_and_the_right_to_act_as_it() {
    let names: Vec<String> = made(&json!({}))
        .iter()
        .map(|one| format!("{:?} {}", one.kind, one.name))
        .collect();
    assert_eq!(
        names,
        [
            "Namespace acme",
            "ServiceAccount flux",
            "RoleBinding reeve-admin",
            "Role reeve-delivery",
            "RoleBinding reeve-delivery"
        ]
    );
    let grant = object(&json!({}), Made::Role, GRANT);
    assert_eq!(
        grant["rules"],
        json!([{"apiGroups": [""], "resources": ["serviceaccounts"], "resourceNames": ["flux"], "verbs": ["impersonate"]}])
    );
    let binding = object(&json!({}), Made::RoleBinding, GRANT);
    assert_eq!(
        binding["subjects"],
        json!([{"kind": "ServiceAccount", "name": "reeve", "namespace": "reeve-system"}])
    );
    for one in made(&json!({})) {
        assert_eq!(one.object["metadata"]["labels"][TENANT_LABEL], "acme");
        let at = one.object["metadata"]["namespace"].as_str();
        assert_eq!(at, one.namespace.as_ref().map(NamespaceName::as_str));
    }
}

#[test]
fn owners_and_the_account_have_the_role_that_is_named() {
    let more = json!({"role": "edit", "owners": ["acme-devs"], "serviceAccountName": "robot"});
    let binding = object(&more, Made::RoleBinding, "reeve-edit");
    assert_eq!(binding["roleRef"]["name"], "edit");
    assert_eq!(
        binding["subjects"],
        json!([
            {"kind": "ServiceAccount", "name": "robot", "namespace": "acme"},
            {"kind": "Group", "apiGroup": "rbac.authorization.k8s.io", "name": "acme-devs"},
        ])
    );
}

#[test]
fn what_a_namespace_bears_is_the_specs_but_for_what_only_programs_say() {
    let more = json!({
        "podSecurity": "restricted",
        "namespaceMetadata": {
            "labels": {
                "team": "a", "reeve.dev/tenant": "other", "kubernetes.io/metadata.name": "x",
                "pod-security.kubernetes.io/enforce": "privileged", "notkubernetes.io/x": "y",
            },
            "annotations": {"owner": "a@acme.example", "reeve.dev/confirm-prune": "1"},
        },
    });
    let meta = object(&more, Made::Namespace, "acme")["metadata"].clone();
    assert_eq!(
        meta["labels"],
        json!({
            "team": "a", "reeve.dev/tenant": "acme", "notkubernetes.io/x": "y",
            "pod-security.kubernetes.io/enforce": "restricted",
            "app.kubernetes.io/managed-by": "reeve-landlord",
        })
    );
    assert_eq!(meta["annotations"], json!({"owner": "a@acme.example"}));
}

#[test]
fn quotas_and_what_reaches_pods_are_made_where_the_spec_says_so() {
    let more = json!({"quota": {"pods": "20"}, "networkPolicy": "OwnNamespaces"});
    let quota = object(&more, Made::ResourceQuota, "reeve-tenant");
    assert_eq!(quota["spec"], json!({"hard": {"pods": "20"}}));
    let policy = object(&more, Made::NetworkPolicy, "reeve-tenant");
    let from = &policy["spec"]["ingress"][0]["from"][0]["namespaceSelector"]["matchLabels"];
    assert_eq!(*from, json!({"reeve.dev/tenant": "acme"}));
    let nobody = json!({"networkPolicy": "Nobody"});
    let policy = object(&nobody, Made::NetworkPolicy, "reeve-tenant");
    assert_eq!(policy["spec"]["ingress"], json!([]));
}

#[test]
fn readers_look_and_run_commands_where_that_is_said() {
    let more = json!({"readers": [{"group": "a"}, {"group": "b", "exec": true}]});
    for (called, role, groups) in [
        ("reeve-tenant-readers", "view", vec!["a", "b"]),
        ("reeve-tenant-exec", "reeve-exec", vec!["b"]),
    ] {
        let binding = object(&more, Made::RoleBinding, called);
        assert_eq!(binding["roleRef"]["name"], role);
        let subjects = binding["subjects"].as_array().unwrap();
        assert!(subjects.iter().all(|one| one["kind"] == "Group"));
        let bound: Vec<&str> = subjects
            .iter()
            .map(|one| one["name"].as_str().unwrap())
            .collect();
        assert_eq!(bound, groups);
    }
    let nobody_runs = made(&json!({"readers": [{"group": "a"}]}));
    assert!(
        nobody_runs
            .iter()
            .all(|one| one.name != "reeve-tenant-exec")
    );
    let without = Terms {
        roles: [name("admin")].into(),
        ..terms()
    };
    let why = judge(&without, &name("acme"), &tenant(&more)).unwrap_err();
    assert!(why.message.contains("spec.readers"), "{why}");
}

#[test]
fn beside_another_controller_what_is_delivered_bears_the_label_that_is_followed() {
    let beside = Terms {
        label: Some(Labelled::ours()),
        ..terms()
    };
    let hook = json!({"type": "generic", "secretRef": {"name": "hook"}});
    let more = json!({"source": {"url": "https://git.example/acme", "receiver": hook}});
    let (tenant, at) = (tenant(&more), name("acme"));
    let all = delivered(&beside, &name("acme"), &tenant, &at);
    assert_eq!(all.len(), 3);
    for one in &all {
        assert!(Labelled::ours().is_on(&one.object), "{}", one.object);
        assert_eq!(one.object["metadata"]["labels"][TENANT_LABEL], "acme");
    }
    for one in delivered(&terms(), &name("acme"), &tenant, &at) {
        assert!(!Labelled::ours().is_on(&one.object), "{}", one.object);
    }
}

#[test]
fn containers_that_say_nothing_are_given_what_the_spec_says() {
    let more = json!({"containerDefaults": {"requests": {"cpu": "100m"}}});
    let range = object(&more, Made::LimitRange, "reeve-tenant");
    let limits = json!([{"type": "Container", "defaultRequest": {"cpu": "100m"}}]);
    assert_eq!(range["spec"], json!({ "limits": limits }));
}

#[test]
fn a_namespace_that_is_made_says_by_whom_and_what_is_kept_of_it_does_not() {
    let first = fresh(&name("acme"), &name("acme-dev")).object;
    assert_eq!(
        first["metadata"]["annotations"],
        json!({"reeve.dev/made-by": "reeve-landlord"})
    );
    assert_eq!(first["metadata"]["labels"][TENANT_LABEL], "acme");
    let kept = object(&json!({}), Made::Namespace, "acme");
    assert_eq!(kept["metadata"].get("annotations"), None);
}

#[test]
fn what_lets_the_delivery_act_says_under_which_definition_and_nothing_else_does() {
    let spec = json!({"source": {"url": "https://git.example/acme"}, "quota": {"pods": "2"}});
    let mut says = Vec::new();
    for one in made(&spec) {
        let (before, after) = (one.clone(), one.under("uid-1"));
        if before != after {
            says.push(format!("{:?} {}", after.kind, after.name));
            let noted = json!({"reeve.dev/definition": "uid-1"});
            assert_eq!(after.object["metadata"]["annotations"], noted);
            assert_eq!(after.object["subjects"], before.object["subjects"]);
        }
    }
    assert_eq!(says, ["RoleBinding reeve-delivery"]);
}

#[test]
fn a_source_becomes_a_repository_a_hook_and_a_kustomization_of_the_tenants_name() {
    let more = json!({"source": {
        "url": "https://git.example/acme", "path": "./deploy", "secretRef": {"name": "key"}, "interval": "10m",
        "receiver": {"type": "gitlab", "secretRef": {"name": "token"}},
    }});
    let repository = object(&more, Made::GitRepository, "acme");
    assert_eq!(repository["metadata"]["namespace"], "config");
    assert_eq!(
        repository["spec"],
        json!({
            "interval": "10m", "url": "https://git.example/acme", "ref": {"branch": "main"},
            "secretRef": {"name": "key"},
        })
    );
    assert_eq!(repository["metadata"].get("annotations"), None);
    let receiver = object(&more, Made::Receiver, "acme");
    assert_eq!(receiver["spec"]["type"], "gitlab");
    let kustomization = object(&more, Made::Kustomization, "acme");
    assert_eq!(
        kustomization["spec"],
        json!({
            "interval": "1h", "path": "./deploy", "prune": true, "serviceAccountName": "flux",
            "targetNamespace": "acme",
            "sourceRef": {"kind": "GitRepository", "name": "acme", "namespace": "config"},
        })
    );
}

#[test]
fn what_delivers_stays_where_it_lies_however_the_namespaces_are_ordered() {
    let named = ["b", "a", "c"].map(name::<NamespaceName>);
    let chosen = |lies: &[&str]| {
        let found = home(&named, |one| lies.contains(&one.as_str()));
        found.map(NamespaceName::as_str)
    };
    assert_eq!(chosen(&[]), Some("b"));
    assert_eq!(chosen(&["a"]), Some("a"));
    assert_eq!(chosen(&["c", "a"]), Some("a"));
    assert_eq!(chosen(&["gone"]), Some("b"));
    assert_eq!(home(&[], |_| true), None);
}

#[test]
fn a_source_without_an_interval_is_looked_at_as_git_configuration_says() {
    let more = json!({"source": {"url": "https://git.example/acme"}});
    let repository = object(&more, Made::GitRepository, "acme");
    let annotations = &repository["metadata"]["annotations"];
    assert_eq!(annotations, &json!({"reeve.dev/polling": "git-config"}));
    assert_eq!(repository["metadata"]["labels"][TENANT_LABEL], "acme");
    // Tools that know no such annotation read an interval all the same.
    assert_eq!(repository["spec"]["interval"], "3m0s");
}

/// Whose label a namespace bears, and whether Tenant acme may be made of it.
#[test]
fn only_what_is_not_there_or_bears_the_tenants_label_is_made_in() {
    let seen = |whose: Option<&str>, going| Seen {
        labels: whose
            .map(|whose| (TENANT_LABEL.to_owned(), whose.to_owned()))
            .into_iter()
            .collect(),
        going,
        ..Seen::default()
    };
    let acme: TenantName = name("acme");
    let claimed = |at: &str, there: Option<&Seen>| claim(&acme, &name(at), there);
    assert_eq!(claimed("acme", None), Ok(()));
    assert_eq!(claimed("acme", Some(&seen(Some("acme"), false))), Ok(()));
    for (there, reason, words) in [
        (
            seen(None, false),
            Reason::NamespaceNotAdopted,
            "was there before",
        ),
        (
            seen(Some("other"), false),
            Reason::NamespaceNotAdopted,
            "for Tenant other",
        ),
        (
            seen(Some("acme"), true),
            Reason::OnboardingFailed,
            "being deleted",
        ),
    ] {
        let why = claimed("acme", Some(&there)).unwrap_err();
        assert_eq!(why.reason, reason);
        assert!(why.message.contains(words), "{why}");
    }
    let why = claimed("kube-public", None).unwrap_err();
    assert_eq!(why.reason, Reason::NamespaceTaken);
}

#[test]
fn a_role_that_the_landlord_may_not_give_and_a_name_that_is_no_label_are_refused() {
    let judged = |called: &str, more: &Value| judge(&terms(), &name(called), &tenant(more));
    assert_eq!(judged("acme", &json!({})), Ok(()));
    let why = judged("acme", &json!({"role": "cluster-admin"})).unwrap_err();
    assert!(why.message.contains("cluster-admin"), "{why}");
    assert!(
        why.hint
            .is_some_and(|hint| hint.contains("admin, edit, view"))
    );
    let why = judged(&"a".repeat(64), &json!({})).unwrap_err();
    assert!(why.message.contains("63"), "{why}");
    let nowhere = Terms {
        config_namespace: None,
        ..terms()
    };
    let more = json!({"source": {"url": "https://git.example/acme"}});
    let why = judge(&nowhere, &name("acme"), &tenant(&more)).unwrap_err();
    assert_eq!(why.reason, Reason::InvalidSpec);
}
