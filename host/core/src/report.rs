//! What rules say to the Kustomizations of a namespace, as a `Report` of `openreports.io`.
//!
//! Pure bookkeeping beside [`policy::Said`](crate::policy::Said), which is by policy where this is by namespace: a report is read
//! by the tenant. So nothing is in it that the tenant is not told anyway: what a policy in mode `audit` minds is the
//! platform's to know. Writing it, and whether anybody serves its kind, is the shell's.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use reeve_api::name::{NamespaceName, NamespacedName};
use reeve_api::policy::Mode;
use serde_json::{Value, json};

use crate::admit::{Answers, Finding, Rule, Rules, Verdict};
use crate::rego::Severity;
use crate::status::bounded;

/// The group and version of reports.
pub const API_VERSION: &str = "openreports.io/v1alpha1";
/// What a report is called.
pub const NAME: &str = "reeve";
/// The label that reports of ours bear, and its value.
pub const MANAGED_BY: (&str, &str) = ("app.kubernetes.io/managed-by", "reeve");

/// Results of one Kustomization that are kept, and results that a report lists.
const OF_ONE: usize = 50;
const LISTED: usize = 500;
/// How long a message may be, in bytes.
const LONGEST: usize = 1024;
/// How many bytes the results of a report have together: etcd takes 1.5 MiB of an object.
const LARGEST: usize = 1 << 20;

/// What is to be reported.
#[derive(Debug, Default)]
pub struct Reports {
    said: BTreeMap<NamespacedName, OfOne>,
    untold: BTreeSet<NamespaceName>,
}

/// What rules say to one Kustomization.
#[derive(Debug, Default)]
struct OfOne {
    lines: Vec<Line>,
    passes: usize,
}

/// One finding of one rule.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Line {
    policy: String,
    title: Option<String>,
    severity: Option<Severity>,
    result: &'static str,
    message: String,
    object: Option<String>,
    properties: BTreeMap<&'static str, String>,
    /// When it was found first.
    since: Timestamp,
}

impl Reports {
    /// A Kustomization was judged by these rules, which answered so.
    pub fn record(
        &mut self,
        kustomization: &NamespacedName,
        rules: &Rules,
        answers: &Answers,
        now: Timestamp,
    ) {
        let mut fresh = OfOne::default();
        for rule in rules.iter().filter(|rule| rule.mode != Mode::Audit) {
            let of = answers.findings.iter();
            let mut of = of
                .filter(|one| one.objection.policy == rule.name)
                .peekable();
            if of.peek().is_none() {
                fresh.passes += 1;
            }
            fresh.lines.extend(of.map(|one| line(rule, one, now)));
        }
        fresh.lines.truncate(OF_ONE);
        let before = self.said.remove(kustomization).unwrap_or_default();
        for line in &mut fresh.lines {
            let mut known = before.lines.iter();
            if let Some(known) = known.find(|known| known.says_as(line)) {
                line.since = known.since;
            }
        }
        let reported = !fresh.lines.is_empty() || !before.lines.is_empty();
        let news = before.lines != fresh.lines || (reported && before.passes != fresh.passes);
        self.said.insert(kustomization.clone(), fresh);
        if news {
            self.untold.insert(kustomization.namespace.clone());
        }
    }

    /// A Kustomization is gone.
    pub fn forget(&mut self, kustomization: &NamespacedName) {
        let before = self.said.remove(kustomization);
        if before.is_some_and(|before| !before.lines.is_empty()) {
            self.untold.insert(kustomization.namespace.clone());
        }
    }

    /// What there is of a namespace may be another than what is reported.
    pub fn doubt(&mut self, namespace: NamespaceName) {
        self.untold.insert(namespace);
    }

    /// Nothing is reported any more: everything is to be told again.
    pub fn lose(&mut self) {
        let found = self.said.iter().filter(|(_, one)| !one.lines.is_empty());
        let found: Vec<_> = found.map(|(id, _)| id.namespace.clone()).collect();
        self.untold.extend(found);
    }

    /// The namespaces whose report is not what it should be. They are told with that.
    pub fn take_untold(&mut self) -> BTreeSet<NamespaceName> {
        std::mem::take(&mut self.untold)
    }

