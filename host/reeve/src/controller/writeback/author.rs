//! By whom a commit is, and what it is signed with.
//!
//! What the WriteBack says goes first, then what git configuration says, then what we are called. It deliberately keeps no key: one
//! is read for each commit.

use std::sync::Arc;

use reeve_api::reason::Reason;
use reeve_core::failure::{Explained, Turn};

use super::Case;
use crate::git::commit::{Identity, Signer};

impl Case<'_> {
    /// Who that is.
    pub(super) fn author(&self) -> Result<Identity, Explained> {
        let own = &self.spec.author;
        let (name, email) = (own.name.as_deref(), own.email.as_deref());
        self.repository.identity(name, email)
    }

    /// What it is signed with, if anything.
    pub(super) async fn signer(&self) -> Result<Option<Arc<Signer>>, Explained> {
        let Some(name) = &self.spec.signing else {
            return Ok(None);
        };
        let owner = self.ctx.secret_owner(&self.id.namespace);
        let data = self.ctx.cluster.secret(&owner, name).await;
        let data = data.map_err(|why| Explained::of(&why))?.into_inner();
        // Opening one takes its time, as its format intends.
        let read = tokio::task::spawn_blocking(move || Signer::from_secret(&data)).await;
        let crashed = |_| {
            let message = "reading the signing key crashed; the log has where";
            Explained::new(Reason::AuthenticationFailed, Turn::Retry, message)
        };
        let signer = read.map_err(crashed)?.map_err(|why| Explained::of(&why))?;
        Ok(Some(Arc::new(signer)))
    }
}
