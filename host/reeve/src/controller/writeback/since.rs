//! At which revision both sides were the same of an object that a Kustomization applies.
//!
//! That which was applied when a change was first left alone, as the status of the Kustomization has it: who is restarted, or goes by
//! other rules, still knows it. Where nothing was left alone yet, that which was applied when the change was first seen. It
//! deliberately fetches nothing.

use reeve_api::kustomization::KustomizationStatus;
use reeve_api::name::NamespacedName;
use reeve_core::inventory::ObjectId;

use super::Case;
use crate::index::Known;

impl Case<'_> {
    /// Which revision that is; None: the one that is applied by now.
    pub(super) fn agreed_on(
        &self,
        kustomization: &NamespacedName,
        object: &ObjectId,
    ) -> Option<String> {
        let left = self.ctx.index.read(|known| {
            let status = known.kustomizations.get(kustomization)?.status.as_ref()?;
            left_at(status, object)
        });
        left.or_else(|| self.ctx.wards.agreed(self.id, object))
    }
}

/// The same of an object that changes just now.
pub(super) fn agreed_now(
    known: &Known,
    kustomization: &NamespacedName,
    object: &ObjectId,
) -> Option<String> {
    let status = known.kustomizations.get(kustomization)?.status.as_ref()?;
    left_at(status, object).or_else(|| status.last_applied_revision.clone())
}

fn left_at(status: &KustomizationStatus, object: &ObjectId) -> Option<String> {
    // Mostly nothing is, and an id takes a string.
    if status.left_alone.is_empty() {
        return None;
    }
    let id = object.to_string();
    let left = status.left_alone.iter().find(|one| one.id == id)?;
    Some(left.revision.clone())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_was_left_alone_counts_from_then_on_and_nothing_else() {
        let id = |text: &str| text.parse::<ObjectId>().unwrap();
        let status = json!({
            "lastAppliedRevision": "main@sha1:2",
            "leftAlone": [{"id": "acme_web_apps_Deployment", "revision": "main@sha1:1"}],
        });
        let status: KustomizationStatus = serde_json::from_value(status).unwrap();
        let at = |text: &str| left_at(&status, &id(text));
        assert_eq!(
            at("acme_web_apps_Deployment").as_deref(),
            Some("main@sha1:1")
        );
        assert_eq!(at("acme_api_apps_Deployment"), None);
        let none = KustomizationStatus::default();
        assert_eq!(left_at(&none, &id("acme_web_apps_Deployment")), None);
    }
}
