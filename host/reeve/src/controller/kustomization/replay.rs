//! Rules that are in force for nobody are asked about what was rendered last: nothing of it is kept, counted or carried out.
//!
//! What was rendered last is what policy has denied since, or else what was applied. The former lies on the disk since this
//! process leads, the latter is known by its digest in the status. Without either nobody can say; nor where it may hold
//! values of Secrets, and nobody knows which.

use std::sync::Arc;

use reeve_api::kustomization::{Kustomization, SubstituteKind};
use reeve_core::admit::{Answers, Circumstances, Rules, trial};
use reeve_core::spec::Spec;
use reeve_core::veil::Veil;

use super::{judge, recall};
use crate::context::Context;
use crate::index::Veils;

/// What each of these would say, or why nobody can say so.
pub(in crate::controller) async fn replay(
    ctx: &Arc<Context>,
    object: &Kustomization,
    asked: Vec<Rules>,
) -> Result<Vec<Answers>, String> {
    let spec = Spec::parse(object).map_err(|why| why.to_string())?;
    let shown = judge::shown(object).map_err(|why| why.message)?;
    let applied = recall::read(ctx, object, &spec).await;
    let denied = recall::read_denied(ctx, object, &spec).await;
    if applied.is_none() && denied.is_none() {
        return Err("what was rendered for it last is not known: reconcile it".to_owned());
    }
    let (tenant, source, veil) = ctx.index.read(|known| {
        let tenant = known.tenants.owner_of(&ctx.grounds, &spec.id.namespace);
        let veil = known.veils.get(&spec.id).map(Veils::both);
        (tenant, judge::facts(known, &spec.source), veil)
    });
    let tenant = tenant.map_err(|why| why.message)?;
    let mut from = spec.substitution.from.iter();
    let veil = match veil {
        Some(veil) => veil,
        None if from.any(|from| from.kind == SubstituteKind::Secret) => {
            return Err(
                "what of it comes from Secrets is not known since a restart: reconcile it"
                    .to_owned(),
            );
        }
        None => Veil::default(),
    };
    let ctx = Arc::clone(ctx);
    let judge = move || {
        let around = Circumstances {
            tenant: &tenant,
            grounds: &ctx.grounds,
            source: source.as_ref(),
            now: ctx.clock.now(),
            veil: &veil,
        };
        let rendered = denied.as_ref().or(applied.as_ref())?;
        let answers = asked.iter().map(|rules| {
            let subject = (&shown, &spec);
            trial::of_recollection(rules, &around, subject, rendered, applied.as_ref())
        });
        answers.collect::<Option<Vec<_>>>()
    };
    let judged = tokio::task::spawn_blocking(judge).await;
    let judged = judged.map_err(|crash| format!("judging it crashed: {crash}"))?;
    judged.ok_or_else(|| "what was rendered for it last cannot be shown to policy".to_owned())
}
