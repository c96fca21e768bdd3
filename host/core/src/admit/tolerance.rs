//! Denials that do not stop: of what was there before the rule, and of what the platform has excepted.
//!
//! The only place in which a [`Tolerance`] is made. A ratchet tolerates a denial that names an object of the plan which
//! is applied in the very form in which it was applied last; a denial that names none, or one of a spec, it never does.
//! An exception is the platform's own word, and holds until its date. A policy that could not be asked is never tolerated:
//! nobody knows what it would have said.

use jiff::Timestamp;
use reeve_api::name::NamespacedName;

use super::document::{Document, Target};
use super::rules::Rule;
use super::{Circumstances, Recollection};
use crate::rego::{Excepted, Exception, Policy, Violation};
use crate::veil::Veil;

/// Why a denial does not stop. Nobody outside of this module can make one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tolerance(Why);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Why {
    Unchanged,
    Excepted {
        owner: String,
        reason: String,
        until: Timestamp,
    },
}

impl std::fmt::Display for Tolerance {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.0 {
            Why::Unchanged => f.write_str("it is as it was when it was last applied"),
            Why::Excepted {
                owner,
                reason,
                until,
            } => write!(f, "excepted by {owner} until {until}: {reason}"),
        }
    }
}

/// What a denial is held against.
pub(super) struct Against<'q> {
    pub(super) document: &'q Document<'q>,
    /// What was applied before; none where nobody can say, and in phase `spec`.
    pub(super) before: Option<&'q Recollection>,
    pub(super) kustomization: &'q NamespacedName,
    pub(super) now: Timestamp,
    /// What no answer tells.
    pub(super) veil: &'q Veil,
}

impl<'q> Against<'q> {
    pub(super) fn new(
        document: &'q Document<'q>,
        before: Option<&'q Recollection>,
        kustomization: &'q NamespacedName,
        around: &Circumstances<'q>,
    ) -> Self {
        Self {
            document,
            before,
            kustomization,
            now: around.now,
            veil: around.veil,
        }
    }

    /// Why this denial does not stop, if it doesn't.
    pub(super) fn tolerate(
        &self,
        rule: &Rule,
        policy: &Policy,
        violation: &Violation,
    ) -> Option<Tolerance> {
        let unchanged = rule.ratchet && self.is_unchanged(violation);
        if unchanged {
            return Some(Tolerance(Why::Unchanged));
        }
        let mut exceptions = policy.exceptions().iter();
        let one = exceptions.find(|one| self.is_excepted(one, violation))?;
        Some(Tolerance(Why::Excepted {
            owner: one.owner.clone(),
            reason: one.reason.clone(),
            until: one.expires,
        }))
    }

    /// Whether it names objects of the plan, and all of that name are as they were: two groups may have one kind.
    fn is_unchanged(&self, violation: &Violation) -> bool {
        let (Some(before), Some(subject)) = (self.before, &violation.object) else {
            return false;
        };
        let named = self.document.named(subject);
        !named.is_empty() && named.iter().all(|target| target.is_as(before))
    }

    fn is_excepted(&self, one: &Exception, violation: &Violation) -> bool {
        if !one.holds(self.now)
            || !one.concerns(self.kustomization)
            || !one.is_of(&violation.package)
        {
            return false;
        }
        if one.objects.is_empty() {
            return true;
        }
        let Some(subject) = &violation.object else {
            return false;
        };
        let named = self.document.named(subject);
        let is = |target: &Target<'_>| one.objects.iter().any(|selector| picks(selector, target));
        !named.is_empty() && named.iter().all(|target| is(target))
    }
}

fn picks(selector: &Excepted, target: &Target<'_>) -> bool {
    let named = selector.name.as_ref();
    named.is_none_or(|name| name == target.name())
        && target.is_picked(std::slice::from_ref(&selector.object))
}
