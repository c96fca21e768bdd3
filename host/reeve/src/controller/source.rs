//! A GitRepository becomes an artifact.
//!
//! ls-remote first: what hasn't moved is not fetched. What is stored wakes the Kustomizations that use it before its
//! status is written, since they need not wait for that. Deciding what the world reads is `core::status`'s.

use std::sync::Arc;
use std::time::Duration;

use reeve_api::name::{NamespacedName, ObjectName};
use reeve_api::source::GitRepository;
use reeve_core::artifact::Revision;
use reeve_core::failure::Explained;
use reeve_core::index::Target;
use reeve_core::schedule::Next;
use reeve_core::source::Wanted;
use reeve_core::status::SourceOutcome;
use tokio::time::Instant;

use super::report::{self, Run};
use crate::context::Context;
use crate::git::{self, Remote, credential};
use crate::index::{self, Stored};
use crate::observe::Object;
use crate::observe::happening::{FetchResult, Fetched};

/// One run.
pub(super) async fn reconcile(ctx: &Arc<Context>, id: &NamespacedName) -> Next {
    let Some(object) = ctx.index.read(|known| known.sources.get(id).cloned()) else {
        return Next::Watch;
    };
    if object.metadata.deletion_timestamp.is_some() {
        ctx.index.write(|known| known.stored.remove(id));
        return report::farewell(ctx, &*object).await;
    }
    let run = Run::begin(ctx, Target::Source(id.clone()), &*object);
    let outcome = match report::adopt(ctx, &*object, &run).await {
        Ok(()) => deliver(ctx, id, &object).await,
        Err(why) => SourceOutcome::Failed { why, newer: None },
    };
    look_at(ctx, id);
    report::source(ctx, &object, run, outcome).await
}

/// From now on what is in store is all there is: those that waited for the first look are woken.
fn look_at(ctx: &Context, id: &NamespacedName) {
    let waiting: Vec<NamespacedName> = ctx.index.write(|known| {
        let first = known.looked_at.insert(id.clone());
        let appliers = known.touch.kustomizations_of(id);
        if first {
            appliers.cloned().collect()
        } else {
            Vec::new()
        }
    });
    waiting
        .into_iter()
        .for_each(|id| ctx.queues.kustomizations.wake(id));
}

async fn deliver(ctx: &Arc<Context>, id: &NamespacedName, object: &GitRepository) -> SourceOutcome {
    let wanted = match Wanted::parse(object) {
        Ok(wanted) if wanted.suspend => return SourceOutcome::Suspended,
        Ok(wanted) => wanted,
        Err(why) => return failed(Explained::of(&why)),
    };
    let deadline = Instant::now() + wanted.timeout;
    match tokio::time::timeout_at(
        deadline + Duration::from_secs(1),
        fetch(ctx, id, &wanted, deadline),
    )
    .await
    {
        Ok(Ok(outcome)) => outcome,
        Ok(Err(outcome)) => *outcome,
        Err(_) => failed(Explained::of(&git::Error::late(wanted.timeout))),
    }
}

fn failed(why: Explained) -> SourceOutcome {
    SourceOutcome::Failed { why, newer: None }
}

async fn fetch(
    ctx: &Arc<Context>,
    id: &NamespacedName,
    wanted: &Wanted,
    deadline: Instant,
) -> Result<SourceOutcome, Box<SourceOutcome>> {
    let begun = ctx.clock.instant();
    let source = Object {
        kind: crate::observe::Kind::GitRepository,
        namespace: id.namespace.as_str(),
        name: id.name.as_str(),
    };
    let refuse =
        |why: Explained, newer: Option<String>| Box::new(SourceOutcome::Failed { why, newer });
    // read: credentials, and where the reference points
    let remote = remote(ctx, wanted).await.map_err(|why| refuse(why, None))?;
    let asked = git::resolve(
        &ctx.mirrors,
        &remote,
        &wanted.reference,
        deadline.into_std(),
        &ctx.limits,
    )
    .await;
    let resolved = match asked {
        Ok(resolved) => resolved,
        Err(why) => {
            restore(ctx, id, wanted, &remote, deadline).await;
            return Err(refuse(Explained::of(&why), None));
        }
    };
    let revision = resolved.revision().to_string();
    let same = index::Wanted {
        url: wanted.url.to_string(),
        ignore: wanted.ignore.clone(),
    };
    let stored = ctx.index.read(|known| known.stored.get(id).cloned());
    if stored.is_some_and(|stored| {
        stored.wanted == same && stored.artifact.revision == *resolved.revision()
    }) {
        let unchanged = FetchResult::Unchanged;
        ctx.metrics.tell(&Fetched {
            revision: Some(&revision),
            result: unchanged,
            took: begun.elapsed(),
        });
        return Ok(SourceOutcome::Unchanged { revision });
    }
    // write: the mirror and the store, both of this machine
    let newer = || Some(revision.clone());
    let ignore = wanted.ignore.as_deref();
    let snapshot = git::fetch(
        &ctx.mirrors,
        &remote,
        resolved,
        ignore,
        deadline.into_std(),
        &ctx.limits,
    )
    .await
    .map_err(|why| refuse(Explained::of(&why), newer()))?;
    let artifact = ctx
        .store
        .put("gitrepository", id, &snapshot, ctx.clock.now())
        .await
        .map_err(|why| refuse(Explained::of(&why), newer()))?;
    let fetched = FetchResult::Stored {
        bytes: artifact.size,
    };
    ctx.metrics.tell(&Fetched {
        revision: Some(&revision),
        result: fetched,
        took: begun.elapsed(),
    });
    let subject = snapshot.subject().to_owned();
    let stored = Stored {
        artifact: artifact.clone(),
        snapshot,
        wanted: same,
    };
    let appliers = keep(ctx, id, stored);
    tracing::debug!(object = %source, "waking {} Kustomizations", appliers.len());
    appliers
        .into_iter()
        .for_each(|id| ctx.queues.kustomizations.wake(id));
    Ok(SourceOutcome::Stored {
        artifact: Box::new(artifact),
        subject,
        ignore: wanted.ignore.clone(),
    })
}

