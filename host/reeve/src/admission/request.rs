//! The question and the answer, as `admission.k8s.io/v1` writes them.
//!
//! Which objects are worth a look is decided here, from the question alone: what is being deleted, what only its status or
//! its finalizers change of, and what nobody here acts on, is none.

use reeve_api::{CALLED_AT, CALLED_BY, CALLED_FOR, CALLED_IN, RECONCILE_REQUEST};
use reeve_core::failure::{Explained, Turn};
use reeve_core::status;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::controller::Review;
use crate::observe::Kind;

/// Warnings that are passed on, and how long one may be: API servers cut them off at these bounds.
const WARNINGS: usize = 16;
const LONGEST_WARNING: usize = 250;

/// What the API server asks.
#[derive(Debug)]
pub(super) struct Asked {
    uid: String,
    /// None: nothing here acts on it.
    pub(super) kind: Option<Kind>,
    /// As it is to be.
    pub(super) object: Value,
    /// As it was.
    before: Option<Value>,
}

#[derive(Deserialize)]
struct Envelope {
    request: Request,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Request {
    uid: String,
    kind: GroupKind,
    operation: String,
    sub_resource: Option<String>,
    #[serde(default)]
    object: Value,
    #[serde(default)]
    old_object: Value,
}

#[derive(Deserialize)]
struct GroupKind {
    group: String,
    kind: String,
}

impl Asked {
    /// The question, if it is one.
    pub(super) fn parse(body: &[u8]) -> Option<Self> {
        let Envelope { request } = serde_json::from_slice(body).ok()?;
        let GroupKind { group, kind } = request.kind;
        let known = [
            Kind::Kustomization,
            Kind::GitRepository,
            Kind::Receiver,
            Kind::Plugin,
            Kind::ClusterPlugin,
            Kind::Policy,
        ];
        let named = |one: &Kind| one.group() == group && one.as_str() == kind;
        let written = matches!(request.operation.as_str(), "CREATE" | "UPDATE");
        let whole = request.sub_resource.is_none_or(|name| name.is_empty());
        let kind = known.into_iter().find(named);
        Some(Self {
            uid: request.uid,
            kind: kind.filter(|_| written && whole),
            object: request.object,
            before: (!request.old_object.is_null()).then_some(request.old_object),
        })
    }

