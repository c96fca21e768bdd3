//! Sources that other controllers keep: what they offer, and who that wakes.
//!
//! Their kinds are not ours, and need not be there: each is watched while it has a definition. Only what their controllers say in
//! the status is kept of them, and nothing is ever written to them. What it deliberately doesn't: fetch; whoever applies one does.

use std::collections::BTreeSet;
use std::sync::Arc;

use futures::StreamExt as _;
use kube::api::DynamicObject;
use kube::core::ApiResource;
use reeve_api::SOURCE_GROUP;
use reeve_api::kustomization::SourceKind;
use reeve_api::name::NamespacedName;
use reeve_core::others::{KINDS, Told};
use reeve_core::spec::SourceRef;
use serde::Deserialize as _;
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::{identified, named};
use crate::cluster::{Change, Selection};
use crate::context::Context;

/// The names of all definitions, once they are known.
type Definitions = watch::Receiver<Option<BTreeSet<String>>>;

/// Begins a watch for each of the kinds, as a task each.
pub(super) fn all(ctx: &Arc<Context>, watches: &mut JoinSet<()>, definitions: &Definitions) {
    for kind in KINDS {
        watches.spawn(keep(Arc::clone(ctx), kind, definitions.clone()));
    }
}

/// Follows a kind whenever it has a definition.
async fn keep(ctx: Arc<Context>, kind: SourceKind, mut definitions: Definitions) {
    let definition = format!("{}.{SOURCE_GROUP}", kind.plural());
    loop {
        let told = definitions.clone();
        tokio::select! {
            biased;
            known = until(&mut definitions, &definition, false) => match known {
                true => undefined(&ctx, kind),
                false => return,
            },
            () = follow_defined(&ctx, kind, told, &definition) => return,
        }
        if !until(&mut definitions, &definition, true).await {
            return;
        }
    }
}

/// Waits until it is known that the definition is there, or isn't. False: nobody will tell any more.
async fn until(definitions: &mut Definitions, name: &str, there: bool) -> bool {
    let is = |all: &Option<BTreeSet<String>>| {
        let all = all.as_ref();
        all.is_some_and(|all| all.contains(name) == there)
    };
    definitions.wait_for(is).await.is_ok()
}

async fn follow_defined(
    ctx: &Context,
    kind: SourceKind,
    mut definitions: Definitions,
    definition: &str,
) {
    if !until(&mut definitions, definition, true).await {
        return;
    }
    let api_version = format!("{SOURCE_GROUP}/v1");
    let resource = ApiResource {
        group: SOURCE_GROUP.to_owned(),
        version: "v1".to_owned(),
        api_version,
        kind: kind.as_str().to_owned(),
        plural: kind.plural().to_owned(),
    };
    let mut changes = ctx.cluster.watch_dynamic(&resource, &Selection::default());
    let mut listed: BTreeSet<NamespacedName> = BTreeSet::new();
    while let Some(change) = changes.next().await {
        match change {
            Change::Begin => listed.clear(),
            Change::Put(object) => {
                if let Some(id) = named(&object.metadata) {
                    put(ctx, &SourceRef::of(kind, &id), &object);
                    listed.insert(id);
                }
            }
            // They are read as they are.
            Change::Bad(_) => {}
            Change::Gone(id) => {
                if let Some(id) = identified(&id) {
                    listed.remove(&id);
                    gone(ctx, &SourceRef::of(kind, &id));
                }
            }
            Change::Synced => synced(ctx, kind, &listed),
        }
    }
}

fn put(ctx: &Context, source: &SourceRef, object: &DynamicObject) {
    let status = object.data.get("status");
    let told = status.map(Told::deserialize).transpose();
    let told = told.unwrap_or_else(|why| {
        tracing::warn!(%source, error = %why, "what is said of a source cannot be read, and counts as nothing");
        None
    });
    let told = told.unwrap_or_default();
    let spec = (object.data.get("spec"), object.metadata.generation);
    let news = ctx.index.write(|known| {
        let all = &mut known.elsewhere.told;
        let told = told.of_spec(source.kind, spec, all.get(source));
        let news = all.get(source).is_none_or(|before| told.is_news(before));
        all.insert(source.clone(), told);
        news
    });
    if news {
        wake(ctx, source);
    }
}

fn gone(ctx: &Context, source: &SourceRef) {
    ctx.others.forget(source);
    let there = ctx
        .index
        .write(|known| known.elsewhere.told.remove(source).is_some());
    if there {
        wake(ctx, source);
    }
}

/// Nothing else is there than what was listed. Those whose source is none of these have waited for it.
fn synced(ctx: &Context, kind: SourceKind, listed: &BTreeSet<NamespacedName>) {
    let (lost, waited) = ctx.index.write(|known| {
        let all = known.elsewhere.told.keys();
        let lost = all.filter(|source| source.kind == kind && !listed.contains(&source.key()));
        let lost: Vec<SourceRef> = lost.cloned().collect();
        let first = known.elsewhere.listed.insert(kind);
        let waited = known.elsewhere.undefined.remove(&kind) || first;
        let waited = waited.then(|| known.touch.kustomizations_from_any(kind));
        (lost, waited.unwrap_or_default())
    });
    lost.iter().for_each(|source| gone(ctx, source));
    ctx.queues.kustomizations.wake_all(waited);
}

/// The kind has no definition, and so no objects.
fn undefined(ctx: &Context, kind: SourceKind) {
    let (lost, waited) = ctx.index.write(|known| {
        let elsewhere = &mut known.elsewhere;
        let lost = elsewhere.told.keys().filter(|source| source.kind == kind);
        let lost: Vec<SourceRef> = lost.cloned().collect();
        elsewhere.told.retain(|source, _| source.kind != kind);
        elsewhere.listed.insert(kind);
        elsewhere.undefined.insert(kind);
        (lost, known.touch.kustomizations_from_any(kind))
    });
    lost.iter().for_each(|source| ctx.others.forget(source));
    ctx.queues.kustomizations.wake_all(waited);
}

fn wake(ctx: &Context, source: &SourceRef) {
    let users: Vec<_> = ctx.index.read(|known| {
        let users = known.touch.kustomizations_from(source.kind, &source.key());
        users.cloned().collect()
    });
    ctx.queues.kustomizations.wake_all(users);
}
