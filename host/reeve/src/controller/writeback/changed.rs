//! Whether a change of what a Kustomization applies may be written, as far as the Secrets of the tenant's other Kustomizations go.
//!
//! What one puts in may be copied into a field of what another applies: so what was changed is looked at under the veil of all of
//! them. One that puts Secrets in, and of which nobody here knows yet what these hold, is waited for; one that is suspended says
//! nothing before it is resumed. A short number or a yes is no password, and waits for nobody. It deliberately looks at what was changed
//! alone: whole objects are `veiled`'s.

use reeve_api::name::NamespacedName;
use reeve_core::failure::{Explained, Turn};
use reeve_core::inventory::ObjectId;
use reeve_core::writeback::{Seen, State};
use serde_json::Value;

use super::Case;
use super::forbidden::{changed, of_a_secret};
use super::look::{Built, Found};
use super::refusal::{suspended, unbuilt};

/// Shorter numbers hold no Secret: how many replicas there are waits for nobody.
const SHORTEST: usize = 4;

/// A Kustomization that puts Secrets in, of which nobody here knows yet what these hold.
struct Unknown {
    by: NamespacedName,
    is_suspended: bool,
}

impl Case<'_> {
    /// Takes out what may not be changed in git, or not yet.
    pub(super) fn sift_held(&self, found: &mut Found) {
        let any = found.seen.iter().any(|(_, one)| may_tell(&changes(one)));
        if !any {
            return;
        }
        let veil = self.veil(&found.builds);
        let unknown = self.unknown(&found.builds);
        for (id, seen) in std::mem::take(&mut found.seen) {
            let mut new = changes(&seen);
            let may_tell = may_tell(&new);
            let reveals = !veil.is_nothing() && new.iter_mut().any(|new| veil.replace(new));
            match &unknown {
                _ if reveals => found.refuse(&id, of_a_secret(&id)),
                Some(one) if may_tell && one.is_suspended => {
                    self.ctx.wards.wait_for(self.id, &one.by, true);
                    found.refuse(&id, suspended(&id, "a changed field may hold", &one.by));
                }
                Some(one) if may_tell => {
                    self.ctx.wards.wait_for(self.id, &one.by, true);
                    found.wait(&id, None, untold(&id, &one.by));
                }
                _ => found.seen.push((id, seen)),
            }
        }
    }

    /// One of the tenant's, and first one that is suspended.
    fn unknown(&self, builds: &[Built]) -> Option<Unknown> {
        self.ctx.index.read(|known| {
            let all = known.kustomizations.iter();
            let all = all.filter(|(id, one)| {
                let is_built = builds.iter().any(|built| built.id == **id);
                !is_built && self.is_unlearnt(known, id, one)
            });
            let all = all.map(|(id, one)| Unknown {
                by: id.clone(),
                is_suspended: one.spec.suspend,
            });
            all.max_by_key(|one| one.is_suspended)
        })
    }
}

/// What the fields have that somebody has changed in what a Kustomization applies.
fn changes(seen: &Seen) -> Vec<Value> {
    match &seen.state {
        State::Held {
            applied,
            defaulted,
            live,
            ..
        } => changed(defaulted.as_deref().unwrap_or(applied), live),
        State::Made { .. } | State::Gone { .. } => Vec::new(),
    }
}

/// Whether there is anything in them that a Secret may hold.
fn may_tell(new: &[Value]) -> bool {
    new.iter().any(|value| match value {
        Value::Null | Value::Bool(_) => false,
        Value::Number(number) => number.to_string().len() >= SHORTEST,
        Value::String(text) => !text.is_empty(),
        Value::Array(items) => may_tell(items),
        // What they are called by is text.
        Value::Object(fields) => !fields.is_empty(),
    })
}

fn untold(id: &ObjectId, by: &NamespacedName) -> Explained {
    let message = format!(
        "whether a changed field of {} holds a value of a Secret cannot be said yet: Kustomization {by} puts Secrets in, and was not built since this process began",
        id.subject()
    );
    unbuilt(Turn::Retry, message, by)
}

#[cfg(test)]
mod tests {
    use reeve_kustomize::Object;
    use serde_json::json;

    use super::*;

    #[test]
    fn a_short_number_or_a_yes_waits_for_no_secret_and_whatever_has_text_does() {
        for (value, want) in [
            (json!(3), false),
            (json!(true), false),
            (json!(""), false),
            (json!([1, null]), false),
            (json!({}), false),
            (json!(271828), true),
            (json!("web:2"), true),
            (json!([1, "a"]), true),
            (json!({"name": 1}), true),
        ] {
            assert_eq!(may_tell(std::slice::from_ref(&value)), want, "{value}");
        }
        assert!(!may_tell(&[]));
    }

    #[test]
    fn what_was_changed_is_told_from_what_was_filled_in() {
        let map = |data: Value| {
            let object = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}, "data": data});
            Box::new(Object::try_from(object).unwrap())
        };
        let seen = |defaulted: Option<Box<Object>>| Seen {
            resource: "configmaps".to_owned(),
            state: State::Held {
                build: 0,
                applied: map(json!({"a": "1"})),
                defaulted,
                live: map(json!({"a": "1", "filled": "in", "b": "new"})),
            },
        };
        let filled = map(json!({"a": "1", "filled": "in"}));
        assert_eq!(changes(&seen(Some(filled))), [json!("new")]);
        assert_eq!(changes(&seen(None)).len(), 2);
    }
}
