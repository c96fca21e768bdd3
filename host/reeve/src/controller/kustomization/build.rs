//! From a source's files to a bundle, with what the build wants from elsewhere.
//!
//! The engine is pure: it says what it lacks, that is fetched here if the platform allows it, and it builds again. What
//! the last build wanted is fetched first, so that nothing is built twice, and nothing at all where nothing has moved.
//! Fetched repositories lie in the mirrors that sources use: a commit comes over the network once.

use std::sync::Arc;

use reeve_api::kustomization::RemoteBase;
use reeve_api::reason::Reason;
use reeve_core::bundle::{Bundle, Rendered};
use reeve_core::failure::{Explained, Turn, chain};
use reeve_core::remote;
use tokio::time::Instant;

use super::Wanted;
use crate::bases::{Fetched, Fetcher, Lots};
use crate::context::Context;
use crate::observe::happening::{self, RenderResult};
use crate::renders::Made;

/// How often a build may find that it wants more: a base on a forge that names one on another, and so on.
const ROUNDS: usize = 10;

/// A build that reached its end.
pub(super) struct Done {
    pub(super) bundle: Bundle<Rendered>,
    /// What it used from elsewhere.
    pub(super) remote_bases: Vec<RemoteBase>,
}

/// The bundle of `wanted`.
pub(super) async fn build(
    ctx: &Context,
    wanted: &Wanted,
    deadline: Instant,
) -> Result<Done, Explained> {
    let tree = &wanted.stored.artifact.tree;
    let before = ctx.renders.wants(&wanted.spec, tree);
    // What cannot be had need not be wanted any more.
    let gathered = gather(ctx, wanted, Lots::wanted(), before, deadline).await;
    let mut lots = gathered.unwrap_or_else(|_| Lots::wanted());
    for _round in 0..ROUNDS {
        let lacking = match once(ctx, wanted, &lots, deadline).await? {
            Made::Wants(lacking) => lacking,
            Made::Bundle(bundle) => {
                return Ok(Done {
                    bundle: Arc::unwrap_or_clone(bundle),
                    remote_bases: lots.told(),
                });
            }
        };
        lots = gather(ctx, wanted, lots, lacking, deadline).await?;
    }
    let message = format!("remote resources lead to others more than {ROUNDS} times");
    Err(Explained::new(
        Reason::BuildFailed,
        Turn::NextRevision,
        message,
    ))
}

/// Adds what is lacking.
async fn gather(
    ctx: &Context,
    wanted: &Wanted,
    mut lots: Lots,
    lacking: Vec<reeve_kustomize::Wanted>,
    deadline: Instant,
) -> Result<Lots, Explained> {
    for one in lacking {
        let fetched = fetch(ctx, wanted, &one, deadline).await?;
        lots.add(one, fetched);
    }
    Ok(lots)
}

async fn once(
    ctx: &Context,
    wanted: &Wanted,
    lots: &Lots,
    deadline: Instant,
) -> Result<Made, Explained> {
    let (snapshot, tree) = (wanted.stored.snapshot.clone(), &wanted.stored.artifact.tree);
    let begun = ctx.clock.instant();
    let answer = ctx
        .renders
        .render(
            &wanted.tenant.name,
            snapshot,
            tree,
            lots,
            &wanted.spec,
            deadline,
        )
        .await;
    ctx.metrics.tell(&happening::Rendered {
        result: answer
            .as_ref()
            .map_or(RenderResult::Failed, |(_, result)| *result),
        took: ctx.clock.instant() - begun,
    });
    answer.map(|(made, _)| made)
}

/// Asks whether it may be, then fetches.
async fn fetch(
    ctx: &Context,
    wanted: &Wanted,
    one: &reeve_kustomize::Wanted,
    deadline: Instant,
) -> Result<Fetched, Explained> {
    let (tenant, namespace) = (&wanted.tenant, &wanted.spec.id.namespace);
    remote::may_fetch(&ctx.grounds, tenant, namespace, one)?;
    let fetcher = Fetcher {
        mirrors: &ctx.mirrors,
        egress: &ctx.egress,
        limits: &ctx.limits,
        rewrites: &ctx.base_mirrors,
        hops: Some(remote::patterns(&ctx.grounds, tenant, namespace)),
        ssh: None,
    };
    let fetched = fetcher.fetch(&one.reference, deadline.into_std()).await;
    fetched.map_err(|why| {
        let message = format!("kustomize build failed: {}{}", one.place, chain(&why));
        Explained::new(Reason::BuildFailed, Turn::Retry, message)
            .with_hint("look whether the address is right and its server answers")
    })
}
