//! Who uses a source, and is woken when there is something new of it, or when it was looked at first.
//!
//! What it deliberately doesn't: say when; the run that took it in does.

use reeve_api::name::{NamespacedName, PolicyName};
use reeve_core::index::Target;
use reeve_core::plugin::PluginId;

use crate::context::Context;
use crate::index::Known;
use crate::observe::span;

/// Who uses a source.
pub(super) struct Users {
    includers: Vec<NamespacedName>,
    policies: Vec<PolicyName>,
    plugins: Vec<PluginId>,
    kustomizations: Vec<NamespacedName>,
}

impl Users {
    pub(super) fn of(known: &Known, source: &NamespacedName) -> Self {
        Self {
            includers: known.touch.includers_of(source).cloned().collect(),
            policies: known.touch.policies_from(source).cloned().collect(),
            plugins: known.touch.plugins_from(source).cloned().collect(),
            kustomizations: known.touch.kustomizations_of(source).cloned().collect(),
        }
    }

    /// Whether all that would come of it early is the work of Kustomizations: what others make of it cannot be taken back.
    pub(super) fn only_apply(&self) -> bool {
        let others = self.includers.len() + self.policies.len() + self.plugins.len();
        others == 0 && !self.kustomizations.is_empty()
    }

    /// Plugins first, since Kustomizations of the same commit wait for them.
    pub(super) fn wake(self, ctx: &Context) {
        for id in self.includers {
            span::wakes(&Target::Source(id.clone()));
            ctx.queues.sources.wake(id);
        }
        let policies = self.policies.into_iter();
        policies.for_each(|name| ctx.queues.policies.wake(name));
        let plugins = self.plugins.into_iter();
        plugins.for_each(|id| ctx.queues.wake_plugin(id));
        for id in self.kustomizations {
            span::wakes(&Target::Kustomization(id.clone()));
            ctx.queues.kustomizations.wake(id);
        }
    }
}
