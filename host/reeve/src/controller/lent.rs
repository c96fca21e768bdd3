//! What a tenant has of a repository that the platform has lent it a login to.
//!
//! Such a login opens all of it, and mostly the files of others: what the forge would refuse with a login of the tenant's own is
//! refused here, to who writes back and to who delivers. Where others have the branch too, a tenant has the directories that the
//! platform has given to it, and no more: a Kustomization over one proves nothing, since a tenant makes such over whatever it likes.
//! It deliberately knows no others than those of this cluster, and asks nothing of who brings a login of their own.

use reeve_api::WRITE_BACK_PATHS;
use reeve_api::kustomization::Kustomization;
use reeve_api::name::{NamespaceName, NamespacedName, RemoteUrl};
use reeve_api::source::GitRepository;
use reeve_core::deliver::{Claim, claims, is_below};
use reeve_core::gitconfig::{LevelName, Place, tenant_of};
use reeve_core::source::{Reference, Wanted};
use reeve_core::spec::Spec;
use reeve_core::tenancy::Tenant;
use reeve_core::writeback::lies_in;

use super::kustomization::source;
use super::writeback::is_read;
use crate::context::Context;
use crate::index::Known;

/// Who writes with such a login, and to which branch.
pub(super) struct Borrower<'a> {
    pub(super) ctx: &'a Context,
    /// Where whoever writes is.
    pub(super) namespace: &'a NamespaceName,
    pub(super) tenant: &'a Tenant,
    /// Which repository.
    pub(super) place: &'a Place,
    pub(super) branch: &'a str,
}

/// A directory in a message.
pub(super) fn shown(directory: &str) -> &str {
    match directory {
        "" => "the root",
        directory => directory,
    }
}

