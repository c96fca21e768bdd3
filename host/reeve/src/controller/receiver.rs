//! A Receiver gets its path, and what is called there wakes what it names.
//!
//! A call is judged by `core::webhook` in the server; what arrives here was accepted. A name that isn't there is said in
//! the status, and the others are woken all the same.

use std::sync::Arc;

use reeve_api::name::NamespacedName;
use reeve_api::reason::Reason;
use reeve_api::receiver::Receiver;
use reeve_core::failure::Explained;
use reeve_core::index::{Hook, Listener, Standing, Target};
use reeve_core::schedule::Next;
use reeve_core::status::ReceiverOutcome;
use reeve_core::webhook::{Kind, Token, Wanted};
use tokio::sync::mpsc;

use super::report::{self, Run};
use crate::context::Context;
use crate::http::receiver::Nudge;

/// Wakes what accepted calls name, until nobody can call any more.
pub(crate) async fn answer_nudges(ctx: Arc<Context>, mut nudges: mpsc::Receiver<Nudge>) {
    while let Some(nudge) = nudges.recv().await {
        let named = ctx
            .index
            .read(|known| known.touch.named_by(&nudge.receiver));
        for target in named.present {
            match target {
                Target::Source(id) => ctx.queues.sources.wake(id),
                Target::Kustomization(id) => ctx.queues.kustomizations.wake(id),
                Target::Receiver(id) => ctx.queues.receivers.wake(id),
                Target::Plugin(id) => ctx.queues.wake_plugin(id),
                Target::Policy(name) => ctx.queues.policies.wake(name),
            }
        }
    }
}

/// One run.
pub(super) async fn reconcile(ctx: &Arc<Context>, id: &NamespacedName) -> Next {
    let Some(object) = ctx.index.read(|known| known.receivers.get(id).cloned()) else {
        return Next::Watch;
    };
    if object.metadata.deletion_timestamp.is_some() {
        ctx.index.write(|known| known.touch.remove_receiver(id));
        return report::farewell(ctx, &*object).await;
    }
    let run = Run::begin(ctx, Target::Receiver(id.clone()), &*object);
    let outcome = match report::adopt(ctx, &*object, &run).await {
        Ok(()) => listen(ctx, id, &object).await,
        Err(why) => ReceiverOutcome::Failed(why),
    };
    report::receiver(ctx, &object, run, outcome).await
}

async fn listen(ctx: &Context, id: &NamespacedName, object: &Receiver) -> ReceiverOutcome {
    let spec = &object.spec;
    let hook = hook(ctx, id, object).await;
    let standing = match &hook {
        Ok(_) if spec.suspend => Standing::Suspended,
        Ok(_) => Standing::Open,
        Err(_) => Standing::NotReady,
    };
    let (path, kind, token) = match &hook {
        Ok(found) => found.clone(),
        // A path that was known stays known while something is wrong, so that callers read 503 and not 404.
        Err(_) => {
            let known = object
                .status
                .as_ref()
                .and_then(|status| status.webhook_path.clone());
            (known.unwrap_or_default(), Kind::Generic, Token::nobodys())
        }
    };
    let listener = Listener {
        resources: spec.resources.clone(),
        secret: spec
            .secret_ref
            .as_ref()
            .and_then(|secret| secret.name.parse().ok()),
        hook: (!path.is_empty()).then(|| {
            let (receiver, events) = (id.clone(), spec.events.clone());
            let judged = Hook {
                receiver,
                kind,
                token,
                events,
                standing,
            };
            (path.clone(), Arc::new(judged))
        }),
    };
    let missing = ctx.index.write(|all| {
        all.touch.apply_receiver(id, listener);
        all.touch.named_by(id).missing
    });
    match hook {
        Err(why) => ReceiverOutcome::Failed(why),
        Ok(_) if spec.suspend => ReceiverOutcome::Suspended,
        Ok(_) => ReceiverOutcome::Listening { path, missing },
    }
}

/// What it asks for.
pub(super) fn parse(object: &Receiver) -> Result<Wanted, Explained> {
    Wanted::parse(&object.spec).map_err(|why| Explained::of(&why))
}

/// Where the Receiver is called, by whom, and what proves it.
async fn hook(
    ctx: &Context,
    id: &NamespacedName,
    object: &Receiver,
) -> Result<(String, Kind, Token), Explained> {
    let wanted = parse(object)?;
    let owner = ctx.secret_owner(&id.namespace);
    let name = &wanted.secret;
    let data = ctx.cluster.secret(&owner, name).await.map_err(|why| {
        let why = Explained::of(&why);
        Explained {
            reason: Reason::TokenNotFound,
            ..why
        }
    })?;
    let token = Token::parse(data.get("token"), &format!("{}/{name}", id.namespace))
        .map_err(|why| Explained::of(&why))?;
    let path = token.path(id.name.as_str(), id.namespace.as_str());
    Ok((path, wanted.kind, token))
}
