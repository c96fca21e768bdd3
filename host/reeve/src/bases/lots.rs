//! What was fetched for one build, and what of it is told.

use reeve_api::kustomization::RemoteBase;
use reeve_kustomize::{Remotes, Source, Wanted};

use super::Fetched;

/// What was fetched for one build.
pub(crate) struct Lots {
    remotes: Remotes,
    wanted: Vec<Wanted>,
    told: Vec<RemoteBase>,
}

impl Lots {
    /// Nothing yet; more may be wanted.
    pub(crate) fn wanted() -> Self {
        Self {
            remotes: Remotes::wanted(),
            wanted: Vec::new(),
            told: Vec::new(),
        }
    }

    pub(crate) fn add(&mut self, wanted: Wanted, fetched: Fetched) {
        let source = wanted.reference.source.clone();
        self.told.push(RemoteBase {
            url: source.shown(),
            revision: fetched.revision,
            pinned: fetched.pinned,
        });
        self.remotes.insert(source, fetched.tree);
        self.wanted.push(wanted);
    }

    /// For the engine.
    pub(crate) fn remotes(&self) -> &Remotes {
        &self.remotes
    }

    /// What was asked for.
    pub(crate) fn asked(&self) -> &[Wanted] {
        &self.wanted
    }

    /// Everything that the content depends on.
    pub(crate) fn key(&self) -> Vec<(Source, String)> {
        let sources = self
            .wanted
            .iter()
            .map(|wanted| wanted.reference.source.clone());
        let revisions = self.told.iter().map(|base| base.revision.clone());
        sources.zip(revisions).collect()
    }

    /// For people.
    pub(crate) fn told(self) -> Vec<RemoteBase> {
        self.told
    }
}
