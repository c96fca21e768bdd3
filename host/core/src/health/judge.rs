//! What tenants say themselves about the health of their kinds: `healthCheckExprs`.
//!
//! As Flux: an unobserved generation comes first, then what is in progress, has failed or is current, in this order; an
//! object of which none of the three holds is in progress. What it deliberately doesn't: evaluate; `cel` does, at a bounded
//! price.

use reeve_api::kustomization::CustomHealthCheck;
use serde_json::Value;

use super::{Seen, Verdict, number, text, verdict};
use crate::cel::{self, Expression};
use crate::inventory::ObjectId;

/// The expressions for objects of a group, or of one kind of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Judge {
    group: String,
    kind: Option<String>,
    in_progress: Option<Expression>,
    failed: Option<Expression>,
    current: Expression,
}

impl Judge {
    /// Reads the expressions, or says which of them cannot be read.
    pub fn parse(written: &CustomHealthCheck) -> Result<Self, (&'static str, cel::Error)> {
        let maybe = |field, source: &Option<String>| {
            let source = source.as_deref().filter(|source| !source.is_empty());
            let read = source.map(|source| Expression::parse(source, None));
            read.transpose().map_err(|why| (field, why))
        };
        let (group, _) = written.api_version.split_once('/').unwrap_or_default();
        Ok(Self {
            group: group.to_owned(),
            kind: written.kind.clone().filter(|kind| !kind.is_empty()),
            in_progress: maybe("inProgress", &written.in_progress)?,
            failed: maybe("failed", &written.failed)?,
            current: Expression::parse(&written.current, None).map_err(|why| ("current", why))?,
        })
    }

    /// Whether it is for this object.
    pub fn is_for(&self, id: &ObjectId) -> bool {
        self.group == id.group && self.kind.as_ref().is_none_or(|kind| *kind == id.kind)
    }

    fn judge(&self, object: &Value) -> Result<Verdict, cel::Error> {
        if text(object, "/metadata/deletionTimestamp").is_some() {
            return Ok(Verdict::Terminating);
        }
        if let (Some(seen), Some(wanted)) = (
            number(object, "/status/observedGeneration"),
            number(object, "/metadata/generation"),
        ) && seen != wanted
        {
            return Ok(Verdict::waiting(format!(
                "generation {wanted} is not observed yet, the last one is {seen}"
            )));
        }
        let holds = |expression: &Expression| {
            let fields = object.as_object().into_iter().flatten();
            expression.holds(fields.map(|(name, value)| (name.as_str(), value)))
        };
        if let Some(in_progress) = &self.in_progress
            && holds(in_progress)?
        {
            return Ok(Verdict::waiting("its inProgress expression holds"));
        }
        if let Some(failed) = &self.failed
            && holds(failed)?
        {
            return Ok(Verdict::Failed("its failed expression holds".to_owned()));
        }
        Ok(match holds(&self.current)? {
            true => Verdict::Current,
            false => Verdict::waiting("its current expression does not hold yet"),
        })
    }
}

/// How healthy `object` is: by its own expressions if there are any, else by the rules of its kind.
pub(super) fn seen(judge: Option<&Judge>, object: &Value) -> Seen {
    match judge.map(|judge| judge.judge(object)) {
        None => Seen::Is(verdict(object)),
        Some(Ok(verdict)) => Seen::Is(verdict),
        Some(Err(why)) => Seen::Unknown(format!("evaluating its health failed: {why}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn judge(written: Value) -> Result<Judge, String> {
        let mut whole = json!({"apiVersion": "example.com/v1", "current": "status.phase == 'Up'"});
        for (key, value) in written.as_object().unwrap() {
            whole[key] = value.clone();
        }
        let written: CustomHealthCheck = serde_json::from_value(whole).unwrap();
        Judge::parse(&written).map_err(|(field, why)| format!("{field}: {why}"))
    }

    fn id(group: &str, kind: &str) -> ObjectId {
        ObjectId {
            namespace: "acme".into(),
            name: "a".into(),
            group: group.into(),
            kind: kind.into(),
        }
    }

    #[test]
    fn a_judge_is_for_its_group_and_its_kind_if_it_names_one() {
        let all = judge(json!({})).unwrap();
        assert!(all.is_for(&id("example.com", "Thing")) && all.is_for(&id("example.com", "Other")));
        assert!(!all.is_for(&id("apps", "Thing")));
        let one = judge(json!({"kind": "Thing"})).unwrap();
        assert!(
            one.is_for(&id("example.com", "Thing")) && !one.is_for(&id("example.com", "Other"))
        );
    }

    #[test]
    fn what_is_in_progress_comes_before_what_has_failed_and_that_before_what_is_current() {
        let judge = judge(json!({
            "inProgress": "status.phase == 'Starting'", "failed": "has(status.error)",
        }))
        .unwrap();
        let of = |status: Value| json!({"metadata": {"generation": 2}, "status": status});
        let says = |status: Value| match seen(Some(&judge), &of(status)) {
            Seen::Is(Verdict::Current) => "current".to_owned(),
            Seen::Is(Verdict::InProgress(why)) => why,
            Seen::Is(Verdict::Failed(why)) => format!("failed: {why}"),
            other => format!("{other:?}"),
        };
        let in_progress = "its inProgress expression holds";
        assert_eq!(
            says(json!({"phase": "Starting", "error": "x"})),
            in_progress
        );
        let failed = "failed: its failed expression holds";
        assert_eq!(says(json!({"phase": "Up", "error": "x"})), failed);
        assert_eq!(says(json!({"phase": "Up"})), "current");
        let not_yet = "its current expression does not hold yet";
        assert_eq!(says(json!({"phase": "Down"})), not_yet);
        let old = "generation 2 is not observed yet, the last one is 1";
        assert_eq!(says(json!({"phase": "Up", "observedGeneration": 1})), old);
        let unknown = seen(Some(&judge), &json!({"metadata": {}}));
        let why = "evaluating its health failed: no such attribute: status";
        assert_eq!(unknown, Seen::Unknown(why.into()));
    }

    #[test]
    fn an_expression_that_cannot_be_read_is_named() {
        let why = judge(json!({"failed": "status.x =="})).unwrap_err();
        assert!(why.starts_with("failed: 1:"), "{why}");
        let why = judge(json!({"current": "today()"})).unwrap_err();
        assert!(why.contains("there is no function 'today'"), "{why}");
    }
}
