//! The metrics of policies: what they said, how long they thought, and whether they are in force. By policy and mode, never
//! by what was judged: policies are the platform's and few.

use std::time::Duration;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;
use reeve_api::policy::Mode;

use super::happening::Verdict;
use super::metric::{Buckets, Timed, seconds};

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Labels {
    policy: String,
    mode: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct VerdictLabels {
    policy: String,
    mode: &'static str,
    verdict: &'static str,
}

/// How the rules of a policy stand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Force {
    /// Whether any are asked.
    pub any: bool,
    /// Whether the newest could not be put in force.
    pub failed: bool,
}

/// What is counted of policies.
#[derive(Debug)]
pub(super) struct Policies {
    verdicts: Family<VerdictLabels, Counter>,
    evaluation: Timed<Labels>,
    in_force: Family<Labels, Gauge>,
    failed: Family<Labels, Gauge>,
}

const MODES: [Mode; 3] = [Mode::Enforce, Mode::Warn, Mode::Audit];

impl Policies {
    pub(super) fn new() -> Self {
        Self {
            verdicts: Family::default(),
            evaluation: Family::new_with_constructor(Buckets::Thought),
            in_force: Family::default(),
            failed: Family::default(),
        }
    }

    pub(super) fn register(&self, registry: &mut Registry) {
        registry.register(
            "reeve_policy_verdicts",
            "Times that a policy was asked, by what it said",
            self.verdicts.clone(),
        );
        registry.register(
            "reeve_policy_evaluation_seconds",
            "How long a policy thought each time it was asked",
            self.evaluation.clone(),
        );
        registry.register(
            "reeve_policy_in_force",
            "1 while rules of a Policy are asked, 0 while there are none and what it is about is denied",
            self.in_force.clone(),
        );
        registry.register(
            "reeve_policy_last_load_failed",
            "1 while the newest rules of a Policy do not compile, fail their tests or cannot be read",
            self.failed.clone(),
        );
    }

    pub(super) fn judged(
        &self,
        policy: &str,
        mode: &'static str,
        verdict: Verdict,
        took: Duration,
    ) {
        let verdict = VerdictLabels {
            policy: policy.to_owned(),
            mode,
            verdict: verdict.as_str(),
        };
        self.verdicts.get_or_create(&verdict).inc();
        self.evaluation
            .get_or_create(&labels(policy, mode))
            .observe(seconds(took));
    }

    /// How a Policy stands now; under its other modes it has stood.
    pub(super) fn stands(&self, policy: &str, mode: Mode, force: Force) {
        for other in MODES.into_iter().filter(|other| *other != mode) {
            let labels = labels(policy, other.as_str());
            let _was_there = self.in_force.remove(&labels) | self.failed.remove(&labels);
        }
        let labels = labels(policy, mode.as_str());
        self.in_force
            .get_or_create(&labels)
            .set(i64::from(force.any));
        self.failed
            .get_or_create(&labels)
            .set(i64::from(force.failed));
    }

    /// It is gone, and its series end.
    pub(super) fn forget(&self, policy: &str) {
        for mode in MODES.map(Mode::as_str) {
            let labels = labels(policy, mode);
            let _was_there = self.evaluation.remove(&labels)
                | self.in_force.remove(&labels)
                | self.failed.remove(&labels);
            for verdict in Verdict::ALL.map(Verdict::as_str) {
                let labels = VerdictLabels {
                    policy: policy.to_owned(),
                    mode,
                    verdict,
                };
                let _was_there = self.verdicts.remove(&labels);
            }
        }
    }
}

fn labels(policy: &str, mode: &'static str) -> Labels {
    Labels {
        policy: policy.to_owned(),
        mode,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn encoded(policies: &Policies) -> String {
        let mut registry = Registry::default();
        policies.register(&mut registry);
        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, &registry).unwrap();
        let samples = text.lines().filter(|line| line.contains("policy="));
        samples.collect::<Vec<_>>().join("\n")
    }

    #[test]
    fn a_policy_stands_in_one_mode_and_leaves_no_series_behind() {
        let policies = Policies::new();
        let force = |any, failed| Force { any, failed };
        policies.stands("a", Mode::Audit, force(true, false));
        policies.stands("a", Mode::Enforce, force(true, true));
        for mode in MODES.map(Mode::as_str) {
            for verdict in Verdict::ALL {
                policies.judged("a", mode, verdict, Duration::from_millis(2));
            }
        }
        let text = encoded(&policies);
        let sample = |line: &str| text.lines().any(|one| one == line);
        assert!(
            sample(r#"reeve_policy_in_force{policy="a",mode="enforce"} 1"#),
            "{text}"
        );
        assert!(sample(
            r#"reeve_policy_last_load_failed{policy="a",mode="enforce"} 1"#
        ));
        assert!(!text.contains(r#"in_force{policy="a",mode="audit"}"#));
        assert!(sample(
            r#"reeve_policy_verdicts_total{policy="a",mode="warn",verdict="denied"} 1"#
        ));
        policies.forget("a");
        assert_eq!(encoded(&policies), "");
    }
}
