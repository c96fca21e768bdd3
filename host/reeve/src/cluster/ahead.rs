//! The stage after Roles is dry-run before they are written: what is refused there leaves no Role behind, and widens none.
//!
//! All but what binds a Role: whether that is let in can only be said when the Role is there. Nothing is written here, nor told of what
//! passes; that is [`apply`](super::apply)'s.

use futures::StreamExt as _;
use reeve_core::plan::{Planned, Stage};

use super::error::ObjectError;
use super::finding::Expected;
use super::tenant_client::TenantClient;
use super::until::{Cut, Until};
use super::witness::Witness;

impl TenantClient {
    /// What of a stage would be refused whatever Roles there are.
    pub(super) async fn refused_ahead<W: Witness>(
        &self,
        stage: &Stage,
        until: &Until,
        witness: &W,
    ) -> Result<Vec<ObjectError>, Cut> {
        let asked: Vec<(&Planned, Expected)> = stage
            .objects()
            .iter()
            .filter(|object| !binds(object))
            .map(|object| (object, Expected::of(object, witness)))
            .collect();
        // Made before they are buffered: a closure over borrowed objects would keep the whole from being `Send`.
        let comparing: Vec<_> = asked
            .iter()
            .map(|(object, expected)| self.compare(object, expected))
            .collect();
        let findings = futures::stream::iter(comparing)
            .buffered(self.concurrency)
            .collect::<Vec<_>>();
        let findings = until.hold(findings).await?;
        Ok(findings.into_iter().filter_map(Result::err).collect())
    }
}

/// Whether the API server looks for a Role before it lets it in.
fn binds(object: &Planned) -> bool {
    let id = object.id();
    id.group == "rbac.authorization.k8s.io" && id.kind == "RoleBinding"
}
