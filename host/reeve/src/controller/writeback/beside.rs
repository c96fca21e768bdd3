//! Who else there is in the repository that is written: who builds where new files go, and who makes such files, too.
//!
//! A new file has to fit everybody who builds it, and an object has one file in a repository. So whoever of the tenant builds a
//! directory around it is asked, nothing is made where another one takes all that lies there, and what another WriteBack keeps is
//! not written again. It deliberately asks nobody anything: what comes out is found out where it is decided.

use reeve_api::name::NamespacedName;
use reeve_api::writeback::WriteBack;
use reeve_core::inventory::ObjectId;
use reeve_core::source::{Reference, Wanted};
use reeve_core::writeback::{Elsewhere, Seen, Spec, State};

use super::Case;
use super::look::Built;
use super::whose::{is_below, path};
use crate::index::Known;

/// Who else there is.
#[derive(Default)]
pub(super) struct Beside {
    /// The directories that are built, and not by whom was asked.
    pub(super) others: Vec<String>,
    /// Where others make files.
    pub(super) elsewhere: Vec<Elsewhere>,
}

impl Beside {
    /// That of what was seen; nobody matters where nothing new is to be written.
    pub(super) fn of(case: &Case<'_>, builds: &[Built], seen: &[Seen]) -> Self {
        let is_new = |one: &Seen| matches!(one.state, State::Made { .. });
        if !seen.iter().any(is_new) {
            return Self::default();
        }
        case.ctx.index.read(|known| Self {
            others: case.unasked(known, builds),
            elsewhere: case.keepers(known),
        })
    }
}

impl Case<'_> {
    /// The Kustomizations of the tenant that build a directory in which the file of one of these objects lies, or would lie, with
    /// that directory.
    pub(super) fn listers(&self, seen: &[(ObjectId, Seen)]) -> Vec<(NamespacedName, String)> {
        let own = seen.iter().filter(|(_, seen)| match &seen.state {
            State::Made { .. } | State::Gone { build: None, .. } => true,
            State::Held { .. } | State::Gone { .. } => false,
        });
        let files = own.filter_map(|(_, seen)| self.file_for(seen.object()));
        let files: Vec<String> = files.collect();
        if files.is_empty() {
            return Vec::new();
        }
        self.ctx.index.read(|known| {
            let all = known.kustomizations.iter();
            let ours = all.filter(|(id, _)| self.is_of_us(id));
            let above = ours.filter_map(|(id, one)| {
                let directory = path(one)?;
                let is_above = files.iter().any(|file| is_below(file, &directory));
                (is_above && self.is_here(known, one)).then(|| (id.clone(), directory))
            });
            above.collect()
        })
    }

    /// The directories of the repository that Kustomizations build, whoever's they are, but these.
    fn unasked(&self, known: &Known, builds: &[Built]) -> Vec<String> {
        let all = known.kustomizations.iter();
        let others = all.filter(|(id, one)| {
            let is_asked = builds.iter().any(|built| built.id == **id);
            // What is tagged later is the tenant's own business.
            let is_near = match self.is_of_us(id) {
                true => self.is_here(known, one),
                false => self.may_build_here(known, id, one),
            };
            !is_asked && is_near
        });
        let mut others: Vec<String> = others.filter_map(|(_, one)| path(one)).collect();
        others.sort();
        others.dedup();
        others
    }

    /// Where other WriteBacks of the repository and branch make the files of new objects. One that is suspended keeps what it has.
    fn keepers(&self, known: &Known) -> Vec<Elsewhere> {
        let all = known.writebacks.iter().filter(|(id, _)| *id != self.id);
        let beside = all.filter_map(|(id, one)| {
            let spec = self.beside(known, one)?;
            let is_keeper = self.is_keeper(known, id, one, &spec.source.key());
            is_keeper.then(|| Elsewhere {
                by: format!("WriteBack {id}"),
                path: spec.path,
                template: spec.template,
            })
        });
        beside.collect()
    }

    /// Another WriteBack, if it writes to the same branch of the same repository, and in other files.
    fn beside(&self, known: &Known, other: &WriteBack) -> Option<Spec> {
        let spec = Spec::parse(other).ok()?;
        let source = known.sources.get(&spec.source.key())?;
        let wanted = Wanted::parse(source).ok()?;
        let ((Some(branch), _) | (None, Reference::Branch(branch))) =
            (&spec.branch, &wanted.reference)
        else {
            return None;
        };
        let is_same = (&spec.path, &spec.template) == (&self.spec.path, &self.spec.template);
        let is_here = *branch == self.branch && self.is_place_of(&wanted.url);
        (is_here && !is_same).then_some(spec)
    }
}
