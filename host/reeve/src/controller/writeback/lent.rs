//! Where a tenant may write with a login that the platform has lent it.
//!
//! Such a login opens all of its repository, and mostly those of others: what the forge would refuse with a login of the tenant's
//! own is refused here. So the branch is the one that the source follows, requests have theirs below a name that only the
//! namespace has, and in a repository that others are applied from, too, the directory is one that the platform has given to the
//! tenant: a Kustomization over it proves nothing, since a tenant makes such over whatever it likes. It deliberately knows no others
//! than those of this cluster, and asks nothing of who brings a login of their own.

use reeve_api::WRITE_BACK_PATHS;
use reeve_api::name::NamespacedName;
use reeve_api::reason::Reason;
use reeve_api::source::GitRepository;
use reeve_core::failure::{Explained, Turn};
use reeve_core::gitconfig::tenant_of;
use reeve_core::source::{Reference, Wanted};
use reeve_core::writeback::{Propose, directories};

use super::Case;
use super::whose::is_below;
use crate::index::Known;

impl Case<'_> {
    /// The same, if it writes nowhere but where it may.
    pub(super) fn at_home(self) -> Result<Self, Explained> {
        if self.platform || !self.is_lent() {
            return Ok(self);
        }
        let followed = self.repository.branch.as_ref();
        if followed != Some(&self.branch) {
            return Err(self.elsewhere());
        }
        let own = format!("reeve/{}/", self.id.namespace);
        if let Propose::Request(request) = &self.spec.propose
            && !request.branch.starts_with(&own)
        {
            return Err(strange(&request.branch, &own));
        }
        let others = self.ctx.index.read(|known| self.sharing(known));
        match others {
            Some(other) if !self.ctx.index.read(|known| self.is_in_its_own(known)) => {
                Err(self.everywhere(&other))
            }
            _ => Ok(self),
        }
    }

    /// Whether the login is the platform's: that of a source which it keeps, or one of git configuration.
    fn is_lent(&self) -> bool {
        let source = self.spec.source.namespace.as_str();
        !self.namespaces().contains(source) || self.repository.is_given()
    }

    /// A source by which somebody else may have the files of this branch.
    fn sharing(&self, known: &Known) -> Option<NamespacedName> {
        let is_one = |object: &GitRepository| {
            let Ok(wanted) = Wanted::parse(object) else {
                return false;
            };
            may_be_of(&wanted.reference, &self.branch) && self.is_place_of(&wanted.url)
        };
        let mut all = known.sources.iter();
        let found = all.find(|(id, one)| {
            !self.is_its_source(known, id) && is_one(one) && self.is_read(known, id)
        });
        found.map(|(id, _)| id.clone())
    }

    /// Whether nobody but this tenant may name the source.
    fn is_its_source(&self, known: &Known, id: &NamespacedName) -> bool {
        if self.namespaces().contains(id.namespace.as_str()) {
            return true;
        }
        let (grounds, tenant) = (&self.ctx.grounds, &self.tenant);
        match tenant.declared {
            Some(_) => {
                let above = tenant_of(grounds, &known.tenants, id);
                above.is_ok_and(|above| above.as_ref() == Some(&tenant.name))
            }
            // It bears the name of the namespace, and no Tenant names it.
            None => {
                grounds.is_config(&id.namespace)
                    && id.name.as_str() == self.id.namespace.as_str()
                    && known.tenants.naming(&id.name).next().is_none()
            }
        }
    }

    /// Whether it writes below a directory that the platform has given to the tenant. The root is everybody's.
    fn is_in_its_own(&self, known: &Known) -> bool {
        let given = self.given(known);
        let mut given = given.iter().flat_map(|text| directories(text));
        given.any(|directory| is_below(&self.spec.path, &directory))
    }

    /// What the platform has written down: in the source, which no tenant can change, or in the Tenant that the source was made of.
    fn given(&self, known: &Known) -> Vec<String> {
        let key = self.spec.source.key();
        if !self.ctx.grounds.is_config(&key.namespace) {
            return Vec::new();
        }
        let source = known.sources.get(&key);
        let annotations = source.and_then(|one| one.metadata.annotations.as_ref());
        let said = annotations.and_then(|all| all.get(WRITE_BACK_PATHS));
        let own = known.tenant_objects.get(&self.tenant.name).filter(|_| {
            self.tenant.declared.is_some() && key.name.as_str() == self.tenant.name.as_str()
        });
        let made = own.and_then(|tenant| tenant.spec.source.as_ref());
        // Its path is one, whatever stands in it.
        let made = made.map(|source| source.path.clone());
        let made = made.filter(|path| !path.contains(','));
        said.cloned().into_iter().chain(made).collect()
    }

    fn elsewhere(&self) -> Explained {
        let source = self.spec.source.key();
        let message = format!(
            "branch {} is not the one that GitRepository {source} follows, and its login is the platform's",
            self.branch
        );
        let hint = "leave spec.branch out, or use a GitRepository with credentials of its own";
        denied(Turn::OwnerOrPolicy, message).with_hint(hint)
    }

    fn everywhere(&self, other: &NamespacedName) -> Explained {
        let path = match self.spec.path.as_str() {
            "" => "the root",
            path => path,
        };
        let message = format!(
            "others are applied from this branch as well, by GitRepository {other}, and {path} is no directory of this tenant"
        );
        let hint = format!(
            "name a directory in spec.path that the platform has given to this tenant: in spec.source of its Tenant, or by the \
             annotation {WRITE_BACK_PATHS} of GitRepository {}",
            self.spec.source.key()
        );
        // The platform may give it, which wakes nobody here.
        denied(Turn::Retry, message).with_hint(hint)
    }
}

/// Whether what a source follows may be that branch: a tag or a commit may be of any.
pub(super) fn may_be_of(reference: &Reference, branch: &str) -> bool {
    match reference {
        Reference::Branch(followed) => followed == branch,
        _ => true,
    }
}

fn strange(branch: &str, own: &str) -> Explained {
    let message =
        format!("branch {branch} of requests may be another's, and the login is the platform's");
    let hint = format!("begin spec.pullRequest.branch with {own}, or leave it out");
    denied(Turn::OwnerOrPolicy, message).with_hint(hint)
}

fn denied(turn: Turn, message: String) -> Explained {
    Explained::new(Reason::AccessDenied, turn, message)
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
