//! What policies say to Kustomizations as these are now, for the policies' own status.
//!
//! Pure bookkeeping: who is asked is `index`'s, asking is `admit`'s. It deliberately keeps what is told only, within bounds:
//! counts of all Kustomizations, and the words of some.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use reeve_api::name::{NamespacedName, PolicyName};
use reeve_api::policy::{EvaluationTimes, Finding, Verdicts};

use crate::admit::{self, Answers};
use crate::spread::{percentile, told};

/// Findings of one Kustomization that are kept.
const OF_ONE: usize = 10;
/// Findings that are told of one policy.
const TOLD: usize = 100;
/// How many evaluations the percentiles are of.
const LAST: usize = 512;

/// What every policy says.
#[derive(Debug, Default)]
pub struct Said {
    policies: BTreeMap<PolicyName, OfOne>,
    /// Those of which the status does not tell everything yet.
    untold: BTreeSet<PolicyName>,
}

/// What one policy says.
#[derive(Debug, Default)]
struct OfOne {
    to: BTreeMap<NamespacedName, Vec<Finding>>,
    took: VecDeque<Duration>,
}

impl Said {
    /// A Kustomization was judged by these policies, which answered so. Returns whether any of them says something else than
    /// the last time.
    pub fn record(
        &mut self,
        kustomization: &NamespacedName,
        asked: &[PolicyName],
        answers: &Answers,
    ) -> bool {
        let mut news = false;
        for name in asked {
            let of = answers.findings.iter();
            let of = of.filter(|one| one.objection.policy == name.as_str());
            let words = of
                .take(OF_ONE)
                .map(|one| finding(kustomization, one))
                .collect();
            let policy = self.policies.entry(name.clone()).or_default();
            let before = policy.to.insert(kustomization.clone(), words);
            if let Some(took) = answers.took.get(name.as_str()) {
                policy.took.truncate(LAST - 1);
                policy.took.push_front(*took);
            }
            if before.as_ref() != policy.to.get(kustomization) {
                news = true;
                self.untold.insert(name.clone());
            }
        }
        // Whom it is not asked about any more it says nothing to.
        for (name, policy) in &mut self.policies {
            if !asked.contains(name) && policy.to.remove(kustomization).is_some() {
                self.untold.insert(name.clone());
            }
        }
        news
    }

    /// A Kustomization is gone.
    pub fn forget_kustomization(&mut self, id: &NamespacedName) {
        for (name, policy) in &mut self.policies {
            if policy.to.remove(id).is_some() {
                self.untold.insert(name.clone());
            }
        }
    }

    /// A policy is gone.
    pub fn forget_policy(&mut self, name: &PolicyName) {
        self.policies.remove(name);
        self.untold.remove(name);
    }

    /// The policies of which there is something to tell.
    pub fn untold(&self) -> impl Iterator<Item = &PolicyName> {
        self.untold.iter()
    }

    /// What is to be told of a policy; it is told with that.
    pub fn tell(&mut self, name: &PolicyName) -> Summary {
        self.untold.remove(name);
        self.policies
            .get(name)
            .map(OfOne::summary)
            .unwrap_or_default()
    }
}

/// What is told of one policy.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Summary {
    /// Kustomizations by verdict; none before the first was judged.
    pub verdicts: Option<Verdicts>,
    /// How long the last evaluations took.
    pub evaluation: Option<EvaluationTimes>,
    /// What it objects to.
    pub findings: Vec<Finding>,
}

impl OfOne {
    fn summary(&self) -> Summary {
        let mut verdicts = Verdicts::default();
        for findings in self.to.values() {
            let is = |word: &str| findings.iter().any(|one| one.verdict == word);
            let count = match (is(DENIED), is(WARNED)) {
                (true, _) => &mut verdicts.denied,
                (_, true) => &mut verdicts.warned,
                _ => &mut verdicts.allowed,
            };
            *count += 1;
        }
        let mut sorted: Vec<_> = self.took.iter().copied().collect();
        sorted.sort_unstable();
        Summary {
            verdicts: (!self.to.is_empty()).then_some(verdicts),
            evaluation: (!sorted.is_empty()).then(|| EvaluationTimes {
                p50: told(percentile(&sorted, 50)),
                p99: told(percentile(&sorted, 99)),
            }),
            findings: self.to.values().flatten().take(TOLD).cloned().collect(),
        }
    }
}

const DENIED: &str = "denied";
const WARNED: &str = "warned";

fn finding(kustomization: &NamespacedName, one: &admit::Finding) -> Finding {
    Finding {
        kustomization: kustomization.to_string(),
        message: one.objection.message.clone(),
        object: one.objection.object.clone(),
        verdict: if one.denies { DENIED } else { WARNED }.to_owned(),
    }
}
