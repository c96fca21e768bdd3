//! WriteBacks: one that is there has its objects watched, by its own runs.

use std::sync::Arc;

use kube::Resource as _;
use reeve_api::writeback::WriteBack;
use reeve_core::index::Target;

use super::{Followed, identified, is_superseded, named, worth_a_run};
use crate::cluster::Id;
use crate::context::Context;

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
        if is_superseded(before.as_ref(), &object) {
            ctx.underway.supersede(&Target::WriteBack(id.clone()));
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
    }
}
