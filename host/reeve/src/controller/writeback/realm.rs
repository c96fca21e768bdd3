//! Which kinds in which namespaces a WriteBack looks at.
//!
//! What its rules have committed, as far as its tenant has it: its own namespace, and the others of a Tenant. What is in no
//! namespace is the platform's to write. A rule that names no resource means what people keep in git, and not what controllers
//! write for themselves.

use std::collections::{BTreeMap, BTreeSet};

use reeve_api::writeback::{SyncTo, WriteBackRefusal};
use reeve_core::ward::Realm;
use reeve_core::writeback::Rules;

use super::wards::Unseen;
use crate::cluster::Meant;

/// How many namespaces are told of one kind.
const NAMESPACES: usize = 5;

/// Where a WriteBack looks.
pub(super) enum Reach {
    /// Everywhere.
    Platform,
    /// In these namespaces.
    Namespaces(BTreeSet<String>),
}

/// What a kind is in rules.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Word {
    /// What it is called there.
    pub(super) resource: String,
    /// Whether one says so, and not only anything.
    pub(super) named: bool,
}

/// Whether any rule has objects of a kind committed.
pub(super) fn means(rules: &Rules, group: &str, resource: &str) -> bool {
    rules.iter().any(|rule| rule.commits(group, resource))
}

/// What is looked at, with the word for each kind in rules.
pub(super) fn realms(rules: &Rules, reach: &Reach, kinds: &[Meant]) -> BTreeMap<Realm, Word> {
    let mut realms = BTreeMap::new();
    for kind in kinds {
        let mut meant = rules
            .iter()
            .filter(|rule| rule.commits(&kind.group, &kind.plural));
        let named = meant.any(|rule| rule.written().resources.contains(&kind.plural));
        for namespace in namespaces(rules, reach, kind) {
            let realm = Realm {
                namespace,
                group: kind.group.clone(),
                kind: kind.kind.clone(),
            };
            let resource = kind.plural.clone();
            realms.insert(realm, Word { resource, named });
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

/// What may not be seen, as it is told.
pub(super) fn told(unseen: Unseen, account: &str) -> WriteBackRefusal {
    let Unseen {
        realm,
        resource,
        why,
    } = unseen;
    let (named, place) = (called(&realm, &resource), place(&realm));
    WriteBackRefusal {
        field: None,
        hint: Some(format!(
            "grant {account} the verbs get, list and watch on {named}{place}"
        )),
        object: format!("{named}{place}"),
        reason: format!("cannot be watched: {why}"),
    }
}

/// What is only listed now and then, as it is told: each kind once, with its namespaces.
pub(super) fn listed(all: &[(Realm, String)]) -> Vec<String> {
    let mut kinds: BTreeMap<String, Vec<&str>> = BTreeMap::new();
    for (realm, resource) in all {
        let namespaces = kinds.entry(called(realm, resource)).or_default();
        namespaces.extend(realm.namespace.as_deref());
    }
    let told = kinds.into_iter().map(|(kind, namespaces)| {
        let (shown, more) = namespaces.split_at(namespaces.len().min(NAMESPACES));
        let more = match more.len() {
            0 => String::new(),
            more => format!(" and {more} more"),
        };
        match shown {
            [] => kind,
            shown => format!("{kind} in {}{more}", shown.join(", ")),
        }
    });
    told.collect()
}

/// A kind as people call it.
fn called(realm: &Realm, resource: &str) -> String {
    match realm.group.as_str() {
        "" => resource.to_owned(),
        group => format!("{resource}.{group}"),
    }
}

fn place(realm: &Realm) -> String {
    match &realm.namespace {
        Some(namespace) => format!(" in namespace {namespace}"),
        None => String::new(),
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
        all.map(|(realm, word)| {
            let namespace = realm.namespace.unwrap_or_default();
            format!("{} in {namespace}", word.resource)
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

    #[test]
    fn a_kind_that_a_rule_names_is_told_from_one_that_any_rule_means() {
        let both = rules(json!([
            {"resources": ["deployments"], "syncTo": "ignore", "namespaces": ["other"]},
            {"resources": ["deployments", "*"], "syncTo": "git"},
        ]));
        let all = realms(&both, &Reach::Platform, &kinds()).into_values();
        let named: Vec<_> = all
            .filter(|word| word.named)
            .map(|word| word.resource)
            .collect();
        assert_eq!(named, ["deployments"]);
    }

    #[test]
    fn what_is_only_listed_is_told_kind_by_kind() {
        let realm = |namespace: Option<&str>, group: &str| Realm {
            namespace: namespace.map(str::to_owned),
            group: group.to_owned(),
            kind: "Any".to_owned(),
        };
        let mut all = vec![
            (realm(None, ""), "persistentvolumes".to_owned()),
            (realm(Some("b"), "apps"), "deployments".to_owned()),
            (realm(Some("a"), ""), "pods".to_owned()),
        ];
        for n in 0..NAMESPACES + 2 {
            all.push((realm(Some(&format!("n{n}")), "x.y"), "zebras".to_owned()));
        }
        let want = [
            "deployments.apps in b",
            "persistentvolumes",
            "pods in a",
            "zebras.x.y in n0, n1, n2, n3, n4 and 2 more",
        ];
        assert_eq!(listed(&all), want);
    }
}
