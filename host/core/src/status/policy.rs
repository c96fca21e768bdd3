//! The story of a Policy.
//!
//! What it deliberately doesn't: compile rules (`rego` does) or remember what they said (`policy::Said` does).

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;
use reeve_api::condition::{self, Type};
use reeve_api::policy::{PolicyStatus, Replayed, TestResults};
use reeve_api::reason::Reason;

use super::{
    Event, EventType, Frame, Memory, Next, Page, Tale, Told, asked_for, broken, handled, observed,
    words,
};
use crate::failure::Explained;
use crate::policy::Summary;
use crate::rego::Exception;
use crate::schedule;

/// What is in force.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Force {
    /// `sha256:<hex>` of the rules, their data and their parameters.
    pub digest: String,
    /// Of the source that they were read from.
    pub revision: Option<String>,
    /// How their own tests ended.
    pub tests: Option<TestResults>,
    /// What is excepted from them, in the order of the file.
    pub exceptions: Vec<Exception>,
}

/// How long before it ends an exception is announced to.
const AHEAD: Duration = schedule::WEEK;
/// How many endings are spelled out.
const SPELLED_OUT: usize = 5;

/// What came of looking at a policy.
#[derive(Debug, Clone)]
pub enum PolicyOutcome {
    /// It is in force as it is wanted.
    InForce(Force),
    /// Nothing of it is: what it is asked about is denied, if it is to be enforced.
    Failed(Explained),
    /// It cannot be put in force as it is wanted now; what was before stays.
    Kept {
        /// What stays.
        force: Force,
        /// Why not the new one.
        why: Explained,
    },
}

/// What the world reads about a policy.
pub fn tell_policy(
    previous: &PolicyStatus,
    frame: &Frame<'_>,
    outcome: &PolicyOutcome,
    said: Summary,
) -> Told<PolicyStatus> {
    let mut page = Page::new(&previous.conditions, frame);
    let (tale, force) = match outcome {
        PolicyOutcome::InForce(force) => (in_force(&mut page, previous, frame, force), Some(force)),
        PolicyOutcome::Failed(why) => {
            let message = format!("{}; nothing of it is in force", words(why));
            (
                broken(&mut page, &previous.conditions, frame, why, &message),
                None,
            )
        }
        PolicyOutcome::Kept { force, why } => {
            let message = format!(
                "{}; until then {} stays in force",
                words(why),
                called(force)
            );
            (
                broken(&mut page, &previous.conditions, frame, why, &message),
                Some(force),
            )
        }
    };
    let force = force.cloned();
    let status = PolicyStatus {
        digest: force.as_ref().map(|force| force.digest.clone()),
        revision: force.as_ref().and_then(|force| force.revision.clone()),
        tests: force.and_then(|force| force.tests),
        verdicts: said.verdicts.or_else(|| previous.verdicts.clone()),
        evaluation: said.evaluation.or_else(|| previous.evaluation.clone()),
        findings: said.findings,
        what_if: said.what_if,
        replay: None,
        last_handled_reconcile_at: handled(previous.last_handled_reconcile_at.as_ref(), frame),
        observed_generation: observed(&page.conditions, previous.observed_generation, frame),
        conditions: page.conditions,
    };
    let (event, next, memory) = tale;
    Told {
        status,
        events: event.into_iter().collect(),
        next,
        memory,
    }
}

/// What the world reads about a policy that is only replayed: a page of the answer, or why there is none.
pub fn tell_replay(
    previous: &PolicyStatus,
    frame: &Frame<'_>,
    outcome: &Result<Replayed, Explained>,
) -> Told<PolicyStatus> {
    let mut page = Page::new(&previous.conditions, frame);
    let (next, memory) = match outcome {
        Ok(replayed) => {
            let message = format!(
                "{} of {} Kustomizations are judged on this page; nothing is put in force",
                replayed.judged, replayed.in_scope
            );
            page.ready(Reason::Succeeded, &message);
            (Next::Watch, Memory::default())
        }
        Err(why) => {
            // Who asked reads the condition: no event is worth it.
            let (_, next, memory) =
                broken(&mut page, &previous.conditions, frame, why, &words(why));
            (next, memory)
        }
    };
    let status = PolicyStatus {
        replay: outcome.as_ref().ok().cloned(),
        observed_generation: observed(&page.conditions, previous.observed_generation, frame),
        conditions: page.conditions,
        ..PolicyStatus::default()
    };
    Told {
        status,
        events: Vec::new(),
        next,
        memory,
    }
}

fn called(force: &Force) -> &str {
    force.revision.as_deref().unwrap_or(&force.digest)
}

fn in_force(
    page: &mut Page<'_>,
    previous: &PolicyStatus,
    frame: &Frame<'_>,
    force: &Force,
) -> Tale {
    let before = &previous.conditions;
    let tested = match &force.tests {
        Some(TestResults {
            coverage: Some(coverage),
            total,
        }) => {
            format!(", {total} tests passed, {coverage} covered")
        }
        _ => ", without tests".to_owned(),
    };
    let ending = ending(&force.exceptions, frame.now);
    let message = [format!("{} is in force{tested}", called(force))];
    let message = message.iter().chain(&ending).cloned();
    let message = message.collect::<Vec<_>>().join("; ");
    let told = condition::find(before, Type::Ready).is_some_and(|ready| ready.message == message);
    page.ready(Reason::Succeeded, &message);
    let asked = asked_for(before, previous.last_handled_reconcile_at.as_ref(), frame);
    let another = previous.digest.as_ref() != Some(&force.digest);
    let news = asked || another || !condition::is_true(before, Type::Ready);
    let type_ = match ending.is_empty() {
        true => EventType::Normal,
        false => EventType::Warning,
    };
    let event = (news || !told && !ending.is_empty())
        .then(|| Event::new(type_, Reason::Succeeded, &message, &BTreeMap::new()));
    let next = next(&force.exceptions, frame.now);
    (event, next, Memory::default())
}

