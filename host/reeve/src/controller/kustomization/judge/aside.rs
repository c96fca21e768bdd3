//! Policy is asked about what is only looked at: what it says is told to whoever proposed that, and to nobody else.
//!
//! Nothing of it is kept, counted or reported, and no answer of a run is taken for one about it. It is let pass by the same types
//! as anything else: without an account that policy has let pass, nobody asks the API server.

use std::sync::Arc;

use reeve_api::kustomization::Kustomization;
use reeve_core::admit::{self, AdmittedSpec, Denied};
use reeve_core::failure::Explained;
use reeve_core::plan::{Admitted, Plan, Proposed};
use reeve_core::spec::Spec;
use reeve_core::tenancy::Tenant;
use reeve_core::veil::Veil;
use tokio::task::block_in_place;

use super::{Wanted, names, over, recall, shown, still_reading};
use crate::context::Context;
use crate::index::Stored;
use crate::others::Files;

/// Lets the spec pass, for what would be carried out with `stored`; or says who objects.
pub(in crate::controller::kustomization) async fn spec(
    ctx: &Context,
    object: &Kustomization,
    tenant: &Tenant,
    spec: Spec,
    stored: &Stored<Files>,
) -> Result<Result<AdmittedSpec, Denied>, Explained> {
    let pending = ctx.index.read(|known| {
        let mut pending = names(known, object);
        pending.retain(|name| !known.in_force.contains_key(name));
        (!known.policies_listed || !pending.is_empty()).then_some(pending)
    });
    if let Some(pending) = pending {
        return Err(still_reading(&pending));
    }
    let shown = shown(object)?;
    let _place = ctx.judging.take(&turn(tenant)).await;
    let over = over(ctx, object, &spec.source, Some(stored));
    let around = over.around(ctx, tenant, Veil::nothing());
    let judged = block_in_place(|| admit::spec(&over.rules, &around, &shown, spec, None));
    Ok(judged.map(|(admitted, _)| admitted))
}

/// Lets the plan pass, or says who objects; `known` is what must not be told of what is applied.
pub(in crate::controller::kustomization) async fn plan(
    ctx: &Arc<Context>,
    object: &Kustomization,
    wanted: &Wanted,
    proposed: Plan<Proposed>,
    (veil, known): (&Veil, &Veil),
) -> Result<Plan<Admitted>, Denied> {
    let spec = &wanted.spec;
    let look = || over(ctx, object, &spec.source, Some(&wanted.stored));
    let (mut over, mut applied) = (look(), None);
    if spec.is_judged() && over.rules.want_previous() {
        // What is proposed holds no value of a Secret, and what was applied is not to be told from it by one.
        let found = recall::read(ctx, object, spec).await;
        applied = found.map(|found| found.without(known));
    }
    let _place = ctx.judging.take(&turn(&wanted.tenant)).await;
    over = look();
    let around = over.around(ctx, &wanted.tenant, veil);
    let judge = || admit::plan(&over.rules, &around, spec, proposed, applied.as_ref(), None);
    block_in_place(judge).map(|(plan, _)| plan)
}

/// What is only looked at waits for others that are, and keeps nobody's run.
fn turn(tenant: &Tenant) -> String {
    format!("{}, looking", tenant.name)
}
