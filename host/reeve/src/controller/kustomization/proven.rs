//! What a Kustomization is known to have applied, for who found it gone and did not see it go (`writeback`).
//!
//! An inventory is written before the first write, and for all stages: it names what may be there, and is no proof that it ever was.
//! What was kept of the last run is, and what its revision gives now where `core::writeback::past` is sure of it. So the WriteBack
//! takes for deleted what a run leaves away (`recall::past`), and nothing else. It deliberately waits for nobody.

use std::sync::Arc;

use reeve_api::kustomization::Kustomization;
use reeve_core::admit::Recollection;
use reeve_core::writeback::past::{Sure, sure};

use super::applied::AsApplied;
use super::{parse, recall};
use crate::context::Context;

/// What `object` is known to have applied, of which `applied` was made anew; None: nobody knows.
pub(in crate::controller) async fn proof_of(
    ctx: &Arc<Context>,
    object: &Kustomization,
    applied: &AsApplied,
) -> Option<Recollection> {
    let spec = parse(object).ok().flatten()?;
    if let Some(kept) = recall::read(ctx, object, &spec).await {
        return Some(kept);
    }
    let made = Recollection::of_plan(&applied.plan);
    let revision = applied.files.revision().to_string();
    match sure(object, &revision, &made) {
        Sure::ByDigest | Sure::ByRevision => Some(made),
        Sure::Not => None,
    }
}
