//! Changes of objects that a build has: together if that works, else without those that are refused.

use reeve_kustomize::{Built, Object, Remotes, Tree, build_with};
use reeve_writeback::{Change, Edits, Reason, Refused, write};
use serde_json::Value;

use super::super::agreement::{Agreed, carried, shown, since};
use super::super::filter::filtered;
use super::super::following::Following;
use super::super::hand::{Hand, hand_of, last_hand};
use super::super::rule::{Rules, Subject};
use super::super::said::Said;
use super::{
    Build, Field, Seen, State, What, Work, Written, bound, files, not_delivered, repository,
};
use crate::inventory::ObjectId;

/// Whether an object of a build is now as earlier files gave it, of what rules have committed: `base` is what these gave, `newest`
/// what those give that it was compared with.
pub fn was_same(rules: &Rules, seen: &Seen, base: &Object, newest: &Object) -> bool {
    let following = rules.following(&Subject::of(seen.object(), &seen.resource));
    let Some(held) = Held::of(&following, seen) else {
        return false;
    };
    let then = since(&held.change, Some(base), Some(newest));
    carried(&then, None, None).fields.is_empty()
}

/// A change that a rule wants written.
pub(super) struct Held<'s> {
    change: Change,
    live: &'s Object,
    /// The same without what the object is bound to, where the change says that.
    unbound: Option<Change>,
}

/// What builds give beside what they are asked about.
struct Given {
    base: Vec<Object>,
    head: Vec<Object>,
    compared: Option<Vec<Object>>,
}

/// What an object is called in a build: the version may be another.
type Name<'o> = (&'o str, &'o str, &'o str, &'o str);

impl<'s> Held<'s> {
    /// Every field that is not to be committed is as it was applied.
    pub(super) fn of(following: &Following, seen: &'s Seen) -> Option<Self> {
        let State::Held {
            applied,
            defaulted,
            live,
            ..
        } = &seen.state
        else {
            return None;
        };
        let before = defaulted.as_ref().unwrap_or(applied);
        let change = Change {
            applied: (**applied).clone(),
            defaulted: defaulted.as_deref().cloned(),
            live: filtered(live, before, following),
        };
        Some(Self {
            change,
            live,
            unbound: None,
        })
    }

    /// The same with what the object is bound to, where its manifest does not say that and rules commit all of it.
    pub(super) fn with_bound(mut self, work: &Work<'_>, following: &Following) -> Self {
        let applied = &self.change.applied;
        let before = self.change.defaulted.as_ref().unwrap_or(applied);
        let Some(bound) = bound::found(work, (applied, before, self.live)) else {
            return self;
        };
        let live = filtered(&bound.live, &bound.before, following);
        let is_meant = |field: &&str| live.get(field) == bound.live.get(field);
        if bound.fields.iter().all(is_meant) {
            let change = Change {
                applied: applied.clone(),
                defaulted: Some(bound.before),
                live,
            };
            self.unbound = Some(std::mem::replace(&mut self.change, change));
        }
        self
    }

    fn without_bound(self) -> Option<Self> {
        Some(Self {
            change: self.unbound?,
            live: self.live,
            unbound: None,
        })
    }
}

impl Given {
    fn of(work: &Work<'_>, build: &Build<'_>) -> Self {
        let base = build.base.map(|base| objects(base, build));
        Self {
            head: match base {
                Some(_) => objects(&work.tree(), build),
                None => Vec::new(),
            },
            base: base.unwrap_or_default(),
            compared: build.compared.map(|compared| objects(compared, build)),
        }
    }
}

/// Writes all of them that can be.
pub(super) fn write_all(work: &mut Work<'_>, number: usize, held: Vec<Held<'_>>) {
    let Some(build) = work.head.builds.get(number) else {
        return;
    };
    let given = Given::of(work, build);
    let agreed = held
        .into_iter()
        .filter_map(|one| weighed(work, &given, one));
    let agreed: Vec<(Held<'_>, Agreed)> = agreed.collect();
    let mut waiting = vec![agreed];
    while let Some(mut batch) = waiting.pop() {
        if batch.is_empty() {
            continue;
        }
        match attempt(work, build, &batch) {
            Ok(edits) => keep(work, &batch, edits),
            Err(refused) => match culprit(&batch, &refused) {
                Some(at) => {
                    let (one, _) = batch.remove(at);
                    work.refuse(one.live, &refused);
                    // What somebody has changed of it is written without that.
                    let again = one.without_bound();
                    batch.extend(again.and_then(|one| weighed(work, &given, one)));
                    waiting.push(batch);
                }
                None if batch.len() > 1 && matches!(refused.reason, Reason::Limit { .. }) => {
                    let rest = batch.split_off(batch.len() / 2);
                    waiting.push(rest);
                    waiting.push(batch);
                }
                None => batch
                    .iter()
                    .for_each(|(one, _)| work.refuse(one.live, &refused)),
            },
        }
    }
}

/// A change beside what git has changed; nothing where the cluster has changed nothing.
fn weighed<'s>(
    work: &mut Work<'_>,
    given: &Given,
    mut one: Held<'s>,
) -> Option<(Held<'s>, Agreed)> {
    let (base, head) = (
        of(&given.base, &one.change.applied),
        of(&given.head, &one.change.applied),
    );
    if let Some(compared) = &given.compared {
        one.change = since(&one.change, base, of(compared, &one.change.applied));
    }
    let now = carried(&one.change, base, head);
    if now.ahead {
        work.decision.ahead.insert(ObjectId::of(one.live));
    }
    (!now.fields.is_empty()).then_some((one, now))
}

