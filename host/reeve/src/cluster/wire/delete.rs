//! Deleting: exactly one object, and where it matters, only in the state in which it was read.

use http::Request;
use serde_json::{Value, json};

use super::{Address, Wire, with_json};
use crate::cluster::refusal::{Attempt, CallError};

impl Wire {
    /// Deletes exactly the object with that uid; its dependents go in the background. False: it was gone already.
    pub(in crate::cluster) async fn delete(
        &self,
        at: &Address,
        uid: &str,
    ) -> Result<bool, CallError> {
        self.remove(at, json!({"uid": uid}), &[]).await
    }

    /// The same, refused as a conflict if anybody has changed it since that version.
    pub(in crate::cluster) async fn delete_as_read(
        &self,
        at: &Address,
        uid: &str,
        version: &str,
    ) -> Result<bool, CallError> {
        let only = json!({"uid": uid, "resourceVersion": version});
        self.remove(at, only, &[]).await
    }

    /// Asks whether that would be refused, and deletes nothing.
    pub(in crate::cluster) async fn rehearse_delete(
        &self,
        at: &Address,
        uid: &str,
    ) -> Result<bool, CallError> {
        match self.remove(at, json!({"uid": uid}), &["All"]).await {
            // A webhook that cannot be asked without an effect: only the deletion itself will show.
            Err(CallError::Refused(why)) if why.message.contains("does not support dry run") => {
                Ok(true)
            }
            told => told,
        }
    }

    async fn remove(&self, at: &Address, only: Value, dry_run: &[&str]) -> Result<bool, CallError> {
        let options = json!({
            "kind": "DeleteOptions", "apiVersion": "v1", "dryRun": dry_run,
            "propagationPolicy": "Background", "preconditions": only,
        });
        let request = with_json(Request::delete(at.path()?), &options);
        match self.send(request, Attempt::Delete).await {
            Ok(_) => Ok(true),
            Err(why) if why.is_missing_object() => Ok(false),
            Err(why) => Err(why),
        }
    }
}
