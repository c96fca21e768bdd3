//! The hooks of entries of git configuration: whether what proves their calls is still what it was.
//!
//! A change of a level that is watched wakes the sources, and their runs find it. What is not watched is looked at here, as often
//! as the Secret of a Receiver: one look for an entry, however many sources it is called for, and none at a repository. What it
//! deliberately doesn't: open a hook; a source's run does that (`source/polling`).

use std::collections::BTreeSet;
use std::time::Duration;

use reeve_api::name::NamespacedName;
use reeve_core::failure::Explained;
use reeve_core::index::{EntryHook, Standing};
use reeve_core::schedule::Next;

use super::UNREAD;
use crate::cluster::SecretOwner;
use crate::context::Context;
use crate::controller::source::polling;
use crate::levels;

/// How often the secret of an entry is looked at. That of a Receiver is, if nobody says otherwise.
const LOOKED_AT: Duration = Duration::from_secs(600);

/// Looks at the entry whose calls are counted by this; None: there is none. With another secret, or none, nobody calls where it was
/// called before; while nobody can say, calls are turned away.
pub(super) async fn renew(ctx: &Context, id: &NamespacedName) -> Option<Next> {
    let by = ctx.index.read(|known| known.touch.entry(id).cloned())?;
    let (left, next) = match path(ctx, &by).await {
        Ok(Some(path)) if path == by.path && by.hook.standing == Standing::Open => {
            (BTreeSet::new(), Next::After(LOOKED_AT))
        }
        Ok(_) => {
            let left = ctx.index.write(|known| known.touch.remove_entry(id));
            // Nobody hears what is called here until the forge calls elsewhere.
            super::miss(ctx, left);
            (BTreeSet::new(), Next::Watch)
        }
        Err(why) => {
            tracing::warn!(entry = %by.entry, error = %why, "the webhookSecret cannot be used; its calls are turned away");
            let left = ctx.index.write(|known| known.touch.shut_entry(id));
            (left, Next::After(UNREAD))
        }
    };
    // They find out what tells of their changes from now on.
    super::leave(ctx, left);
    Some(next)
}

/// Where it is called by what its level says now; None: it is not.
async fn path(ctx: &Context, by: &EntryHook) -> Result<Option<String>, Explained> {
    let owner = SecretOwner::connected(&ctx.home);
    let level = std::slice::from_ref(&by.level);
    let read = levels::read(&ctx.cluster, &owner, level).await?;
    let secret = read.first().and_then(|level| by.entry.secret(&level.file));
    let Some(secret) = secret else {
        return Ok(None);
    };
    let token = polling::token(ctx, secret).await?;
    Ok(Some(by.entry.path(&token)))
}
