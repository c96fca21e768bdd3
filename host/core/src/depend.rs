//! Whether what a Kustomization depends on is ready, and when it depends on itself by a way round.
//!
//! The rules and the words are Flux's: the dependency exists, its newest generation is observed, it is Ready, and when both
//! apply one source, it has applied the revision that this one is about to. What it deliberately doesn't: fetch anything,
//! or know who may depend on whom (`tenancy` does); who waits is woken by `index`.

use std::collections::BTreeSet;

use reeve_api::condition::{self, Type};
use reeve_api::kustomization::{Kustomization, KustomizationSpec, KustomizationStatus};
use reeve_api::name::NamespacedName;
use reeve_api::reason::Reason;
use serde_json::Value;

use crate::cel::Expression;
use crate::failure::{Explained, Turn};
use crate::spec::{self, Spec};

/// How many Kustomizations are followed in search of a circle.
const MOST_FOLLOWED: usize = 1000;

/// Whether `dependency` is ready for `spec` to be applied at `revision`.
pub fn ready(
    spec: &Spec,
    revision: &str,
    id: &NamespacedName,
    dependency: Option<&Kustomization>,
) -> Result<(), Explained> {
    let Some(dependency) = dependency else {
        return Err(missing(id));
    };
    let status = dependency.status.as_ref();
    let is_ready = status.is_some_and(|status| {
        status.observed_generation == dependency.metadata.generation
            && condition::is_true(&status.conditions, Type::Ready)
    });
    if !is_ready {
        return Err(not_ready(format!("dependency '{id}' is not ready")));
    }
    let applied = status.and_then(|status| status.last_applied_revision.as_deref());
    if has_source(&dependency.spec, id, spec) && applied != Some(revision) {
        let why = format!("dependency '{id}' revision is not up to date");
        return Err(not_ready(why));
    }
    Ok(())
}

/// Whether `dependency` is ready, as the expression says that `object` depends on it by.
pub fn ready_by(
    expression: &Expression,
    object: &Value,
    id: &NamespacedName,
    dependency: Option<&Value>,
) -> Result<(), Explained> {
    let Some(dependency) = dependency else {
        return Err(missing(id));
    };
    match expression.holds([("self", object), ("dep", dependency)]) {
        Ok(true) => Ok(()),
        Ok(false) => Err(not_ready(format!(
            "dependency '{id}' is not ready according to readyExpr eval"
        ))),
        Err(why) => Err(not_ready(format!(
            "dependency '{id}' is not ready: evaluating its readyExpr failed: {why}"
        ))),
    }
}

fn missing(id: &NamespacedName) -> Explained {
    let name = &id.name;
    not_ready(format!(
        "dependency '{id}' not found: kustomizations.kustomize.toolkit.fluxcd.io \"{name}\" not found"
    ))
}

/// What waits for a dependency, told.
pub fn not_ready(why: String) -> Explained {
    Explained::new(Reason::DependencyNotReady, Turn::Dependency, why)
}

/// Whether it applies the source that `other` does.
fn has_source(of: &KustomizationSpec, id: &NamespacedName, other: &Spec) -> bool {
    let source = &of.source_ref;
    let namespace = source.namespace.as_deref().filter(|set| !set.is_empty());
    source.kind == other.source.kind
        && source.name == other.source.name.as_str()
        && namespace.unwrap_or(id.namespace.as_str()) == other.source.namespace.as_str()
}

/// The way by which a Kustomization depends on itself, itself at both ends; None: it doesn't.
///
/// `depends_on` says what one depends on, as far as that is known.
pub fn circle(
    of: &NamespacedName,
    depends_on: impl Fn(&NamespacedName) -> Vec<NamespacedName>,
) -> Option<Vec<NamespacedName>> {
    let mut seen = BTreeSet::new();
    // The way to where we are, and what is left to try at each step of it.
    let mut way = vec![(of.clone(), depends_on(of))];
    while let Some((_, left)) = way.last_mut() {
        let Some(next) = left.pop() else {
            way.pop();
            continue;
        };
        if next == *of {
            let mut names: Vec<_> = way.into_iter().map(|(name, _)| name).collect();
            names.push(next);
            return Some(names);
        }
        if seen.len() < MOST_FOLLOWED && seen.insert(next.clone()) {
            let on = depends_on(&next);
            way.push((next, on));
        }
    }
    None
}

/// What a Kustomization depends on, as its spec says.
pub fn named(spec: &KustomizationSpec, id: &NamespacedName) -> Vec<NamespacedName> {
    let all = spec.depends_on.iter();
    all.filter_map(|one| spec::reference(one, id)).collect()
}

/// The same failure, with the circle that it comes from.
pub fn in_a_circle(why: Explained, circle: &[NamespacedName]) -> Explained {
    let names: Vec<String> = circle.iter().take(20).map(ToString::to_string).collect();
    let message = format!(
        "{}: it waits for itself: {}",
        why.message,
        names.join(" -> ")
    );
    not_ready(message).with_hint("remove one spec.dependsOn of the circle")
}

