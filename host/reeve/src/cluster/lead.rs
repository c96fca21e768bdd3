//! The first write of a stage, which needs no dry run of its own: what is refused has changed nothing.
//!
//! All others of the stage have passed their dry runs before, so that it is still all of them or none. One object may lead: the
//! first that has to be compared, if git has another manifest of it or it was never applied, and if nobody else has a say in
//! what becomes of it (`spec.ignore`, WriteBacks, `force`, what its annotations ask for, what `kubectl` claims). It is read, and
//! written in the state in which it was read alone, so that its answer beside what was read tells what a dry run would have.
//! Whatever does not go so goes the long way: one that others write before, one that is not as it is expected, and one that is
//! refused, which is then compared as any other and so told in the words of a dry run.

use reeve_core::drift::DRIFT;
use reeve_core::plan::Planned;
use reeve_core::status::Action;
use reeve_core::writeback::Leave;
use serde_json::Value;

use super::apply::First;
use super::body::State;
use super::compare;
use super::drift;
use super::error::ObjectError;
use super::finding::{Expected, Finding, Write};
use super::refusal::CallError;
use super::settle::needed_by_others;
use super::tenant_client::{Located, TenantClient};
use super::witness::{Difference, Witness};

/// What an object, or its manifest, may ask for beside being applied.
const ASKS: [&str; 4] = [
    "kustomize.toolkit.fluxcd.io/force",
    "kustomize.toolkit.fluxcd.io/reconcile",
    "kustomize.toolkit.fluxcd.io/ssa",
    DRIFT,
];

/// The object as it was read that leads its stage; None: it is not there.
pub(super) struct Led(Option<Value>);

impl TenantClient {
    /// Which object of a stage may lead it, if any: where it is in it.
    pub(super) fn lead<W: Witness>(
        &self,
        objects: &[Planned],
        expected: &[Expected],
        witness: &W,
    ) -> Option<usize> {
        if self.force || self.is_yielding() {
            return None;
        }
        let mut all = objects.iter().zip(expected).enumerate();
        let first = all.find(|(_, (_, expected))| expected.stood.is_none());
        let (nth, (object, expected)) = first?;
        let is_meant = expected.is_new || witness.is_changed(object);
        (is_meant && may_lead(object)).then_some(nth)
    }

    /// The write of an object that leads, if it is as it is expected to be.
    pub(super) async fn led(
        &self,
        object: &Planned,
        at: &Located,
        is_new: bool,
    ) -> Option<Finding> {
        // Who may not read it may still be let write it: the long way tells.
        let live = self.read(at).await.ok()?;
        let (action, only) = match &live {
            None if is_new => (Action::Created, None),
            Some(live) if !is_new && self.is_plainly_ours(object.manifest(), live) => {
                (Action::Configured, Some(State::of(live)?))
            }
            _ => return None,
        };
        Some(Finding::Differs(Box::new(Write {
            at: at.clone(),
            kept: None,
            action,
            first: First::Nothing,
            only,
            difference: Difference::of(object, live.as_ref(), Vec::new()),
            led: Some(Led(live)),
        })))
    }

    /// Whether applying is all that there is to do to it.
    fn is_plainly_ours(&self, wanted: &Value, live: &Value) -> bool {
        self.owns(live)
            && !asks(live)
            && live.pointer("/metadata/deletionTimestamp").is_none()
            && compare::takeover(wanted, live, &Leave::default()).is_none()
    }
}

/// Whether one that was found to lead is not the first to be written after all, or others were refused, with whom it is to be
/// told: then it is compared as they are.
pub(super) fn is_overtaken(findings: &[Result<Finding, ObjectError>], lead: usize) -> bool {
    let leads = findings.get(lead);
    let leads =
        leads.is_some_and(|it| matches!(it, Ok(Finding::Differs(write)) if write.led.is_some()));
    let stands_aside = |(nth, finding): (usize, &Result<Finding, ObjectError>)| match finding {
        Ok(Finding::Settled(..)) => true,
        Ok(Finding::Differs(_)) => nth >= lead,
        Err(_) => false,
    };
    leads && !findings.iter().enumerate().all(stands_aside)
}

impl Write {
    /// What has become of the object that is so now, and which fields of it were another.
    pub(super) fn came(&self, now: &Value) -> (Action, Vec<String>) {
        match &self.led {
            Some(Led(Some(live))) => came(live, now),
            Some(Led(None)) | None => (self.action, self.difference.fields.clone()),
        }
    }

    /// Whether it may be gone about the long way, after this answer to its write.
    pub(super) fn may_be_compared(&self, why: &CallError) -> bool {
        self.led.is_some() && why.is_answer()
    }
}

