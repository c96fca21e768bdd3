//! Receivers: who goes leaves its path to whoever waits for it.

use std::sync::Arc;

use kube::Resource as _;
use reeve_api::receiver::Receiver;
use reeve_core::index::Target;

use super::{Followed, identified, named, object_names, watch_secrets, worth_a_run};
use crate::cluster::Id;
use crate::context::Context;

impl Followed for Receiver {
    fn put(ctx: &Context, object: Arc<Self>) {
        let Some(id) = named(object.meta()) else {
            return;
        };
        let secrets = object.spec.secret_ref.iter();
        let secrets = object_names(secrets.map(|secret| secret.name.as_str()));
        watch_secrets(ctx, Target::Receiver(id.clone()), &id.namespace, &secrets);
        let wake = ctx.index.write(|known| {
            let before = known.receivers.insert(id.clone(), Arc::clone(&object));
            worth_a_run(before.as_ref(), &object)
        });
        if wake {
            ctx.queues.receivers.wake(id);
        }
    }

    fn gone(ctx: &Context, id: &Id) {
        let Some(id) = identified(id) else { return };
        let target = Target::Receiver(id.clone());
        ctx.drift.forget(&target);
        let heir = ctx.index.write(|known| {
            known.receivers.remove(&id);
            known.memory.remove(&target);
            known.hooks.remove(&id);
            known.touch.remove_receiver(&id)
        });
        if let Some(heir) = heir {
            ctx.queues.receivers.wake(heir);
        }
    }

    fn listed(ctx: &Context) {
        ctx.index.write(|known| known.receivers_listed = true);
    }
}
