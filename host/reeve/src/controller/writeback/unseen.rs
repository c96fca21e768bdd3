//! Objects of a Kustomization that are gone: which of them somebody has deleted, and which were never there.
//!
//! Whom a watch has shown go was there. Of others, which are only missed from what an inventory names, that has to be proven: it
//! names them before they are applied, and with every stage that is yet to come. What is not proven is no deletion: the Kustomization
//! makes it. It deliberately asks the cluster nothing.

use reeve_api::kustomization::Kustomization;
use reeve_core::admit::Recollection;
use reeve_core::inventory::ObjectId;
use reeve_kustomize::Object;
use serde_json::Value;

use super::Case;
use super::look::{Built, Found};
use crate::controller::kustomization::proof_of;

impl Case<'_> {
    /// Those of one Kustomization, by the number of what it has applied.
    pub(super) async fn gone_of(
        &self,
        found: &mut Found,
        (number, built, object): (usize, &Built, Option<&Kustomization>),
        gone: Vec<(ObjectId, Value)>,
    ) {
        let proof = match object.filter(|_| gone.iter().any(|(_, meta)| meta.is_null())) {
            Some(object) => proof_of(self.ctx, object, &built.applied).await,
            None => None,
        };
        for (id, meta) in gone {
            if !was_there(&id, &meta, proof.as_ref()) {
                found.settle(&id);
                continue;
            }
            let manifest = built.applied.manifests.get(&id);
            let object = manifest.and_then(|(_, value)| Object::try_from(value.clone()).ok());
            let last = || self.as_it_was(&id, Some(&meta).filter(|meta| !meta.is_null())?);
            self.gone(found, (&id, &meta), Some(number), object.or_else(last));
        }
    }
}

/// Whether an object was there: `meta` is what a watch showed of it when it went, if one did.
fn was_there(id: &ObjectId, meta: &Value, proof: Option<&Recollection>) -> bool {
    !meta.is_null() || proof.is_some_and(|proof| proof.has(id))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_nobody_saw_go_was_there_only_if_it_is_known_to_have_been_applied() {
        let id = |name: &str| -> ObjectId { format!("acme_{name}__ConfigMap").parse().unwrap() };
        let applied = json!({id("old").to_string(): {"data": {}}}).to_string();
        let proof = Recollection::parse(applied.as_bytes());
        let (seen, unseen) = (json!({"labels": {}}), Value::Null);
        for (about, name, meta, proof, want) in [
            ("it was applied", "old", &unseen, proof.as_ref(), true),
            (
                "its stage is yet to come",
                "new",
                &unseen,
                proof.as_ref(),
                false,
            ),
            ("nobody knows", "old", &unseen, None, false),
            ("a watch showed it go", "new", &seen, None, true),
        ] {
            assert_eq!(was_there(&id(name), meta, proof), want, "{about}");
        }
    }
}