    /// Whether anything is wanted of us that was not wanted before.
    pub(super) fn wants_something_new(&self) -> bool {
        let going = self.object.pointer("/metadata/deletionTimestamp");
        let same = |before: &Value| wanted(before) == wanted(&self.object);
        going.is_none() && !self.before.as_ref().is_some_and(same)
    }
}

/// What runs and rules go by. Who asks for another run wants nothing else than before.
fn wanted(object: &Value) -> Value {
    let part = |pointer: &str| object.pointer(pointer).cloned();
    let mut annotations = part("/metadata/annotations").unwrap_or_default();
    if let Some(annotations) = annotations.as_object_mut() {
        let calls = [CALLED_AT, CALLED_BY, CALLED_FOR, CALLED_IN];
        for asks in calls.into_iter().chain([RECONCILE_REQUEST]) {
            annotations.shift_remove(asks);
        }
        annotations.shift_remove("kubectl.kubernetes.io/last-applied-configuration");
    }
    let annotations = annotations.as_object().cloned().unwrap_or_default();
    json!({
        "labels": part("/metadata/labels").unwrap_or_else(|| json!({})),
        "annotations": annotations,
        "spec": part("/spec"),
    })
}

/// The answer to a question.
pub(super) fn answer(asked: &Asked, review: &Review) -> Value {
    let mut response = json!({
        "uid": asked.uid,
        "allowed": review.refused.is_none(),
    });
    if let Some(fields) = response.as_object_mut() {
        if let Some(why) = &review.refused {
            fields.insert("status".to_owned(), refusal(why));
        }
        let warnings = review.warnings.iter().take(WARNINGS);
        let warnings: Vec<_> = warnings
            .map(|one| status::bounded(one, LONGEST_WARNING))
            .collect();
        if !warnings.is_empty() {
            fields.insert("warnings".to_owned(), json!(warnings));
        }
    }
    json!({
        "apiVersion": "admission.k8s.io/v1",
        "kind": "AdmissionReview",
        "response": response,
    })
}

/// What the condition `Ready` would say.
fn refusal(why: &Explained) -> Value {
    // What its owner must mend is invalid; what rules object to is forbidden.
    let (code, reason) = match why.turn {
        Turn::Owner if why.reason != reeve_api::reason::Reason::AccessDenied => (422, "Invalid"),
        _ => (403, "Forbidden"),
    };
    json!({
        "status": "Failure",
        "code": code,
        "reason": reason,
        "message": status::words(why),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ask(operation: &str, kind: &str, object: &Value, before: &Value) -> Asked {
        let group = match kind {
            "Kustomization" => "kustomize.toolkit.fluxcd.io",
            _ => "apps",
        };
        let body = json!({"request": {
            "uid": "u-1", "operation": operation, "object": object, "oldObject": before,
            "kind": {"group": group, "version": "v1", "kind": kind},
        }});
        Asked::parse(body.to_string().as_bytes()).unwrap()
    }

    fn looked_at(operation: &str, kind: &str, object: &Value, before: &Value) -> bool {
        let asked = ask(operation, kind, object, before);
        asked.kind.is_some() && asked.wants_something_new()
    }

    #[test]
    fn only_what_is_newly_wanted_of_us_is_looked_at() {
        let object = |prune: bool, metadata: Value| json!({"metadata": metadata, "spec": {"prune": prune}, "status": {"x": prune}});
        let plain = object(true, json!({"name": "a"}));
        let none = Value::Null;
        for (says, operation, kind, after, before, looked) in [
            (
                "a new one",
                "CREATE",
                "Kustomization",
                plain.clone(),
                none.clone(),
                true,
            ),
            (
                "a kind of others",
                "CREATE",
                "Deployment",
                plain.clone(),
                none.clone(),
                false,
            ),
            (
                "one that goes",
                "DELETE",
                "Kustomization",
                none.clone(),
                plain.clone(),
                false,
            ),
            (
                "another spec",
                "UPDATE",
                "Kustomization",
                object(false, json!({"name": "a"})),
                plain.clone(),
                true,
            ),
            (
                "another label",
                "UPDATE",
                "Kustomization",
                object(true, json!({"labels": {"a": "b"}})),
                plain.clone(),
                true,
            ),
            (
                "another annotation",
                "UPDATE",
                "Kustomization",
                object(true, json!({"annotations": {"a": "b"}})),
                plain.clone(),
                true,
            ),
            (
                "a finalizer",
                "UPDATE",
                "Kustomization",
                object(true, json!({"finalizers": ["f"]})),
                plain.clone(),
                false,
            ),
            (
                "a request for a run",
                "UPDATE",
                "Kustomization",
                object(
                    true,
                    json!({"annotations": {"reconcile.fluxcd.io/requestedAt": "b"}}),
                ),
                plain.clone(),
                false,
            ),
            (
                "one being deleted",
                "UPDATE",
                "Kustomization",
                object(false, json!({"deletionTimestamp": "2026-01-01T00:00:00Z"})),
                plain,
                false,
            ),
        ] {
            assert_eq!(
                looked_at(operation, kind, &after, &before),
                looked,
                "{says}"
            );
        }
    }

    #[test]
    fn a_status_is_not_looked_at_and_no_question_is_none() {
        let body = json!({"request": {
            "uid": "u-1", "operation": "UPDATE", "subResource": "status", "object": {},
            "kind": {"group": "kustomize.toolkit.fluxcd.io", "version": "v1", "kind": "Kustomization"},
        }});
        let asked = Asked::parse(body.to_string().as_bytes()).unwrap();
        assert!(asked.kind.is_none());
        for body in ["", "{}", "[]", r#"{"request": {"uid": 1}}"#] {
            assert!(Asked::parse(body.as_bytes()).is_none(), "{body}");
        }
    }

    #[test]
    fn an_answer_says_what_ready_would_say_and_warns_within_bounds() {
        use reeve_api::reason::Reason;
        let asked = ask("CREATE", "Kustomization", &json!({}), &Value::Null);
        let refused = |reason, turn| {
            let why = Explained::new(reason, turn, "spec.path: no").with_hint("mend it");
            let review = Review {
                refused: Some(why),
                warnings: vec!["x".repeat(1000); 100],
            };
            answer(&asked, &review)["response"].clone()
        };
        let invalid = refused(Reason::InvalidSpec, Turn::Owner);
        assert_eq!(invalid["uid"], "u-1");
        assert_eq!(invalid["allowed"], false);
        assert_eq!(invalid["status"]["code"], 422);
        assert_eq!(invalid["status"]["message"], "spec.path: no; hint: mend it");
        let warnings = invalid["warnings"].as_array().unwrap();
        assert_eq!(warnings.len(), WARNINGS);
        assert!(
            warnings
                .iter()
                .all(|one| one.as_str().unwrap().len() <= LONGEST_WARNING)
        );
        let denied = refused(Reason::PolicyDenied, Turn::OwnerOrPolicy);
        assert_eq!(denied["status"]["code"], 403);
        let passed = answer(&asked, &Review::default());
        assert_eq!(passed["response"], json!({"uid": "u-1", "allowed": true}));
    }
}
