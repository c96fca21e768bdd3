//! What applying a manifest again would make of its object, as the API server says it.
//!
//! Where it refuses to say so, since something of the manifest cannot be changed into from what is there (somebody has deleted the
//! object and made it anew), it is asked what it would make of the manifest as of a new object, and what nobody has said is as it is.
//! For that the account needs `create`; without it the object is refused as before. It deliberately decides nothing.

use reeve_core::inventory::ObjectId;
use reeve_core::ward::{as_if_applied, without_additions};
use serde_json::Value;

use super::Case;
use crate::cluster::{CallError, Cause};

/// Which state of an object it is.
const VERSION: &str = "/metadata/resourceVersion";

impl Case<'_> {
    /// The object as it would be, without what others have added to it; None: it is not any more as it was read.
    pub(super) async fn rehearse(
        &self,
        id: &ObjectId,
        version: &str,
        manifest: &Value,
        live: &Value,
    ) -> Result<Option<Value>, CallError> {
        match self.client.rehearsed(id, version, manifest).await {
            Ok(rehearsed) if rehearsed.pointer(VERSION) != live.pointer(VERSION) => Ok(None),
            Ok(rehearsed) => Ok(Some(without_additions(rehearsed, manifest, live))),
            Err(why) if matches!(why.cause(), Cause::Immutable | Cause::Invalid) => {
                match self.client.made_anew(id, manifest).await {
                    Some(made) => Ok(Some(as_if_applied(&made, manifest, live))),
                    None => Err(why),
                }
            }
            Err(why) => Err(why),
        }
    }
}
