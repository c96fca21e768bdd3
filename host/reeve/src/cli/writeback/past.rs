//! What both sides agreed on before this process began, as far as the branch's history tells it.
//!
//! What a commit of ours wrote was so on the cluster. What the cluster still has as an earlier commit gave it, and nobody has touched
//! there since, git alone has changed. Of anything else the newest commit of ours is the best that is known, since all was looked at
//! for that; and where there is none, what differs is the cluster's. So many commits are looked at, and no more: each is fetched and
//! built. It deliberately writes nothing, and is asked once, when nothing is known.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use reeve_core::inventory::ObjectId;
use reeve_core::writeback::{Rules, Seen, State, last_hand, trailers, was_same};
use reeve_kustomize::Object;
use serde_json::Value;
use tokio::runtime::Runtime;

use super::built::parted;
use super::round::ALONE;
use super::site::Site;
use crate::cli::ui::Ui;
use crate::cluster::Kind;
use crate::git::Snapshot;

/// How many commits are looked at, and for how long.
const COMMITS: usize = 30;
const PATIENCE: Duration = Duration::from_secs(120);

/// Where it is looked for.
pub(super) struct Past<'p> {
    pub(super) site: &'p Site,
    pub(super) kinds: &'p [Kind],
    pub(super) runtime: &'p Runtime,
}

/// What the files of a commit give of what follows the cluster.
type Given = BTreeMap<ObjectId, Object>;

/// What is asked about.
struct Search<'s> {
    rules: &'s Rules,
    /// What the newest files give.
    newest: Given,
    /// What nothing is known of yet.
    open: BTreeMap<ObjectId, &'s Seen>,
    /// The files that gave an object as it was.
    found: BTreeMap<ObjectId, Snapshot>,
}

impl Past<'_> {
    /// The files that gave what was seen as it was, of all that anything is known of.
    pub(super) fn recall(
        &self,
        seen: &[Seen],
        head: &Snapshot,
        ui: &mut Ui,
    ) -> BTreeMap<ObjectId, Snapshot> {
        let there = seen.iter().filter(|one| !is_gone(one));
        let mut search = Search {
            rules: &self.site.config.rules,
            newest: Given::new(),
            open: there.map(|one| (ObjectId::of(one.object()), one)).collect(),
            found: BTreeMap::new(),
        };
        if search.open.is_empty() {
            return search.found;
        }
        let Some(newest) = self.given(head, ui) else {
            return search.found;
        };
        search.newest = newest.clone();
        let (mut files, mut given) = (head.clone(), newest);
        let (mut ours, until) = (None, Instant::now() + PATIENCE);
        for _ in 0..COMMITS {
            if search.open.is_empty() {
                break;
            }
            let Some((before, was)) = self.before(&files, until, ui) else {
                break;
            };
            if is_ours(files.message().as_deref()) {
                search.written((&given, &was), &files);
                ours.get_or_insert_with(|| files.clone());
            }
            let at = files.told().and_then(|told| told.at);
            search.unchanged(&was, &before, at);
            (files, given) = (before, was);
        }
        search.end(ours)
    }

    /// The commit before this one, and what it gives.
    fn before(&self, files: &Snapshot, until: Instant, ui: &mut Ui) -> Option<(Snapshot, Given)> {
        let parent = files.parent()?;
        let fetched = self.site.repository.earlier(&parent, until);
        let before = self.runtime.block_on(fetched)?;
        let was = self.given(&before, ui)?;
        Some((before, was))
    }

    fn given(&self, files: &Snapshot, ui: &mut Ui) -> Option<Given> {
        let Some(given) = self.site.given(files, ui).ok()? else {
            return Some(Given::new());
        };
        let (rules, namespace) = (&self.site.config.rules, &self.site.namespace);
        let parted = parted(&given.bundle, self.kinds, rules, namespace).ok()?;
        let all = parted.followed.objects().iter();
        Some(
            all.map(|object| (ObjectId::of(object), object.clone()))
                .collect(),
        )
    }
}

