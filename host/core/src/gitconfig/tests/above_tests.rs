//! Whose levels are above whom.

use reeve_api::name::{NamespaceName, NamespacedName};
use reeve_api::tenant::{GitConfigReference, Project, Tenant};
use serde_json::json;

use super::*;
use crate::tenancy::{Grounds, Tenants};

fn grounds() -> Grounds {
    Grounds {
        platform_namespaces: ["flux-system".parse::<NamespaceName>().unwrap()].into(),
        config_namespaces: ["config".parse::<NamespaceName>().unwrap()].into(),
        platform_service_account: "platform".parse().unwrap(),
        tenant_service_account: "flux".parse().unwrap(),
        remote_bases: Vec::new(),
        remote_clusters: Vec::new(),
    }
}

fn a_tenant(name: &str, sources: &[&str], more: serde_json::Value) -> Tenant {
    let mut spec = json!({"namespaces": [format!("{name}-ns")], "sources": sources});
    spec.as_object_mut()
        .unwrap()
        .extend(more.as_object().unwrap().clone());
    let meta = json!({"name": name, "creationTimestamp": "2026-01-01T00:00:00Z"});
    reeve_api::decode(&json!({"metadata": meta, "spec": spec})).unwrap()
}

fn a_project() -> Project {
    let spec = json!({
        "gitConfig": {"kind": "Secret", "name": "of-project"},
        "environments": [
            {"name": "staging", "gitConfig": {"kind": "ConfigMap", "name": "of-staging", "key": "k"}},
            {"name": "production"},
        ],
    });
    reeve_api::decode(&json!({"metadata": {"name": "acme"}, "spec": spec})).unwrap()
}

#[test]
fn nobody_is_given_a_login_whose_level_is_not_above_them() {
    let mut tenants = Tenants::default();
    tenants.apply(&a_tenant("web", &["one", "both"], json!({})));
    tenants.apply(&a_tenant("db", &["both"], json!({})));
    for (namespace, name, want) in [
        ("web-ns", "any", Ok(Some("web"))),
        ("db-ns", "one", Ok(Some("db"))),
        ("elsewhere", "one", Ok(None)),
        ("flux-system", "one", Ok(None)),
        ("config", "one", Ok(Some("web"))),
        ("config", "both", Ok(None)),
        ("config", "none", Ok(None)),
        // It is called like a Tenant that does not have it.
        ("web", "one", Err(())),
    ] {
        let id = NamespacedName::new(namespace, name).unwrap();
        let told = tenant_of(&grounds(), &tenants, &id);
        let told = told.map(|name| name.map(|name| name.to_string()));
        let want = want.map(|name: Option<&str>| name.map(str::to_owned));
        assert_eq!(told.map_err(|_| ()), want, "{id}");
    }
}

#[test]
fn the_levels_above_a_tenant_are_its_own_its_environments_its_projects_and_the_platforms() {
    let global: GitConfigReference =
        serde_json::from_value(json!({"kind": "Secret", "name": "all"})).unwrap();
    let named = |tenant: Option<&Tenant>, project: Option<&Project>| {
        let levels = levels_of(tenant, project, Some(&global));
        levels.map(|levels| {
            let said = |(level, from): &Named| format!("{level}: {} {}", from.name, from.key());
            levels.iter().map(said).collect::<Vec<_>>().join(", ")
        })
    };
    let own = json!({"gitConfig": {"kind": "Secret", "name": "own"}, "project": "acme", "environment": "staging"});
    let (whole, project) = (a_tenant("web", &[], own), a_project());
    assert_eq!(
        named(Some(&whole), Some(&project)).unwrap(),
        "Tenant web: own git.yaml, environment staging of Project acme: of-staging k, \
         Project acme: of-project git.yaml, global: all git.yaml"
    );
    let production = json!({"project": "acme", "environment": "production"});
    let production = a_tenant("web", &[], production);
    assert_eq!(
        named(Some(&production), Some(&project)).unwrap(),
        "Project acme: of-project git.yaml, global: all git.yaml"
    );
    assert_eq!(named(None, None).unwrap(), "global: all git.yaml");
    for (more, project, words) in [
        (json!({"project": "acme"}), None, "which does not exist"),
        (
            json!({"project": "acme", "environment": "prod"}),
            Some(&project),
            "which Project acme does not have",
        ),
        (json!({"environment": "staging"}), None, "and no Project"),
    ] {
        let told = named(Some(&a_tenant("web", &[], more)), project).unwrap_err();
        assert!(told.message.contains(words), "{told}");
    }
}
