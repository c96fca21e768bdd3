//! A claim and its volume, a snapshot and its content: of two that are bound to each other the one names the other in git only where
//! that one is in git, too.
//!
//! Else it would wait on another cluster for something that never comes. A snapshot that names its content is made where it is not, and
//! never applied to the one that is there, which names what it was taken of. It deliberately looks at files by their names only.

use std::collections::BTreeSet;

use reeve_api::writeback::SyncTo;
use reeve_kustomize::Object;
use reeve_writeback::only_where_absent;
use serde_json::{Value, json};

use super::super::is_paused;
use super::super::rule::{Rules, Subject};
use super::{Allowed, Seen, State, Work, admitted};
use crate::ward::without_found;

/// A kind and the name of an object of it.
pub(super) type Name = (&'static str, String);

const VOLUME: &str = "PersistentVolume";
const CONTENT: &str = "VolumeSnapshotContent";

/// Those of the seen that others may be bound to, and that are written.
pub(super) fn kept(rules: &Rules, allowed: &Allowed, seen: &[Seen]) -> BTreeSet<Name> {
    let written = seen.iter().filter_map(|seen| {
        let object = seen.object();
        let kind = match (object.group(), object.kind()) {
            ("", VOLUME) => VOLUME,
            ("snapshot.storage.k8s.io", CONTENT) => CONTENT,
            _ => return None,
        };
        let rule = rules.whole(&Subject::of(object, &seen.resource));
        let is_kept = rule.is_some_and(|rule| rule.sync_to() == SyncTo::Git)
            && !matches!(seen.state, State::Gone { .. })
            && !is_paused(&Value::from(object.clone()))
            && admitted(allowed, object).is_ok();
        is_kept.then(|| (kind, object.name().to_owned()))
    });
    written.collect()
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

/// Whether the object of that name, which is in no namespace, is written, or has a file of its own.
fn is_in_git(work: &Work<'_>, (kind, name): (&'static str, &str), api_version: &str) -> bool {
    let object = json!({"apiVersion": api_version, "kind": kind, "metadata": {"name": name}});
    let file = || {
        let object = Object::try_from(object).ok()?;
        super::made::file_of_ours(work, &object).ok()?
    };
    work.kept.contains(&(kind, name.to_owned())) || file().is_some()
}
