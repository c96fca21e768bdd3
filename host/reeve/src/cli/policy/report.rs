//! What came of tests, for people and for machines.

use std::collections::BTreeMap;

use serde::Serialize;

use super::counted;

/// What came of all of them.
#[derive(Serialize)]
pub(super) struct Report {
    pub(super) passed: usize,
    pub(super) failed: usize,
    /// How many policies are covered less than was asked for.
    pub(super) below: usize,
    policies: Vec<Suite>,
}

/// What came of one policy's.
#[derive(Serialize)]
pub(super) struct Suite {
    pub(super) policy: String,
    /// Per cent of its lines.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) coverage: Option<u8>,
    /// What was asked for, where it is less.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) below: Option<u8>,
    /// The lines that no test reached, by file.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub(super) uncovered: BTreeMap<String, Vec<u32>>,
    pub(super) tests: Vec<Told>,
}

/// What came of one.
#[derive(Serialize)]
pub(super) struct Told {
    file: String,
    name: String,
    passed: bool,
    /// What is wrong, when something is.
    #[serde(skip_serializing_if = "Option::is_none")]
    why: Option<String>,
}

impl Told {
    pub(super) fn of(file: String, name: &str, why: Option<String>) -> Self {
        Self {
            file,
            name: name.to_owned(),
            passed: why.is_none(),
            why,
        }
    }

    pub(super) fn failed(file: String, name: &str, why: String) -> Self {
        Self::of(file, name, Some(why))
    }

    fn whole(&self) -> String {
        format!("{}: {}", self.file, self.name)
    }
}

impl Suite {
    /// Notes it when less is covered than was asked for. That is no test, and counts as none.
    pub(super) fn hold_to(&mut self, threshold: Option<u8>) {
        let covered = self.coverage.unwrap_or(0);
        self.below = threshold.filter(|threshold| covered < *threshold);
    }

    /// That it is covered less, for those who know nothing but tests that pass and fail.
    fn shortfall(&self) -> Option<Told> {
        let threshold = self.below?;
        let covered = self.coverage.unwrap_or(0);
        let why = format!("the tests reach {covered}% of it, less than {threshold}%");
        Some(Told::failed(self.policy.clone(), "coverage", why))
    }
}

impl Report {
    pub(super) fn new(policies: Vec<Suite>) -> Self {
        let all = || policies.iter().flat_map(|suite| &suite.tests);
        let (passed, total) = (all().filter(|told| told.passed).count(), all().count());
        Self {
            passed,
            failed: total - passed,
            below: policies.iter().filter(|one| one.below.is_some()).count(),
            policies,
        }
    }

    pub(super) fn text(&self) -> String {
        let mut out = String::new();
        for suite in &self.policies {
            for told in suite.tests.iter().filter(|told| !told.passed) {
                out.push_str(&format!("FAIL {}\n", told.whole()));
                for line in told.why.iter().flat_map(|why| why.lines()) {
                    out.push_str(&format!("     {line}\n"));
                }
            }
            let passed = suite.tests.iter().filter(|told| told.passed).count();
            let total = counted(suite.tests.len(), "test", "tests");
            out.push_str(&format!("{}: {passed} of {total} passed", suite.policy));
            if let Some(percent) = suite.coverage {
                out.push_str(&format!(", {percent}% covered"));
            }
            if let Some(threshold) = suite.below {
                out.push_str(&format!(", less than {threshold}%"));
            }
            out.push('\n');
            for (file, lines) in &suite.uncovered {
                out.push_str(&format!("     not reached: {file}:{}\n", ranges(lines)));
            }
        }
        out.push_str(&format!("{} passed, {} failed\n", self.passed, self.failed));
        out
    }

    pub(super) fn tap(&self) -> String {
        let points = self.passed + self.failed + self.below;
        let mut out = format!("TAP version 14\n1..{points}\n");
        let short: Vec<_> = self.policies.iter().map(Suite::shortfall).collect();
        let suites = self.policies.iter().zip(&short);
        let all = suites.flat_map(|(suite, short)| suite.tests.iter().chain(short));
        for (number, told) in (1..).zip(all) {
            let ok = if told.passed { "ok" } else { "not ok" };
            // A # would begin a directive.
            let name = told.whole().replace('\\', "\\\\").replace('#', "\\#");
            out.push_str(&format!("{ok} {number} - {name}\n"));
            if let Some(why) = &told.why {
                let message = serde_json::Value::from(why.as_str());
                out.push_str(&format!("  ---\n  message: {message}\n  ...\n"));
            }
        }
        out
    }

