//! A Receiver gets its path, and what is called there wakes what it names.
//!
//! A call is judged by `core::webhook` in the server; what arrives here was accepted ([`wake`]). A name that isn't there is
//! said in the status, and the others are woken all the same. Where it names a provider, the forge is told whom to call
//! (`hooks`). What entries of git configuration are called for is woken in the same way (`entries`).

mod entries;
mod hooks;
mod wake;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use reeve_api::name::NamespacedName;
use reeve_api::reason::Reason;
use reeve_api::receiver::{Receiver, ReceiverType};
use reeve_core::failure::{Explained, Turn};
use reeve_core::index::{Hook, Listener, Standing, Target};
use reeve_core::schedule::Next;
use reeve_core::status::ReceiverOutcome;
use reeve_core::webhook::{Filters, Google, Token, Wanted};

use super::report::{self, Run};
use super::{heard, proposals, sharing};
use crate::context::Context;
use crate::index::Known;

pub(crate) use wake::answer_nudges;

/// How soon a Receiver is looked at again whose token could not be read, by who only listens.
const UNREAD: Duration = Duration::from_secs(60);

/// One run.
pub(super) async fn reconcile(ctx: &Arc<Context>, id: &NamespacedName) -> Next {
    let Some(object) = ctx.index.read(|known| known.receivers.get(id).cloned()) else {
        return entries::renew(ctx, id).await.unwrap_or(Next::Watch);
    };
    if object.metadata.deletion_timestamp.is_some() {
        let (left, heir) = ctx.index.write(|known| {
            let left = known.touch.sources_woken_by(id);
            (left, known.touch.remove_receiver(id))
        });
        leave(ctx, left);
        if let Some(heir) = heir {
            ctx.queues.receivers.wake(heir);
        }
        return match hooks::part(ctx, id, &object).await {
            Some(pause) => Next::After(pause),
            None => report::farewell(ctx, &*object).await,
        };
    }
    let run = Run::begin(ctx, Target::Receiver(id.clone()), &*object);
    let outcome = match report::adopt(ctx, &*object, &run).await {
        Ok(()) => listen(ctx, id, &object).await,
        Err(why) => ReceiverOutcome::Failed(why),
    };
    let hooks = match &outcome {
        ReceiverOutcome::Listening { path, .. } => {
            Some(hooks::tend(ctx, id, &object, &run, path).await)
        }
        // Nobody says that they are not wanted.
        ReceiverOutcome::Suspended | ReceiverOutcome::Failed(_) => None,
    };
    if hooks.as_ref().is_some_and(|hooks| hooks.changed) {
        let woken = ctx.index.read(|known| known.touch.sources_woken_by(id));
        for source in woken.into_iter().map(Target::Source) {
            proposals::may_be_called(ctx, &source);
            if !sharing::ask(ctx, &source) {
                ctx.queues.wake(source);
            }
        }
    }
    let hooks = hooks.map(|hooks| hooks.outcome);
    report::receiver(ctx, &object, run, outcome, hooks).await
}

/// A run of a replica that doesn't work for the Receiver, but is called too: it learns what is called for, and tells nothing.
pub(super) async fn learn(ctx: &Arc<Context>, id: &NamespacedName) -> Next {
    let Some(object) = ctx.index.read(|known| known.receivers.get(id).cloned()) else {
        return entries::renew(ctx, id).await.unwrap_or(Next::Watch);
    };
    if object.metadata.deletion_timestamp.is_some() {
        let heir = ctx.index.write(|known| known.touch.remove_receiver(id));
        heir.into_iter()
            .for_each(|heir| ctx.queues.receivers.wake(heir));
        return Next::Watch;
    }
    match listen(ctx, id, &object).await {
        ReceiverOutcome::Failed(_) => Next::After(object.spec.interval.get().min(UNREAD)),
        ReceiverOutcome::Listening { .. } | ReceiverOutcome::Suspended => {
            Next::After(object.spec.interval.get())
        }
    }
}

