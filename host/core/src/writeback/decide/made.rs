//! Objects that no build has: they become files, files follow them, and files go with them.
//!
//! A file is ours if it lies where the template puts it and gives that object and nothing else. No other is touched. What somebody has
//! changed in it since both were the same stays, and what somebody has taken out stays out; what both have changed is a conflict.

use reeve_kustomize::edit::rewrite;
use reeve_kustomize::{Kind, Object, Options, Remotes, Tree as _};
use reeve_writeback::{
    Change, Difference, Edits, Place, Placed, Reason, Refused, Repository, alone, as_said,
    differences, file_in, remove, stripped,
};
use serde_json::Value;

use super::super::agreement::{Conflict, Side, carried, deleted, shown};
use super::super::filter::filtered;
use super::super::following::Following;
use super::super::hand::{hand_of, last_hand};
use super::super::said::Said;
use super::added::Adding;
use super::held::of;
use super::{Field, What, Work, Written, bound, not_delivered, repository};
use crate::deliver::MARK;

/// An object that automation or somebody has made, by the sides of its fields, and whether it may become a file.
pub(super) fn made(
    work: &mut Work<'_>,
    (following, may_be_new): (&Following, bool),
    live: &Object,
    lean: Option<&Object>,
) {
    let live_as_is = Value::from(live.clone());
    let bound = bound::as_bound(work, live);
    let meant = filtered(&bound, &bound, &Following::default());
    let done = match file_of_ours(work, live) {
        Err(refused) => Err(refused),
        Ok(Some(ours)) => Ok(follow(work, following, (&meant, lean), &ours)),
        // What is not there has no fields that could have changed.
        Ok(None) if !may_be_new => return,
        Ok(None) => {
            let lost = match taken_out(work, following, (&meant, lean), live) {
                // Git alone has changed something.
                Some(changed) if changed.is_empty() => return,
                Some(changed) => changed,
                None => Vec::new(),
            };
            let adding = Adding::new(live.clone(), meant, lean.cloned(), lost);
            return work.adding.push(adding);
        }
    };
    let followed = match done {
        Ok(followed) => followed,
        Err(refused) => return work.refuse(live, &refused),
    };
    if followed.is_agreed
        && followed.done.is_ok()
        && let Ok(file) = path(work, live)
    {
        work.decision.agreed.insert(file);
    }
    let (edits, what, fields) = match followed.done {
        Ok(Some(done)) => done,
        Ok(None) => return,
        Err(refused) => return work.refuse(live, &refused),
    };
    work.decision.conflicts.extend(followed.conflicts);
    let fields = fields.into_iter().map(|mut field: (Field, _)| {
        field.0.by = hand_of(&live_as_is, &field.1);
        field.0
    });
    let (fields, by): (Vec<Field>, _) = (fields.collect(), last_hand(&live_as_is));
    let hands = fields.iter().filter_map(|field| field.by.as_ref());
    let Said { why, user } = Said::of(live, hands.chain(&by));
    work.decision.written.push(Written {
        object: live.clone(),
        what,
        fields,
        files: super::files(edits.placed.iter().map(|placed| &placed.place)),
        by,
        why,
        user,
    });
    work.keep(edits);
}

/// An object that is gone, whose manifest goes with it.
pub(super) fn gone(work: &mut Work<'_>, build: Option<usize>, object: &Object) {
    let done = match build.and_then(|number| work.head.builds.get(number)) {
        Some(build) => {
            let (tree, all) = (work.tree(), work.all());
            let removed = remove(&repository(work.head, build, (&tree, &all)), object);
            removed.and_then(|edits| not_delivered(work, edits))
        }
        None => match file_of_ours(work, object) {
            Err(refused) => Err(refused),
            // It was never written, or its file is somebody's.
            Ok(None) => return,
            Ok(Some(ours)) => removed(work, object, ours.path),
        },
    };
    let edits = match done {
        Ok(edits) => edits,
        // It is out of the files already.
        Err(refused) if refused.reason == Reason::Absent => return,
        Err(refused) => return work.refuse(object, &refused),
    };
    let lost = match build {
        Some(number) => {
            let (base, head) = work.sides(number);
            deleted(object, of(base, object), of(head, object))
        }
        None => lost_of_file(work, object),
    };
    work.decision.conflicts.extend(lost);
    let by = last_hand(&Value::from(object.clone()));
    let Said { why, user } = Said::of(object, by.iter());
    work.decision.written.push(Written {
        object: object.clone(),
        what: What::Deleted,
        fields: Vec::new(),
        files: super::files(edits.placed.iter().map(|placed| &placed.place)),
        by,
        why,
        user,
    });
    work.keep(edits);
}

