//! What policies said, for people and for machines.

use std::collections::BTreeMap;

use reeve_core::admit::trial::Trial;
use reeve_core::admit::{Finding, Rules, Verdict};
use reeve_core::rego::Metadata;
use reeve_core::text;
use serde::Serialize;
use serde_json::Value;

use super::{counted, sarif};

/// What all of them said.
#[derive(Serialize)]
pub(super) struct Verdicts<'a> {
    /// `spec` or `plan`: when they were asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    phase: Option<&'a str>,
    /// Those that were asked.
    policies: Vec<&'a str>,
    findings: Vec<Said<'a>>,
    #[serde(skip)]
    metadata: BTreeMap<&'a str, &'a Metadata>,
}

/// One objection of one.
#[derive(Serialize)]
struct Said<'a> {
    policy: &'a str,
    verdict: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    severity: Option<&'static str>,
    message: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    object: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    path: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    hint: Option<&'a str>,
    /// Why a denial stops nothing.
    #[serde(skip_serializing_if = "Option::is_none")]
    tolerated: Option<String>,
}

const DENIED: &str = "denied";
const TOLERATED: &str = "tolerated";
const WARNED: &str = "warned";

impl<'a> Verdicts<'a> {
    pub(super) fn of(rules: &'a Rules, trial: &'a Trial) -> Self {
        let metadata: BTreeMap<&str, &Metadata> = rules
            .iter()
            .filter_map(|rule| Some((rule.name.as_str(), rule.policy.as_ref().ok()?.metadata())))
            .collect();
        let said = |finding: &'a Finding| {
            let objection = &finding.objection;
            let metadata = metadata.get(objection.policy.as_str());
            let (verdict, tolerated) = match &finding.verdict {
                Verdict::Denied => (DENIED, None),
                Verdict::Tolerated(why) => (TOLERATED, Some(why.to_string())),
                Verdict::Warned => (WARNED, None),
            };
            Said {
                policy: &objection.policy,
                verdict,
                tolerated,
                severity: metadata.map(|metadata| metadata.severity.as_str()),
                message: &objection.message,
                object: objection.object.as_deref(),
                path: objection.path.as_deref(),
                hint: objection.hint.as_deref(),
            }
        };
        Self {
            phase: trial.phase.as_deref(),
            policies: rules.iter().map(|rule| rule.name.as_str()).collect(),
            findings: trial.answers.findings.iter().map(said).collect(),
            metadata,
        }
    }

    /// How many denials there are.
    pub(super) fn denied(&self) -> usize {
        self.count(DENIED)
    }

    fn count(&self, verdict: &str) -> usize {
        let findings = self.findings.iter();
        findings.filter(|said| said.verdict == verdict).count()
    }

    fn summary(&self) -> String {
        let tolerated = match self.count(TOLERATED) {
            0 => String::new(),
            count => format!(", {count} tolerated"),
        };
        format!(
            "{} denied, {} warned{tolerated}; {} asked",
            self.denied(),
            self.count(WARNED),
            counted(self.policies.len(), "policy", "policies")
        )
    }

    pub(super) fn table(&self) -> String {
        let width = self.findings.iter().map(|said| said.policy.len()).max();
        let width = width.unwrap_or(0);
        let mut out = String::new();
        for said in &self.findings {
            let place: Vec<&str> = [said.object, said.path].into_iter().flatten().collect();
            let head = format!(
                "{}  {:width$}  {}",
                said.verdict,
                said.policy,
                place.join("  ")
            );
            out.push_str(head.trim_end());
            out.push_str(&format!("\n        {}\n", said.message));
            if let Some(hint) = said.hint {
                out.push_str(&format!("        hint: {hint}\n"));
            }
            if let Some(why) = &said.tolerated {
                out.push_str(&format!("        tolerated: {why}\n"));
            }
        }
        out.push_str(&format!("{}\n", self.summary()));
        out
    }

    pub(super) fn markdown(&self) -> String {
        let mut out = format!("**Policies: {}**\n", self.summary());
        if self.findings.is_empty() {
            return out;
        }
        out.push_str("\n| | policy | object | field | what |\n|---|---|---|---|---|\n");
        for said in &self.findings {
            let beside = said.tolerated.as_deref().or(said.hint);
            let what = match beside {
                Some(beside) => format!("{} — {beside}", said.message),
                None => said.message.to_owned(),
            };
            let cells = [
                said.verdict,
                said.policy,
                said.object.unwrap_or_default(),
                said.path.unwrap_or_default(),
                &what,
            ];
            let cells: Vec<String> = cells.into_iter().map(cell).collect();
            out.push_str(&format!("| {} |\n", cells.join(" | ")));
        }
        out
    }

    /// As SARIF, about the file that was asked about.
    pub(super) fn sarif(&self, file: &str) -> Value {
        let rules = self.policies.iter().map(|name| self.rule(name));
        let results = self.findings.iter().map(|said| {
            let logical: Vec<&str> = [said.object, said.path].into_iter().flatten().collect();
            let level = match said.verdict {
                DENIED => "error",
                WARNED => "warning",
                _ => "note",
            };
            sarif::result(
                said.policy,
                level,
                said.message,
                (file, 1),
                &logical.join(" "),
            )
        });
        sarif::document(rules.collect(), results.collect())
    }

    fn rule(&self, name: &str) -> Value {
        let Some(metadata) = self.metadata.get(name) else {
            return sarif::nameless(name);
        };
        sarif::rule(name, metadata)
    }
}

/// Text in a cell of a table.
pub(super) fn cell(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text::line(text).chars() {
        match c {
            '|' | '\\' | '`' | '*' | '_' | '[' | ']' => out.extend(['\\', c]),
            '<' => out.push_str("&lt;"),
            c => out.push(c),
        }
    }
    out
}
