//! Whether what a watch tells of an object makes a run, or ends one that is under way.

use std::sync::Arc;

use kube::Resource;
use reeve_api::tenant::{Onboarding, Tenant};
use reeve_api::{RECONCILE_REQUEST, REEVE_GROUP};

/// Whether a change of an object is worth a run: everything but a new status is.
pub(super) fn worth_a_run<K: Resource>(before: Option<&Arc<K>>, after: &K) -> bool {
    let Some(before) = before else { return true };
    let (before, after) = (before.meta(), after.meta());
    // What we ask an object to say in annotations, and the request for a run.
    fn said(meta: &kube::core::ObjectMeta) -> Vec<(&String, &String)> {
        let ours =
            |key: &str| key == RECONCILE_REQUEST || key.split('/').next() == Some(REEVE_GROUP);
        let all = meta.annotations.iter().flatten();
        all.filter(|(key, _)| ours(key)).collect()
    }
    before.uid != after.uid
        || before.generation != after.generation
        || before.deletion_timestamp != after.deletion_timestamp
        || before.labels != after.labels
        || said(before) != said(after)
}

/// The same of a Tenant, of whose status the landlord's words are news too: they are told in conditions, and what it has made
/// lets others go on.
pub(super) fn is_news(before: Option<&Arc<Tenant>>, after: &Tenant) -> bool {
    fn said(tenant: &Tenant) -> Option<&Onboarding> {
        tenant.status.as_ref()?.onboarding.as_ref()
    }
    worth_a_run(before, after) || before.is_some_and(|before| said(before) != said(after))
}

/// Whether a run under way for the object as it was works for something that is no longer wanted.
pub(super) fn is_superseded<K: Resource>(before: Option<&Arc<K>>, after: &K) -> bool {
    let Some(before) = before else { return false };
    let (before, after) = (before.meta(), after.meta());
    before.uid != after.uid
        || before.generation != after.generation
        || before.deletion_timestamp != after.deletion_timestamp
}
