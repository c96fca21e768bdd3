//! Under which rules something would be applied now, in one digest: with others a plan may say something else.
//!
//! It deliberately says nothing of what they are; it is compared, and told to nobody.

use kube::ResourceExt as _;
use reeve_api::kustomization::Kustomization;
use reeve_api::name::NamespacedName;
use reeve_core::proposal::Rules;
use sha2::{Digest as _, Sha256};

use crate::index::{Edition, Known};

/// The policies that are asked about a Kustomization, and the plugins that are called for it or that its last build has called.
pub(super) fn rules(known: &Known, id: &NamespacedName, object: &Kustomization) -> Rules {
    let mut all = Sha256::new();
    let mut tell = |one: String| {
        all.update(one.len().to_le_bytes());
        all.update(one);
    };
    for name in known.touch.policies_over(&id.namespace, object.labels()) {
        let edition = known.policies.get(&name);
        let edition = edition.map(|policy| Edition::of(&policy.metadata));
        let ready = known.in_force.get(&name).map(|now| now.ready.as_ref().ok());
        let ready = ready.map(|ready| ready.map(|policy| policy.digest().to_owned()));
        tell(format!("policy {name} {edition:?} {ready:?}"));
    }
    let called = known.touch.plugins_of(id).into_iter();
    let users = known.users.iter();
    let used = users.filter(|(_, users)| users.contains(id));
    let used = used.map(|(plugin, _)| plugin.clone());
    for plugin in called.chain(used) {
        let ready = known.loaded.get(&plugin).map(|now| now.ready.as_ref().ok());
        let ready = ready.map(|ready| {
            ready.map(|one| (one.module.digest().to_owned(), &one.config, &one.budget))
        });
        tell(format!("plugin {plugin:?} {ready:?}"));
    }
    all.finalize().into()
}
