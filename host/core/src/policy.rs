//! What policies say to Kustomizations as these are now, for the policies' own status.
//!
//! Pure bookkeeping: who is asked is `index`'s, asking is `admit`'s. It deliberately keeps what is told only, within bounds:
//! counts of all Kustomizations, and the words of some.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use reeve_api::name::{NamespacedName, PolicyName};
use reeve_api::policy::{Affected, EvaluationTimes, Finding, Mode, Verdicts, WhatIf};

use crate::admit::{self, Answers, Verdict};
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
    to: BTreeMap<NamespacedName, Words>,
    took: VecDeque<Duration>,
}

/// What one policy says to one Kustomization.
#[derive(Debug, Default, PartialEq)]
struct Words {
    worst: Worst,
    /// Some of what it objects to.
    findings: Vec<Finding>,
}

/// The worst that a policy says to a Kustomization.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
enum Worst {
    #[default]
    Allowed,
    Warned,
    Tolerated,
    Denied,
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
            let words = Words {
                worst: of.clone().map(worst).max().unwrap_or_default(),
                findings: of
                    .take(OF_ONE)
                    .map(|one| finding(kustomization, one))
                    .collect(),
            };
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

    /// What is to be told of a policy of that mode, which is to stand in for `instead`; it is told with that.
    pub fn tell(&mut self, name: &PolicyName, mode: Mode, instead: Option<&PolicyName>) -> Summary {
        self.untold.remove(name);
        let Some(policy) = self.policies.get(name) else {
            return Summary::default();
        };
        Summary {
            what_if: (mode == Mode::Audit).then(|| self.what_if(name, instead)),
            ..policy.summary()
        }
    }

    /// What would become of Kustomizations if a policy were enforced, `instead` of another one where one is named.
    fn what_if(&self, name: &PolicyName, instead: Option<&PolicyName>) -> WhatIf {
        let nobody = OfOne::default();
        let of = |name| self.policies.get(name).unwrap_or(&nobody).denied();
        let denied = of(name);
        let before = instead.map(of);
        let freed = before
            .as_ref()
            .map(|before| affected(before.difference(&denied)));
        let newly = before
            .as_ref()
            .map(|before| affected(denied.difference(before)));
        WhatIf {
            compared_with: instead.map(ToString::to_string),
            freed,
            newly_denied: newly,
            denied: affected(denied.iter()),
        }
    }
}

fn affected<'a>(all: impl Iterator<Item = &'a &'a NamespacedName>) -> Affected {
    let all: Vec<_> = all.collect();
    Affected {
        count: i64::try_from(all.len()).unwrap_or(i64::MAX),
        kustomizations: all.iter().take(TOLD).map(ToString::to_string).collect(),
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
    /// What would become of Kustomizations if it were enforced, where it isn't.
    pub what_if: Option<WhatIf>,
}

impl OfOne {
    fn summary(&self) -> Summary {
        let mut verdicts = Verdicts::default();
        for words in self.to.values() {
            let count = match words.worst {
                Worst::Denied => &mut verdicts.denied,
                Worst::Tolerated => &mut verdicts.tolerated,
                Worst::Warned => &mut verdicts.warned,
                Worst::Allowed => &mut verdicts.allowed,
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
            findings: self.findings().take(TOLD).cloned().collect(),
            what_if: None,
        }
    }

    fn findings(&self) -> impl Iterator<Item = &Finding> {
        self.to.values().flat_map(|words| &words.findings)
    }

    /// The Kustomizations that it denies.
    fn denied(&self) -> BTreeSet<&NamespacedName> {
        let denied = self
            .to
            .iter()
            .filter(|(_, words)| words.worst == Worst::Denied);
        denied.map(|(id, _)| id).collect()
    }
}

fn worst(one: &admit::Finding) -> Worst {
    match one.verdict {
        Verdict::Denied => Worst::Denied,
        Verdict::Tolerated(_) => Worst::Tolerated,
        Verdict::Warned => Worst::Warned,
    }
}

fn finding(kustomization: &NamespacedName, one: &admit::Finding) -> Finding {
    let (verdict, tolerated) = match &one.verdict {
        Verdict::Denied => ("denied", None),
        Verdict::Tolerated(why) => ("tolerated", Some(why.to_string())),
        Verdict::Warned => ("warned", None),
    };
    Finding {
        kustomization: kustomization.to_string(),
        message: one.objection.message.clone(),
        object: one.objection.object.clone(),
        tolerated,
        verdict: verdict.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::admit::Objection;

    fn answers(said: &[(&str, Verdict)]) -> Answers {
        let finding = |(policy, verdict): &(&str, Verdict)| admit::Finding {
            mode: Mode::Audit,
            verdict: verdict.clone(),
            objection: Objection {
                policy: (*policy).to_owned(),
                message: "no".to_owned(),
                object: None,
                path: None,
                hint: None,
                broken: false,
            },
        };
        Answers {
            findings: said.iter().map(finding).collect(),
            ..Answers::default()
        }
    }

    #[test]
    fn an_audit_says_whom_it_would_deny_free_and_newly_deny() {
        let (old, new): (PolicyName, PolicyName) = ("old".parse().unwrap(), "new".parse().unwrap());
        let asked = [new.clone(), old.clone()];
        let mut said = Said::default();
        for (name, words) in [
            (
                "both",
                vec![("old", Verdict::Denied), ("new", Verdict::Denied)],
            ),
            (
                "freed",
                vec![("old", Verdict::Denied), ("new", Verdict::Warned)],
            ),
            (
                "newly",
                vec![("new", Verdict::Warned), ("new", Verdict::Denied)],
            ),
            ("neither", vec![]),
        ] {
            let id = format!("acme/{name}").parse().unwrap();
            said.record(&id, &asked, &answers(&words));
        }
        let named = |names: &[&str]| Affected {
            count: i64::try_from(names.len()).unwrap(),
            kustomizations: names.iter().map(|name| format!("acme/{name}")).collect(),
        };
        let told = said.tell(&new, Mode::Audit, Some(&old)).what_if;
        let compared = WhatIf {
            compared_with: Some("old".to_owned()),
            denied: named(&["both", "newly"]),
            freed: Some(named(&["freed"])),
            newly_denied: Some(named(&["newly"])),
        };
        assert_eq!(told, Some(compared));
        let alone = WhatIf {
            denied: named(&["both", "newly"]),
            ..WhatIf::default()
        };
        let told = said.tell(&new, Mode::Audit, None);
        assert_eq!(told.what_if, Some(alone));
        let counted = Verdicts {
            allowed: 1,
            denied: 2,
            tolerated: 0,
            warned: 1,
        };
        assert_eq!(told.verdicts, Some(counted));
        assert_eq!(said.tell(&old, Mode::Enforce, None).what_if, None);
    }

    #[test]
    fn what_is_told_of_many_is_bounded_and_counted() {
        let new: PolicyName = "new".parse().unwrap();
        let mut said = Said::default();
        for n in 0..150 {
            let id = format!("acme/{n}").parse().unwrap();
            let words = [("new", Verdict::Denied)];
            said.record(&id, std::slice::from_ref(&new), &answers(&words));
        }
        let told = said.tell(&new, Mode::Audit, None).what_if.unwrap();
        assert_eq!(
            (told.denied.count, told.denied.kustomizations.len()),
            (150, 100)
        );
    }
}
