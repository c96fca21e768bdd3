//! Policies: what is not known of them lets nothing pass.

use std::sync::Arc;

use reeve_api::name::{NamespacedName, PolicyName};
use reeve_api::policy::{Policy, PolicySource, PolicySpec};
use reeve_core::index::{Guard, Target};

use super::{Followed, is_superseded, worth_a_run};
use crate::cluster::Id;
use crate::context::Context;
use crate::index::Edition;

impl Followed for Policy {
    const HOLDS_BACK: bool = true;

    fn put(ctx: &Context, object: Arc<Self>) {
        let Some(name) = object.metadata.name.as_deref() else {
            return;
        };
        let Ok(name) = name.parse::<PolicyName>() else {
            return;
        };
        let guard = Guard {
            scope: object.spec.scope.clone(),
            source: object
                .spec
                .source_ref
                .as_ref()
                .and_then(|source| key(ctx, source)),
            replayed: object.spec.replay.is_some(),
        };
        let (wake, over, touched) = ctx.index.write(|known| {
            let before = known.policies.insert(name.clone(), Arc::clone(&object));
            let over = is_superseded(before.as_ref(), &object);
            if !worth_a_run(before.as_ref(), &object) {
                return (false, over, Default::default());
            }
            let edition = Edition::of(&object.metadata);
            let now = known.in_force.get(&name);
            if now.is_some_and(|now| !now.edition.is_of(&edition)) {
                // Made again: nothing of the one before is this one's.
                known.in_force.remove(&name);
            }
            // Whom it is about, and what happens to what it denies, holds from now on.
            (true, over, known.touch.apply_policy(name.clone(), guard))
        });
        if over {
            ctx.underway.supersede(&Target::Policy(name.clone()));
        }
        ctx.queues.kustomizations.wake_all(touched);
        if wake {
            ctx.queues.policies.wake(name);
        }
    }

    fn gone(ctx: &Context, id: &Id) {
        let Ok(name) = id.name.parse::<PolicyName>() else {
            return;
        };
        let touched = ctx.index.write(|known| {
            known.policies.remove(&name);
            known.in_force.remove(&name);
            known.said.forget_policy(&name);
            known.memory.remove(&Target::Policy(name.clone()));
            known.touch.remove_policy(&name)
        });
        ctx.underway.supersede(&Target::Policy(name.clone()));
        ctx.metrics.forget_policy(name.as_str());
        ctx.queues.kustomizations.wake_all(touched);
    }

    /// What it said before stays: whoever could make it unreadable could as well delete it. One that nobody has ever read
    /// may be about everybody, and denies.
    fn bad(ctx: &Context, id: &Id) {
        let Ok(name) = id.name.parse::<PolicyName>() else {
            return;
        };
        let known = ctx.index.read(|known| known.policies.contains_key(&name));
        if !known {
            let placeholder = Self::new(name.as_str(), PolicySpec::default());
            Self::put(ctx, Arc::new(placeholder));
        }
    }

    fn listed(ctx: &Context) {
        let waited = ctx.index.write(|known| {
            let before = std::mem::replace(&mut known.policies_listed, true);
            (!before).then(|| known.kustomizations.keys().cloned().collect::<Vec<_>>())
        });
        ctx.queues
            .kustomizations
            .wake_all(waited.unwrap_or_default());
    }
}

fn key(ctx: &Context, source: &PolicySource) -> Option<NamespacedName> {
    let namespace = source.namespace.as_deref().unwrap_or(ctx.home.as_str());
    NamespacedName::new(namespace, source.name.as_str()).ok()
}
