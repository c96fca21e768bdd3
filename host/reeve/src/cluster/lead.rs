//! The first write of a stage, which needs no dry run of its own: what is refused has changed nothing.
//!
//! All others of the stage have passed their dry runs before, so that it is still all of them or none. One object may lead: the
//! first that has to be compared, if git has another manifest of it or it was never applied, and if nobody else has a say in
//! what becomes of it (`spec.ignore`, WriteBacks, `force`, what its annotations ask for, what `kubectl` claims). It is read, and
//! written in the state in which it was read alone, so that its answer beside what was read tells what a dry run would have. Where a
//! watch has shown in which state it is, and its manifest of then is at hand, it is written in that state without being read.
//! Whatever does not go so goes the long way: one that others write before, one that is not as it is expected, and one that is
//! refused, which is then compared as any other and so told in the words of a dry run.

use reeve_core::adoption::changed;
use reeve_core::drift::{Sight, asks};
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
use super::witness::{Difference, Former, Witness};

/// Bytes of text in a manifest that leads: a larger one is as likely as not refused for that, and would be held once more.
const LARGEST: usize = 256 << 10;

/// What is known of an object that leads its stage.
pub(super) enum Led {
    /// It is not there.
    New,
    /// It was read.
    Read(Value),
    /// The manifest that it was left as.
    Left(Value),
}

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
        expected: &Expected,
    ) -> Option<Finding> {
        if let Some(Former { sight, manifest }) = &expected.former
            && let Some(exact) = sight.exact()
            // By what it asked for it may never have been applied as that.
            && !asks(manifest)
        {
            let led = Led::Left(manifest.clone());
            return Some(leading(object, at, *sight, Some(State::seen(exact)), led));
        }
        // Who may not read it may still be let write it: the long way tells.
        match self.read(at).await.ok()? {
            None if expected.is_new => Some(leading(object, at, Sight::GONE, None, Led::New)),
            Some(live) if !expected.is_new && self.is_plainly_ours(object.manifest(), &live) => {
                let (sight, state) = (Sight::of(&live), State::of(&live)?);
                Some(leading(object, at, sight, Some(state), Led::Read(live)))
            }
            _ => None,
        }
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
        // Nothing of the stage is written yet.
        Ok(Finding::Leaves(_)) | Err(_) => false,
    };
    leads && !findings.iter().enumerate().all(stands_aside)
}

fn leading(object: &Planned, at: &Located, sight: Sight, only: Option<State>, led: Led) -> Finding {
    let action = match led {
        Led::New => Action::Created,
        Led::Read(_) | Led::Left(_) => Action::Configured,
    };
    Finding::Differs(Box::new(Write {
        at: at.clone(),
        kept: None,
        action,
        first: First::Nothing,
        only,
        difference: Difference {
            fields: Vec::new(),
            reported: object.reports_drift(),
            sight,
        },
        led: Some(led),
    }))
}

impl Write {
    /// What has become of the object that was to be `wanted` and is so now, and which fields of it were another.
    pub(super) fn came(&self, wanted: &Value, now: &Value) -> (Action, Vec<String>) {
        match &self.led {
            None | Some(Led::New) => (self.action, self.difference.fields.clone()),
            Some(Led::Read(live)) => came(live, now),
            // No other version: nothing was written.
            Some(Led::Left(_)) if State::of(now) == self.only => (Action::Unchanged, Vec::new()),
            Some(Led::Left(former)) => (Action::Configured, changed(former, wanted)),
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
    object.ignored().is_empty()
        && !asks(object.manifest())
        && !needed_by_others(object)
        && room_after(object.manifest(), LARGEST).is_some()
}

/// How many bytes are left when the texts of a value have taken theirs; None: there are not as many.
fn room_after(value: &Value, room: usize) -> Option<usize> {
    match value {
        Value::String(text) => room.checked_sub(text.len()),
        Value::Array(items) => items
            .iter()
            .try_fold(room, |room, item| room_after(item, room)),
        Value::Object(fields) => fields.iter().try_fold(room, |room, (key, below)| {
            room_after(below, room.checked_sub(key.len())?)
        }),
        Value::Null | Value::Bool(_) | Value::Number(_) => Some(room),
    }
}

#[cfg(test)]
mod tests {
    use super::super::refusal::Attempt;
    use super::super::wire::Address;
    use super::*;
    use kube::core::ApiResource;
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
    fn what_was_left_as_it_was_applied_is_told_by_its_two_manifests() {
        let now = map("8", json!({"k": "2", "beside": "y"}));
        let manifest = |k: &str| json!({"kind": "ConfigMap", "data": {"k": k}});
        for (only, want) in [
            ("7", (Action::Configured, vec!["data.k".to_owned()])),
            ("8", (Action::Unchanged, Vec::new())),
        ] {
            let Finding::Differs(mut write) = write(Some(Led::Left(manifest("1")))) else {
                panic!("it is to be written");
            };
            write.only = State::of(&map(only, json!({})));
            assert_eq!(write.came(&manifest("2"), &now), want, "{only}");
        }
    }

    #[test]
    fn all_texts_of_a_value_take_their_room() {
        let value = json!({"ab": ["c", 1, null], "d": {"e": "fg"}, "h": true});
        assert_eq!(room_after(&value, 8), Some(0));
        assert_eq!(room_after(&value, 7), None);
        assert_eq!(room_after(&value, 10), Some(2));
    }

    #[test]
    fn what_leads_is_written_first_and_with_nobody_refused_or_goes_the_long_way() {
        let settled = || Ok(Finding::Settled(Action::Unchanged, true, None));
        let led = || Ok(write(Some(Led::New)));
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
}
