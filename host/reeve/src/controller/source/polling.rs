//! How the changes of a source come to be known, where git configuration has a say in it: how often its repository is asked, and
//! which entry's hook tells of pushes.
//!
//! How often is the object's own to leave to git configuration (`reeve.dev/polling: git-config`); the hook of an entry calls for
//! every source that asks its level for anything. Which entry it is, `core::gitconfig` says. A secret that cannot be read opens no
//! hook, and stops no fetch: changes are found by asking. What it deliberately doesn't: judge calls, or keep a secret but as what
//! they are held against.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use reeve_api::name::{NamespacedName, ObjectName};
use reeve_api::reason::Reason;
use reeve_api::source::{GitRepository, PollingOrigin};
use reeve_core::failure::{Explained, Turn};
use reeve_core::gitconfig::{DEFAULT_INTERVAL, GUESSABLE, Hidden, hook_entry, hook_token};
use reeve_core::index::{EntryHook, Hook, Standing, Target};
use reeve_core::schedule::Next;
use reeve_core::source::Wanted;
use reeve_core::webhook::{Filters, Token};

use super::given::{self, Weighed};
use super::parse;
use crate::cluster::SecretOwner;
use crate::context::Context;
use crate::controller::{heard, proposals};
use crate::levels;

/// How soon what could not be read is read again, by who only listens.
const AGAIN: Duration = Duration::from_secs(60);

/// Puts what levels say of a source in force. Whether all of it could be read.
pub(super) async fn settle(ctx: &Context, wanted: &Wanted, weighed: &Weighed) -> bool {
    let by = hook(ctx, weighed).await;
    let told = told(wanted, weighed, &by);
    if let Err(why) = &by {
        tracing::warn!(source = %wanted.id, error = %why, "an entry of git configuration is not called, since its webhookSecret cannot be used");
    }
    let (whole, own) = (by.is_ok(), Target::Source(wanted.id.clone()));
    let by = by.ok().flatten();
    let id = by.as_ref().map(|by| by.hook.receiver.clone());
    let (news, moved) = ctx.index.write(|known| {
        if !known.sources.contains_key(&wanted.id) {
            return (false, BTreeSet::new());
        }
        let moved = by.as_ref().map(|by| known.touch.moved_by(by));
        let news = known.touch.call_source(&wanted.id, by);
        (news, moved.unwrap_or_default())
    });
    // What is called at the path before this one nobody hears any more: this run looks, and so do the others.
    for source in moved.into_iter().map(Target::Source) {
        heard::missed(ctx, &source);
        proposals::may_be_called(ctx, &source);
        if source != own {
            ctx.queues.wake(source);
        }
    }
    heard::polling(ctx, &wanted.id, told);
    if let Some(id) = id.filter(|_| news) {
        // From now on its secret is looked at now and then.
        ctx.queues.receivers.wake(id);
    }
    whole
}

/// The same for a source that has a login of its own, for which levels are read only if it asks for that.
pub(super) async fn alone(ctx: &Context, wanted: &Wanted) -> Result<(), Explained> {
    let weighed = match wanted.polled_as_configured {
        true => given::weighed(ctx, wanted, false).await?,
        false => {
            given::unasked(ctx, &wanted.id);
            Weighed::default()
        }
    };
    settle(ctx, wanted, &weighed).await;
    Ok(())
}

/// The same of a replica that neither works for the source nor needs it: it is called all the same.
pub(super) async fn learn(ctx: &Context, object: &GitRepository) -> Next {
    let Ok(Some(wanted)) = parse(object) else {
        return Next::Watch;
    };
    let asks = !given::has_own(&wanted) || wanted.polled_as_configured;
    if !asks || given::waits(ctx, object) {
        return Next::Watch;
    }
    let whole = match given::weighed(ctx, &wanted, false).await {
        Ok(weighed) => settle(ctx, &wanted, &weighed).await,
        // Whoever works for it says so.
        Err(why) => {
            tracing::debug!(source = %wanted.id, error = %why, "what calls for it cannot be told");
            false
        }
    };
    match whole {
        true => Next::Watch,
        false => Next::After(AGAIN),
    }
}

/// The Secret beside the file that the hook's secret is in.
pub(super) fn referred(weighed: &Weighed) -> Option<ObjectName> {
    match hook_entry(&weighed.levels, weighed.found.polling.as_ref())? {
        (_, Hidden::Key { secret, .. }) => Some(secret.clone()),
        (_, Hidden::Text(_) | Hidden::Path(_)) => None,
    }
}

/// What calls of an entry are proved by.
pub(in crate::controller) async fn token(
    ctx: &Context,
    secret: &Hidden,
) -> Result<Token, Explained> {
    let owner = SecretOwner::connected(&ctx.home);
    let text = levels::reveal(&ctx.cluster, &owner, secret).await?;
    hook_token(text.expose().as_bytes()).map_err(|why| Explained::of(&why))
}

/// The hook of the entry that says how changes of the repository come to be known, if it has one.
async fn hook(ctx: &Context, weighed: &Weighed) -> Result<Option<EntryHook>, Explained> {
    let found = hook_entry(&weighed.levels, weighed.found.polling.as_ref());
    let Some((entry, secret)) = found else {
        return Ok(None);
    };
    let mut named = weighed.named.iter();
    let Some(level) = named.find(|(name, _)| name == entry.level()) else {
        return Ok(None);
    };
    let token = token(ctx, secret).await?;
    let hook = Hook {
        receiver: counted_by(ctx, entry.id(&ctx.home))?,
        kind: entry.kind(),
        token,
        google: None,
        issuers: Vec::new(),
        events: Vec::new(),
        filters: Filters::default(),
        standing: Standing::Open,
    };
    Ok(Some(EntryHook {
        path: entry.path(&hook.token),
        hook: Arc::new(hook),
        entry,
        level: level.clone(),
    }))
}

fn counted_by<E: std::fmt::Display>(
    ctx: &Context,
    id: Result<NamespacedName, E>,
) -> Result<NamespacedName, Explained> {
    id.map_err(|why| {
        let message = format!("an entry has no name in {}: {why}", ctx.home);
        Explained::new(Reason::ValidationFailed, Turn::Ours, message)
    })
}

fn told(
    wanted: &Wanted,
    weighed: &Weighed,
    by: &Result<Option<EntryHook>, Explained>,
) -> PollingOrigin {
    let own = wanted.polled_as_configured;
    if !own && matches!(by, Ok(None)) {
        return PollingOrigin::default();
    }
    let part = weighed.found.polling.as_ref();
    let every = part.map_or(DEFAULT_INTERVAL, |part| part.value.every());
    let entry = part.and_then(|part| part.entry.as_ref());
    let called = by.as_ref().ok().and_then(Option::as_ref);
    let guessable = called.is_some_and(|by| by.hook.token.is_guessable());
    PollingOrigin {
        entry: entry.map(|entry| format!("{} ({})", entry.at, entry.means)),
        every: own.then(|| every.into()),
        hook: called.map(|by| by.path.clone()),
        level: part.map(|part| part.level.to_string()),
        problem: by.as_ref().err().map(|why| why.message.clone()),
        warning: guessable.then(|| GUESSABLE.to_owned()),
    }
}
