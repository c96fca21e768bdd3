//! Which kinds in which namespaces a WriteBack watches.
//!
//! What its rules have committed, as far as its tenant has it: its own namespace, and the others of a Tenant. What is in no
//! namespace is the platform's to write. A rule that names no resource means what people keep in git, and not what controllers
//! write for themselves.

use std::collections::{BTreeMap, BTreeSet};

use reeve_api::writeback::{SyncTo, WriteBackRefusal};
use reeve_core::ward::Realm;
use reeve_core::writeback::Rules;

use super::wards::Unwatched;
use crate::cluster::Meant;

/// Where a WriteBack looks.
pub(super) enum Reach {
    /// Everywhere.
    Platform,
    /// In these namespaces.
    Namespaces(BTreeSet<String>),
}

/// Whether any rule has objects of a kind committed.
pub(super) fn means(rules: &Rules, group: &str, resource: &str) -> bool {
    rules.iter().any(|rule| rule.commits(group, resource))
}

/// What is watched, with the word for each kind in rules.
pub(super) fn realms(rules: &Rules, reach: &Reach, kinds: &[Meant]) -> BTreeMap<Realm, String> {
    let mut realms = BTreeMap::new();
    for kind in kinds {
        for namespace in namespaces(rules, reach, kind) {
            let realm = Realm {
                namespace,
                group: kind.group.clone(),
                kind: kind.kind.clone(),
            };
            realms.insert(realm, kind.plural.clone());
        }
    }
    realms
}

/// What rules name in vain.
pub(super) fn unserved(rules: &Rules, reach: &Reach, kinds: &[Meant]) -> Vec<WriteBackRefusal> {
    let mut told = BTreeMap::new();
    for rule in rules.iter().filter(|rule| rule.sync_to() == SyncTo::Git) {
        for resource in rule.written().resources.iter().filter(|name| *name != "*") {
            let mut found = kinds.iter().filter(|kind| {
                kind.plural == *resource && rule.is_for_kind(&kind.group, &kind.plural)
            });
            let (reason, hint) = match (found.next(), reach) {
                (None, _) => (
                    "nothing on the cluster is called so".to_owned(),
                    "look at `kubectl api-resources`; a kind that comes later is found at the next interval",
                ),
                (Some(kind), Reach::Namespaces(_)) if !kind.namespaced => (
                    "is in no namespace, and only WriteBacks of the platform write such".to_owned(),
                    "keep it out of the rules, or let the platform write it",
                ),
                (Some(_), _) => continue,
            };
            told.insert(resource.clone(), (reason, hint));
        }
    }
    let refusal = |(object, (reason, hint)): (String, (String, &str))| WriteBackRefusal {
        field: None,
        hint: Some(hint.to_owned()),
        object,
        reason,
    };
    told.into_iter().map(refusal).collect()
}

/// What is not watched, as it is told.
pub(super) fn told(unwatched: Unwatched, account: &str) -> WriteBackRefusal {
    let Unwatched {
        realm,
        resource,
        why,
    } = unwatched;
    let named = match realm.group.as_str() {
        "" => resource,
        group => format!("{resource}.{group}"),
    };
    let place = match &realm.namespace {
        Some(namespace) => format!(" in namespace {namespace}"),
        None => String::new(),
    };
    let (reason, hint) = match why {
        Some(why) => (
            format!("cannot be watched: {why}"),
            format!("grant {account} the verbs get, list and watch on {named}{place}"),
        ),
        None => (
            "is not watched: there are too many watches already".to_owned(),
            "name fewer resources or namespaces in the rules".to_owned(),
        ),
    };
    WriteBackRefusal {
        field: None,
        hint: Some(hint),
        object: format!("{named}{place}"),
        reason,
    }
}

