//! One look at the cluster, and what of it is to be committed.
//!
//! Read with the rights of whoever looks: what these do not reach is told and left out. Which edits come of it is
//! `core::writeback`'s, asked again for every head that the branch has moved to. It deliberately pushes nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use reeve_core::inventory::ObjectId;
use reeve_core::preview::Rehearsed;
use reeve_core::status::Action;
use reeve_core::ward::{
    as_made, by_name, is_being_taken, is_bound_beyond, is_made_by_another, without_additions,
};
use reeve_core::writeback::{
    About, Allowed, Build, Decision, Head, Rule, Rules, Seen, State, Subject, compose, decide,
};
use reeve_kustomize::{Object, Tree};
use reeve_writeback::DEFAULT_TEMPLATE;
use serde_json::Value;

use super::built::Built;
use super::lost::as_it_was;
use super::site::Site;
use crate::cli::ui::{CommandError, Ui};
use crate::cluster::{CallError, Cause, Cluster, Kind};
use crate::git::Snapshot;

/// Whose the commits are of a configuration that stands alone.
pub(super) const ALONE: &str = "reeve writeback run";

/// Everything that is needed to say what is to be committed, but the files.
pub(super) struct Round {
    /// Whose commits they are.
    pub(super) by: String,
    pub(super) rules: Rules,
    pub(super) allowed: Allowed,
    /// The directory below which files are written.
    pub(super) path: String,
    /// How files of new objects are called.
    pub(super) template: String,
    pub(super) builds: Vec<Built>,
    /// The files that the cluster was compared with.
    pub(super) base: Arc<dyn Tree>,
    /// Their revision.
    pub(super) revision: String,
    pub(super) seen: Vec<Seen>,
    /// Builds once more, by their numbers, beside files that were the same as the cluster before those that it was compared with:
    /// they stand behind the others.
    pub(super) since: Vec<(usize, Snapshot)>,
    /// What files of their own gave when they were last as their objects.
    pub(super) agreed: BTreeMap<String, Object>,
}

/// Where the cluster is looked at, and for what.
pub(super) struct View<'v> {
    pub(super) cluster: &'v Cluster,
    pub(super) kinds: &'v [Kind],
    pub(super) rules: &'v Rules,
    /// The only namespace that is looked at; None: all are.
    pub(super) namespace: Option<&'v str>,
}

/// What was there when it was looked at before: what is gone since was deleted. Nothing is taken for deleted that was never seen.
pub(super) type Known = BTreeMap<ObjectId, (String, Object)>;

/// What a look has shown.
pub(super) struct Looked {
    pub(super) seen: Vec<Seen>,
    /// What is there now.
    pub(super) known: Known,
    /// What builds give, and was compared with that.
    pub(super) compared: BTreeSet<ObjectId>,
    /// The namespaces that it is in.
    pub(super) namespaces: BTreeSet<String>,
}

impl Round {
    /// That of a configuration that stands alone, after a look at the cluster.
    pub(super) fn alone(
        site: &Site,
        builds: Vec<Built>,
        head: Snapshot,
        (seen, since): (Vec<Seen>, Vec<(usize, Snapshot)>),
        namespaces: BTreeSet<String>,
    ) -> Self {
        Self {
            by: ALONE.to_owned(),
            rules: site.config.rules.clone(),
            allowed: Allowed {
                namespaces,
                cluster_scoped: true,
            },
            path: site.config.git_path.clone(),
            template: DEFAULT_TEMPLATE.to_owned(),
            builds,
            revision: head.revision().to_string(),
            base: Arc::new(head),
            seen,
            since,
            agreed: BTreeMap::new(),
        }
    }

    /// What is to be committed on top of the files that the cluster was compared with.
    pub(super) fn decide(&self) -> Decision {
        self.decision(self.base.as_ref(), None)
    }

    /// The same on top of others.
    pub(super) fn decide_on(&self, tree: &dyn Tree) -> Decision {
        self.decision(tree, Some(self.base.as_ref()))
    }