/// Puts what is in store where runs find it. Returns the Kustomizations that use it.
fn keep(ctx: &Context, id: &NamespacedName, stored: Stored) -> Vec<NamespacedName> {
    ctx.index.write(|known| {
        known.stored.insert(id.clone(), stored);
        known.touch.kustomizations_of(id).cloned().collect()
    })
}

/// Takes up what an earlier process had in store, from the mirror: a server that is gone while we restart must not
/// leave its tenants without what they already have. When that fails too, the failure to ask is what is told.
async fn restore(
    ctx: &Context,
    id: &NamespacedName,
    wanted: &Wanted,
    remote: &Arc<Remote>,
    deadline: Instant,
) {
    let earlier = ctx.index.read(|known| {
        let status = known.sources.get(id)?.status.as_ref()?;
        let artifact = status.artifact.as_ref()?;
        (!known.stored.contains_key(id)).then(|| artifact.revision.clone())
    });
    let Some(revision) = earlier.and_then(|text| Revision::parse(&text).ok()) else {
        return;
    };
    let Ok(resolved) = git::Resolved::earlier(&revision) else {
        return;
    };
    let ignore = wanted.ignore.as_deref();
    let deadline = deadline.into_std();
    let fetched = git::fetch(
        &ctx.mirrors,
        remote,
        resolved,
        ignore,
        deadline,
        &ctx.limits,
    )
    .await;
    let Ok(snapshot) = fetched else { return };
    let now = ctx.clock.now();
    if let Ok(artifact) = ctx.store.put("gitrepository", id, &snapshot, now).await {
        let wanted = index::Wanted {
            url: wanted.url.to_string(),
            ignore: wanted.ignore.clone(),
        };
        let stored = Stored {
            artifact,
            snapshot,
            wanted,
        };
        let _woken_by_the_first_look = keep(ctx, id, stored);
    }
}

/// Who we are to the repository, and how it is reached.
async fn remote(ctx: &Context, wanted: &Wanted) -> Result<Arc<Remote>, Explained> {
    let data = match &wanted.secret {
        Some(name) => secret(ctx, wanted, name).await?,
        None => credential::Data::new(),
    };
    let (credential, tls) =
        credential::from_secret(&wanted.url, &data).map_err(|why| unusable(&why.into()))?;
    let proxy = match &wanted.proxy_secret {
        Some(name) => {
            let data = secret(ctx, wanted, name).await?;
            Some(credential::proxy_from_secret(&data).map_err(|why| unusable(&why.into()))?)
        }
        None => None,
    };
    let egress = Arc::clone(&ctx.egress);
    Ok(Arc::new(Remote {
        url: wanted.url.clone(),
        credential,
        tls,
        proxy,
        egress,
    }))
}

async fn secret(
    ctx: &Context,
    wanted: &Wanted,
    name: &ObjectName,
) -> Result<credential::Data, Explained> {
    let owner = ctx.secret_owner(&wanted.id.namespace);
    let data = ctx
        .cluster
        .secret(&owner, name)
        .await
        .map_err(|why| Explained::of(&why))?;
    Ok(data.into_inner())
}

fn unusable(why: &git::Error) -> Explained {
    Explained::of(why)
}
