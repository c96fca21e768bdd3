//! A claim and its volume, a snapshot and its content: of two that are bound to each other the one names the other in git only where
//! that one is in git, too.
//!
//! Else it would wait on another cluster for something that never comes. A snapshot that names its content is made where it is not, and
//! never applied to the one that is there, which names what it was taken of. What a build gives is bound on the cluster, and not by
//! what people write: so that, too, is written where it comes from, for it is what gives another cluster the same data. It deliberately
//! looks at files by their names only, and builds only what others are looked for in.

use std::collections::BTreeSet;

use reeve_api::writeback::SyncTo;
use reeve_kustomize::{Built, Object, build_with};
use reeve_writeback::{by_handle, only_where_absent};
use serde_json::{Value, json};

use super::super::is_paused;
use super::super::rule::{Rules, Subject};
use super::{Allowed, Decision, Seen, State, Work, added, admitted, made};
use crate::inventory::ObjectId;
use crate::ward::{is_being_taken, without_found};

/// A kind and the name of an object of it.
pub(super) type Name = (&'static str, String);

const VOLUME: &str = "PersistentVolume";
const CONTENT: &str = "VolumeSnapshotContent";
/// By which an object is made where it is not, and never changed.
const IF_ABSENT: &str = "/metadata/annotations/kustomize.toolkit.fluxcd.io~1ssa";

/// An object of a build, with what it is bound to as a change of it.
pub(super) struct Bound {
    /// As applying would make it, if nothing had bound it.
    pub(super) before: Object,
    /// As it is, in the words of a manifest.
    pub(super) live: Object,
    /// Which fields say it: all of them are written, or none.
    pub(super) fields: &'static [&'static str],
}

/// Whether others may be bound to it, and no build has it: then it is decided about before them.
pub(super) fn is_first(seen: &Seen) -> bool {
    matches!(seen.state, State::Made { .. }) && named(seen.object()).is_some()
}

/// Those of the seen that others may be bound to, and that are written, after what was decided of those in files of their own.
pub(super) fn kept(
    rules: &Rules,
    allowed: &Allowed,
    seen: &[Seen],
    decision: &Decision,
) -> BTreeSet<Name> {
    let is_left = |object: &Object| {
        let id = ObjectId::of(object);
        decision.over.contains(&id) || decision.refused.iter().any(|one| one.id == id)
    };
    let written = seen.iter().filter_map(|seen| {
        let object = seen.object();
        let name = named(object)?;
        let rule = rules.whole(&Subject::of(object, &seen.resource));
        let is_kept = rule.is_some_and(|rule| rule.sync_to() == SyncTo::Git)
            && !matches!(seen.state, State::Gone { .. })
            && !is_paused(&Value::from(object.clone()))
            && admitted(allowed, object).is_ok()
            && !is_left(object);
        is_kept.then_some(name)
    });
    written.collect()
}

/// What an object of a build is bound to on the cluster, and its manifest does not say: `applied` as the build gives it, `before` as
/// applying would make it, `live` as it is. Nothing where it says so, is not bound, or the other one is in no file.
pub(super) fn found(
    work: &Work<'_>,
    (applied, before, live): (&Object, &Object, &Object),
) -> Option<Bound> {
    let text = |pointer: &str| live.get(pointer).and_then(Value::as_str);
    match (live.group(), live.kind()) {
        ("", "PersistentVolumeClaim") => {
            let fields = &["/spec/volumeName"];
            let name = text("/spec/volumeName")?;
            let is_found = is_filled_in(applied, before, live, fields);
            let is_meant = is_found && is_in_git(work, (VOLUME, name), "v1");
            is_meant.then(|| Bound::added(before, live, "volumeName", fields))
        }
        // Which claim of that name, nothing says: of whatever cluster it has it.
        ("", "PersistentVolume") => {
            let fields = &["/spec/claimRef"];
            let is_whole =
                text("/spec/claimRef/name").is_some() && text("/spec/claimRef/namespace").is_some();
            let is_meant = is_whole && is_filled_in(applied, before, live, fields);
            is_meant.then(|| Bound::added(before, live, "claimRef", fields))
        }
        ("snapshot.storage.k8s.io", "VolumeSnapshot") => {
            let name = text("/status/boundVolumeSnapshotContentName")?;
            applied.get("/spec/source/persistentVolumeClaimName")?;
            let mut is = Value::from(live.clone());
            if is_being_taken(&is) || !is_in_git(work, (CONTENT, name), live.api_version()) {
                return None;
            }
            let source = is.pointer_mut("/spec/source")?.as_object_mut()?;
            source.insert("volumeSnapshotContentName".to_owned(), json!(name));
            Bound::anew(before, one_source(is, true), &["/spec/source", IF_ABSENT])
        }
        ("snapshot.storage.k8s.io", "VolumeSnapshotContent") => {
            applied.get("/spec/source/volumeHandle")?;
            let is = Value::from(live.clone());
            let taken = by_handle(is.clone());
            let fields = &["/spec/source", "/spec/deletionPolicy", IF_ABSENT];
            (taken != is).then(|| Bound::anew(before, taken, fields))?
        }
        _ => None,
    }
}