    /// What the commit says.
    pub(super) fn message(&self, decision: &Decision) -> String {
        let about = About {
            by: &self.by,
            revision: &self.revision,
            request: None,
        };
        let Decision {
            written, conflicts, ..
        } = decision;
        compose(&about, written, conflicts, &decision.edits)
    }

    fn decision(&self, tree: &dyn Tree, base: Option<&dyn Tree>) -> Decision {
        let mut builds: Vec<_> = self.builds.iter().map(|built| built.build(base)).collect();
        let compared = Some(self.base.as_ref());
        let since = self.since.iter().filter_map(|(number, agreed)| {
            Some(Build {
                compared,
                ..self.builds.get(*number)?.build(Some(agreed))
            })
        });
        builds.extend(since);
        let head = Head {
            tree,
            all: tree,
            path: &self.path,
            template: &self.template,
            builds: &builds,
            others: &[],
            elsewhere: &[],
            agreed: &self.agreed,
            forgotten: &BTreeMap::new(),
        };
        decide(&self.rules, &self.allowed, &head, &self.seen)
    }
}

impl View<'_> {
    /// Looks at what the rules have committed: what the builds give, and what no file gives yet.
    pub(super) async fn look(
        &self,
        builds: &[Built],
        before: &Known,
        ui: &mut Ui,
    ) -> Result<Looked, CommandError> {
        let (there, blind) = self.there(ui).await?;
        let mut seen = Vec::new();
        let (mut given, mut compared) = (BTreeSet::new(), BTreeSet::new());
        for (number, built) in builds.iter().enumerate() {
            let onlooker = self.cluster.onlooker(&built.owner, false);
            for (planned, rehearsed) in onlooker.rehearse(&built.plan).await {
                let id = planned.id();
                given.insert(id.clone());
                let rehearsed = match rehearsed {
                    Ok(rehearsed) => rehearsed,
                    Err(why) => {
                        ui.note(&format!("{} is left out: {why}", id.subject()));
                        continue;
                    }
                };
                let Some(kind) = self.kind_of(id) else {
                    continue;
                };
                compared.insert(id.clone());
                let manifest = planned.manifest();
                let state = match (rehearsed.action, before.contains_key(id)) {
                    (Action::Configured, _) => held(number, manifest, less(rehearsed, manifest)),
                    (Action::Unchanged, _) => {
                        let live = there.get(id).map(|(_, live)| live);
                        live.and_then(|live| added(number, manifest, live))
                    }
                    (Action::Created, true) if !blind.contains(kind.plural()) => {
                        gone(number, manifest, before.get(id))
                    }
                    _ => None,
                };
                seen.extend(state.map(|state| as_seen(kind, state)));
            }
        }
        seen.extend(self.unwritten(&there, &given));
        let lost = before.iter().filter(|(id, (plural, _))| {
            !there.contains_key(*id) && !given.contains(*id) && !blind.contains(plural.as_str())
        });
        seen.extend(lost.map(|(_, (resource, object))| Seen {
            resource: resource.clone(),
            state: State::Gone {
                build: None,
                object: Box::new(object.clone()),
            },
        }));
        let namespaces = there.keys().chain(before.keys());
        let namespaces = namespaces.map(|id| id.namespace.clone());
        Ok(Looked {
            namespaces: namespaces.filter(|name| !name.is_empty()).collect(),
            known: there,
            compared,
            seen,
        })
    }

    /// All objects that a rule has committed, and of which kinds they could not be listed.
    async fn there(&self, ui: &mut Ui) -> Result<(Known, BTreeSet<String>), CommandError> {
        let (mut there, mut blind) = (Known::new(), BTreeSet::new());
        for kind in self
            .kinds
            .iter()
            .filter(|kind| is_committed(self.rules, kind))
        {
            if self.namespace.is_some() && !kind.is_namespaced() {
                continue;
            }
            let objects = match self.cluster.all_of(kind, self.namespace).await {
                Ok(objects) => objects,
                Err(why) if may_not(&why) => {
                    ui.note(&format!("{} are left out: {why}", kind.plural()));
                    blind.insert(kind.plural().to_owned());
                    continue;
                }
                Err(why) => {
                    let doing = format!("listing {} failed", kind.plural());
                    return Err(CommandError::of(&doing, &why));
                }
            };
            let objects = objects
                .into_iter()
                .filter_map(|one| Object::try_from(one).ok());
            for object in objects {
                if self.rules.commits(&Subject::of(&object, kind.plural())) {
                    there.insert(ObjectId::of(&object), (kind.plural().to_owned(), object));
                }
            }
        }
        Ok((there, blind))
    }

    /// Those that no build gives. What a controller makes of another object is left to it, unless a rule names it.
    fn unwritten(&self, there: &Known, given: &BTreeSet<ObjectId>) -> Vec<Seen> {
        let new = there.iter().filter(|(id, _)| !given.contains(*id));
        let seen = new.filter_map(|(_, (resource, object))| {
            let rule = self.rules.whole(&Subject::of(object, resource));
            let live = Value::from(object.clone());
            let is_left = is_made_by_another(&live) && !rule.is_some_and(Rule::picks);
            // One that is yet to be taken comes in a later round.
            if is_left || is_being_taken(&live) {
                return None;
            }
            Some(Seen {
                resource: resource.clone(),
                state: State::Made {
                    live: Box::new(Object::try_from(as_made(live)).ok()?),
                    lean: None,
                },
            })
        });
        seen.collect()
    }

    fn kind_of(&self, id: &ObjectId) -> Option<&Kind> {
        let is = |kind: &&Kind| kind.group() == id.group && kind.kind() == id.kind;
        self.kinds.iter().find(is)
    }
}

