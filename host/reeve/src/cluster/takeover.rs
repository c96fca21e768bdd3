//! Folding what others once claimed into our own apply, as Flux does for `kubectl`'s.
//!
//! What to fold is [`compare`](super::compare)'s to say; here it is written, and written anew when somebody else was
//! quicker.

use reeve_core::writeback::Leave;
use serde_json::Value;

use super::compare::{self, MANAGER};
use super::error::ObjectError;
use super::refusal::Attempt;
use super::tenant_client::{Located, TenantClient};
use super::wire::{Format, Patch};

/// How often an object is looked at again that others write to meanwhile.
const CONFLICTS: usize = 5;

impl TenantClient {
    /// Folds others' claims into ours, and returns the object as it is then, if anything was folded. The patch holds only for
    /// the object as it was read; whoever writes to it in between (its status, as a rule) makes us look `again`, or is told.
    pub(super) async fn take_over(
        &self,
        at: &Located,
        body: &[u8],
        mut claims: String,
        left: &Leave,
        again: bool,
    ) -> Result<Option<Value>, ObjectError> {
        let how = Patch {
            format: Format::Json,
            manager: MANAGER,
            dry_run: false,
            subresource: None,
        };
        let mut conflicts = 0;
        loop {
            let taken = self.wire.patch(&at.address, how, claims.into_bytes()).await;
            match taken {
                Ok(now) => return Ok(Some(now)),
                Err(why) if again && why.is_conflict() && conflicts < CONFLICTS => conflicts += 1,
                Err(why) => return Err(self.failed(at, Attempt::Patch, why)),
            }
            let wanted: Value = serde_json::from_slice(body).unwrap_or_default();
            let Some(live) = self.read(at).await? else {
                return Ok(None);
            };
            let Some(anew) = compare::takeover(&wanted, &live, left) else {
                return Ok(None);
            };
            claims = anew.to_string();
        }
    }
}
