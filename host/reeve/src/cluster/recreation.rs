//! Whether an object may be deleted and made anew, as `force` asks.
//!
//! The API server says Invalid or Conflict to a field that cannot be changed, and to a manifest that is wrong in itself. What is wrong
//! in itself stays wrong, and the old object would be gone for nothing: so its creation is rehearsed first, under a name that nobody
//! has. It deliberately writes nothing.

use serde_json::{Value, json};

use super::compare::{self, MANAGER};
use super::error::ObjectError;
use super::refusal::{Attempt, CallError, Cause};
use super::tenant_client::{Located, TenantClient};

impl TenantClient {
    /// Only what policy has seen can say so, never the object on the cluster.
    pub(super) fn may_recreate(&self, why: &CallError, wanted: &Value) -> bool {
        (self.force || compare::may_be_recreated(wanted)) && may_be_of_the_old(why)
    }

    /// Asks whether the object could be made if the one of its name were gone, and whether that one may be deleted.
    pub(super) async fn rehearse_recreation(
        &self,
        at: &Located,
        wanted: &Value,
        uid: &str,
    ) -> Result<(), ObjectError> {
        let failed = |why| self.failed(at, Attempt::DryRun, why);
        let uri = at.address.collection().map_err(failed)?;
        let uri = format!("{uri}?dryRun=All&fieldManager={MANAGER}");
        let nameless = nameless(wanted);
        let made = self.wire.post(uri, &nameless, Attempt::DryRun);
        match made.await {
            Err(why) if !is_of_the_old(&why) => return Err(failed(why)),
            Ok(_) | Err(_) => {}
        }
        self.rehearse_delete(at, uid).await
    }
}

/// As Flux and kubectl do: an Invalid or Conflict of something that exists may be an immutable field.
pub(super) fn may_be_of_the_old(why: &CallError) -> bool {
    match why {
        CallError::Refused(refusal) => {
            refusal.cause() == Cause::Immutable || matches!(refusal.code, 409 | 422)
        }
        _ => false,
    }
}

/// Whether the creation under another name is refused for nothing but that name, or what the old object still has.
fn is_of_the_old(why: &CallError) -> bool {
    let CallError::Refused(refusal) = why else {
        return false;
    };
    let is_taken = refusal.message.contains("already allocated");
    let of_the_old = |field: &str| match field {
        "metadata.name" => true,
        field => is_taken && (field.starts_with("spec.clusterIP") || field.ends_with("odePort")),
    };
    let mut fields = refusal.causes.iter().map(|(field, _)| field.as_str());
    refusal.cause() == Cause::Quota || (!refusal.causes.is_empty() && fields.all(of_the_old))
}

/// The manifest under a name that the API server makes up.
fn nameless(manifest: &Value) -> Value {
    let mut manifest = manifest.clone();
    if let Some(metadata) = manifest.get_mut("metadata").and_then(Value::as_object_mut) {
        metadata.shift_remove("name");
        metadata.insert("generateName".to_owned(), json!("reeve-"));
    }
    manifest
}

#[cfg(test)]
mod tests {
    use super::super::refusal::Refusal;
    use super::*;

    fn refused(code: u16, message: &str, fields: &[&str]) -> CallError {
        let causes = fields.iter();
        let causes = causes.map(|field| ((*field).to_owned(), "FieldValueInvalid".to_owned()));
        CallError::Refused(Box::new(Refusal {
            code,
            reason: "Invalid".to_owned(),
            message: message.to_owned(),
            causes: causes.collect(),
            names_object: true,
            retry_after: None,
            attempt: Attempt::DryRun,
        }))
    }

    #[test]
    fn only_a_name_or_what_the_old_object_has_may_stand_in_the_way_of_the_new_one() {
        let taken = "provided IP is already allocated";
        for (fields, message, want) in [
            (&["metadata.name"][..], "must be plural.group", true),
            (&["spec.clusterIPs[0]"], taken, true),
            (
                &["spec.ports[0].nodePort"],
                "provided port is already allocated",
                true,
            ),
            (&["spec.ports[0].nodePort"], "not in the range", false),
            (&["metadata.name", "spec.selector"], "wrong", false),
            (&["spec.template.metadata.labels"], "wrong", false),
            (&[], "wrong", false),
        ] {
            let why = refused(422, message, fields);
            assert_eq!(is_of_the_old(&why), want, "{fields:?} {message}");
        }
        assert!(!is_of_the_old(&CallError::NotLeading));
    }

    #[test]
    fn the_rehearsed_manifest_has_no_name_and_all_else() {
        let manifest = json!({"kind": "ConfigMap", "metadata": {"name": "a", "labels": {"b": "c"}}, "data": {"k": "v"}});
        let want = json!({"kind": "ConfigMap", "metadata": {"labels": {"b": "c"}, "generateName": "reeve-"}, "data": {"k": "v"}});
        assert_eq!(nameless(&manifest), want);
    }
}
