//! What a Kustomization is built from: whether that may be looked at yet, and where its files come from.
//!
//! A GitRepository has them in store. Those of a source that another controller keeps are fetched when the spec has been let pass,
//! not before. What it deliberately doesn't: say where such files may lie (`core::others`), or fetch them (`others`).

use jiff::Timestamp;
use reeve_api::kustomization::{Kustomization, KustomizationStatus, SourceKind};
use reeve_api::name::NamespacedName;
use reeve_api::reason::Reason;
use reeve_core::artifact::Artifact;
use reeve_core::failure::Explained;
use reeve_core::others::{self, Offer};
use reeve_core::spec::SourceRef;
use reeve_core::status::KustomizationOutcome;
use reeve_core::tenancy::Tenant;

use crate::context::Context;
use crate::index::{self, Stored};
use crate::others::Files;
use crate::store::Archived;

/// What there is of a source.
pub(super) enum Supply {
    /// It is in store.
    Stored(Box<Stored<Files>>),
    /// It lies elsewhere.
    Offered(Box<Offer>),
}

/// Whether the source may be listed yet, or had an artifact before this process started and has not been looked at since. It is
/// about to be, and wakes us then; saying until then that there is none would make every Kustomization flap at every start.
pub(super) fn awaits_source(ctx: &Context, object: &Kustomization) -> bool {
    let Some(source) = named(object) else {
        return false;
    };
    let id = source.key();
    ctx.index.read(|known| match source.kind {
        SourceKind::GitRepository => known.may_be_listed(&id) || known.is_about_to_look_at(&id),
        _ => known.elsewhere.may_be_listed(&source),
    })
}

/// Whether all there is to say is that a new Kustomization waits for a source that is being fetched for the first time: what
/// comes of that wakes us.
pub(super) fn awaits_first_look(
    ctx: &Context,
    object: &Kustomization,
    outcome: &KustomizationOutcome,
) -> bool {
    let KustomizationOutcome::Failed(failed) = outcome else {
        return false;
    };
    let is_told = |status: &KustomizationStatus| !status.conditions.is_empty();
    failed.why.reason == Reason::ArtifactFailed
        && !object.status.as_ref().is_some_and(is_told)
        && source(object).is_some_and(|id| ctx.index.read(|known| known.is_looked_at_first(&id)))
}

/// The GitRepository that an object names, whatever else of it can be read.
pub(in crate::controller) fn source(object: &Kustomization) -> Option<NamespacedName> {
    let source = named(object)?;
    (source.kind == SourceKind::GitRepository).then(|| source.key())
}

fn named(object: &Kustomization) -> Option<SourceRef> {
    let reference = &object.spec.source_ref;
    let own = object.metadata.namespace.as_deref().unwrap_or_default();
    let named = reference.namespace.as_deref();
    let namespace = named.filter(|set| !set.is_empty()).unwrap_or(own);
    let id = NamespacedName::new(namespace, reference.name.as_str()).ok()?;
    Some(SourceRef::of(reference.kind, &id))
}

/// What a source has, in store or elsewhere.
pub(super) fn look(ctx: &Context, source: &SourceRef) -> Result<Supply, Explained> {
    if source.kind == SourceKind::GitRepository {
        let stored = ctx.applicable(source)?.files();
        return Ok(Supply::Stored(Box::new(stored)));
    }
    let hosts = ctx.others.hosts();
    let offered = ctx
        .index
        .read(|known| others::offer(source, known.elsewhere.seen(source), hosts));
    Ok(Supply::Offered(Box::new(offered?)))
}

impl Supply {
    /// What is in store.
    pub(super) fn stored(&self) -> Option<&Stored<Files>> {
        match self {
            Self::Stored(stored) => Some(stored),
            Self::Offered(_) => None,
        }
    }

    /// Its files, fetched for the tenant if they lie elsewhere.
    pub(super) async fn bring(
        self,
        ctx: &Context,
        source: &SourceRef,
        tenant: &Tenant,
    ) -> Result<Stored<Files>, Explained> {
        let offer = match self {
            Self::Stored(stored) => return Ok(*stored),
            Self::Offered(offer) => offer,
        };
        // Whoever applies it: it is the source's tenant that makes it large.
        let account = ctx.account(&source.key());
        let whose = tenant.name.as_str();
        let archive = ctx.others.get(source, &offer, whose, &account).await?;
        Ok(Stored {
            artifact: Artifact {
                revision: offer.revision,
                digest: offer.digest,
                // Equal archives are equal trees.
                tree: offer.digest.to_string(),
                // It is served by somebody else.
                path: String::new(),
                url: String::new(),
                size: archive.bytes(),
                last_update_time: offer.since.unwrap_or(Timestamp::UNIX_EPOCH),
            },
            snapshot: Files::Archive(archive),
            wanted: index::Wanted {
                // Not where the archive lies, which is its controller's affair: where that has the files from.
                url: offer.place.unwrap_or_default(),
                place: None,
                ignore: None,
                sparse: Vec::new(),
                included: Vec::new(),
                submodules: false,
            },
            verified: None,
            archived: Archived::already(),
        })
    }
}