    /// The report of a namespace; None: there is nothing to report.
    pub fn of(&self, namespace: &NamespaceName) -> Option<Value> {
        let within = || {
            let all = self.said.iter();
            all.filter(|(id, _)| id.namespace == *namespace)
        };
        let lines = || within().flat_map(|(id, one)| one.lines.iter().map(move |line| (id, line)));
        lines().next()?;
        let count = |result: &str| lines().filter(|(_, line)| line.result == result).count();
        let mut room = LARGEST;
        let fits = |shown: &Value| {
            let left = room.checked_sub(shown.to_string().len());
            room = left.unwrap_or_default();
            left.is_some()
        };
        let listed = lines().take(LISTED).map(|(id, line)| line.shown(id));
        let results: Vec<_> = listed.take_while(fits).collect();
        let (label, ours) = MANAGED_BY;
        Some(json!({
            "apiVersion": API_VERSION,
            "kind": "Report",
            "metadata": {
                "namespace": namespace.as_str(), "name": NAME, "labels": {label: ours},
            },
            "source": NAME,
            "scope": {"apiVersion": "v1", "kind": "Namespace", "name": namespace.as_str()},
            "summary": {
                "pass": within().map(|(_, one)| one.passes).sum::<usize>(),
                "fail": count(FAIL), "warn": count(WARN), "error": count(ERROR), "skip": 0,
            },
            "results": results,
        }))
    }
}

const FAIL: &str = "fail";
const WARN: &str = "warn";
const ERROR: &str = "error";

fn line(rule: &Rule, finding: &Finding, now: Timestamp) -> Line {
    let objection = &finding.objection;
    let metadata = rule.policy.as_ref().ok().map(|policy| policy.metadata());
    let result = match (objection.broken, finding.stops()) {
        (true, _) => ERROR,
        (false, true) => FAIL,
        (false, false) => WARN,
    };
    let tolerated = match &finding.verdict {
        Verdict::Tolerated(why) => Some(why.to_string()),
        Verdict::Denied | Verdict::Warned => None,
    };
    let more = [
        ("path", &objection.path),
        ("hint", &objection.hint),
        ("tolerated", &tolerated),
    ];
    let more = more
        .into_iter()
        .filter_map(|(key, text)| Some((key, bounded(text.as_ref()?, LONGEST))));
    Line {
        policy: rule.name.clone(),
        title: metadata.map(|known| known.title.clone()),
        severity: metadata.map(|known| known.severity),
        result,
        message: bounded(&objection.message, LONGEST),
        object: objection.object.clone(),
        properties: more.collect(),
        since: now,
    }
}

impl Line {
    fn says_as(&self, other: &Self) -> bool {
        let since = self.since;
        *self
            == Self {
                since,
                ..other.clone()
            }
    }

    fn shown(&self, kustomization: &NamespacedName) -> Value {
        let mut properties = self.properties.clone();
        properties.insert("kustomization", kustomization.to_string());
        let mut shown = json!({
            "policy": self.policy,
            "category": "reeve",
            "result": self.result,
            "scored": self.result != WARN,
            "message": self.message,
            "timestamp": {"seconds": self.since.as_second(), "nanos": 0},
            "resources": [self.subject(kustomization)],
            "properties": properties,
        });
        if let Some(fields) = shown.as_object_mut() {
            let rule = self.title.as_ref().map(|title| json!(title));
            let severity = self.severity.map(|severity| json!(severity.as_str()));
            let known = [("rule", rule), ("severity", severity)];
            let known = known
                .into_iter()
                .filter_map(|(key, value)| Some((key.to_owned(), value?)));
            fields.extend(known);
        }
        shown
    }

