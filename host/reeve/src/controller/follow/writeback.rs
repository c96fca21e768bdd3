//! WriteBacks: one that is there has its objects watched, by its own runs.

use std::sync::Arc;

use kube::Resource as _;
use reeve_api::writeback::WriteBack;
use reeve_core::index::Target;

use super::{Followed, identified, is_superseded, named, worth_a_run};
use crate::cluster::Id;
use crate::context::Context;
use crate::controller::kustomization::wake_for_write_back;

impl Followed for WriteBack {
    fn put(ctx: &Context, object: Arc<Self>) {
        let Some(id) = named(object.meta()) else {
            return;
        };
        let (before, wake) = ctx.index.write(|known| {
            let before = known.writebacks.insert(id.clone(), Arc::clone(&object));
            let wake = worth_a_run(before.as_ref(), &object);
            (before, wake)
        });
        let is_another = is_superseded(before.as_ref(), &object);
        if is_another {
            ctx.underway.supersede(&Target::WriteBack(id.clone()));
        }
        if is_another || before.is_none() {
            wake_for_write_back(ctx, &id.namespace);
        }
        if wake {
            ctx.queues.writebacks.wake(id);
        }
    }

    fn gone(ctx: &Context, id: &Id) {
        let Some(id) = identified(id) else { return };
        let target = Target::WriteBack(id.clone());
        ctx.index.write(|known| {
            known.writebacks.remove(&id);
            known.memory.remove(&target);
        });
        ctx.wards.forget(&id);
        ctx.underway.supersede(&target);
        wake_for_write_back(ctx, &id.namespace);
    }

    fn listed(ctx: &Context) {
        let waited: Vec<_> =
            ctx.index.write(
                |known| match std::mem::replace(&mut known.writebacks_listed, true) {
                    true => Vec::new(),
                    false => known.kustomizations.keys().cloned().collect(),
                },
            );
        ctx.queues.kustomizations.wake_all(waited);
    }
}
