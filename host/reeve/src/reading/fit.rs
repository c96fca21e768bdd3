//! What a reader does with a policy: it loads it as the controller does, and runs its tests.

use reeve_api::policy::TestResults;
use reeve_core::rego::{self, Policy};

use super::wire::{Question, Said};

/// The most errors that are spelled out.
const SPELLED_OUT: usize = 10;

/// Compiles the rules, and runs their tests.
pub(super) fn fit(question: &Question) -> Said {
    match tests(question) {
        Ok(tests) => Said::Fit(tests),
        Err(why) => Said::Unfit(why),
    }
}

fn tests(question: &Question) -> Result<Option<TestResults>, String> {
    let broken = |errors: Vec<rego::Error>| listed(errors.iter());
    let policy = Policy::load(&question.name, &question.files, &question.parameters);
    let ran = policy.and_then(|policy| policy.tests()).map_err(broken)?;
    let failures = ran.ended.iter().filter_map(|test| {
        let failure = test.failure.as_ref()?;
        Some(format!("{} {}: {failure}", test.file, test.name))
    });
    let failed: Vec<String> = failures.collect();
    if !failed.is_empty() {
        let (count, total) = (failed.len(), ran.ended.len());
        let told = listed(failed.iter());
        return Err(format!("{count} of its {total} tests fail: {told}"));
    }
    Ok((!ran.ended.is_empty()).then(|| TestResults {
        coverage: Some(format!("{}%", ran.percent())),
        total: i64::try_from(ran.ended.len()).unwrap_or(i64::MAX),
    }))
}

/// The first of them, and how many more there are.
pub(crate) fn listed(all: impl ExactSizeIterator<Item = impl std::fmt::Display>) -> String {
    let hidden = all.len().saturating_sub(SPELLED_OUT);
    let told: Vec<String> = all.take(SPELLED_OUT).map(|one| one.to_string()).collect();
    let told = told.join("; ");
    match hidden {
        0 => told,
        _ => format!("{told}; and {hidden} more"),
    }
}