/// Whether who waits for it should look again: anything of the status has changed but what each run changes.
pub fn has_news(before: Option<&KustomizationStatus>, after: Option<&KustomizationStatus>) -> bool {
    let told = |status: Option<&KustomizationStatus>| {
        let status = status?;
        Some(KustomizationStatus {
            history: Vec::new(),
            last_handled_reconcile_at: None,
            ..status.clone()
        })
    };
    told(before) != told(after)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;
    use std::collections::BTreeMap;

    fn object(name: &str, source: &str, status: &Value) -> Kustomization {
        serde_json::from_value(json!({
            "apiVersion": "kustomize.toolkit.fluxcd.io/v1", "kind": "Kustomization",
            "metadata": {"namespace": "acme", "name": name, "generation": 2},
            "spec": {"interval": "10m", "prune": true, "sourceRef": {"kind": "GitRepository", "name": source}},
            "status": status,
        }))
        .unwrap()
    }

    fn status(generation: i64, ready: &str, revision: &str) -> Value {
        json!({"observedGeneration": generation, "lastAppliedRevision": revision, "conditions": [{
            "type": "Ready", "status": ready, "reason": "x", "message": "", "lastTransitionTime": "2026-01-01T00:00:00Z"}]})
    }

    #[test]
    fn a_dependency_is_ready_when_all_that_flux_asks_for_holds() {
        let web = Spec::parse(&object("web", "app", &json!({}))).unwrap();
        let db: NamespacedName = "acme/db".parse().unwrap();
        let not = "dependency 'acme/db' is not ready";
        let old = "dependency 'acme/db' revision is not up to date";
        for (source, status, want) in [
            ("app", status(2, "True", "main@sha1:new"), ""),
            ("other", status(2, "True", "main@sha1:old"), ""),
            ("app", status(2, "True", "main@sha1:old"), old),
            ("app", status(1, "True", "main@sha1:new"), not),
            ("app", status(2, "Unknown", "main@sha1:new"), not),
            ("app", status(2, "False", "main@sha1:new"), not),
            ("app", json!({}), not),
        ] {
            let dependency = object("db", source, &status);
            let told = ready(&web, "main@sha1:new", &db, Some(&dependency));
            let told = told.map_or_else(|why| why.message, |()| String::new());
            assert_eq!(told, want, "{source}: {status}");
        }
        let gone = ready(&web, "main@sha1:new", &db, None).unwrap_err();
        assert_eq!(
            (gone.reason, gone.turn),
            (Reason::DependencyNotReady, Turn::Dependency)
        );
        assert!(gone.message.starts_with("dependency 'acme/db' not found"));
    }

    #[test]
    fn an_expression_stands_in_for_the_rules() {
        let of = |source: &str| Expression::parse(source, Some(&["self", "dep"])).unwrap();
        let (web, db) = (
            json!({"metadata": {"labels": {"v": "2"}}}),
            "acme/db".parse().unwrap(),
        );
        let told = |source: &str, dependency: Option<&Value>| {
            let told = ready_by(&of(source), &web, &db, dependency);
            told.map_or_else(|why| why.message, |()| String::new())
        };
        let same = "dep.metadata.labels.v == self.metadata.labels.v";
        let (two, one) = (web.clone(), json!({"metadata": {"labels": {"v": "1"}}}));
        assert_eq!(told(same, Some(&two)), "");
        let not = "dependency 'acme/db' is not ready according to readyExpr eval";
        assert_eq!(told(same, Some(&one)), not);
        assert!(told(same, None).starts_with("dependency 'acme/db' not found"));
        let failed = told("dep.status.ready", Some(&one));
        assert!(
            failed.ends_with("evaluating its readyExpr failed: no such key: status"),
            "{failed}"
        );
    }

    fn graph(edges: &[(&str, &[&str])]) -> impl Fn(&NamespacedName) -> Vec<NamespacedName> {
        let id = |name: &str| NamespacedName::new("acme", name).unwrap();
        let edges: BTreeMap<_, Vec<_>> = edges
            .iter()
            .map(|(from, to)| (id(from), to.iter().map(|to| id(to)).collect()))
            .collect();
        move |of| edges.get(of).cloned().unwrap_or_default()
    }

    #[test]
    fn a_circle_is_found_with_every_step_of_it_and_only_by_who_is_in_it() {
        let a: NamespacedName = "acme/a".parse().unwrap();
        let told = |edges: &[(&str, &[&str])]| {
            let found = circle(&a, graph(edges))?;
            Some(
                found
                    .iter()
                    .map(|id| id.name.to_string())
                    .collect::<Vec<_>>()
                    .join(" "),
            )
        };
        assert_eq!(told(&[("a", &["b"]), ("b", &["c"])]), None);
        let three: &[(&str, &[&str])] = &[("a", &["x", "b"]), ("b", &["c"]), ("c", &["y", "a"])];
        assert_eq!(told(three).as_deref(), Some("a b c a"));
        // what it depends on goes round by itself
        assert_eq!(told(&[("a", &["b"]), ("b", &["c"]), ("c", &["b"])]), None);
        let diamond: &[(&str, &[&str])] = &[("a", &["b", "c"]), ("b", &["d"]), ("c", &["d"])];
        assert_eq!(told(diamond), None);
    }

    #[test]
    fn a_run_that_tells_nothing_new_wakes_nobody() {
        let of = |status: Value| -> KustomizationStatus { serde_json::from_value(status).unwrap() };
        let before = of(status(2, "True", "a"));
        let again = KustomizationStatus {
            last_handled_reconcile_at: Some("now".into()),
            ..before.clone()
        };
        assert!(!has_news(Some(&before), Some(&again)));
        assert!(has_news(Some(&before), Some(&of(status(2, "True", "b")))));
        assert!(has_news(Some(&before), None) && !has_news(None, None));
    }
}
