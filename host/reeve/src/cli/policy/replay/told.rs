//! What would change, for people and for machines.

use std::collections::BTreeSet;
use std::path::PathBuf;

use reeve_api::policy::{Effect, NotJudged, ReplayChange};
use reeve_core::text;
use serde::Serialize;
use serde_json::{Value, json};

use super::stage::Pages;
use crate::cli::policy::verdicts::cell;
use crate::cli::policy::{counted, sarif};

/// The rules that were asked.
pub(super) struct Rules {
    pub(super) policy: String,
    pub(super) compared_with: Option<String>,
    /// As it was given.
    pub(super) source: String,
    /// Where their files lie.
    pub(super) directory: PathBuf,
}

/// What came of it.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Answer {
    policy: String,
    compared_with: Option<String>,
    source: String,
    /// Kustomizations by what would become of them.
    kustomizations: Counts,
    changes: Vec<ReplayChange>,
    /// How many changes there are beyond those.
    more_changes: usize,
    not_judged: Vec<NotJudged>,
    #[serde(skip)]
    title: Option<String>,
    #[serde(skip)]
    file: String,
    #[serde(skip)]
    line: u64,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Counts {
    judged: i64,
    not_judged: usize,
    denied: usize,
    warned: usize,
    freed: usize,
}

impl Answer {
    pub(super) fn new(rules: Rules, pages: Pages) -> Self {
        let of = |effect: Effect| {
            let found = pages.changes.iter().filter(|one| one.effect == effect);
            let found: BTreeSet<&str> = found.map(|one| one.kustomization.as_str()).collect();
            found.len()
        };
        let kustomizations = Counts {
            judged: pages.judged,
            not_judged: pages.not_judged.len(),
            denied: of(Effect::Denied),
            warned: of(Effect::Warned),
            freed: of(Effect::Freed),
        };
        let file = pages.file.unwrap_or_default();
        Self {
            kustomizations,
            file: rules.directory.join(file).display().to_string(),
            line: pages
                .line
                .and_then(|line| u64::try_from(line).ok())
                .unwrap_or(1),
            policy: rules.policy,
            compared_with: rules.compared_with,
            source: rules.source,
            changes: pages.changes,
            more_changes: pages.more,
            not_judged: pages.not_judged,
            title: pages.title,
        }
    }

    /// How many Kustomizations would be denied that are not now.
    pub(super) fn denied(&self) -> usize {
        self.kustomizations.denied
    }

    fn summary(&self) -> String {
        let counts = &self.kustomizations;
        let judged = usize::try_from(counts.judged).unwrap_or_default();
        let more = match self.more_changes {
            0 => String::new(),
            more => format!("; {more} changes are not shown"),
        };
        format!(
            "{} denied, {} warned, {} freed; {} judged, {} not judged{more}",
            counts.denied,
            counts.warned,
            counts.freed,
            counted(judged, "Kustomization", "Kustomizations"),
            counts.not_judged,
        )
    }

    pub(super) fn table(&self) -> String {
        let mut out = String::new();
        for change in &self.changes {
            let mut head = format!("{:6}  {}", change.effect.as_str(), change.kustomization);
            for part in [&change.object, &change.path].into_iter().flatten() {
                head.push_str(&format!("  {}", text::line(part)));
            }
            out.push_str(&format!(
                "{head}\n        {}\n",
                text::line(&change.message)
            ));
        }
        for one in &self.not_judged {
            out.push_str(&format!(
                "not judged  {}\n        {}\n",
                one.kustomization,
                text::line(&one.why)
            ));
        }
        out.push_str(&format!("{}\n", self.summary()));
        out
    }

    pub(super) fn markdown(&self) -> String {
        let against = match &self.compared_with {
            Some(with) => format!("Policy `{with}` from `{}`", text::line(&self.source)),
            None => format!("A new policy from `{}`", text::line(&self.source)),
        };
        let mut out = format!("**{against}: {}**\n", self.summary());
        if !self.changes.is_empty() {
            out.push_str("\n| | Kustomization | object | field | what |\n|---|---|---|---|---|\n");
        }
        for change in &self.changes {
            let cells = [
                change.effect.as_str(),
                &change.kustomization,
                change.object.as_deref().unwrap_or_default(),
                change.path.as_deref().unwrap_or_default(),
                &change.message,
            ];
            let cells: Vec<String> = cells.into_iter().map(cell).collect();
            out.push_str(&format!("| {} |\n", cells.join(" | ")));
        }
        if !self.not_judged.is_empty() {
            out.push_str("\nNot judged:\n\n");
        }
        for one in &self.not_judged {
            out.push_str(&format!(
                "* {}: {}\n",
                cell(&one.kustomization),
                cell(&one.why)
            ));
        }
        out
    }

