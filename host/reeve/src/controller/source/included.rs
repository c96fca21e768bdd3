//! What a source includes of others of its namespace, as it is in their store now.
//!
//! Theirs is taken as it was fetched, ignored and verified for themselves: whoever includes a source trusts it as a
//! Kustomization of it does. Where something is missing the run ends with Flux's reason, and what comes into their store wakes
//! the next. Laying their files is `git`'s.

use std::time::Duration;

use reeve_api::name::{NamespacedName, ObjectName};
use reeve_api::reason::Reason;
use reeve_api::source::GitRepository;
use reeve_core::failure::{Explained, Turn};
use reeve_core::schedule::Next;
use reeve_core::source::{Include, Wanted};

use crate::context::{Context, Missing};
use crate::git;
use crate::index::{self, Known, Stored};

/// How long to wait for the first list of sources to end.
const LISTING: Duration = Duration::from_secs(1);

/// What is included, in the order of the spec.
#[derive(Default)]
pub(super) struct Included(Vec<(Include, Stored)>);

/// Whether it has to wait since another that it includes is yet to have its first run: what that has in store would be missed
/// only for a moment. Those of a loop wait for nobody; they are refused.
pub(super) fn waits(ctx: &Context, id: &NamespacedName, object: &GitRepository) -> Option<Next> {
    if object.spec.include.is_empty() || object.spec.suspend {
        return None;
    }
    let names = object.spec.include.iter();
    let ids = names.filter_map(|include| {
        let name = include.repository.name.parse::<ObjectName>().ok()?;
        Some(beside(id, &name))
    });
    let ids: Vec<NamespacedName> = ids.collect();
    ctx.index.read(|known: &Known| {
        if known.touch.loop_of(id).is_some() {
            return None;
        }
        if ids.iter().any(|id| known.is_looked_at_first(id)) {
            return Some(Next::Watch);
        }
        let missing = ids.iter().any(|id| !known.sources.contains_key(id));
        (missing && !known.sources_listed).then_some(Next::After(LISTING))
    })
}

/// What is in store of all that is included, or what is missing.
pub(super) fn read(ctx: &Context, wanted: &Wanted) -> Result<Included, Explained> {
    if wanted.include.is_empty() {
        return Ok(Included::default());
    }
    if let Some(way) = ctx.index.read(|known| known.touch.loop_of(&wanted.id)) {
        let way: Vec<_> = way.iter().map(ToString::to_string).collect();
        let message = format!("spec.include leads back here: {}", way.join(" → "));
        // Any of them may end it; then its watch wakes whoever includes it.
        let why = Explained::new(Reason::InvalidSpec, Turn::Source, message);
        return Err(why.with_hint("take one of these GitRepositories out of the loop"));
    }
    let found = wanted.include.iter().map(|include| {
        let stored = ctx.in_store(&beside(&wanted.id, &include.repository));
        let stored = stored.map_err(|missing| unavailable(wanted, include, missing))?;
        Ok((include.clone(), stored))
    });
    Ok(Included(found.collect::<Result<_, Explained>>()?))
}

impl Included {
    /// The files that are laid beside the commit's own.
    pub(super) fn laid(&self) -> Vec<git::Laid> {
        let laid = |(include, stored): &(Include, Stored)| git::Laid {
            include: include.clone(),
            snapshot: stored.snapshot.clone(),
        };
        self.0.iter().map(laid).collect()
    }

    /// What makes another artifact of the same revision when it changes.
    pub(super) fn marks(&self) -> Vec<index::Included> {
        let mark = |(include, stored): &(Include, Stored)| index::Included {
            include: include.clone(),
            revision: stored.artifact.revision.to_string(),
            tree: stored.artifact.tree.clone(),
        };
        self.0.iter().map(mark).collect()
    }

    /// The artifacts, for the status.
    pub(super) fn artifacts(&self) -> Vec<reeve_core::artifact::Artifact> {
        let artifacts = self.0.iter().map(|(_, stored)| stored.artifact.clone());
        artifacts.collect()
    }
}

/// In Flux's words.
fn unavailable(wanted: &Wanted, include: &Include, missing: Missing) -> Explained {
    let (namespace, name) = (&wanted.id.namespace, &include.repository);
    let (reason, message, hint) = match missing {
        Missing::Source => (
            Reason::NotFound,
            format!(
                "could not get resource for include '{name}': gitrepositories.source.toolkit.fluxcd.io \"{name}\" not found"
            ),
            format!("create GitRepository {name} in namespace {namespace}"),
        ),
        Missing::Artifact | Missing::Unverified => (
            Reason::NoArtifact,
            format!("no artifact available for include '{name}'"),
            format!("look at `kubectl -n {namespace} describe gitrepository {name}`"),
        ),
    };
    Explained::new(reason, Turn::Source, message).with_hint(hint)
}

fn beside(id: &NamespacedName, name: &ObjectName) -> NamespacedName {
    NamespacedName {
        namespace: id.namespace.clone(),
        name: name.clone(),
    }
}