/// The exceptions that end soon, and those that have ended.
fn ending(exceptions: &[Exception], now: Timestamp) -> Vec<String> {
    let near = exceptions.iter().filter(|one| announced(one) <= now);
    let mut told: Vec<String> = near
        .clone()
        .take(SPELLED_OUT)
        .map(|one| {
            let (policy, owner, until) = (&one.policy, &one.owner, one.expires);
            match one.holds(now) {
                true => format!("an exception of {owner} from {policy} ends at {until}"),
                false => {
                    format!("an exception of {owner} from {policy} has ended at {until}: remove it")
                }
            }
        })
        .collect();
    let hidden = near.count() - told.len();
    if hidden > 0 {
        told.push(format!("and {hidden} more exceptions end or have ended"));
    }
    told
}

/// When the next of them is announced or ends.
fn next(exceptions: &[Exception], now: Timestamp) -> Next {
    let moments = exceptions
        .iter()
        .flat_map(|one| [announced(one), one.expires]);
    match moments.filter(|moment| *moment > now).min() {
        Some(moment) => Next::Watch.no_later(moment, now),
        None => Next::Watch,
    }
}

fn announced(one: &Exception) -> Timestamp {
    one.expires.saturating_sub(AHEAD).unwrap_or(Timestamp::MIN)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rego;
    use serde_json::json;

    const RULES: &str = "# METADATA\n# title: t\n# description: d\npackage a\n\ndeny contains {\"message\": \"no\"} if input.never\n";

    fn force() -> Force {
        let exception = "- {policy: a, owner: web, reason: soon, expires: 2026-03-08}\n";
        let files = [("a.rego", RULES), ("exceptions.yaml", exception)];
        let files = files.map(|(path, text)| (path.to_owned(), text.as_bytes().to_vec()));
        let policy = rego::Policy::load("a", &BTreeMap::from(files), &json!({})).unwrap();
        Force {
            digest: policy.digest().to_owned(),
            revision: Some("main@sha1:1".to_owned()),
            tests: None,
            exceptions: policy.exceptions().to_vec(),
        }
    }

    #[test]
    fn a_replay_tells_its_page_or_why_there_is_none_and_no_event() {
        let frame = Frame {
            generation: 2,
            requested_at: None,
            now: Timestamp::UNIX_EPOCH,
            interval: Duration::MAX,
            retry_interval: Some(Duration::MAX),
            spread: 0,
            memory: Memory::default(),
        };
        let page = Replayed {
            generation: 2,
            in_scope: 3,
            judged: 2,
            ..Replayed::default()
        };
        let before = PolicyStatus {
            replay: Some(Replayed::default()),
            ..PolicyStatus::default()
        };
        let told = tell_replay(&before, &frame, &Ok(page.clone()));
        assert_eq!(told.status.replay, Some(page));
        let ready = condition::find(&told.status.conditions, Type::Ready).unwrap();
        assert_eq!(
            (ready.status.as_str(), ready.observed_generation),
            ("True", Some(2))
        );
        assert!(told.events.is_empty());
        let why = Explained::new(
            Reason::PolicyFailed,
            crate::failure::Turn::NextRevision,
            "it does not compile",
        );
        let told = tell_replay(&told.status, &frame, &Err(why));
        assert_eq!((told.status.replay, told.events.len()), (None, 0));
        let ready = condition::find(&told.status.conditions, Type::Ready).unwrap();
        assert_eq!(
            (ready.status.as_str(), ready.message.as_str()),
            ("False", "it does not compile")
        );
    }

    #[test]
    fn an_exception_is_announced_a_week_before_and_when_it_has_ended_and_once_each() {
        let outcome = PolicyOutcome::InForce(force());
        let mut status = PolicyStatus::default();
        for (now, message, event, hours) in [
            ("2026-02-28T23:00:00Z", "", true, Some(1)),
            ("2026-02-28T23:30:00Z", "", false, None),
            (
                "2026-03-01T00:00:00Z",
                "; an exception of web from a ends at 2026-03-08T00:00:00Z",
                true,
                Some(7 * 24),
            ),
            (
                "2026-03-02T00:00:00Z",
                "; an exception of web from a ends at 2026-03-08T00:00:00Z",
                false,
                Some(6 * 24),
            ),
            (
                "2026-03-08T00:00:00Z",
                "; an exception of web from a has ended at 2026-03-08T00:00:00Z: remove it",
                true,
                None,
            ),
            (
                "2026-03-09T00:00:00Z",
                "; an exception of web from a has ended at 2026-03-08T00:00:00Z: remove it",
                false,
                None,
            ),
        ] {
            let frame = Frame {
                generation: 1,
                requested_at: None,
                now: now.parse().unwrap(),
                interval: Duration::MAX,
                retry_interval: Some(Duration::MAX),
                spread: 0,
                memory: Memory::default(),
            };
            let told = tell_policy(&status, &frame, &outcome, Summary::default());
            status = told.status;
            let ready = condition::find(&status.conditions, Type::Ready).unwrap();
            assert_eq!(
                ready.message,
                format!("main@sha1:1 is in force, without tests{message}")
            );
            assert_eq!(told.events.len(), usize::from(event), "{now}");
            if let Some(hours) = hours {
                assert_eq!(
                    told.next,
                    Next::After(Duration::from_secs(hours * 3600)),
                    "{now}"
                );
            }
        }
    }
}