    /// Each change at the line where the policy's rules begin: that is what was changed.
    pub(super) fn sarif(&self) -> Value {
        let text = json!({"text": self.title.as_deref().unwrap_or(&self.policy)});
        let rule = json!({
            "id": self.policy, "shortDescription": text, "fullDescription": text, "help": text,
        });
        let results = self.changes.iter().map(|change| {
            let (level, would) = match change.effect {
                Effect::Denied => ("error", "would be denied"),
                Effect::Warned => ("warning", "would be warned of"),
                Effect::Freed => ("note", "would be freed of"),
            };
            let object = change.object.as_deref().unwrap_or_default();
            let what = format!("{} {object}", change.kustomization);
            let message = format!("{} {would}: {}", change.kustomization, change.message);
            let place = (self.file.as_str(), self.line);
            sarif::result(&self.policy, level, &message, place, what.trim_end())
        });
        let not_judged = self.not_judged.iter().map(|one| {
            let message = format!("{} was not judged: {}", one.kustomization, one.why);
            let place = (self.file.as_str(), self.line);
            sarif::result(&self.policy, "note", &message, place, &one.kustomization)
        });
        sarif::document(vec![rule], results.chain(not_judged).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer() -> Answer {
        let change = |effect, kustomization: &str| ReplayChange {
            effect,
            kustomization: kustomization.to_owned(),
            message: "it is | red\u{1b}[2J".to_owned(),
            object: Some("ConfigMap/acme/a".to_owned()),
            path: None,
        };
        let pages = Pages {
            changes: vec![
                change(Effect::Denied, "acme/a"),
                change(Effect::Denied, "acme/a"),
                change(Effect::Warned, "acme/a"),
                change(Effect::Freed, "acme/b"),
            ],
            judged: 2,
            not_judged: vec![NotJudged {
                kustomization: "acme/c".to_owned(),
                why: "nobody knows".to_owned(),
            }],
            file: Some("policy.rego".to_owned()),
            line: Some(7),
            ..Pages::default()
        };
        let rules = Rules {
            policy: "pods".to_owned(),
            compared_with: Some("pods".to_owned()),
            source: "./pods".to_owned(),
            directory: PathBuf::from("./pods"),
        };
        Answer::new(rules, pages)
    }

    #[test]
    fn a_table_counts_kustomizations_and_does_nothing_to_a_terminal() {
        let table = answer().table();
        let last = "1 denied, 1 warned, 1 freed; 2 Kustomizations judged, 1 not judged\n";
        assert!(table.ends_with(last), "{table}");
        assert!(!table.contains('\u{1b}'), "{table:?}");
        assert!(
            table.contains("not judged  acme/c\n        nobody knows\n"),
            "{table}"
        );
        assert_eq!(answer().denied(), 1);
    }

    #[test]
    fn markdown_keeps_each_change_in_its_row() {
        let markdown = answer().markdown();
        let rows = markdown
            .lines()
            .filter(|line| line.starts_with("| "))
            .count();
        assert_eq!(rows, 4 + 1, "{markdown}");
        assert!(markdown.contains("it is \\| red"), "{markdown}");
        assert!(markdown.contains("* acme/c: nobody knows"), "{markdown}");
    }

    #[test]
    fn sarif_places_what_would_change_where_the_rules_begin() {
        let sarif = answer().sarif();
        let results = sarif
            .pointer("/runs/0/results")
            .unwrap()
            .as_array()
            .unwrap();
        let levels: Vec<&str> = results
            .iter()
            .map(|one| one.get("level").unwrap().as_str().unwrap())
            .collect();
        assert_eq!(levels, ["error", "error", "warning", "note", "note"]);
        for result in results {
            let at = result.pointer("/locations/0/physicalLocation").unwrap();
            assert_eq!(
                at.pointer("/artifactLocation/uri"),
                Some(&json!("pods/policy.rego"))
            );
            assert_eq!(at.pointer("/region/startLine"), Some(&json!(7)));
        }
    }
}
