//! What of a rule's words is told where it was shown values that came from Secrets.
//!
//! A rule may take a value apart and quote a part of it, turn it round or decode it: whole values are covered in what it says
//! (`veil`), and nobody could look for all that can be made of one. So a rule that objects is asked once more, about the same
//! document with something else in the place of those values, and told is only what it says then as well: that cannot hold
//! what it was not shown. Of the rest is told that there is something, and of which object. It deliberately changes no
//! verdict: denied is what is denied of the document as it is applied.

use std::collections::BTreeSet;

use super::document::Document;
use super::rules::Rule;
use super::tolerance::Against;
use crate::rego::{Input, Policy, Violation};
use crate::veil::Veil;

/// What a rule says of a document that holds nothing secret.
pub(super) struct Words<'q> {
    document: &'q Document<'q>,
    veil: &'q Veil,
    said: BTreeSet<Violation>,
}

impl<'q> Words<'q> {
    /// Asks the rule; None where the document it was shown holds nothing secret, and all may be told. A rule that fails then
    /// says nothing that may.
    pub(super) fn of(on: &Against<'q>, rule: &Rule, policy: &Policy) -> Option<Self> {
        if on.veil.is_nothing() {
            return None;
        }
        let before = on.before.filter(|_| policy.reads_previous());
        let shown = on.document.view(&rule.objects, before);
        let shown = shown.without(on.veil)?;
        let verdict = Input::new(&shown).and_then(|input| policy.judge(&input));
        let verdict = verdict.unwrap_or_default();
        let said = verdict.violations.into_iter().chain(verdict.warnings);
        Some(Self {
            document: on.document,
            veil: on.veil,
            said: said.map(|one| each_text(one, Veil::revealed)).collect(),
        })
    }

    /// The violation as it may be told.
    pub(super) fn tell(&self, violation: Violation) -> Violation {
        let covered = each_text(violation, |text| self.veil.cover(text));
        if self.said.contains(&covered) {
            return covered;
        }
        // Which objects there are is no secret: the inventory names them.
        let is_there = |subject: &String| !self.document.named(subject).is_empty();
        let object = covered.object.filter(is_there);
        let whose = match &object {
            Some(subject) => format!("{subject}: "),
            None => String::new(),
        };
        Violation {
            message: format!(
                "{whose}what is wrong has to do with a value that came from a Secret, and is not told"
            ),
            object,
            path: None,
            hint: None,
            package: covered.package,
        }
    }
}

fn each_text(violation: Violation, change: impl Fn(String) -> String) -> Violation {
    Violation {
        message: change(violation.message),
        object: violation.object.map(&change),
        path: violation.path.map(&change),
        hint: violation.hint.map(&change),
        package: violation.package,
    }
}
