//! What a GitRepository fetches must be signed, where it says so.
//!
//! The keys are read as whoever owns the namespace, at each run and before anybody else is asked: a key that is taken out of
//! the Secret stops counting at once, whether the forge answers or not, whatever was pushed since, and of a suspended source
//! too. What was verified stays in force while what follows it is not, as in Flux; but rules are told that it no longer is,
//! once it would not be any more. Judging a signature, and how long that counts, is `core::signature`'s, reading what is
//! signed `git`'s.

use std::sync::Arc;
use std::time::Duration;

use reeve_api::name::NamespacedName;
use reeve_api::reason::Reason;
use reeve_api::source::GitRepository;
use reeve_core::failure::{Explained, Turn, chain};
use reeve_core::signature::{Trusted, Verdict};
use reeve_core::source::Verify;

use super::Users;
use super::login::secret;
use crate::context::Context;
use crate::git::{self, Snapshot};

/// How long reading the keys, and looking at what is in store with them, may take.
const PATIENCE: Duration = Duration::from_secs(20);

/// What must be signed, and the keys that may have.
pub(super) struct Asked {
    verify: Verify,
    trusted: Arc<Trusted>,
}

/// What is asked for, after what is in store was held against it; None: nothing. While the keys cannot be read, nobody counts as
/// having signed.
pub(super) async fn review(
    ctx: &Context,
    id: &NamespacedName,
    object: &GitRepository,
) -> Result<Option<Asked>, Explained> {
    if object.spec.verify.is_none() {
        return Ok(None);
    }
    let work = async {
        let asked_for = asked(ctx, id, object).await?;
        if let Some(asked_for) = &asked_for {
            look_again(ctx, id, asked_for).await;
        }
        Ok(asked_for)
    };
    let late = |_| {
        let message = format!("public keys secret error: it took over {PATIENCE:?}");
        Err(Explained::new(
            Reason::VerificationError,
            Turn::Retry,
            message,
        ))
    };
    let work = tokio::time::timeout(PATIENCE, work).await;
    let reviewed = work.unwrap_or_else(late);
    if reviewed.is_err() {
        settle(ctx, id, None);
    }
    reviewed
}

/// What is asked for; None: nothing.
pub(super) async fn asked(
    ctx: &Context,
    id: &NamespacedName,
    object: &GitRepository,
) -> Result<Option<Asked>, Explained> {
    let Some(verify) = &object.spec.verify else {
        return Ok(None);
    };
    let verify = Verify::parse(verify).map_err(|why| Explained::of(&why))?;
    let data = secret(ctx, id, &verify.secret).await.map_err(|why| {
        let message = format!("public keys secret error: {}", why.message);
        let told = Explained::new(Reason::VerificationError, why.turn, message);
        match why.hint {
            Some(hint) => told.with_hint(hint),
            None => told,
        }
    })?;
    let trusted = Trusted::read(&data).map_err(|why| {
        let at = format!("{}/{}", id.namespace, verify.secret);
        let message = format!("public keys secret error: secret '{at}': {}", chain(&why));
        let hint = "an OpenPGP key goes under a name that ends with .asc (`gpg --armor --export`), SSH keys under one that ends with .sshpub, a line each";
        Explained::new(Reason::VerificationError, Turn::Retry, message).with_hint(hint)
    })?;
    Ok(Some(Asked {
        verify,
        trusted: Arc::new(trusted),
    }))
}

impl Asked {
    /// What is to be fetched, with the tag if that must be signed.
    pub(super) fn of(&self, resolved: git::Resolved) -> git::Resolved {
        match self.verify.mode.wants_tag() {
            true => resolved.with_tag(),
            false => resolved,
        }
    }

    /// Whether that is known of what is stored.
    pub(super) fn is_met_by(&self, stored: Option<&Verdict>) -> bool {
        stored.is_some_and(|by| by.is_met_by(&self.verify, &self.trusted.digest()))
    }

    /// Finds out who signed it. Until then nothing of it is used.
    pub(super) async fn check(
        &self,
        ctx: &Context,
        snapshot: &Snapshot,
    ) -> Result<Verdict, Explained> {
        let (mode, trusted) = (self.verify.mode, Arc::clone(&self.trusted));
        let at = ctx.clock.now();
        let checked = git::verify(snapshot, mode, trusted, at).await;
        Ok(Verdict {
            by: checked.map_err(|why| Explained::of(&why))?,
            asked: self.verify.clone(),
            keys: self.trusted.digest(),
            at,
            doubted: false,
        })
    }
}

/// Finds out once more who signed what is in store, where that was found out with other keys or long ago.
async fn look_again(ctx: &Context, id: &NamespacedName, asked_for: &Asked) {
    let (keys, now) = (asked_for.trusted.digest(), ctx.clock.now());
    let due = ctx.index.read(|known| {
        let stored = known.stored.get(id)?;
        let verdict = stored.verified.as_ref()?;
        let due = verdict.is_due(&asked_for.verify, &keys, now);
        due.then(|| stored.snapshot.clone())
    });
    let Some(snapshot) = due else {
        return;
    };
    let found = asked_for.check(ctx, &snapshot).await;
    if let Err(why) = &found {
        let why = why.message.as_str();
        tracing::info!(why, "what is in store counts as signed by nobody");
    }
    settle(ctx, id, found.ok());
}

/// What was `found` out of what is in store counts from now on; None: that nobody did whom it takes. Who uses it is asked about
/// it again when that is news.
fn settle(ctx: &Context, id: &NamespacedName, found: Option<Verdict>) {
    let users = ctx.index.write(|known| {
        // Only a run of this source, of which there is one at a time, puts anything else in its place.
        let verdict = known.stored.get_mut(id)?.verified.as_mut()?;
        let now = verdict.after(found);
        let news = now.differs(verdict);
        *verdict = now;
        news.then(|| Users::of(known, id))
    });
    if let Some(users) = users {
        users.wake(ctx);
    }
}
