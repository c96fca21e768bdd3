//! What policies said, for people and for machines.

use std::collections::BTreeMap;

use reeve_core::admit::trial::Trial;
use reeve_core::admit::{Finding, Rules};
use reeve_core::rego::{Metadata, Severity};
use serde::Serialize;
use serde_json::{Value, json};

use super::counted;

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
}

const DENIED: &str = "denied";
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
            Said {
                policy: &objection.policy,
                verdict: if finding.stops() { DENIED } else { WARNED },
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
        format!(
            "{} denied, {} warned; {} asked",
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
            let what = match said.hint {
                Some(hint) => format!("{} — {hint}", said.message),
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

    /// The format of OASIS for results of static analysis, version 2.1.0.
    pub(super) fn sarif(&self, file: &str) -> Value {
        let rules: Vec<Value> = self.policies.iter().map(|name| self.rule(name)).collect();
        let results = self.findings.iter().map(|said| {
            let mut location = json!({"physicalLocation": {"artifactLocation": {"uri": file}}});
            let logical: Vec<&str> = [said.object, said.path].into_iter().flatten().collect();
            if let (Some(fields), false) = (location.as_object_mut(), logical.is_empty()) {
                let whole = json!([{"fullyQualifiedName": logical.join(" "), "kind": "object"}]);
                fields.insert("logicalLocations".to_owned(), whole);
            }
            json!({
                "ruleId": said.policy,
                "level": if said.verdict == DENIED { "error" } else { "warning" },
                "message": {"text": said.message},
                "locations": [location],
            })
        });
        let results: Vec<Value> = results.collect();
        json!({
            "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
            "version": "2.1.0",
            "runs": [{
                "tool": {"driver": {"name": "reeve", "version": env!("CARGO_PKG_VERSION"), "rules": rules}},
                "results": results,
            }],
        })
    }

    fn rule(&self, name: &str) -> Value {
        let Some(metadata) = self.metadata.get(name) else {
            return json!({"id": name});
        };
        let severity = match metadata.severity {
            Severity::Critical => "9.5",
            Severity::High => "8.0",
            Severity::Medium => "5.0",
            Severity::Low => "2.0",
            Severity::Info => "0.0",
        };
        json!({
            "id": name,
            "shortDescription": {"text": metadata.title},
            "fullDescription": {"text": metadata.description},
            "help": {"text": metadata.hint.as_deref().unwrap_or(&metadata.title)},
            "properties": {"security-severity": severity, "tags": ["security"]},
        })
    }
}

/// Text in a cell of a table.
fn cell(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '|' | '\\' | '`' | '*' | '_' | '[' | ']' => out.extend(['\\', c]),
            '<' => out.push_str("&lt;"),
            c if c.is_control() => out.push(' '),
            c => out.push(c),
        }
    }
    out
}
