//! Kustomizations: who applies what, and who waits for whom.

use std::collections::BTreeSet;
use std::sync::Arc;

use kube::Resource as _;
use reeve_api::kustomization::Kustomization;
use reeve_api::name::{NamespacedName, ObjectName};
use reeve_core::depend;
use reeve_core::index::{Applier, Target};

use super::forges::News;
use super::{
    Followed, elsewhere, identified, is_superseded, labels, named, object_names,
    wake_receivers_naming, worth_a_run,
};
use crate::cluster::Id;
use crate::context::Context;
use crate::controller::report::wake_waiting_for;
use crate::controller::tenant::wake_namesake;
use crate::shards::Place;

impl Followed for Kustomization {
    fn put(ctx: &Context, object: Arc<Self>) {
        let Some(id) = named(object.meta()) else {
            return;
        };
        let object = match ctx.shards.stands_by() {
            true => lightened(object),
            false => object,
        };
        let reference = &object.spec.source_ref;
        let namespace = reference
            .namespace
            .as_deref()
            .filter(|text| !text.is_empty());
        let source = NamespacedName::new(
            namespace.unwrap_or(id.namespace.as_str()),
            reference.name.as_str(),
        );
        let (before, wake, news) = ctx.index.write(|known| {
            match source {
                Ok(source) => {
                    let labels = labels(object.meta());
                    let applier = Applier {
                        kind: reference.kind,
                        source,
                        labels,
                        secrets: read_by(&object),
                    };
                    known.touch.apply_kustomization(&id, applier);
                }
                // A source without a usable name wakes nobody; the run says what is wrong with it.
                Err(_) => known.touch.remove_kustomization(&id),
            }
            let before = known.kustomizations.insert(id.clone(), Arc::clone(&object));
            let wake = worth_a_run(before.as_ref(), &object);
            (before, wake, News::of(known, &id, &object))
        });
        news.tell(ctx, &id);
        ctx.planned.tell(&ctx.grounds, &id.namespace);
        let target = Target::Kustomization(id.clone());
        if is_superseded(before.as_ref(), &object) {
            ctx.underway.supersede(&target);
        }
        if before.is_none() {
            wake_receivers_naming(ctx, &target);
            wake_namesake(ctx, &id.namespace);
        }
        let told = before.as_ref().and_then(|before| before.status.as_ref());
        if wake || depend::has_news(told, object.status.as_ref()) {
            wake_waiting_for(ctx, &id);
            ctx.queues.writebacks.wake_all(ctx.wards.waiting_for(&id));
        }
        if wake {
            let place = Place::within(&ctx.grounds, &id.namespace);
            elsewhere::go_on(ctx, (&target, &place), before.as_ref(), &*object);
            ctx.queues.kustomizations.wake(id);
        }
    }

    fn gone(ctx: &Context, id: &Id) {
        let Some(id) = identified(id) else { return };
        let target = Target::Kustomization(id.clone());
        ctx.drift.forget(&target);
        let waited = ctx.index.write(|known| {
            known.touch.remove_kustomization(&id);
            known.touch.waits_no_more(&id);
            known.kustomizations.remove(&id);
            known.holdings.forget(&id);
            known.calls.strikes.forget_kustomization(&id);
            known.said.forget_kustomization(&id);
            known.reports.forget(&id);
            known.passed.remove(&id);
            known.recalled.remove(&id);
            known.veils.remove(&id);
            known.marks.remove(&id);
            known.awaiting.remove(&id);
            known.users.retain(|_, users| {
                users.remove(&id);
                !users.is_empty()
            });
            known.memory.remove(&target);
            known.holdings.heard(&id)
        });
        ctx.queues.kustomizations.wake_all(waited);
        ctx.renders.forget(&id);
        ctx.planned.tell(&ctx.grounds, &id.namespace);
        ctx.underway.supersede(&target);
        let _nobody_goes_on = ctx.vigils.end(&id);
        wake_receivers_naming(ctx, &target);
        wake_waiting_for(ctx, &id);
        wake_namesake(ctx, &id.namespace);
        let owner = ctx
            .index
            .read(|known| known.tenants.owner_of(&ctx.grounds, &id.namespace));
        let tenant = owner.map_or_else(|_| id.namespace.clone().into(), |owner| owner.name);
        ctx.queues
            .kustomizations
            .wake_all(ctx.quotas.gone(&tenant, &id));
    }

    fn listed(ctx: &Context) {
        ctx.index.write(|known| known.kustomizations_listed = true);
    }
}

/// Without the lists of what it has applied and when, which are most of it: who stands by applies and prunes nothing, and lists
/// everything anew before it does.
fn lightened(mut object: Arc<Kustomization>) -> Arc<Kustomization> {
    let status = object.status.as_ref();
    if status.is_some_and(|told| told.inventory.is_some() || !told.history.is_empty())
        && let Some(told) = &mut Arc::make_mut(&mut object).status
    {
        told.inventory = None;
        told.history = Vec::new();
    }
    object
}

/// The ConfigMaps and Secrets that its variables come from, and the Secret that says on which cluster it is carried out.
fn read_by(object: &Kustomization) -> BTreeSet<ObjectName> {
    let build = object.spec.post_build.iter();
    let from = build.flat_map(|build| &build.substitute_from);
    let from = from.map(|from| from.name.as_str());
    let elsewhere = object.spec.kube_config.iter();
    let secrets = elsewhere.filter_map(|elsewhere| elsewhere.secret_ref.as_ref());
    object_names(from.chain(secrets.map(|secret| secret.name.as_str())))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn who_stands_by_keeps_no_list_of_what_was_applied() {
        let object = json!({
            "apiVersion": "kustomize.toolkit.fluxcd.io/v1", "kind": "Kustomization",
            "metadata": {"name": "web", "namespace": "acme", "labels": {"a": "b"}},
            "spec": {
                "interval": "1h", "prune": true, "sourceRef": {"kind": "GitRepository", "name": "web"},
            },
            "status": {
                "lastAppliedRevision": "main@sha1:1", "inventory": {"entries": [{"id": "acme_web__Service", "v": "v1"}]},
            },
        });
        let whole: Arc<Kustomization> = Arc::new(serde_json::from_value(object).unwrap());
        let light = lightened(Arc::clone(&whole));
        let told = light.status.as_ref().unwrap();
        assert_eq!(
            (&told.inventory, told.last_applied_revision.as_deref()),
            (&None, Some("main@sha1:1"))
        );
        assert_eq!(
            (&light.spec, &light.metadata),
            (&whole.spec, &whole.metadata)
        );
        assert!(whole.status.as_ref().unwrap().inventory.is_some());
    }
}
