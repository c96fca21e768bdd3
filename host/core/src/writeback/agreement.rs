//! Which side has changed a field since both were the same: of three, the build that was agreed on, the build of the newest
//! commit, and the cluster.
//!
//! What only git has changed is not the cluster's to take back, and what both have changed alike is done. What both have
//! changed differently is a conflict: the side that follows loses, and what it had is told.

use reeve_kustomize::Object;
use reeve_writeback::{Change, Difference, Path, differences, without_server_fields};
use serde_json::Value;

/// A side.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Side {
    /// The files.
    Git,
    /// The cluster.
    Kubernetes,
}

impl Side {
    /// The word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Git => "git",
            Self::Kubernetes => "kubernetes",
        }
    }
}

/// A field that both sides have changed since they were the same. Never one of a Secret.
#[derive(Clone, Debug, PartialEq)]
pub struct Conflict {
    /// Whose.
    pub object: Object,
    /// Which, as `spec.replicas`.
    pub field: String,
    /// The side whose value counts.
    pub winner: Side,
    /// What the winner has; nothing where it has none.
    pub kept: Option<Value>,
    /// What the other has.
    pub lost: Option<Value>,
}

/// A change that may be written on the newest commit.
#[derive(Clone)]
pub(super) struct Agreed {
    /// What the cluster changed that git has not.
    pub(super) change: Change,
    /// Its fields.
    pub(super) fields: Vec<Difference>,
    /// Those that git had changed, too.
    pub(super) conflicts: Vec<Conflict>,
    /// Whether git alone has changed others, which the cluster does not have yet.
    pub(super) ahead: bool,
}

/// What has changed since both were the same, of what was compared with newer files: `base` is what the files gave when both were the
/// same, `compared` what those gave.
pub(super) fn since(change: &Change, base: Option<&Object>, compared: Option<&Object>) -> Change {
    let (Some(base), Some(compared)) = (base, compared) else {
        return change.clone();
    };
    let mut applied = plain(&change.applied);
    let mut defaulted = change.defaulted.as_ref().map(plain);
    for commit in differences(0, &plain(compared), &plain(base)) {
        put(&commit, &mut applied);
        if let Some(defaulted) = &mut defaulted {
            put(&commit, defaulted);
        }
    }
    let object = |value: Value| Object::try_from(value).unwrap_or_default();
    Change {
        applied: object(applied),
        defaulted: defaulted.map(object),
        live: change.live.clone(),
    }
}

/// Carries a change over to the newest commit: `base` is what the files gave when both were the same, `head` what they give
/// now. Without a base git counts as unchanged.
pub(super) fn carried(change: &Change, base: Option<&Object>, head: Option<&Object>) -> Agreed {
    let mut applied = plain(&change.applied);
    let mut defaulted = plain(change.defaulted.as_ref().unwrap_or(&change.applied));
    let mut live = plain(&change.live);
    let theirs = differences(0, &defaulted, &live);
    let commits = match (base, head) {
        (Some(base), Some(head)) => differences(0, &plain(base), &plain(head)),
        _ => Vec::new(),
    };
    for commit in &commits {
        put(commit, &mut applied);
        put(commit, &mut defaulted);
        if !theirs.iter().any(|one| one.path.overlaps(&commit.path)) {
            put(commit, &mut live);
        }
    }
    let fields = differences(0, &defaulted, &live);
    let both = |field: &&Difference| {
        let is = |one: &Difference| one.path.overlaps(&field.path);
        commits.iter().any(is)
    };
    let conflict = |field: &Difference| Conflict {
        object: change.live.clone(),
        field: shown(&field.path),
        winner: Side::Kubernetes,
        kept: field.new.clone(),
        lost: field.old.clone(),
    };
    let conflicts = fields.iter().filter(both).map(conflict).collect();
    let is_theirs = |commit: &Difference| theirs.iter().any(|one| one.path.overlaps(&commit.path));
    let ahead = !commits.iter().all(is_theirs);
    let object = |value: Value| Object::try_from(value).unwrap_or_default();
    Agreed {
        change: Change {
            applied: object(applied),
            defaulted: Some(object(defaulted)),
            live: object(live),
        },
        fields,
        conflicts,
        ahead,
    }
}

/// What commits have changed since both were the same of an object that the cluster has deleted: it goes with its manifest.
pub(super) fn deleted(
    object: &Object,
    base: Option<&Object>,
    head: Option<&Object>,
) -> Vec<Conflict> {
    let (Some(base), Some(head)) = (base, head) else {
        return Vec::new();
    };
    let commits = differences(0, &plain(base), &plain(head)).into_iter();
    let conflict = |commit: Difference| Conflict {
        object: object.clone(),
        field: shown(&commit.path),
        winner: Side::Kubernetes,
        kept: None,
        lost: commit.new,
    };
    commits.map(conflict).collect()
}

/// A field as it is told.
pub(super) fn shown(path: &Path) -> String {
    let text = crate::text::line(&path.to_string());
    text.chars().take(300).collect()
}

fn plain(object: &Object) -> Value {
    Value::from(without_server_fields(object))
}

