//! The stories of the platform's kinds: Tenant and Project.
//!
//! What it deliberately doesn't: decide who has a namespace (`tenancy`).

use std::collections::BTreeMap;

use reeve_api::condition::{self, Condition, Status, Type};
use reeve_api::name::{NamespaceName, TenantName};
use reeve_api::reason::Reason;
use reeve_api::tenant::{Limits, Onboarding, ProjectStatus, TenantStatus, Usage};

use super::{
    Event, Frame, Memory, Next, Page, Told, after, asked_for, observed, remember_failure, words,
    worth_a_warning,
};
use crate::failure::{Explained, Turn};

/// What came of looking at a Tenant.
#[derive(Debug, Clone)]
pub struct TenantOutcome {
    /// The namespaces it has.
    pub namespaces: Vec<NamespaceName>,
    /// What is wrong with it, if anything: a namespace that an older Tenant has, a Project that isn't there.
    pub wrong: Option<Explained>,
    /// Why a namespace that is called like it is nobody's, if there is one with something in it.
    pub namesake: Option<Explained>,
    /// What it may use.
    pub limits: Limits,
    /// What it uses, if that is known by now.
    pub usage: Option<Usage>,
}

/// What the world reads about a Tenant.
pub fn tell_tenant(
    previous: &TenantStatus,
    frame: &Frame<'_>,
    outcome: &TenantOutcome,
) -> Told<TenantStatus> {
    let result = match &outcome.wrong {
        Some(why) => Err(why),
        None => Ok(match outcome.namespaces.len() {
            1 => "has 1 namespace".to_owned(),
            n => format!("has {n} namespaces"),
        }),
    };
    let (mut conditions, tale) = simply(&previous.conditions, frame, result);
    namesake(&mut conditions, frame, outcome.namesake.as_ref());
    onboarded(&mut conditions, frame, previous.onboarding.as_ref());
    let status = TenantStatus {
        observed_generation: observed(&conditions, previous.observed_generation, frame),
        conditions,
        namespaces: outcome.namespaces.clone(),
        limits: Some(outcome.limits).filter(|limits| *limits != Limits::default()),
        usage: outcome.usage.or(previous.usage),
        // The landlord's own words.
        onboarding: previous.onboarding.clone(),
        departure: previous.departure.clone(),
    };
    tale.of(status)
}

/// What the landlord says of the Tenant as it is now, if that is why it is not ready.
pub fn not_onboarded(onboarding: Option<&Onboarding>, generation: i64) -> Option<Explained> {
    let told = onboarding.filter(|told| !told.done && told.observed_generation == generation)?;
    let reason = Reason::named(&told.reason).unwrap_or(Reason::OnboardingFailed);
    // The landlord tries again by itself, and its next word wakes us.
    let turn = match reason {
        Reason::OnboardingFailed => Turn::Dependency,
        _ => Turn::OwnerOrPolicy,
    };
    Some(Explained::new(reason, turn, told.message.clone()))
}

/// What the landlord said last, as a condition. Where none runs there is none.
fn onboarded(conditions: &mut Vec<Condition>, frame: &Frame<'_>, told: Option<&Onboarding>) {
    let Some(told) = told else {
        let _was_there = condition::remove(conditions, Type::Onboarded);
        return;
    };
    let reason = Reason::named(&told.reason).unwrap_or(Reason::OnboardingFailed);
    let made = condition::new(
        Type::Onboarded,
        told.done.into(),
        reason,
        told.message.clone(),
        told.observed_generation,
        frame.now,
    );
    condition::set(conditions, made);
}

/// Of another namespace, and so no failure of the Tenant: it is as ready as it is without.
fn namesake(conditions: &mut Vec<Condition>, frame: &Frame<'_>, why: Option<&Explained>) {
    let Some(why) = why else {
        let _was_there = condition::remove(conditions, Type::NamesakeOutside);
        return;
    };
    let (kind, status) = (Type::NamesakeOutside, Status::True);
    let message = words(why);
    let made = condition::new(
        kind,
        status,
        why.reason,
        message,
        frame.generation,
        frame.now,
    );
    condition::set(conditions, made);
}

/// What the world reads about a Project that these Tenants name.
pub fn tell_project(
    previous: &ProjectStatus,
    frame: &Frame<'_>,
    tenants: Vec<TenantName>,
) -> Told<ProjectStatus> {
    let message = match tenants.len() {
        1 => "named by 1 tenant".to_owned(),
        n => format!("named by {n} tenants"),
    };
    let (conditions, tale) = simply(&previous.conditions, frame, Ok(message));
    let status = ProjectStatus {
        observed_generation: observed(&conditions, previous.observed_generation, frame),
        conditions,
        tenants,
    };
    tale.of(status)
}

/// What is told beside the status.
struct Tale {
    events: Vec<Event>,
    next: Next,
    memory: Memory,
}

impl Tale {
    fn of<S>(self, status: S) -> Told<S> {
        Told {
            status,
            events: self.events,
            next: self.next,
            memory: self.memory,
        }
    }
}

/// `Ready` and nothing else: these kinds have no interval and no request; their watches wake them.
fn simply(
    previous: &[Condition],
    frame: &Frame<'_>,
    result: Result<String, &Explained>,
) -> (Vec<Condition>, Tale) {
    let mut page = Page::new(previous, frame);
    match result {
        Ok(message) => {
            page.ready(Reason::Succeeded, &message);
            let news = !condition::is_true(previous, Type::Ready)
                || asked_for(
                    previous,
                    None,
                    &Frame {
                        requested_at: None,
                        ..*frame
                    },
                );
            let events = if news {
                vec![Event::normal(Reason::Succeeded, &message, &BTreeMap::new())]
            } else {
                Vec::new()
            };
            (
                page.conditions,
                Tale {
                    events,
                    next: Next::Watch,
                    memory: Memory::default(),
                },
            )
        }
        Err(why) => {
            let message = words(why);
            page.failed(why, &message, Some("Reconciliation in progress"));
            let warn = worth_a_warning(previous, why, &message, frame);
            let events = if warn {
                vec![Event::warning(why.reason, &message, &BTreeMap::new())]
            } else {
                Vec::new()
            };
            let memory = remember_failure(frame, why.turn, warn);
            let next = after(why.turn, memory.failures, frame);
            (
                page.conditions,
                Tale {
                    events,
                    next,
                    memory,
                },
            )
        }
    }
}
