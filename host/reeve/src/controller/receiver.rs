//! A Receiver gets its path, and what is called there wakes what it names.
//!
//! A call is judged by `core::webhook` in the server; what arrives here was accepted ([`wake`]). A name that isn't there is
//! said in the status, and the others are woken all the same.

mod wake;

use std::sync::Arc;

use reeve_api::name::NamespacedName;
use reeve_api::reason::Reason;
use reeve_api::receiver::{Receiver, ReceiverType};
use reeve_core::failure::Explained;
use reeve_core::index::{Hook, Listener, Standing, Target};
use reeve_core::schedule::Next;
use reeve_core::status::ReceiverOutcome;
use reeve_core::webhook::{Filters, Google, Token, Wanted};

use super::report::{self, Run};
use crate::context::Context;

pub(crate) use wake::answer_nudges;

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
    let (path, judged, ended) = match hook {
        Ok(hook) => {
            let path = hook.token.path(id.name.as_str(), id.namespace.as_str());
            (path, hook, Ok(()))
        }
        // A path that was known stays known while something is wrong, so that callers read 503 and not 404.
        Err(why) => {
            let status = object.status.as_ref();
            let known = status.and_then(|status| status.webhook_path.clone());
            (known.unwrap_or_default(), unready(id), Err(why))
        }
    };
    let listener = Listener {
        resources: spec.resources.clone(),
        secret: spec
            .secret_ref
            .as_ref()
            .and_then(|secret| secret.name.parse().ok()),
        hook: (!path.is_empty()).then(|| (path.clone(), Arc::new(judged))),
    };
    let missing = ctx.index.write(|all| {
        all.touch.apply_receiver(id, listener);
        all.touch.named_by(id).missing
    });
    match ended {
        Err(why) => ReceiverOutcome::Failed(why),
        Ok(()) if spec.suspend => ReceiverOutcome::Suspended,
        Ok(()) => ReceiverOutcome::Listening { path, missing },
    }
}

/// What it asks for.
pub(super) fn parse(object: &Receiver) -> Result<Wanted, Explained> {
    Wanted::parse(&object.spec).map_err(|why| Explained::of(&why))
}

/// What lets nobody in.
fn unready(id: &NamespacedName) -> Hook {
    Hook {
        receiver: id.clone(),
        kind: ReceiverType::Generic,
        token: Token::nobodys(),
        google: None,
        issuers: Vec::new(),
        events: Vec::new(),
        filters: Filters::default(),
        standing: Standing::NotReady,
    }
}

/// By whom the Receiver is called, and what proves it.
async fn hook(ctx: &Context, id: &NamespacedName, object: &Receiver) -> Result<Hook, Explained> {
    let wanted = parse(object)?;
    let (mut token, mut google) = (Token::nobodys(), None);
    if let Some(name) = &wanted.secret {
        let owner = ctx.secret_owner(&id.namespace);
        let data = ctx.cluster.secret(&owner, name).await.map_err(|why| {
            let why = Explained::of(&why);
            Explained {
                reason: Reason::TokenNotFound,
                ..why
            }
        })?;
        let secret = format!("{}/{name}", id.namespace);
        token = Token::parse(data.get("token"), &secret).map_err(|why| Explained::of(&why))?;
        if wanted.kind == ReceiverType::Gcr {
            let parsed = Google::parse(data.get("email"), data.get("audience"), &secret);
            google = Some(parsed.map_err(|why| Explained::of(&why))?);
        }
    }
    Ok(Hook {
        receiver: id.clone(),
        kind: wanted.kind,
        token,
        google,
        issuers: wanted.issuers,
        events: wanted.events,
        filters: wanted.filters,
        standing: match wanted.suspend {
            true => Standing::Suspended,
            false => Standing::Open,
        },
    })
}