/// What an apply has made of an object, by what it was before: who claims what of it is nobody's change.
fn came(live: &Value, now: &Value) -> (Action, Vec<String>) {
    if !compare::differs(live, now) {
        return (Action::Unchanged, Vec::new());
    }
    (Action::Configured, drift::fields(live, now, &[]))
}

/// Whether nobody has a say in what becomes of the object but git.
fn may_lead(object: &Planned) -> bool {
    object.ignored().is_empty() && !asks(object.manifest()) && !needed_by_others(object)
}

/// Whether it asks for anything, be it what is the rule anyway.
fn asks(object: &Value) -> bool {
    let places = ["/metadata/annotations", "/metadata/labels"];
    let there = places.iter().filter_map(|place| object.pointer(place));
    there
        .into_iter()
        .any(|there| ASKS.iter().any(|key| there.get(*key).is_some()))
}

#[cfg(test)]
mod tests {
    use super::super::refusal::Attempt;
    use super::super::wire::Address;
    use super::*;
    use kube::core::ApiResource;
    use reeve_core::drift::Sight;
    use serde_json::json;

    fn map(version: &str, data: Value) -> Value {
        json!({"apiVersion": "v1", "kind": "ConfigMap", "data": data, "metadata": {
            "name": "a", "uid": "u", "resourceVersion": version, "managedFields": [
                {"manager": compare::MANAGER, "operation": "Apply", "time": version, "fieldsV1": {}}]}})
    }

    fn write(led: Option<Led>) -> Finding {
        let resource = ApiResource {
            group: String::new(),
            version: "v1".to_owned(),
            api_version: "v1".to_owned(),
            kind: "ConfigMap".to_owned(),
            plural: "configmaps".to_owned(),
        };
        let (subject, name) = ("ConfigMap/acme/a".to_owned(), "a".to_owned());
        let namespace = Some("acme".to_owned());
        let address = Address {
            resource,
            namespace,
            name,
        };
        Finding::Differs(Box::new(Write {
            at: Located { subject, address },
            kept: None,
            action: Action::Configured,
            first: First::Nothing,
            only: None,
            difference: Difference {
                fields: vec!["data.k".to_owned()],
                reported: false,
                sight: Sight::GONE,
            },
            led,
        }))
    }

    fn refused() -> ObjectError {
        ObjectError {
            subject: "ConfigMap/acme/b".to_owned(),
            attempt: Attempt::DryRun,
            account: "acme".to_owned(),
            resource: "configmaps".to_owned(),
            namespace: None,
            source: Box::new(CallError::NotLeading),
        }
    }

    #[test]
    fn what_leads_is_written_first_and_with_nobody_refused_or_goes_the_long_way() {
        let settled = || Ok(Finding::Settled(Action::Unchanged, true, None));
        let led = || Ok(write(Some(Led(None))));
        let other = || Ok(write(None));
        for (findings, lead, want) in [
            (vec![led()], 0, false),
            (vec![settled(), led(), other()], 1, false),
            (vec![other(), led()], 1, true),
            (vec![led(), Err(refused())], 0, true),
            (vec![Err(refused()), led()], 1, true),
            // It went the long way by itself.
            (vec![other(), other()], 1, false),
            (vec![settled(), other()], 0, false),
        ] {
            assert_eq!(is_overtaken(&findings, lead), want, "{lead}");
        }
    }

    #[test]
    fn the_answer_beside_what_was_read_tells_what_a_dry_run_would_have() {
        let before = map("7", json!({"k": "1", "same": "x"}));
        let unchanged = (Action::Unchanged, Vec::new());
        assert_eq!(came(&before, &before), unchanged);
        let claimed = map("8", json!({"k": "1", "same": "x"}));
        assert_eq!(
            came(&before, &claimed),
            unchanged,
            "who claims it is no change"
        );
        let after = map("8", json!({"k": "2", "same": "x"}));
        let fields = vec!["data.k".to_owned()];
        assert_eq!(came(&before, &after), (Action::Configured, fields));
    }

    #[test]
    fn an_object_that_asks_for_anything_asks_whatever_it_says() {
        for key in ASKS {
            for place in ["annotations", "labels"] {
                let object = json!({"metadata": {place: {key: "enabled"}}});
                assert!(asks(&object), "{object}");
            }
        }
        let other = json!({"metadata": {"labels": {"kustomize.toolkit.fluxcd.io/name": "web"}}});
        assert!(!asks(&other) && !asks(&json!({})));
    }
}
