//! What a run finds that others have changed: put right, or left and told.
//!
//! Only what was wanted before just as it is now has been changed by others; anything else is a change in git, and is
//! applied. What was wanted last is remembered for as long as the process leads. Before that is known again, the last run
//! may have wanted exactly this, by its digest in the status.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use reeve_api::kustomization::Kustomization;
use reeve_api::name::NamespacedName;
use reeve_api::reason::Reason;
use reeve_core::drift::{Drifted, Sight, Stood, Untouched};
use reeve_core::inventory::Inventory;
use reeve_core::plan::Planned;

use super::{Prepared, Wanted};
use crate::cluster::Difference;
use crate::context::Context;
use crate::controller::report;
use crate::observe::drift::{self as observed, DriftResult};

/// Looks at what differs in one run.
pub(super) struct Observer {
    ctx: Arc<Context>,
    object: Arc<Kustomization>,
    id: NamespacedName,
    tenant: String,
    /// How often everything is compared.
    interval: Duration,
    /// Whether nothing of the Kustomization is put right.
    reports: bool,
    /// Whether all of it is one wave: nothing waits for the health of what a watch has not shown to change.
    at_once: bool,
    /// What was there after the last run, if that wanted exactly this.
    before: Option<Inventory>,
    news: Mutex<Vec<Drifted>>,
}

impl Observer {
    pub(super) fn new(
        ctx: &Arc<Context>,
        object: &Arc<Kustomization>,
        wanted: &Wanted,
        prepared: &Prepared,
    ) -> Self {
        let same = is_what_was_applied(object, &prepared.digest);
        let account = wanted.spec.account();
        // Other WriteBacks leave other fields alone: what stood by those before is compared anew.
        let account = format!("{account}, {:x}", wanted.client.yields());
        let generation = object.metadata.generation.unwrap_or_default();
        let connection = wanted.client.connection();
        ctx.drift.works_on(&wanted.spec.id, connection);
        ctx.drift.acts_as(&wanted.spec.id, &account, generation);
        Self {
            ctx: Arc::clone(ctx),
            object: Arc::clone(object),
            id: wanted.spec.id.clone(),
            tenant: wanted.tenant.name.to_string(),
            interval: wanted.spec.interval,
            reports: wanted.spec.reports_drift,
            at_once: prepared.plan.course().nth(1).is_none(),
            before: same.then(|| wanted.inventory.clone()),
            news: Mutex::default(),
        }
    }

    pub(super) fn stands(&self, object: &Planned, sight: Sight) {
        self.ctx.drift.stands(&self.ctx, &self.id, object, sight);
    }

    pub(super) fn replaces(&self, object: &Planned) {
        self.ctx.drift.replaces(&self.id, object.id());
    }

    /// How the object looks if it need not be compared again: until the interval is over nothing is found by that which its
    /// claims do not show.
    pub(super) fn stood(&self, object: &Planned) -> Option<Stood> {
        let drift = &self.ctx.drift;
        let stood = drift.stood(&self.ctx, &self.id, object, self.interval)?;
        Some(Stood {
            watched: stood.watched && self.at_once,
            ..stood
        })
    }

    /// Whether git has another manifest of the object than it was last found or made as. Where others' changes are only told it is
    /// compared in any case.
    pub(super) fn is_changed(&self, object: &Planned) -> bool {
        let wanted = self.ctx.drift.wanted(&self.id, object.id());
        !self.reports && wanted.is_some_and(|wanted| wanted != object.digest())
    }

    /// How the object looks that nobody has touched since, and the digest of the manifest by which it was left.
    pub(super) fn untouched(&self, object: &Planned) -> Option<Untouched> {
        let drift = &self.ctx.drift;
        drift.untouched(&self.ctx, &self.id, object.id(), self.interval)
    }

    /// Whether the object stays as it is.
    pub(super) fn leaves(&self, object: &Planned, difference: &Difference) -> bool {
        if !self.is_by_others(object) {
            return false;
        }
        let id = object.id();
        let tell = |result| {
            self.ctx.metrics.tell(&observed::Drifted {
                tenant: &self.tenant,
                id,
                result,
            });
        };
        if !self.reports && !difference.reported {
            tell(DriftResult::Corrected);
            return false;
        }
        let drifted = Drifted {
            id: id.clone(),
            fields: difference.fields.clone(),
        };
        let mut hash = DefaultHasher::new();
        drifted.hash(&mut hash);
        let drift = &self.ctx.drift;
        if drift.leaves(&self.ctx, &self.id, object, difference.sight, hash.finish()) {
            tell(DriftResult::Reported);
            let mut news = self.news.lock().unwrap_or_else(PoisonError::into_inner);
            news.push(drifted);
        }
        true
    }

    /// Tells what is new of what was left.
    pub(super) fn tell(&self) {
        let news = std::mem::take(&mut *self.news.lock().unwrap_or_else(PoisonError::into_inner));
        report::drifted(&self.ctx, &self.object, &news);
    }

    fn is_by_others(&self, object: &Planned) -> bool {
        match self.ctx.drift.wanted(&self.id, object.id()) {
            Some(wanted) => wanted == object.digest(),
            None => {
                let before = self.before.as_ref();
                before.is_some_and(|before| before.contains(object.id()))
            }
        }
    }
}

/// Whether the last run applied all of exactly this, for exactly this spec.
fn is_what_was_applied(object: &Kustomization, digest: &str) -> bool {
    let Some(status) = &object.status else {
        return false;
    };
    let (last, succeeded) = (status.history.first(), Reason::ReconciliationSucceeded);
    let succeeded = succeeded.as_str();
    status.observed_generation == object.metadata.generation
        && last
            .is_some_and(|last| last.digest == digest && last.last_reconciled_status == succeeded)
}