impl Search<'_> {
    /// What a commit of ours changed was so on the cluster: what it gave is known, and what it took away nobody else did.
    fn written(&mut self, (now, was): (&Given, &Given), files: &Snapshot) {
        let found = &mut self.found;
        self.open.retain(|id, _| {
            let is_written = now.get(id) != was.get(id);
            if is_written && now.contains_key(id) {
                found.insert(id.clone(), files.clone());
            }
            !is_written
        });
    }

    /// What the cluster has as these files gave it was changed since by git alone, unless somebody changed it after that: `at`.
    fn unchanged(&mut self, was: &Given, files: &Snapshot, at: Option<Timestamp>) {
        let (found, rules, newest) = (&mut self.found, self.rules, &self.newest);
        self.open.retain(|id, one| {
            let is_same =
                !is_changed_after(one, at) && is_as(rules, one, (was.get(id), newest.get(id)));
            if is_same {
                found.insert(id.clone(), files.clone());
            }
            !is_same
        });
    }

    /// Of what several have changed nothing else is known than that it was looked at with the newest commit of ours.
    fn end(mut self, ours: Option<Snapshot>) -> BTreeMap<ObjectId, Snapshot> {
        for (id, one) in self.open {
            if let (State::Held { .. }, Some(ours)) = (&one.state, &ours) {
                self.found.insert(id, ours.clone());
            }
        }
        self.found
    }
}

/// Whether it is as files gave it; of what no file gives any more, whether one did.
fn is_as(rules: &Rules, seen: &Seen, given: (Option<&Object>, Option<&Object>)) -> bool {
    match (&seen.state, given) {
        (State::Held { .. }, (Some(was), Some(newest))) => was_same(rules, seen, was, newest),
        (State::Made { .. }, (was, _)) => was.is_some(),
        (State::Held { .. } | State::Gone { .. }, _) => false,
    }
}

/// Whether somebody has changed an object after that.
fn is_changed_after(seen: &Seen, at: Option<Timestamp>) -> bool {
    let hand = last_hand(&Value::from(seen.object().clone()));
    let time = hand.and_then(|hand| hand.time?.parse::<Timestamp>().ok());
    time.zip(at).is_some_and(|(time, at)| time > at)
}

fn is_gone(seen: &Seen) -> bool {
    matches!(seen.state, State::Gone { .. })
}

/// Whether a commit that says so is one of a write-back that stands alone.
fn is_ours(message: Option<&str>) -> bool {
    let said = message.and_then(trailers);
    said.is_some_and(|said| said.by == ALONE)
}

#[cfg(test)]
mod tests {
    use reeve_core::writeback::config::Config;
    use serde_json::json;

    use super::*;

    fn map(data: Value) -> Object {
        let claim = json!({
            "manager": "keel", "operation": "Update", "time": "2026-11-23T08:00:00Z", "fieldsV1": {"f:data": {"f:a": {}}},
        });
        let map = json!({
            "apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a", "namespace": "acme", "managedFields": [claim]},
            "data": data,
        });
        Object::try_from(map).unwrap()
    }

    fn seen(state: State) -> Seen {
        let resource = "configmaps".to_owned();
        Seen { resource, state }
    }

    #[test]
    fn what_is_as_files_gave_it_was_changed_by_git_alone() {
        let rules = "rules:\n- {resources: [configmaps], syncTo: git}\n";
        let rules = Config::parse(rules.as_bytes()).unwrap().rules;
        let newest = map(json!({"a": "git", "b": "same"}));
        let held = seen(State::Held {
            build: 0,
            applied: Box::new(newest.clone()),
            defaulted: None,
            live: Box::new(map(json!({"a": "was", "b": "same"}))),
        });
        let was = map(json!({"a": "was", "b": "same"}));
        let other = map(json!({"a": "was", "b": "another"}));
        assert!(is_as(&rules, &held, (Some(&was), Some(&newest))));
        assert!(!is_as(&rules, &held, (Some(&other), Some(&newest))));
        assert!(!is_as(&rules, &held, (Some(&newest), Some(&newest))));
        assert!(!is_as(&rules, &held, (None, Some(&newest))));
        let made = seen(State::Made {
            live: Box::new(newest),
            lean: None,
        });
        assert!(is_as(&rules, &made, (Some(&was), None)));
        assert!(!is_as(&rules, &made, (None, None)));
    }

    #[test]
    fn who_changes_it_after_a_commit_means_it() {
        let made = seen(State::Made {
            live: Box::new(map(json!({"a": "b"}))),
            lean: None,
        });
        let at = |text: &str| Some(text.parse::<Timestamp>().unwrap());
        assert!(is_changed_after(&made, at("2026-11-23T07:59:59Z")));
        assert!(!is_changed_after(&made, at("2026-11-23T08:00:00Z")));
        assert!(!is_changed_after(&made, None));
    }

    #[test]
    fn a_commit_is_ours_by_its_last_paragraph() {
        let of =
            |by: &str| format!("Write back\n\nReeve-Write-Back: {by}\nReeve-Digest: sha256:1\n");
        assert!(is_ours(Some(&of(ALONE))));
        assert!(!is_ours(Some(&of("acme/back"))));
        assert!(!is_ours(Some("Reeve-Write-Back: reeve writeback run")));
        assert!(!is_ours(None));
    }
}