type Done = (Edits, What, Vec<(Field, reeve_writeback::Path)>);

/// A file that gives one object.
pub(super) struct Ours {
    path: String,
    bytes: Vec<u8>,
    number: usize,
    value: Value,
}

/// The file of an object, if there is one and it is ours.
pub(super) fn file_of_ours(work: &Work<'_>, object: &Object) -> Result<Option<Ours>, Refused> {
    Ok(alone_in(work, path(work, object)?, object))
}

/// The file of that path, if it gives the object and nothing else.
fn alone_in(work: &Work<'_>, path: String, object: &Object) -> Option<Ours> {
    let tree = work.all();
    if tree.kind(&path) != Some(Kind::File) || tree.real(&path).as_ref() != Some(&path) {
        return None;
    }
    let bytes = tree.read(&path).ok()?;
    // What is delivered is not ours.
    if bytes.starts_with(MARK.as_bytes()) {
        return None;
    }
    let (number, value) = alone(&bytes, &path)?;
    let is = |given: Object| {
        let name = |object: &Object| {
            (
                object.group().to_owned(),
                object.kind().to_owned(),
                object.name().to_owned(),
            )
        };
        name(&given) == name(object)
            && (given.namespace().is_empty() || given.namespace() == object.namespace())
    };
    Object::try_from(value.clone()).is_ok_and(is).then(|| Ours {
        bytes: bytes.to_vec(),
        number,
        value,
        path,
    })
}

/// The file in which somebody else keeps a new object already.
pub(super) fn kept_elsewhere(work: &Work<'_>, object: &Object) -> Option<Refused> {
    work.head.elsewhere.iter().find_map(|one| {
        let path = file_in(&one.path, &one.template, object).ok()?;
        let file = alone_in(work, path, object)?.path;
        Some(Refused {
            object: Some(Box::new(object.id())),
            field: String::new(),
            reason: Reason::Elsewhere {
                file,
                by: one.by.clone(),
            },
        })
    })
}

/// Where the file of an object lies.
pub(super) fn path(work: &Work<'_>, object: &Object) -> Result<String, Refused> {
    file_in(work.head.path, work.head.template, object)
}

/// What came of a file beside its object.
struct Followed {
    done: Result<Option<Done>, Refused>,
    conflicts: Vec<Conflict>,
    /// Whether both are the same with it.
    is_agreed: bool,
}

/// The file with what has changed on the cluster since both were the same; what has changed in git alone stays.
fn follow(
    work: &Work<'_>,
    following: &Following,
    (meant, lean): (&Object, Option<&Object>),
    ours: &Ours,
) -> Followed {
    let head = Object::try_from(ours.value.clone()).unwrap_or_default();
    let live = |file: &Object| in_words_of(file, following, (meant, lean));
    let Some(base) = work.head.agreed.get(&ours.path) else {
        let now = live(&head);
        let found = differences(0, &ours.value, &Value::from(now.clone()));
        let conflicts = match work.head.forgotten.contains_key(&ours.path) {
            true => found.iter().map(|one| unknown(meant, one)).collect(),
            false => Vec::new(),
        };
        return Followed {
            done: rewritten(meant, ours, &now, found),
            conflicts,
            is_agreed: true,
        };
    };
    let change = Change {
        applied: base.clone(),
        defaulted: Some(base.clone()),
        live: live(base),
    };
    let carried = carried(&change, Some(base), Some(&head));
    let now = carried.change.live;
    Followed {
        is_agreed: live(&now) == now,
        done: rewritten(meant, ours, &now, carried.fields),
        conflicts: carried.conflicts,
    }
}

/// A field that either side may have changed: the cluster's value is written, and the other is not lost in silence.
fn unknown(object: &Object, one: &Difference) -> Conflict {
    Conflict {
        object: object.clone(),
        field: shown(&one.path),
        winner: Side::Kubernetes,
        kept: one.new.clone(),
        lost: one.old.clone(),
    }
}

/// The object as it is, in the words of a file.
fn in_words_of(
    file: &Object,
    following: &Following,
    (meant, lean): (&Object, Option<&Object>),
) -> Object {
    let whole = stripped(meant);
    let said = match lean {
        Some(lean) => as_said(&whole, lean, Some(file)),
        None => whole,
    };
    filtered(&said, file, following)
}

