//! Whose namespaces are by the label that they bear.
//!
//! The landlord labels what it makes, and whoever has one adopted does. `core::tenancy` says what follows from it; so it is known
//! whose everything is once all Tenants and all these labels are. Only namespaces that bear the label are watched, and of them the
//! metadata. It deliberately writes nothing to them.

use std::collections::BTreeSet;
use std::sync::Arc;

use futures::StreamExt as _;
use reeve_api::TENANT_LABEL;
use reeve_api::name::{NamespaceName, TenantName};
use reeve_core::landlord::Made;
use reeve_core::tenancy::Tenants;

use super::{elsewhere, levels, wake_concerned, wake_within};
use crate::cluster::{Change, Selection, resource};
use crate::context::Context;
use crate::index::Known;

/// Watches them, for as long as it is polled.
pub(super) async fn follow(ctx: Arc<Context>) {
    let labelled = Selection {
        labels: Some(TENANT_LABEL.to_owned()),
        ..Selection::default()
    };
    let namespaces = resource(Made::Namespace);
    let mut changes = ctx.cluster.watch_metadata(&namespaces, &labelled);
    let mut known: BTreeSet<NamespaceName> = BTreeSet::new();
    let mut seen: BTreeSet<NamespaceName> = BTreeSet::new();
    while let Some(change) = changes.next().await {
        match change {
            Change::Begin => seen.clear(),
            Change::Put(meta) => {
                let name = meta.name.as_deref();
                let Some(name) = name.and_then(|name| name.parse::<NamespaceName>().ok()) else {
                    continue;
                };
                let whose = meta.labels.as_ref();
                let whose = whose.and_then(|labels| labels.get(TENANT_LABEL));
                mark(&ctx, &name, whose.and_then(|whose| whose.parse().ok()));
                seen.insert(name.clone());
                known.insert(name);
            }
            // Metadata can always be read.
            Change::Bad(_) => {}
            // It is gone, or its label is.
            Change::Gone(id) => {
                if let Ok(name) = id.name.parse::<NamespaceName>() {
                    seen.remove(&name);
                    known.remove(&name);
                    mark(&ctx, &name, None);
                }
            }
            Change::Synced => {
                let gone = known.difference(&seen);
                gone.for_each(|name| mark(&ctx, name, None));
                known.clone_from(&seen);
                listed(&ctx, |known| known.marks_listed = true);
            }
        }
    }
}

/// All Tenants are known, or all labels. What waits for both begins with the second.
pub(super) fn listed(ctx: &Context, these: impl FnOnce(&mut Known)) {
    let all = ctx.index.write(|known| {
        these(known);
        known.tenants_listed = known.tenant_objects_listed && known.marks_listed;
        known.tenants_listed
    });
    if all {
        ctx.shards.tenants_are_known();
        levels::listed(ctx);
    }
}

fn mark(ctx: &Context, namespace: &NamespaceName, whose: Option<TenantName>) {
    hand_over(ctx, |tenants| tenants.mark(namespace, whose));
}

/// Namespaces have another tenant, or another bound, by what is known now: what is in them is looked at anew.
pub(super) fn hand_over(
    ctx: &Context,
    change: impl FnOnce(&mut Tenants) -> BTreeSet<NamespaceName>,
) {
    let touched = ctx.index.write(|known| {
        let touched = change(&mut known.tenants);
        ctx.shards.follow(&known.tenants, &touched);
        touched
    });
    if touched.is_empty() {
        return;
    }
    wake_within(ctx, &touched);
    elsewhere::wake_sources(ctx, &touched);
    wake_concerned(ctx, &touched, None);
}
