//! What of a run must not be told: remembered for as long as something that holds it may be.
//!
//! What is covered is known bit by bit: variables that came from Secrets when they are read, what plugins were shown of Secrets
//! when they were called. The index keeps what the last two builds were made with, since what is on the cluster may still be
//! of the one before. It deliberately outlives no restart: nothing of a Secret is written anywhere. What covers is
//! `core::veil`'s.

use std::sync::OnceLock;

use reeve_core::substitute::Touched;
use reeve_core::veil::Veil;

use super::Wanted;
use crate::context::Context;
use crate::index::Veils;

/// What of one run must not be told, as far as it is known.
#[derive(Clone, Default)]
pub(super) struct Cover {
    built: OnceLock<Veil>,
    transformed: OnceLock<Veil>,
    /// What was known before, where something is only looked at: then nothing of it is remembered.
    aside: Option<Veil>,
    /// The objects that secret variables were put into.
    touched: OnceLock<Touched>,
}

impl Cover {
    /// For what is only looked at, beside what is applied, of which this is known.
    pub(super) fn aside(known: Veil) -> Self {
        Self {
            aside: Some(known),
            ..Self::default()
        }
    }

    /// Secret variables were put into these objects.
    pub(super) fn touch(&self, touched: Touched) {
        drop(self.touched.set(touched));
    }

    /// The objects that they were put into, as far as it was built.
    pub(super) fn touched(&self) -> Option<&Touched> {
        self.touched.get()
    }

    pub(super) fn is_aside(&self) -> bool {
        self.aside.is_some()
    }

    pub(super) fn veil(&self) -> &Veil {
        let known = self.transformed.get().or_else(|| self.built.get());
        let known = known.or(self.aside.as_ref());
        known.unwrap_or_else(|| Veil::nothing())
    }
}

/// What it is built with. Whoever reads first covers: another revision is built beside this one with the same variables.
pub(super) fn built(ctx: &Context, wanted: &Wanted, veil: Veil) {
    if let Some(known) = &wanted.cover.aside {
        drop(wanted.cover.built.set(known.and(&veil)));
        return;
    }
    let id = wanted.spec.id.clone();
    let all = ctx
        .index
        .write(|known| known.veils.entry(id).or_default().draw(veil));
    drop(wanted.cover.built.set(all));
}

/// What plugins were shown of it, beside that.
pub(super) fn transformed(ctx: &Context, wanted: &Wanted, shown: &Veil) {
    if shown.is_nothing() {
        return;
    }
    if wanted.cover.is_aside() {
        drop(wanted.cover.transformed.set(shown.and(wanted.veil())));
        return;
    }
    let id = wanted.spec.id.clone();
    let all = ctx
        .index
        .write(|known| known.veils.entry(id).or_default().widen(shown));
    drop(wanted.cover.transformed.set(all.and(wanted.veil())));
}

/// The same, with what has been learnt since of other revisions.
pub(super) fn by_now(ctx: &Context, wanted: Option<&Wanted>, veil: &Veil) -> Veil {
    let known = wanted.and_then(|wanted| {
        let id = &wanted.spec.id;
        ctx.index.read(|known| known.veils.get(id).map(Veils::both))
    });
    known.map_or_else(|| veil.clone(), |known| veil.and(&known))
}