/// What has changed on the cluster since both were the same, where somebody has taken the file out meanwhile.
fn taken_out(
    work: &Work<'_>,
    following: &Following,
    meant: (&Object, Option<&Object>),
    live: &Object,
) -> Option<Vec<Conflict>> {
    let file = path(work, live).ok()?;
    if work.all().kind(&file).is_some() {
        // It is there, and is not ours: what is said of that is another matter.
        return None;
    }
    let Some(base) = work.head.agreed.get(&file) else {
        let was_there = work.head.forgotten.get(&file) == Some(&true);
        return was_there.then(|| vec![made_again(live)]);
    };
    let change = Change {
        applied: base.clone(),
        defaulted: Some(base.clone()),
        live: in_words_of(base, following, meant),
    };
    let changed = carried(&change, None, None).fields;
    let conflict = |one: Difference| Conflict {
        object: live.clone(),
        field: shown(&one.path),
        winner: Side::Kubernetes,
        kept: one.new,
        lost: None,
    };
    Some(changed.into_iter().map(conflict).collect())
}

/// Somebody has taken the file of an object out, and nobody knows any more whether that has changed since.
fn made_again(live: &Object) -> Conflict {
    Conflict {
        object: live.clone(),
        field: "the file".to_owned(),
        winner: Side::Kubernetes,
        kept: Some(Value::from("made again")),
        lost: None,
    }
}

/// The file as the object is to be in it; nothing if it is so already.
fn rewritten(
    meant: &Object,
    ours: &Ours,
    now: &Object,
    found: Vec<Difference>,
) -> Result<Option<Done>, Refused> {
    if found.is_empty() {
        return Ok(None);
    }
    let refuse = |why: reeve_kustomize::Error| Refused {
        object: Some(Box::new(meant.id())),
        field: String::new(),
        reason: Reason::Unwritable {
            why: why.to_string(),
        },
    };
    let now = Value::from(now.clone());
    let bytes = rewrite(&ours.bytes, &ours.path, ours.number, &now).map_err(refuse)?;
    let place = Place::Manifest {
        file: ours.path.clone(),
    };
    let placed = found.iter().map(|one| Placed {
        object: meant.id(),
        field: one.path.to_string(),
        place: place.clone(),
    });
    let edits = Edits {
        files: [(ours.path.clone(), Some(bytes))].into(),
        placed: placed.collect(),
    };
    let field = |one: Difference| {
        let field = Field {
            field: shown(&one.path),
            old: one.old,
            new: one.new,
            place: place.clone(),
            by: None,
        };
        (field, one.path)
    };
    let fields = found.into_iter().map(field).collect();
    Ok(Some((edits, What::Changed, fields)))
}

/// What commits have changed in the file of an object that is gone: it goes with that.
fn lost_of_file(work: &Work<'_>, object: &Object) -> Vec<Conflict> {
    let ours = file_of_ours(work, object).ok().flatten();
    let Some(ours) = ours else {
        return Vec::new();
    };
    let head = Object::try_from(ours.value).ok();
    // Of what is not known any more anything may be somebody's.
    let forgotten = work.head.forgotten.contains_key(&ours.path);
    let base = work.head.agreed.get(&ours.path);
    deleted(object, base.or_else(|| forgotten.then_some(object)), head.as_ref())
}

/// The file without its list entries, and without itself.
fn removed(work: &Work<'_>, object: &Object, path: String) -> Result<Edits, Refused> {
    let unlisted = with_repository(work, |repository| remove(repository, object));
    match unlisted {
        Ok(edits) => Ok(edits),
        // Nobody builds it: the file is all there is to it.
        Err(refused) if matches!(refused.reason, Reason::Absent | Reason::Build { .. }) => {
            Ok(Edits {
                files: [(path.clone(), None)].into(),
                placed: vec![Placed {
                    object: object.id(),
                    field: String::new(),
                    place: Place::Manifest { file: path },
                }],
            })
        }
        Err(refused) => Err(refused),
    }
}

/// What the directory of new objects is to the engine: that of whoever builds it, and else one that nobody builds.
fn with_repository<T>(work: &Work<'_>, ask: impl FnOnce(&Repository<'_>) -> T) -> T {
    let head = work.head;
    let (tree, all) = (&work.tree(), &work.all());
    let same = head.builds.iter().find(|build| build.path == head.path);
    let (remotes, options) = (Remotes::refused(), Options::default());
    ask(&match same {
        Some(build) => Repository {
            tree,
            all,
            remotes: build.remotes,
            path: head.path,
            options: build.options,
            others: build.others,
            within: head.path,
        },
        None => Repository {
            tree,
            all,
            remotes: &remotes,
            path: head.path,
            options: &options,
            others: head.others,
            within: head.path,
        },
    })
}