/// Finds out what the files of new objects need not say.
pub(super) async fn lean(cluster: &Cluster, seen: &mut [Seen]) {
    let asked = cluster.persisting_as_connected();
    for one in seen {
        if let State::Made { live, lean } = &mut one.state {
            *lean = Some(Box::new(asked.lean(live, None).await));
        }
    }
}

/// Whether a rule may have objects of the kind committed.
pub(super) fn is_committed(rules: &Rules, kind: &Kind) -> bool {
    let mut all = rules.iter();
    all.any(|rule| rule.commits(kind.group(), kind.plural()))
}

/// Whether it is not to be had: it may not be read, or nobody serves it any more.
fn may_not(why: &CallError) -> bool {
    matches!(
        why.cause(),
        Cause::Forbidden | Cause::NotOnboarded | Cause::Missing | Cause::UnknownKind
    )
}

pub(super) fn as_seen(kind: &Kind, state: State) -> Seen {
    Seen {
        resource: kind.plural().to_owned(),
        state,
    }
}

/// One that is another than the build gives it.
pub(super) fn held(build: usize, manifest: &Value, rehearsed: Rehearsed) -> Option<State> {
    let object = |value: Value| Object::try_from(by_name(value)).ok().map(Box::new);
    Some(State::Held {
        build,
        applied: object(manifest.clone())?,
        defaulted: Some(object(rehearsed.applied?)?),
        live: object(rehearsed.live?)?,
    })
}

/// What applying would make of an object, without what others have added to that: a dry run keeps it.
pub(super) fn less(rehearsed: Rehearsed, manifest: &Value) -> Rehearsed {
    let Rehearsed { live, applied, .. } = &rehearsed;
    let applied = applied.clone().map(|applied| match live {
        Some(live) => without_additions(applied, manifest, live),
        None => applied,
    });
    Rehearsed {
        applied,
        ..rehearsed
    }
}

