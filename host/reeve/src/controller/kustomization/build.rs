//! From a source's files to a bundle, with what the build wants from elsewhere.
//!
//! The engine is pure: it says what it lacks, that is fetched here if the platform allows it, and it builds again. What
//! is fetched lies in the mirrors that sources use, so that a commit comes over the network once.

use std::sync::Arc;

use reeve_api::kustomization::Kustomization;
use reeve_api::reason::Reason;
use reeve_core::bundle::{Bundle, Rendered};
use reeve_core::failure::{Explained, Turn, chain};
use reeve_kustomize::{Reference, Remotes};
use tokio::time::Instant;

use super::super::report;
use super::Wanted;
use crate::bases::{self, Fetcher};
use crate::context::Context;
use crate::observe::happening::{self, RenderResult};
use crate::renders::Made;

/// How often a build may find that it wants more: a base on a forge that names one on another, and so on.
const ROUNDS: usize = 10;

/// The bundle of `wanted`.
pub(super) async fn build(
    ctx: &Context,
    object: &Kustomization,
    wanted: &Wanted,
    deadline: Instant,
) -> Result<Bundle<Rendered>, Explained> {
    let mut remotes = Remotes::wanted();
    let mut unpinned = Vec::new();
    for _round in 0..ROUNDS {
        let lacking = match once(ctx, wanted, &remotes, deadline).await? {
            Made::Bundle(bundle) => {
                report::unpinned(ctx, object, &unpinned);
                return Ok(Arc::unwrap_or_clone(bundle));
            }
            Made::Wants(lacking) => lacking,
        };
        if lacking.iter().any(|one| admit(ctx, wanted, one).is_err()) {
            // The engine tells in which file and field the first of them stands.
            remotes.refuse_more();
            continue;
        }
        for one in lacking {
            let fetched = fetch(ctx, &one, deadline).await?;
            let how = fetched.follows.unpinned();
            unpinned.extend(how.map(|how| format!("{} {how}", one.source.shown())));
            remotes.insert(one.source, fetched.tree);
        }
    }
    let message = format!("remote resources lead to others more than {ROUNDS} times");
    Err(Explained::new(
        Reason::BuildFailed,
        Turn::NextRevision,
        message,
    ))
}

async fn once(
    ctx: &Context,
    wanted: &Wanted,
    remotes: &Remotes,
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
            remotes,
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

fn admit(ctx: &Context, wanted: &Wanted, one: &Reference) -> Result<(), bases::Error> {
    match ctx.grounds.is_platform(&wanted.spec.id.namespace) {
        true => ctx.bases.admit_platform(&one.source),
        false => ctx.bases.admit_tenant(&wanted.tenant.name, &one.source),
    }
}

async fn fetch(
    ctx: &Context,
    one: &Reference,
    deadline: Instant,
) -> Result<bases::Fetched, Explained> {
    let fetcher = Fetcher {
        mirrors: &ctx.mirrors,
        egress: &ctx.egress,
        limits: &ctx.limits,
        rewrites: &ctx.bases.rewrites,
        ssh: None,
    };
    let fetched = fetcher.fetch(one, deadline.into_std()).await;
    fetched.map_err(|why| {
        let message = format!("kustomize build failed: {}", chain(&why));
        Explained::new(Reason::BuildFailed, Turn::Retry, message)
            .with_hint("look whether the address is right and its server answers")
    })
}
