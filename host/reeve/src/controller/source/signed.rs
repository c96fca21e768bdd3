//! What a GitRepository fetches must be signed, where it says so.
//!
//! The keys are read as whoever owns the namespace, at each run: a key that is taken out of the Secret stops counting at
//! once. What was verified stays in force while what follows it is not, as in Flux; but rules are told that it no longer
//! is, once it would not be any more. Judging a signature is `core::signature`'s, reading what is signed `git`'s.

use std::sync::Arc;

use reeve_api::name::NamespacedName;
use reeve_api::reason::Reason;
use reeve_core::artifact::Revision;
use reeve_core::failure::{Explained, Turn, chain};
use reeve_core::signature::Trusted;
use reeve_core::source::{Verify, Wanted};

use super::{Users, secret};
use crate::context::Context;
use crate::git::{self, Snapshot};
use crate::index::Verified;

/// What must be signed, and the keys that may have.
pub(super) struct Asked {
    verify: Verify,
    trusted: Arc<Trusted>,
}

/// What is asked for; None: nothing.
pub(super) async fn asked(ctx: &Context, wanted: &Wanted) -> Result<Option<Asked>, Explained> {
    let Some(verify) = &wanted.verify else {
        return Ok(None);
    };
    let data = secret(ctx, wanted, &verify.secret).await.map_err(|why| {
        let message = format!("public keys secret error: {}", why.message);
        let told = Explained::new(Reason::VerificationError, why.turn, message);
        match why.hint {
            Some(hint) => told.with_hint(hint),
            None => told,
        }
    })?;
    let trusted = Trusted::read(&data).map_err(|why| {
        let at = format_args!("{}/{}", wanted.id.namespace, verify.secret).to_string();
        let message = format!("public keys secret error: secret '{at}': {}", chain(&why));
        let hint = "an OpenPGP key goes under a name that ends with .asc (`gpg --armor --export`), SSH keys under one that ends with .sshpub, a line each";
        Explained::new(Reason::VerificationError, Turn::Retry, message).with_hint(hint)
    })?;
    Ok(Some(Asked {
        verify: verify.clone(),
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
    pub(super) fn is_met_by(&self, stored: Option<&Verified>) -> bool {
        stored.is_some_and(|by| by.is_as(&self.verify) && by.keys == self.trusted.digest())
    }

    /// Finds out who signed it. Until then nothing of it is used.
    pub(super) async fn check(
        &self,
        ctx: &Context,
        snapshot: &Snapshot,
    ) -> Result<Verified, Explained> {
        let (mode, trusted) = (self.verify.mode, Arc::clone(&self.trusted));
        let checked = git::verify(snapshot, mode, trusted, ctx.clock.now()).await;
        Ok(Verified {
            by: checked.map_err(|why| Explained::of(&why))?,
            asked: self.verify.clone(),
            keys: self.trusted.digest(),
            doubted: false,
        })
    }
}

/// What is in store is of a revision that now counts as signed by nobody: rules are asked about it again.
pub(super) fn doubt(ctx: &Context, id: &NamespacedName, revision: &Revision, why: &Explained) {
    if !is_refusal(why.reason) {
        return;
    }
    let users = ctx.index.write(|known| {
        let stored = known.stored.get_mut(id)?;
        let of_it = stored.artifact.revision == *revision;
        let verified = stored.verified.as_mut();
        let verified = verified.filter(|verified| of_it && !verified.doubted)?;
        verified.doubted = true;
        Some(Users::of(known, id))
    });
    if let Some(users) = users {
        users.wake(ctx);
    }
}

/// Whether it was looked at, and nobody who is trusted had signed it.
fn is_refusal(reason: Reason) -> bool {
    matches!(
        reason,
        Reason::InvalidGitObject | Reason::InvalidTagSignature | Reason::InvalidCommitSignature
    )
}