/// One that is as the build gives it, with something that others have added, or that it is bound to.
pub(super) fn added(build: usize, manifest: &Value, live: &Object) -> Option<State> {
    let live = Value::from(live.clone());
    // Nobody compares the fields of one version with those of another.
    if manifest.get("apiVersion") != live.get("apiVersion") {
        return None;
    }
    let applied = without_additions(live.clone(), manifest, &live);
    if applied == live && !is_bound_beyond(manifest, &live) {
        return None;
    }
    let rehearsed = Rehearsed {
        action: Action::Configured,
        live: Some(live),
        applied: Some(applied),
        unasked: None,
    };
    held(build, manifest, rehearsed)
}

fn gone(build: usize, manifest: &Value, known: Option<&(String, Object)>) -> Option<State> {
    let object = Object::try_from(manifest.clone()).ok()?;
    Some(State::Gone {
        build: Some(build),
        object: Box::new(as_it_was(object, known)),
    })
}

#[cfg(test)]
mod tests {
    use reeve_core::writeback::config::Config;
    use serde_json::json;

    use super::*;

    fn object(value: Value) -> Object {
        Object::try_from(value).unwrap()
    }

    #[test]
    fn only_kinds_that_a_rule_has_committed_are_listed() {
        let text = "rules:\n- {resources: [services], syncTo: kubernetes}\n- {resources: [configmaps], syncTo: git}\n";
        let rules = Config::parse(text.as_bytes()).unwrap().rules;
        let kind = |kind: &str, plural: &str| Kind::of("", kind, plural, true);
        assert!(is_committed(&rules, &kind("ConfigMap", "configmaps")));
        assert!(!is_committed(&rules, &kind("Service", "services")));
        assert!(!is_committed(&rules, &kind("Pod", "pods")));
    }

    #[test]
    fn what_somebody_adds_and_git_never_had_is_a_change_and_what_is_filled_in_is_none() {
        let manifest = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}, "data": {"a": "git"}});
        let live = |manager: &str| {
            let claims = json!([{"manager": manager, "fieldsV1": {"f:data": {"f:b": {}}}}]);
            object(
                json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a", "managedFields": claims},
                "data": {"a": "git", "b": "hand"}}),
            )
        };
        let Some(State::Held {
            defaulted,
            live: is,
            ..
        }) = added(0, &manifest, &live("kubectl-edit"))
        else {
            panic!("it is held");
        };
        assert_eq!(defaulted.unwrap().get("/data/b"), None);
        assert_eq!(is.get("/data/b"), Some(&json!("hand")));
        assert!(added(0, &manifest, &live("kubelet")).is_none());
        let mut other = manifest.clone();
        other["apiVersion"] = json!("v2");
        assert!(added(0, &other, &live("kubectl-edit")).is_none());
    }

    #[test]
    fn a_claim_that_nobody_has_changed_is_asked_about_once_it_has_a_volume() {
        let manifest = json!({"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": "a"}, "spec": {}});
        let live = |spec: Value| {
            let finalizers = json!(["kubernetes.io/pvc-protection"]);
            object(
                json!({"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": "a", "finalizers": finalizers}, "spec": spec}),
            )
        };
        let Some(State::Held { live: is, .. }) =
            added(0, &manifest, &live(json!({"volumeName": "pv-1"})))
        else {
            panic!("it is held");
        };
        assert_eq!(is.get("/spec/volumeName"), Some(&json!("pv-1")));
        assert_eq!(is.get("/metadata/finalizers"), None);
        assert!(added(0, &manifest, &live(json!({}))).is_none());
    }

    #[test]
    fn an_object_that_is_another_is_held_with_what_it_would_be() {
        let map = |value: &str| json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}, "data": {"a": value}});
        let rehearsed = Rehearsed {
            action: Action::Configured,
            live: Some(map("live")),
            applied: Some(map("git")),
            unasked: None,
        };
        let Some(State::Held {
            build,
            defaulted,
            live,
            ..
        }) = held(1, &map("git"), rehearsed)
        else {
            panic!("it is held");
        };
        assert_eq!(build, 1);
        assert_eq!(defaulted.unwrap().get("/data/a"), Some(&json!("git")));
        assert_eq!(live.get("/data/a"), Some(&json!("live")));
    }
}
