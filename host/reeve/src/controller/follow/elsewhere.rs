//! What is watched and another replica works for, and what another was called for that is ours.
//!
//! Where the work is not shared, that is all of it for who stands by, and nothing for who works.

use std::collections::BTreeSet;
use std::sync::Arc;

use kube::Resource;
use reeve_api::name::{NamespaceName, NamespacedName};
use reeve_api::source::GitRepository;
use reeve_api::{CALLED_AT, CALLED_BY, CALLED_FOR, CALLED_IN};
use reeve_core::index::Target;

use super::Followed;
use crate::cluster::{Id, Undecodable};
use crate::context::Context;
use crate::controller::{heard, report, sharing};
use crate::shards::{Part, Place};

/// Whether the replica that works for a source has told of something new.
pub(super) fn has_told(
    ctx: &Context,
    id: &NamespacedName,
    before: Option<&GitRepository>,
    object: &GitRepository,
) -> bool {
    /// Its revision, and where an entry of git configuration is called for it.
    fn told(object: &GitRepository) -> Option<(Option<&str>, Option<&str>)> {
        let status = object.status.as_ref()?;
        let revision = status.artifact.as_ref().map(|it| it.revision.as_str());
        let polling = status.upstream.as_ref().and_then(|it| it.polling.as_ref());
        Some((revision, polling.and_then(|it| it.hook.as_deref())))
    }
    before.and_then(told) != told(object)
        && !ctx.shards.are_mine(&Place::of_source(&ctx.grounds, id))
}

/// Another replica was called for something of ours, since it was seen last: its next run goes on with the trace of that call, and
/// tells who was called.
pub(super) fn go_on<K: Resource>(
    ctx: &Context,
    (target, place): (&Target, &Place),
    before: Option<&Arc<K>>,
    object: &K,
) {
    fn said<'o>(object: &'o impl Resource, annotation: &str) -> Option<&'o String> {
        object.meta().annotations.as_ref()?.get(annotation)
    }
    // What was called for before this process has seen it is over.
    let is_called = |before: &Arc<K>| said(&**before, CALLED_AT) != said(object, CALLED_AT);
    if !before.is_some_and(is_called) || !ctx.shards.are_mine(place) {
        return;
    }
    if let Some(receiver) = said(object, CALLED_BY) {
        let told = said(object, CALLED_FOR).map(String::as_str);
        heard::passed_on(ctx, target, receiver, told);
    }
    if let Some(trace) = said(object, CALLED_IN) {
        ctx.tracer.take_up(target, trace);
    }
}

/// Tenants have changed: their sources in configuration namespaces may be another replica's from now on, or ours.
pub(super) fn wake_sources(ctx: &Context, touched: &BTreeSet<NamespaceName>) {
    if !ctx.shards.are_shared() {
        return;
    }
    for namespace in &ctx.grounds.config_namespaces {
        for name in touched {
            if let Ok(id) = NamespacedName::new(namespace.as_str(), name.as_str()) {
                ctx.queues.sources.wake(id);
            }
        }
    }
}

/// Tells an object that nobody can read that it is so, where this is ours to do.
pub(super) async fn tell_bad<K: Followed + 'static>(
    ctx: &Arc<Context>,
    id: Id,
    bad: Box<Undecodable>,
) {
    match ctx.shards.are_shared() {
        // Whose it is may be known a little later; the watch goes on meanwhile.
        true => drop(tokio::spawn(tell_ours::<K>(Arc::clone(ctx), id, bad))),
        // Who stands by writes nothing.
        false if !ctx.shards.are_mine(&Place::Platform) => {}
        false => report::undecodable::<K>(ctx, &bad).await,
    }
}

async fn tell_ours<K: Followed>(ctx: Arc<Context>, id: Id, bad: Box<Undecodable>) {
    let place = match id.namespace.parse() {
        Ok(namespace) => Place::within(&ctx.grounds, &namespace),
        // What lies in no namespace is the platform's.
        Err(_) => Place::Platform,
    };
    loop {
        match ctx.shards.enter(&place, None) {
            Part::Mine(_pass) => return report::undecodable::<K>(&ctx, &bad).await,
            Part::Soon => tokio::time::sleep(sharing::SOON).await,
            Part::Others => return,
        }
    }
}