impl Borrower<'_> {
    /// By what others have this branch too, unless the directory is of this tenant: then it may be written to. The root is `""`,
    /// and everybody's.
    pub(super) fn others(&self, directory: &str) -> Option<String> {
        self.ctx.index.read(|known| {
            let other = self.sharing(known)?;
            (!lies_in(directory, &self.given(known))).then_some(other)
        })
    }

    /// A Kustomization that is not of this tenant, and builds the directory, one around it or one in it: it would apply what is
    /// written there as somebody else.
    pub(super) fn neighbour(&self, directory: &str) -> Option<NamespacedName> {
        let meets = |path: &str| is_below(path, directory) || is_below(directory, path);
        let path = |one: &Kustomization| Spec::parse(one).ok().map(|spec| spec.path);
        self.ctx.index.read(|known| {
            let mut all = known.kustomizations.iter();
            let found = all.find(|(id, one)| {
                !self.is_of_us(&id.namespace)
                    && self.may_be_built_here(known, one)
                    && path(one).is_none_or(|path| meets(&path))
            });
            found.map(|(id, _)| id.clone())
        })
    }

    /// By what somebody else may have the files of this branch: a source, or that a level has its tenants delivered there.
    fn sharing(&self, known: &Known) -> Option<String> {
        let mut all = known.sources.iter();
        let is_it = |url: &RemoteUrl| Place::of(url).is_ok_and(|place| place.may_be(self.place));
        let is_read = |id: &NamespacedName| is_read(&self.ctx.grounds, known, id, is_it);
        let found = all
            .find(|(id, one)| !self.is_its_source(known, id) && self.may_have(one) && is_read(id));
        let source = found.map(|(id, _)| format!("GitRepository {id}"));
        source.or_else(|| self.delivered(known))
    }

    fn delivered(&self, known: &Known) -> Option<String> {
        let own = LevelName::Tenant(self.tenant.name.clone()).to_string();
        let is_own = |claim: &Claim| self.tenant.declared.is_some() && claim.by == own;
        let mut all = claimed(self.ctx, known).into_iter();
        let found = all.find(|claim| !is_own(claim) && claim.is_in(self.place, self.branch));
        found.map(|claim| format!("the delivery of {}", claim.by))
    }

    /// Whether a source may be of this branch: there is more than one way to a repository.
    fn may_have(&self, source: &GitRepository) -> bool {
        let Ok(wanted) = Wanted::parse(source) else {
            return false;
        };
        may_be_of(&wanted.reference, self.branch)
            && Place::of(&wanted.url).is_ok_and(|place| place.may_be(self.place))
    }

    fn may_be_built_here(&self, known: &Known, one: &Kustomization) -> bool {
        let found = source(one).and_then(|id| known.sources.get(&id));
        found.is_some_and(|source| self.may_have(source))
    }

    /// Whether a namespace is this tenant's: never one of the platform's by way of a Tenant that names it.
    fn is_of_us(&self, namespace: &NamespaceName) -> bool {
        let is_named = || self.tenant.namespaces.contains(namespace);
        let is_platforms = || self.ctx.grounds.belongs_to_platform(namespace);
        namespace == self.namespace || (is_named() && !is_platforms())
    }

    /// Whether nobody but this tenant may name the source.
    fn is_its_source(&self, known: &Known, id: &NamespacedName) -> bool {
        if self.is_of_us(&id.namespace) {
            return true;
        }
        let (grounds, tenant) = (&self.ctx.grounds, self.tenant);
        match tenant.declared {
            Some(_) => {
                let above = tenant_of(grounds, &known.tenants, id);
                above.is_ok_and(|above| above.as_ref() == Some(&tenant.name))
            }
            // It bears the name of the namespace, and no Tenant names it.
            None => {
                grounds.is_config(&id.namespace)
                    && id.name.as_str() == self.namespace.as_str()
                    && known.tenants.naming(&id.name).next().is_none()
            }
        }
    }

    /// What the platform has written down: in sources of this branch, which no tenant can change, or in the Tenant that one of them
    /// was made of.
    fn given(&self, known: &Known) -> Vec<String> {
        let all = known.sources.iter();
        let kept = all.filter(|(id, one)| self.is_kept(known, id, one));
        let given = kept.flat_map(|(id, one)| {
            let annotations = one.metadata.annotations.as_ref();
            let said = annotations.and_then(|all| all.get(WRITE_BACK_PATHS));
            said.cloned().into_iter().chain(self.made(known, id))
        });
        given.collect()
    }

    /// Whether the platform keeps a source of this very branch, for this tenant alone.
    fn is_kept(&self, known: &Known, id: &NamespacedName, one: &GitRepository) -> bool {
        if !self.ctx.grounds.is_config(&id.namespace) || !self.is_its_source(known, id) {
            return false;
        }
        let Ok(wanted) = Wanted::parse(one) else {
            return false;
        };
        wanted.reference == Reference::Branch(self.branch.to_owned())
            && Place::of(&wanted.url).is_ok_and(|place| place == *self.place)
    }

    /// The path in the Tenant that the source was made of, if it was.
    fn made(&self, known: &Known, id: &NamespacedName) -> Option<String> {
        let is_made =
            self.tenant.declared.is_some() && id.name.as_str() == self.tenant.name.as_str();
        let tenant = known.tenant_objects.get(&self.tenant.name);
        let source = tenant.filter(|_| is_made)?.spec.source.as_ref()?;
        // Its path is one, whatever stands in it.
        (!source.path.contains(',')).then(|| source.path.clone())
    }
}

/// Where each level has its tenants delivered.
pub(super) fn claimed(ctx: &Context, known: &Known) -> Vec<Claim> {
    let tenants = known.tenant_objects.iter();
    let tenants = tenants.map(|(name, one)| (name, &**one));
    let projects = known.projects.iter();
    let projects = projects.map(|(name, one)| (name, &**one));
    claims(tenants, projects, ctx.delivery.as_ref())
}

/// Whether what a source follows may be that branch: a tag or a commit may be of any.
pub(super) fn may_be_of(reference: &Reference, branch: &str) -> bool {
    match reference {
        Reference::Branch(followed) => followed == branch,
        _ => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_follows_another_branch_has_other_files_and_a_tag_may_have_any() {
        let of = |reference: Reference| may_be_of(&reference, "main");
        assert!(of(Reference::Branch("main".to_owned())));
        assert!(!of(Reference::Branch("dev".to_owned())));
        assert!(of(Reference::Tag("v1".to_owned())));
        assert!(of(Reference::Name("refs/heads/main".to_owned())));
    }
}