    /// The object that the rule names, as `Kind/namespace/name`; else the Kustomization.
    fn subject(&self, kustomization: &NamespacedName) -> Value {
        let named = self.object.as_deref().unwrap_or_default();
        let parts: Vec<&str> = named.split('/').collect();
        match parts.as_slice() {
            [kind, namespace, name] if !kind.is_empty() && !name.is_empty() => {
                json!({"kind": kind, "namespace": namespace, "name": name})
            }
            _ => json!({
                "apiVersion": "kustomize.toolkit.fluxcd.io/v1",
                "kind": "Kustomization",
                "namespace": kustomization.namespace.as_str(),
                "name": kustomization.name.as_str(),
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::admit::Objection;
    use crate::rego::Policy;

    const POLICY: &str = "# METADATA\n# title: Colours\n# description: Some are not wanted.\n# custom:\n#   severity: high\npackage colours\n\ndeny contains \"x\" if false\n";

    fn id(text: &str) -> NamespacedName {
        let (namespace, name) = text.split_once('/').unwrap();
        NamespacedName::new(namespace, name).unwrap()
    }

    fn rules(mode: Mode) -> Rules {
        let policy = Policy::compile("colours", POLICY).unwrap();
        Rules::new(Vec::new()).and([Rule {
            mode,
            ..Rule::enforced(policy)
        }])
    }

    fn answers(mode: Mode, messages: &[&str]) -> Answers {
        let finding = |message: &&str| Finding {
            mode,
            verdict: Verdict::Denied,
            objection: Objection {
                policy: "colours".to_owned(),
                message: (*message).to_owned(),
                object: Some("ConfigMap/acme/settings".to_owned()),
                path: None,
                hint: None,
                broken: *message == "broken",
            },
        };
        Answers {
            findings: messages.iter().map(finding).collect(),
            ..Answers::default()
        }
    }

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn record(reports: &mut Reports, whom: &str, mode: Mode, messages: &[&str], second: i64) {
        let (rules, answers) = (rules(mode), answers(mode, messages));
        reports.record(&id(whom), &rules, &answers, at(second));
    }

    #[test]
    fn a_report_lists_what_is_found_in_its_namespace_and_counts_the_rest() {
        let mut reports = Reports::default();
        record(
            &mut reports,
            "acme/web",
            Mode::Enforce,
            &["red", "broken"],
            7,
        );
        record(&mut reports, "acme/api", Mode::Warn, &["blue"], 8);
        record(&mut reports, "acme/fine", Mode::Enforce, &[], 8);
        record(&mut reports, "other/web", Mode::Enforce, &["red"], 9);
        let report = reports.of(&"acme".parse().unwrap()).unwrap();
        let summary = json!({"pass": 1, "fail": 1, "warn": 1, "error": 1, "skip": 0});
        assert_eq!(report["summary"], summary);
        let results = report["results"].as_array().unwrap();
        let told: Vec<_> = results
            .iter()
            .map(|one| format!("{} {}", one["result"], one["message"]).replace('"', ""))
            .collect();
        assert_eq!(told, ["warn blue", "fail red", "error broken"]);
        let one = &results[1];
        assert_eq!(one["rule"], "Colours");
        assert_eq!(one["severity"], "high");
        assert_eq!(one["timestamp"]["seconds"], 7);
        assert_eq!(one["resources"][0]["name"], "settings");
        assert_eq!(one["properties"]["kustomization"], "acme/web");
    }

    #[test]
    fn a_report_of_long_messages_is_no_larger_than_what_can_be_kept() {
        let mut reports = Reports::default();
        let long = "ü".repeat(2_000);
        let messages: Vec<String> = (0..OF_ONE).map(|n| format!("{n} {long}")).collect();
        let messages: Vec<&str> = messages.iter().map(String::as_str).collect();
        for n in 0..30 {
            let whom = format!("acme/{n}");
            record(&mut reports, &whom, Mode::Enforce, &messages, 1);
        }
        let report = reports.of(&"acme".parse().unwrap()).unwrap();
        assert_eq!(report["summary"]["fail"], 30 * OF_ONE);
        let listed = report["results"].as_array().map(Vec::len);
        assert!(listed.is_some_and(|listed| listed > 100), "{listed:?}");
        assert!(report.to_string().len() < 3 << 19);
    }

    #[test]
    fn nothing_is_told_twice_and_what_is_left_is_taken_away() {
        let mut reports = Reports::default();
        let acme: NamespaceName = "acme".parse().unwrap();
        record(&mut reports, "acme/web", Mode::Enforce, &[], 1);
        assert!(reports.take_untold().is_empty(), "there is nothing to tell");
        record(&mut reports, "acme/web", Mode::Enforce, &["red"], 2);
        assert_eq!(reports.take_untold(), [acme.clone()].into());
        record(&mut reports, "acme/web", Mode::Enforce, &["red"], 3);
        assert!(reports.take_untold().is_empty(), "it is the same");
        let since = &reports.of(&acme).unwrap()["results"][0]["timestamp"]["seconds"];
        assert_eq!(*since, 2);
        record(&mut reports, "acme/web", Mode::Enforce, &["blue"], 4);
        assert_eq!(reports.take_untold(), [acme.clone()].into());
        reports.lose();
        assert_eq!(reports.take_untold(), [acme.clone()].into());
        reports.forget(&id("acme/web"));
        assert_eq!(reports.take_untold(), [acme.clone()].into());
        assert!(reports.of(&acme).is_none());
    }

    #[test]
    fn what_is_only_audited_is_not_the_tenants_to_read() {
        let mut reports = Reports::default();
        record(&mut reports, "acme/web", Mode::Audit, &["red"], 1);
        assert!(reports.of(&"acme".parse().unwrap()).is_none());
    }
}