fn put(commit: &Difference, value: &mut Value) {
    // What stands in the way is another change of the same: it is told as a conflict.
    let _is_put = match &commit.new {
        Some(new) => commit.path.set(value, new.clone(), commit.at),
        None => commit.path.remove(value),
    };
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn web(spec: Value) -> Object {
        let value = json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web"}, "spec": spec});
        Object::try_from(value).unwrap()
    }

    #[test]
    fn what_was_compared_with_newer_files_is_told_from_what_they_were() {
        let was = |image: &str, n: u8| web(json!({"image": image, "n": n}));
        // Git has changed the image, and somebody the number.
        let (base, head) = (was("a", 1), was("b", 1));
        let change = Change {
            applied: head.clone(),
            defaulted: Some(head.clone()),
            live: was("a", 3),
        };
        let change = since(&change, Some(&base), Some(&head));
        assert_eq!(change.applied, base);
        let agreed = carried(&change, Some(&base), Some(&head));
        let told: Vec<_> = agreed.fields.iter().map(|one| shown(&one.path)).collect();
        assert_eq!(told, ["spec.n"]);
        assert!(agreed.ahead && agreed.conflicts.is_empty());
        assert_eq!(agreed.change.live, was("b", 3));
        let same = since(&change, None, Some(&head));
        assert_eq!(same.applied, change.applied);
    }

    /// Base, head and live of one field, and what becomes of it: what is changed on the newest commit, and who loses what.
    #[test]
    fn each_side_is_heard_and_the_cluster_wins_where_both_have_changed_a_field() {
        let none = Value::Null;
        for (about, base, head, live, written, lost) in [
            (
                "the cluster only",
                json!(1),
                json!(1),
                json!(2),
                Some((json!(1), json!(2))),
                None,
            ),
            ("git only", json!(1), json!(2), json!(1), None, None),
            ("nobody", json!(1), json!(1), json!(1), None, None),
            ("both the same", json!(1), json!(2), json!(2), None, None),
            (
                "both",
                json!(1),
                json!(2),
                json!(3),
                Some((json!(2), json!(3))),
                Some(json!(2)),
            ),
            (
                "git took it out",
                json!(1),
                none.clone(),
                json!(3),
                Some((none.clone(), json!(3))),
                Some(none.clone()),
            ),
            (
                "the cluster took it out",
                json!(1),
                json!(2),
                none.clone(),
                Some((json!(2), none.clone())),
                Some(json!(2)),
            ),
            (
                "both took it out",
                json!(1),
                none.clone(),
                none.clone(),
                None,
                None,
            ),
            (
                "git added it",
                none.clone(),
                json!(1),
                none.clone(),
                None,
                None,
            ),
            (
                "both added it",
                none.clone(),
                json!(1),
                json!(2),
                Some((json!(1), json!(2))),
                Some(json!(1)),
            ),
        ] {
            let spec = |field: &Value| match field {
                Value::Null => json!({"other": true}),
                field => json!({"other": true, "field": field}),
            };
            let change = Change {
                applied: web(spec(&base)),
                defaulted: None,
                live: web(spec(&live)),
            };
            let agreed = carried(&change, Some(&web(spec(&base))), Some(&web(spec(&head))));
            let side = |value: &Option<Value>| value.clone().unwrap_or_default();
            let fields: Vec<_> = agreed
                .fields
                .iter()
                .map(|one| (side(&one.old), side(&one.new)))
                .collect();
            assert_eq!(fields, Vec::from_iter(written), "{about}");
            let told: Vec<_> = agreed.conflicts.iter().map(|one| side(&one.lost)).collect();
            assert_eq!(told, Vec::from_iter(lost), "{about}");
            // What is asked for is a change of what the newest commit gives.
            assert_eq!(agreed.change.applied, web(spec(&head)), "{about}");
        }
    }

    #[test]
    fn another_field_of_git_is_left_as_git_has_it() {
        let of = |image: &str, replicas: u8| {
            web(json!({"replicas": replicas,
            "containers": [{"name": "web", "image": image}]}))
        };
        let change = Change {
            applied: of("a:1", 1),
            defaulted: Some(of("a:1", 1)),
            live: of("a:1", 3),
        };
        let agreed = carried(&change, Some(&of("a:1", 1)), Some(&of("a:2", 1)));
        assert_eq!(agreed.change.live, of("a:2", 3));
        assert!(agreed.conflicts.is_empty());
        let told: Vec<_> = agreed.fields.iter().map(|one| shown(&one.path)).collect();
        assert_eq!(told, ["spec.replicas"]);
    }

    #[test]
    fn without_a_base_only_the_cluster_has_changed_anything() {
        let change = Change {
            applied: web(json!({"n": 1})),
            defaulted: None,
            live: web(json!({"n": 2})),
        };
        let agreed = carried(&change, None, Some(&web(json!({"n": 9}))));
        assert_eq!(agreed.change.applied, web(json!({"n": 1})));
        assert!(agreed.conflicts.is_empty() && agreed.fields.len() == 1);
    }
}
