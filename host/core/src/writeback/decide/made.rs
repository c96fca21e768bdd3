//! Objects that no build has: they become files, files follow them, and files go with them.
//!
//! A file is ours if it lies where the template puts it and gives that object and nothing else. No other is touched. What somebody has
//! changed in it since both were the same stays; what both have changed is a conflict.

use reeve_kustomize::edit::{documents, rewrite};
use reeve_kustomize::{Kind, Object, Options, Remotes, Tree as _};
use reeve_writeback::{
    Change, Difference, Edits, New, Place, Placed, Reason, Refused, Repository, as_said, create,
    differences, file_of, remove, stripped,
};
use serde_json::Value;

use super::super::agreement::{Conflict, carried, deleted, shown};
use super::super::filter::{Filters, filtered};
use super::super::hand::{hand_of, last_hand};
use super::super::rule::Rule;
use super::held::of;
use super::{Field, What, Work, Written, bound, not_delivered, repository, said};
use crate::deliver::MARK;

/// An object that automation or somebody has made.
pub(super) fn made(work: &mut Work<'_>, rule: &Rule, live: &Object, lean: Option<&Object>) {
    let live_as_is = Value::from(live.clone());
    let bound = bound::as_bound(work, live);
    let meant = filtered(&bound, &bound, &Filters::default());
    let done = match file_of_ours(work, live) {
        Err(refused) => Err(refused),
        Ok(Some(ours)) => Ok(follow(work, rule, (&meant, lean), &ours)),
        // What is not there has no fields that could have changed.
        Ok(None) if !rule.filters().are_all() => return,
        Ok(None) => added(work, &meant, lean).map(Followed::of),
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
    work.decision.written.push(Written {
        object: live.clone(),
        what,
        fields: fields.collect(),
        files: super::files(edits.placed.iter().map(|placed| &placed.place)),
        by: last_hand(&live_as_is),
        why: said(live, reeve_api::CHANGE_REASON),
        user: said(live, reeve_api::CHANGED_BY),
    });
    work.keep(edits);
}

/// An object that is gone, whose manifest goes with it.
pub(super) fn gone(work: &mut Work<'_>, rule: &Rule, build: Option<usize>, object: &Object) {
    if !rule.filters().are_all() {
        return;
    }
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
    let as_it_was = Value::from(object.clone());
    work.decision.written.push(Written {
        object: object.clone(),
        what: What::Deleted,
        fields: Vec::new(),
        files: super::files(edits.placed.iter().map(|placed| &placed.place)),
        by: last_hand(&as_it_was),
        why: said(object, reeve_api::CHANGE_REASON),
        user: said(object, reeve_api::CHANGED_BY),
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
    let path = path(work, object)?;
    let tree = work.all();
    if tree.kind(&path) != Some(Kind::File) || tree.real(&path).as_ref() != Some(&path) {
        return Ok(None);
    }
    let Ok(bytes) = tree.read(&path) else {
        return Ok(None);
    };
    // What is delivered is not ours.
    if bytes.starts_with(MARK.as_bytes()) {
        return Ok(None);
    }
    let Ok(all) = documents(&bytes, &path) else {
        return Ok(None);
    };
    let mut given = all
        .iter()
        .enumerate()
        .filter(|(_, one)| !one.value.is_null());
    let (Some((number, one)), None) = (given.next(), given.next()) else {
        return Ok(None);
    };
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
    Ok(Object::try_from(one.value.clone())
        .is_ok_and(is)
        .then(|| Ours {
            bytes: bytes.to_vec(),
            number,
            value: one.value.clone(),
            path,
        }))
}

/// Where the file of an object lies.
fn path(work: &Work<'_>, object: &Object) -> Result<String, Refused> {
    let file = file_of(work.head.template, object)?;
    Ok(match work.head.path {
        "" => file,
        path => format!("{path}/{file}"),
    })
}

fn added(work: &Work<'_>, meant: &Object, lean: Option<&Object>) -> Result<Done, Refused> {
    let new = New {
        live: meant,
        lean,
        template: work.head.template,
    };
    let edits = with_repository(work, |repository| create(repository, &new))?;
    Ok((edits, What::Made, Vec::new()))
}

/// What came of a file beside its object.
struct Followed {
    done: Result<Option<Done>, Refused>,
    conflicts: Vec<Conflict>,
    /// Whether both are the same with it.
    is_agreed: bool,
}

impl Followed {
    /// A file that is made as its object is.
    fn of(done: Done) -> Self {
        Self {
            done: Ok(Some(done)),
            conflicts: Vec::new(),
            is_agreed: true,
        }
    }
}

/// The file with what has changed on the cluster since both were the same; what has changed in git alone stays.
fn follow(
    work: &Work<'_>,
    rule: &Rule,
    (meant, lean): (&Object, Option<&Object>),
    ours: &Ours,
) -> Followed {
    let head = Object::try_from(ours.value.clone()).unwrap_or_default();
    let whole = stripped(meant);
    // As it is, in the words of a file.
    let live = |file: &Object| {
        let said = match lean {
            Some(lean) => as_said(&whole, lean, Some(file)),
            None => whole.clone(),
        };
        filtered(&said, file, rule.filters())
    };
    let Some(base) = work.head.agreed.get(&ours.path) else {
        let now = live(&head);
        let found = differences(0, &ours.value, &Value::from(now.clone()));
        return Followed {
            done: rewritten(meant, ours, &now, found),
            conflicts: Vec::new(),
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
    deleted(object, work.head.agreed.get(&ours.path), head.as_ref())
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
            others: &[],
            within: head.path,
        },
    })
}
