//! Who has something told at a forge: a Kustomization whose status is another, a source whose requests may be others.
//!
//! Only annotations are looked at here, since nearly nobody has them; what is to be told is found out by the runs that are woken.

use kube::Resource as _;
use reeve_api::kustomization::Kustomization;
use reeve_api::name::NamespacedName;
use reeve_api::source::GitRepository;
use reeve_api::upkeep::{COMMIT_STATUS, PULL_REQUEST_PLAN};

use crate::context::Context;
use crate::controller::proposals;
use crate::index::Known;

/// What may have to be told because of a Kustomization.
#[derive(Default)]
pub(super) struct News {
    mark: bool,
    /// The source whose requests would change something else now.
    proposals: Option<NamespacedName>,
}

impl News {
    /// That of an object which is known by now.
    pub(super) fn of(known: &Known, id: &NamespacedName, object: &Kustomization) -> Self {
        let found = known.touch.source_of(id);
        let found = found.and_then(|at| Some((at, known.sources.get(at)?)));
        let Some((at, source)) = found else {
            return Self::default();
        };
        let plans = plans(source) && proposals::is_news(known, at, id, object);
        Self {
            mark: asks(source, COMMIT_STATUS),
            proposals: plans.then(|| at.clone()),
        }
    }

    /// Wakes who tells it.
    pub(super) fn tell(self, ctx: &Context, id: &NamespacedName) {
        if self.mark {
            ctx.queues.marks.wake(id.clone());
        }
        if let Some(source) = self.proposals {
            ctx.queues.proposals.wake(source);
        }
    }
}

/// Whether a source asks for plans of its pull requests.
pub(super) fn plans(source: &GitRepository) -> bool {
    asks(source, PULL_REQUEST_PLAN)
}

/// A source is another: what it asks for is looked at anew.
pub(super) fn source(ctx: &Context, id: &NamespacedName, object: &GitRepository) {
    let (marked, has_desk) = ctx.index.read(|known| {
        let marked = asks(object, COMMIT_STATUS);
        let all = known.touch.kustomizations_of(id).filter(|_| marked);
        (
            all.cloned().collect::<Vec<_>>(),
            known.desks.contains_key(id),
        )
    });
    let marked = marked.into_iter();
    ctx.queues.marks.wake_all(marked);
    if has_desk || plans(object) {
        ctx.queues.proposals.wake(id.clone());
    }
}

fn asks(source: &GitRepository, annotation: &str) -> bool {
    let annotations = source.meta().annotations.as_ref();
    annotations.is_some_and(|all| all.contains_key(annotation))
}
