//! The story of a Policy.
//!
//! What it deliberately doesn't: compile rules (`rego` does) or remember what they said (`policy::Said` does).

use std::collections::BTreeMap;

use reeve_api::condition::{self, Type};
use reeve_api::policy::{PolicyStatus, TestResults};
use reeve_api::reason::Reason;

use super::{
    Event, Frame, Memory, Next, Page, Tale, Told, asked_for, broken, handled, observed, words,
};
use crate::failure::Explained;
use crate::policy::Summary;

/// What is in force.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Force {
    /// `sha256:<hex>` of the rules, their data and their parameters.
    pub digest: String,
    /// Of the source that they were read from.
    pub revision: Option<String>,
    /// How their own tests ended.
    pub tests: Option<TestResults>,
}

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
    let message = format!("{} is in force{tested}", called(force));
    page.ready(Reason::Succeeded, &message);
    let asked = asked_for(before, previous.last_handled_reconcile_at.as_ref(), frame);
    let another = previous.digest.as_ref() != Some(&force.digest);
    let news = asked || another || !condition::is_true(before, Type::Ready);
    let event = news.then(|| Event::normal(Reason::Succeeded, &message, &BTreeMap::new()));
    (event, Next::Watch, Memory::default())
}
