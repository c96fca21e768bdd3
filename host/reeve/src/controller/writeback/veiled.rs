//! Whether what is about to become a file may: nothing in it came from a Secret, and its build can be asked.
//!
//! An object that has no labels of a Kustomization may have had them, or be a copy of one that has: so it is looked at under the veil
//! of every Kustomization of its tenant, and not at all before all of these have said what they put in (`unlearnt`). It deliberately
//! asks for the object as a whole: of what a Kustomization applies only what was changed is asked (`look`).

use reeve_api::name::NamespacedName;
use reeve_core::failure::{Explained, Turn};
use reeve_core::inventory::ObjectId;
use reeve_core::veil::Veil;
use reeve_core::writeback::State;
use reeve_kustomize::Object;
use reeve_writeback::without_server_fields;
use serde_json::Value;

use super::Case;
use super::look::{Built, Found};
use super::refusal::{self, refusal};
use super::unlearnt::{Unlearnt, Untold, untold};
use super::whose::is_below;

impl Case<'_> {
    /// Takes out what may be no new file, or not yet; of these Kustomizations it is not known what they put in.
    pub(super) fn sift_new(&self, found: &mut Found, unlearnt: &[Unlearnt]) {
        if !is_any_new(found) {
            return;
        }
        let veil = self.veil(&found.builds);
        let mut unasked = self.listers(&found.seen);
        unasked.retain(|(id, _)| !found.builds.iter().any(|one| one.id == *id));
        for (id, seen) in std::mem::take(&mut found.seen) {
            let is_secret = match &seen.state {
                State::Made { live, .. } => holds(&veil, live),
                State::Held { .. } | State::Gone { .. } => {
                    found.seen.push((id, seen));
                    continue;
                }
            };
            if let Some(untold) = untold(&id, unlearnt).filter(|_| !is_secret) {
                match untold {
                    Untold::Refused(why) => found.refuse(&id, why),
                    Untold::Later(why) => found.wait(&id, None, why),
                }
                continue;
            }
            let file = self.file_for(seen.object()).unwrap_or_default();
            let mut unasked = unasked.iter();
            let unasked = unasked.find(|(_, directory)| is_below(&file, directory));
            match unasked.map(|(by, _)| by) {
                _ if is_secret => {
                    let reason = "holds a value that came from a Secret";
                    let hint = "name the Secret in it, and not what is in there";
                    found.refuse(&id, refusal(&id, reason.to_owned(), hint.to_owned()));
                }
                None => found.seen.push((id, seen)),
                Some(by) if self.stands_still(by) => {
                    let reason = format!(
                        "would be a file that Kustomization {by} builds, and that cannot be asked whether it fits"
                    );
                    let hint = "resume the Kustomization, or choose another directory in spec.path or spec.newObjects.path";
                    found.refuse(&id, refusal(&id, reason, hint.to_owned()));
                }
                Some(by) => found.wait(&id, None, unbuilt(&id, by)),
            }
        }
    }

    /// What must not be told of anything that the tenant's Kustomizations apply.
    pub(super) fn veil(&self, builds: &[Built]) -> Veil {
        let known: Vec<Veil> = self.ctx.index.read(|known| {
            let all = known.veils.iter().filter(|(id, _)| self.is_of_us(id));
            all.map(|(_, veils)| veils.both()).collect()
        });
        let built = builds.iter().map(|one| one.applied.veil.clone());
        let all = built.chain(known);
        all.fold(Veil::default(), |all, one| all.and(&one))
    }

    /// Whether it is not built here until somebody changes it.
    fn stands_still(&self, id: &NamespacedName) -> bool {
        self.ctx.index.read(|known| {
            known.kustomizations.get(id).is_some_and(|one| {
                let status = one.status.as_ref();
                one.spec.suspend
                    || one.spec.kube_config.is_some()
                    || status.is_some_and(|status| status.delivered.is_some())
            })
        })
    }
}

/// Whether any object is seen that is to have a file of its own.
pub(super) fn is_any_new(found: &Found) -> bool {
    let mut all = found.seen.iter();
    all.any(|(_, seen)| matches!(seen.state, State::Made { .. }))
}

/// Whether anything of it, but what says which object it is, must not be told.
fn holds(veil: &Veil, live: &Object) -> bool {
    if veil.is_nothing() {
        return false;
    }
    let mut object = without_server_fields(live);
    object.metadata_mut().shift_remove("namespace");
    let mut value = Value::from(object);
    if let Some(fields) = value.as_object_mut() {
        fields.shift_remove("apiVersion");
        fields.shift_remove("kind");
    }
    veil.replace(&mut value)
}

fn unbuilt(id: &ObjectId, by: &NamespacedName) -> Explained {
    let message = format!(
        "whether a file of {} fits cannot be said: Kustomization {by}, which would build it, cannot be built now",
        id.subject()
    );
    refusal::unbuilt(Turn::Retry, message, by)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_new_file_holds_nothing_of_a_secret_but_where_its_object_lies() {
        let veil = Veil::of(["hunter2".to_owned()]);
        let map = |namespace: &str, metadata: Value, data: Value| {
            let mut object = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": data});
            object["metadata"]["namespace"] = json!(namespace);
            Object::try_from(object).unwrap()
        };
        let meta = || json!({"name": "a"});
        assert!(!holds(&veil, &map("acme", meta(), json!({"pw": "other"}))));
        assert!(!holds(&veil, &map("hunter2", meta(), json!({}))));
        let url = json!({"url": "db://ada:hunter2@db"});
        assert!(holds(&veil, &map("acme", meta(), url.clone())));
        assert!(holds(
            &veil,
            &map("acme", meta(), json!({"hunter2": "as a key"}))
        ));
        let noted = json!({"name": "a", "annotations": {"was": "hunter2"}});
        assert!(holds(&veil, &map("acme", noted, json!({}))));
        let claims = json!({"name": "a", "managedFields": [{"manager": "hunter2"}]});
        assert!(!holds(&veil, &map("acme", claims, json!({}))));
        assert!(!holds(Veil::nothing(), &map("acme", meta(), url)));
    }
}