async fn listen(ctx: &Context, id: &NamespacedName, object: &Receiver) -> ReceiverOutcome {
    let spec = &object.spec;
    let hook = hook(ctx, id, object).await;
    let (path, computed, judged, ended) = match hook {
        Ok(hook) => {
            let path = hook.token.path(id.name.as_str(), id.namespace.as_str());
            (path, true, hook, Ok(()))
        }
        // A path that was known stays known while something is wrong, so that callers read 503 and not 404.
        Err(why) => {
            let (path, computed) = known_path(ctx, id, object);
            (path, computed, unready(id), Err(why))
        }
    };
    let created = object.metadata.creation_timestamp.as_ref();
    let listener = Listener {
        resources: spec.resources.clone(),
        secret: spec
            .secret_ref
            .as_ref()
            .and_then(|secret| secret.name.parse().ok()),
        hook: (!path.is_empty()).then(|| (path.clone(), Arc::new(judged))),
        computed,
        since: created.map(|created| created.0),
    };
    let told = object.status.as_ref();
    let told = told.and_then(|status| status.webhook_path.as_deref());
    let known = |all: &Known| Some(all.touch.computed_path(id).or(told)? != path);
    let is_moved = ended.is_ok() && ctx.index.read(known) == Some(true);
    let (missing, before, holder, left) = ctx.index.write(|all| {
        let before = all.touch.holder(&path).cloned();
        let mut left = all.touch.sources_woken_by(id);
        all.touch.apply_receiver(id, listener);
        let now = all.touch.sources_woken_by(id);
        left.retain(|source| !now.contains(source));
        let missing = all.touch.named_by(id).missing;
        (missing, before, all.touch.holder(&path).cloned(), left)
    });
    leave(ctx, left);
    if is_moved {
        let woken = ctx.index.read(|all| all.touch.sources_woken_by(id));
        miss(ctx, woken);
    }
    let taken = holder.as_ref().is_some_and(|holder| holder != id);
    if before != holder {
        // Whoever has lost the path, or has it now, says so.
        let others = [before, holder].into_iter().flatten();
        others
            .filter(|other| other != id)
            .for_each(|other| ctx.queues.receivers.wake(other));
    }
    match ended {
        Err(why) => ReceiverOutcome::Failed(why),
        Ok(()) if spec.suspend => ReceiverOutcome::Suspended,
        Ok(()) if taken => ReceiverOutcome::Failed(path_taken()),
        Ok(()) => ReceiverOutcome::Listening { path, missing },
    }
}

/// Nobody calls for these any more: they find out themselves how often they ask from now on.
fn leave(ctx: &Context, sources: BTreeSet<NamespacedName>) {
    let wake = |source| ctx.queues.sources.wake(source);
    sources.into_iter().for_each(wake);
}

/// Somebody else calls for these from now on, or the same elsewhere, and what is called where they were called for until now nobody
/// hears: they look themselves, and are asked as often as their interval says until a call tells what is there.
fn miss(ctx: &Context, sources: BTreeSet<NamespacedName>) {
    for source in sources.into_iter().map(Target::Source) {
        heard::missed(ctx, &source);
        proposals::may_be_called(ctx, &source);
        ctx.queues.wake(source);
    }
}

/// The path of a Receiver that cannot be computed now, and whether it was; empty: there is none.
fn known_path(ctx: &Context, id: &NamespacedName, object: &Receiver) -> (String, bool) {
    let status = object.status.as_ref();
    let told = status.and_then(|status| status.webhook_path.as_deref());
    ctx.index.read(|known| {
        if let Some(path) = known.touch.computed_path(id) {
            return (path.to_owned(), true);
        }
        // Whoever may write a status can name any path there: only one that nobody else has is taken from it.
        let free = |path: &&str| known.touch.holder(path).is_none_or(|holder| holder == id);
        (told.filter(free).unwrap_or_default().to_owned(), false)
    })
}

/// Says nothing of whose it is: that may be another tenant.
fn path_taken() -> Explained {
    let message = "the path of this Receiver is that of an older Receiver, which is the one that is called there";
    let hint = "give this Receiver another name, or its Secret another token";
    Explained::new(Reason::PathTaken, Turn::Retry, message).with_hint(hint)
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
