//! Where a tenant may write back with a login that the platform has lent it.
//!
//! The branch is the one that the source follows, requests have theirs below a name that only the namespace has, and in a repository
//! that others have too the directory is one that the platform has given to the tenant, which `controller::lent` says. It
//! deliberately asks nothing of who brings a login of their own.

use reeve_api::WRITE_BACK_PATHS;
use reeve_api::reason::Reason;
use reeve_core::failure::{Explained, Turn};
use reeve_core::writeback::Propose;

use super::Case;
use crate::controller::lent::{Borrower, shown};

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
        let others = self.borrower().others(&self.spec.path);
        match others {
            Some(other) => Err(self.everywhere(&other)),
            None => Ok(self),
        }
    }

    fn borrower(&self) -> Borrower<'_> {
        Borrower {
            ctx: self.ctx,
            namespace: &self.id.namespace,
            tenant: &self.tenant,
            place: &self.place,
            branch: &self.branch,
        }
    }

    /// Whether the login is the platform's: that of a source which it keeps, or one of git configuration.
    fn is_lent(&self) -> bool {
        let source = self.spec.source.namespace.as_str();
        !self.namespaces().contains(source) || self.repository.is_given()
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

    fn everywhere(&self, other: &str) -> Explained {
        let path = shown(&self.spec.path);
        let message = format!(
            "others are applied from this branch as well, by {other}, and {path} is no directory of this tenant"
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

fn strange(branch: &str, own: &str) -> Explained {
    let message =
        format!("branch {branch} of requests may be another's, and the login is the platform's");
    let hint = format!("begin spec.pullRequest.branch with {own}, or leave it out");
    denied(Turn::OwnerOrPolicy, message).with_hint(hint)
}

fn denied(turn: Turn, message: String) -> Explained {
    Explained::new(Reason::AccessDenied, turn, message)
}