impl Bound {
    /// With a field of the spec that nobody has written.
    fn added(before: &Object, live: &Object, field: &str, fields: &'static [&'static str]) -> Self {
        let mut before = before.clone();
        if let Some(Value::Object(spec)) = before.fields_mut().get_mut("spec") {
            spec.shift_remove(field);
        }
        Self {
            before,
            live: live.clone(),
            fields,
        }
    }

    /// With what it was made of in other words.
    fn anew(before: &Object, live: Value, fields: &'static [&'static str]) -> Option<Self> {
        Some(Self {
            before: before.clone(),
            live: Object::try_from(live).ok()?,
            fields,
        })
    }
}

/// Whether no manifest has these fields, and nobody but Kubernetes has set them: what somebody has set is a change as any other.
fn is_filled_in(applied: &Object, before: &Object, live: &Object, fields: &[&str]) -> bool {
    let mut fields = fields.iter();
    fields.all(|field| applied.get(field).is_none() && before.get(field) == live.get(field))
}

/// The object with what it is bound to if that is in git, too, and else without.
pub(super) fn as_bound(work: &Work<'_>, live: &Object) -> Object {
    let as_is = || Value::from(live.clone());
    let text = |pointer: &str| live.get(pointer).and_then(Value::as_str);
    let done = match (live.group(), live.kind()) {
        ("", "PersistentVolumeClaim") => match text("/spec/volumeName") {
            Some(name) if !is_in_git(work, (VOLUME, name), "v1") => without_found(as_is()),
            _ => return live.clone(),
        },
        ("snapshot.storage.k8s.io", "VolumeSnapshot") => {
            let claim = text("/spec/source/persistentVolumeClaimName");
            match (claim, text("/spec/source/volumeSnapshotContentName")) {
                (Some(_), Some(name)) => {
                    let is_kept = is_in_git(work, (CONTENT, name), live.api_version());
                    one_source(as_is(), is_kept)
                }
                _ => return live.clone(),
            }
        }
        _ => return live.clone(),
    };
    Object::try_from(done).unwrap_or_else(|_| live.clone())
}

/// A snapshot with its content for a source, or with its claim.
fn one_source(mut live: Value, content: bool) -> Value {
    let other = match content {
        true => "persistentVolumeClaimName",
        false => "volumeSnapshotContentName",
    };
    if let Some(Value::Object(source)) = live.pointer_mut("/spec/source") {
        source.shift_remove(other);
    }
    match content {
        true => only_where_absent(live),
        false => live,
    }
}

/// Whether the object of that name, which is in no namespace, is written, has a file of its own, whoever keeps that, or is given by a
/// build.
fn is_in_git(work: &Work<'_>, (kind, name): (&'static str, &str), api_version: &str) -> bool {
    let object = json!({"apiVersion": api_version, "kind": kind, "metadata": {"name": name}});
    let has_file = || {
        let object = Object::try_from(object).ok()?;
        let ours = made::file_of_ours(work, &object).ok()?;
        (ours.is_some() || made::kept_elsewhere(work, &object).is_some()).then_some(())
    };
    let name = (kind, name.to_owned());
    work.kept.contains(&name) || has_file().is_some() || given(work).contains(&name)
}

/// What builds give that others may be bound to; asked for once, and only where nothing else says whether one is in git.
fn given<'w>(work: &'w Work<'_>) -> &'w BTreeSet<Name> {
    work.given.get_or_init(|| {
        let mut all = BTreeSet::new();
        for one in added::builders(work.head) {
            // Of one that cannot be built nothing is known.
            if let Ok(Built::Objects(objects)) =
                build_with(work.head.tree, one.remotes, one.path, one.options)
            {
                all.extend(objects.filter_map(|object| named(&object)));
            }
        }
        all
    })
}

/// The name of an object that others may be bound to.
fn named(object: &Object) -> Option<Name> {
    let kind = match (object.group(), object.kind()) {
        ("", VOLUME) => VOLUME,
        ("snapshot.storage.k8s.io", CONTENT) => CONTENT,
        _ => return None,
    };
    Some((kind, object.name().to_owned()))
}