fn attempt(
    work: &Work<'_>,
    build: &Build<'_>,
    batch: &[(Held<'_>, Agreed)],
) -> Result<Edits, Refused> {
    let (tree, all) = (work.tree(), work.all());
    let changes: Vec<Change> = batch.iter().map(|(_, now)| now.change.clone()).collect();
    let edits = write(&repository(work.head, build, (&tree, &all)), &changes)?;
    not_delivered(work, edits)
}

/// Which of them is refused, if it is one.
fn culprit(batch: &[(Held<'_>, Agreed)], refused: &Refused) -> Option<usize> {
    let id = refused.object.as_deref()?;
    let is = |(one, _): &(Held<'_>, Agreed)| {
        let applied = one.change.applied.id();
        (&applied.group, &applied.kind, &applied.name) == (&id.group, &id.kind, &id.name)
            && (id.namespace.is_empty() || id.namespace == applied.namespace)
    };
    let alone = (batch.len() == 1).then_some(0);
    batch.iter().position(is).or(alone)
}

fn keep(work: &mut Work<'_>, batch: &[(Held<'_>, Agreed)], edits: Edits) {
    for (one, now) in batch {
        let live = Value::from(one.live.clone());
        let id = one.change.applied.id();
        let mine = edits.placed.iter().filter(|placed| {
            let object = &placed.object;
            (&object.group, &object.kind, &object.name) == (&id.group, &id.kind, &id.name)
        });
        let mine: Vec<_> = mine.collect();
        let fields = now.fields.iter().map(|field| {
            let name = field.path.to_string();
            let placed = mine.iter().find(|placed| placed.field == name);
            // A difference of the files may be told by a field around it.
            let place = placed
                .or_else(|| mine.first())
                .map(|placed| placed.place.clone());
            let by: Option<Hand> = hand_of(&live, &field.path).or_else(|| last_hand(&live));
            place.map(|place| Field {
                field: shown(&field.path),
                old: field.old.clone(),
                new: field.new.clone(),
                place,
                by,
            })
        });
        let fields: Vec<Field> = fields.flatten().collect();
        let hands = fields.iter().filter_map(|field| field.by.as_ref());
        let Said { why, user } = Said::of(one.live, hands);
        work.decision.written.push(Written {
            object: one.live.clone(),
            what: What::Changed,
            fields,
            files: files(mine.iter().map(|placed| &placed.place)),
            by: last_hand(&live),
            why,
            user,
        });
        work.decision.conflicts.extend(now.conflicts.clone());
    }
    work.keep(edits);
}

/// What a build gives; nothing where it cannot be built, since then nothing can be said about what git has changed.
pub(super) fn objects(tree: &dyn Tree, build: &Build<'_>) -> Vec<Object> {
    let remotes: &Remotes = build.remotes;
    match build_with(tree, remotes, build.path, build.options) {
        Ok(Built::Objects(objects)) => objects.collect(),
        Ok(Built::Wants(_)) | Err(_) => Vec::new(),
    }
}

/// The one object of this name.
pub(super) fn of<'o>(objects: &'o [Object], applied: &Object) -> Option<&'o Object> {
    let wanted = name(applied);
    let is = |object: &&Object| {
        let (group, kind, namespace, name) = name(object);
        (group, kind, name) == (wanted.0, wanted.1, wanted.3)
            && (namespace.is_empty() || namespace == wanted.2)
    };
    let mut found = objects.iter().filter(is);
    let one = found.next()?;
    found.next().is_none().then_some(one)
}

fn name(object: &Object) -> Name<'_> {
    (
        object.group(),
        object.kind(),
        object.namespace(),
        object.name(),
    )
}
