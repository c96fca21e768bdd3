//! What is told of what others change.

use reeve_api::kustomization::Kustomization;
use reeve_api::reason::Reason;
use reeve_core::drift::{self, Drifted, Fought};
use reeve_core::inventory::ObjectId;

use super::warn;
use crate::context::Context;

/// Says which objects stay as others made them.
pub(in crate::controller) fn drifted(ctx: &Context, object: &Kustomization, drifted: &[Drifted]) {
    if !drifted.is_empty() {
        warn(ctx, object, Reason::DriftDetected, &drift::words(drifted));
    }
}

/// Says who keeps changing an object.
pub(in crate::controller) fn fought(
    ctx: &Context,
    object: &Kustomization,
    id: &ObjectId,
    fight: &Fought,
) {
    warn(
        ctx,
        object,
        Reason::DriftDisputed,
        &drift::fought(id, fight),
    );
}