fn namespaces(rules: &Rules, reach: &Reach, kind: &Meant) -> BTreeSet<Option<String>> {
    let meant = || {
        let all = rules.iter();
        all.filter(|rule| rule.commits(&kind.group, &kind.plural))
    };
    match reach {
        Reach::Platform if !kind.namespaced => {
            let any = meant().any(|rule| rule.is_for_namespace(""));
            any.then_some(None).into_iter().collect()
        }
        Reach::Platform => {
            if meant().any(|rule| rule.written().namespaces.is_empty()) {
                return BTreeSet::from([None]);
            }
            let named = meant().flat_map(|rule| rule.written().namespaces.iter());
            named.cloned().map(Some).collect()
        }
        Reach::Namespaces(_) if !kind.namespaced => BTreeSet::new(),
        Reach::Namespaces(all) => {
            let is_meant =
                |namespace: &&String| meant().any(|rule| rule.is_for_namespace(namespace));
            all.iter().filter(is_meant).cloned().map(Some).collect()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn rules(rules: Value) -> Rules {
        let rules: Vec<_> = serde_json::from_value(rules).unwrap();
        Rules::parse(&rules).unwrap()
    }

    fn kinds() -> Vec<Meant> {
        let kind = |group: &str, kind: &str, plural: &str, namespaced: bool| Meant {
            group: group.to_owned(),
            version: "v1".to_owned(),
            kind: kind.to_owned(),
            plural: plural.to_owned(),
            namespaced,
        };
        vec![
            kind("apps", "Deployment", "deployments", true),
            kind("", "Secret", "secrets", true),
            kind("", "PersistentVolume", "persistentvolumes", false),
        ]
    }

    fn tenant(names: &[&str]) -> Reach {
        Reach::Namespaces(names.iter().map(|name| (*name).to_owned()).collect())
    }

    fn shown(rules: &Rules, reach: &Reach) -> Vec<String> {
        let all = realms(rules, reach, &kinds()).into_iter();
        all.map(|(realm, resource)| {
            format!("{resource} in {}", realm.namespace.unwrap_or_default())
        })
        .collect()
    }

    #[test]
    fn a_tenant_looks_into_its_own_namespaces_only_and_at_nothing_outside_of_them() {
        let any = rules(json!([{"syncTo": "git"}]));
        let reach = tenant(&["acme", "acme-test"]);
        let want = ["deployments in acme", "deployments in acme-test"];
        assert_eq!(shown(&any, &reach), want);
        let other = rules(json!([{"syncTo": "git", "namespaces": ["other", "acme"]}]));
        assert_eq!(shown(&other, &reach), ["deployments in acme"]);
        let named = rules(json!([{"syncTo": "git", "resources": ["persistentvolumes", "things"]}]));
        assert!(shown(&named, &reach).is_empty());
        let told = unserved(&named, &reach, &kinds());
        let objects: Vec<_> = told.iter().map(|one| one.object.as_str()).collect();
        assert_eq!(objects, ["persistentvolumes", "things"]);
    }

    #[test]
    fn the_platform_looks_everywhere_unless_its_rules_name_namespaces() {
        let any = rules(json!([{"syncTo": "git"}]));
        let want = ["persistentvolumes in ", "deployments in "];
        assert_eq!(shown(&any, &Reach::Platform), want);
        let named = rules(json!([{"syncTo": "git", "namespaces": ["a", "b"]}]));
        let want = ["deployments in a", "deployments in b"];
        assert_eq!(shown(&named, &Reach::Platform), want);
    }

    #[test]
    fn secrets_are_watched_only_to_say_that_they_are_refused() {
        let reach = tenant(&["acme"]);
        let named = rules(json!([{"syncTo": "git", "resources": ["secrets"]}]));
        assert_eq!(shown(&named, &reach), ["secrets in acme"]);
        for kept in ["kubernetes", "ignore"] {
            let kept = rules(json!([{"syncTo": kept}]));
            assert!(shown(&kept, &reach).is_empty());
        }
    }
}