    pub(super) fn junit(&self) -> String {
        let counts =
            |tests: usize, failed: usize| format!("tests=\"{tests}\" failures=\"{failed}\"");
        let mut out = format!(
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites {}>\n",
            counts(
                self.passed + self.failed + self.below,
                self.failed + self.below
            )
        );
        for suite in &self.policies {
            let short = suite.shortfall();
            let all = || suite.tests.iter().chain(&short);
            let failed = all().filter(|told| !told.passed).count();
            let (name, counts) = (xml(&suite.policy), counts(all().count(), failed));
            out.push_str(&format!("  <testsuite name=\"{name}\" {counts}>\n"));
            for told in all() {
                let (file, name) = (xml(&told.file), xml(&told.name));
                out.push_str(&format!(
                    "    <testcase classname=\"{file}\" name=\"{name}\""
                ));
                match &told.why {
                    None => out.push_str("/>\n"),
                    Some(why) => {
                        let first = xml(why.lines().next().unwrap_or_default());
                        let why = xml(why);
                        out.push_str(&format!(
                            "><failure message=\"{first}\">{why}</failure></testcase>\n"
                        ));
                    }
                }
            }
            out.push_str("  </testsuite>\n");
        }
        out.push_str("</testsuites>\n");
        out
    }
}

/// `3,7-9`.
fn ranges(lines: &[u32]) -> String {
    let mut ranges: Vec<(u32, u32)> = Vec::new();
    for line in lines {
        match ranges.last_mut() {
            Some((_, end)) if *end + 1 == *line => *end = *line,
            _ => ranges.push((*line, *line)),
        }
    }
    let shown = ranges.iter().map(|(start, end)| match start == end {
        true => start.to_string(),
        false => format!("{start}-{end}"),
    });
    shown.collect::<Vec<_>>().join(",")
}

/// Text within XML. What XML cannot hold is left out.
fn xml(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\n' => out.push_str("&#10;"),
            '\t' | '\u{20}'..='\u{d7ff}' | '\u{e000}'..='\u{fffd}' | '\u{10000}'.. => out.push(c),
            _ => {}
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report() -> Report {
        let told = |name: &str, why: Option<&str>| {
            Told::of(
                "a/policy_test.rego".to_owned(),
                name,
                why.map(str::to_owned),
            )
        };
        Report::new(vec![Suite {
            policy: "a".to_owned(),
            coverage: Some(80),
            below: None,
            uncovered: BTreeMap::from([("a/policy.rego".to_owned(), vec![3, 7, 8, 9])]),
            tests: vec![told("test_a", None), told("test_#b", Some("<\u{1}>\nx"))],
        }])
    }

    #[test]
    fn what_failed_and_what_was_not_reached_is_told_to_people() {
        let want = "FAIL a/policy_test.rego: test_#b\n     <\u{1}>\n     x\na: 1 of 2 tests passed, 80% covered\n     \
            not reached: a/policy.rego:3,7-9\n1 passed, 1 failed\n";
        assert_eq!(report().text(), want);
    }

    #[test]
    fn what_is_covered_less_than_was_asked_for_is_no_test() {
        let mut report = report();
        let suite = report.policies.first_mut().unwrap();
        suite.hold_to(Some(80));
        assert_eq!(suite.below, None);
        suite.hold_to(Some(81));
        let report = Report::new(report.policies);
        let counts = (report.passed, report.failed, report.below);
        assert_eq!(counts, (1, 1, 1));
        let told = report.text();
        assert!(
            told.contains("a: 1 of 2 tests passed, 80% covered, less than 81%\n"),
            "{told}"
        );
    }

    #[test]
    fn machines_that_know_only_tests_are_told_of_what_is_not_covered_as_of_one() {
        let mut report = report();
        let suite = report.policies.first_mut().unwrap();
        suite.tests.truncate(1);
        suite.hold_to(Some(81));
        let report = Report::new(report.policies);
        let tap = "TAP version 14\n1..2\nok 1 - a/policy_test.rego: test_a\nnot ok 2 - a: coverage\n  \
            ---\n  message: \"the tests reach 80% of it, less than 81%\"\n  ...\n";
        assert_eq!(report.tap(), tap);
        let junit = report.junit();
        for part in [
            "<testsuites tests=\"2\" failures=\"1\">",
            "<testsuite name=\"a\" tests=\"2\" failures=\"1\">",
            "<testcase classname=\"a\" name=\"coverage\"><failure message=\"the tests reach 80% of it, less than 81%\">",
        ] {
            assert!(junit.contains(part), "{part} in {junit}");
        }
    }

    #[test]
    fn nothing_in_a_name_or_a_message_breaks_what_machines_read() {
        let tap = "TAP version 14\n1..2\nok 1 - a/policy_test.rego: test_a\nnot ok 2 - a/policy_test.rego: test_\\#b\n  \
            ---\n  message: \"<\\u0001>\\nx\"\n  ...\n";
        assert_eq!(report().tap(), tap);
        let junit = report().junit();
        assert!(
            junit.contains("<testsuite name=\"a\" tests=\"2\" failures=\"1\">"),
            "{junit}"
        );
        let failure = "<failure message=\"&lt;&gt;\">&lt;&gt;&#10;x</failure>";
        assert!(junit.contains(failure), "{junit}");
    }
}
