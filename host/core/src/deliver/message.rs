//! What is said in commits and pull requests: which Kustomization, which revision of its source, and what changes.
//!
//! All names in it are Kubernetes' or git's, which hold no end of a line; bounded all the same.

use std::fmt::Write as _;

use reeve_api::name::NamespacedName;

use super::Settled;
use crate::artifact::Digest;
use crate::spec::SourceRef;
use crate::text::{counted, line};

/// How many files a request names.
const NAMED: usize = 50;

/// What is delivered.
#[derive(Debug, Clone, Copy)]
pub struct Told<'a> {
    /// Which Kustomization.
    pub id: &'a NamespacedName,
    /// From where.
    pub source: &'a SourceRef,
    /// Which revision of that.
    pub revision: &'a str,
    /// The files.
    pub digest: Digest,
}

/// The message of a commit, with trailers that tools read.
pub fn message(told: &Told<'_>) -> String {
    let Told {
        id,
        source,
        revision,
        digest,
    } = told;
    let revision = line(revision);
    format!(
        "{}\n\nWhat {source} has at {revision}, built, judged by policy, and written for\nwhoever applies this directory.\n\n\
         Reeve-Deliver: {id}\nReeve-Source-Revision: {revision}\nReeve-Digest: {digest}\n",
        title(told)
    )
}

/// One line: of a commit, or of a request.
pub fn title(told: &Told<'_>) -> String {
    let revision = line(told.revision);
    let whole = ("", revision.as_str());
    let (branch, commit) = revision.rsplit_once('@').unwrap_or(whole);
    let commit = commit.rsplit(':').next().unwrap_or_default();
    let short = commit.get(..8).unwrap_or(commit);
    let at = match branch {
        "" => short.to_owned(),
        branch => format!("{}@{short}", branch.chars().take(60).collect::<String>()),
    };
    format!("Deliver {} at {at}", told.id)
}

/// What a request says of what it changes in `directory`.
pub fn body(told: &Told<'_>, directory: &str, settled: &Settled) -> String {
    let mut text = format!(
        "What `{}` has at `{}`, built and judged by policy, for `{directory}`.\n",
        told.source,
        line(told.revision)
    );
    let list = |text: &mut String, what: &str, all: Vec<String>| {
        if all.is_empty() {
            return;
        }
        let (shown, more) = (all.iter().take(NAMED), all.len().saturating_sub(NAMED));
        let lines: String = shown.map(|one| format!("- `{}`\n", line(one))).collect();
        let _ = write!(text, "\n{what}:\n\n{lines}");
        if more > 0 {
            let _ = writeln!(text, "- and {}", counted(more, "more", "more"));
        }
    };
    list(
        &mut text,
        "Written",
        settled.write.keys().cloned().collect(),
    );
    list(
        &mut text,
        "Removed",
        settled.remove.iter().cloned().collect(),
    );
    let adopted = settled.adopted.iter().map(|one| one.path.clone());
    list(&mut text, "Taken over", adopted.collect());
    text
}

/// What branches of proposals of a Kustomization begin with.
fn stem(id: &NamespacedName) -> String {
    format!("reeve/{}/{}", id.namespace, id.name)
}

/// The branch of a proposal that begins at the commit `base`.
pub fn branch(id: &NamespacedName, base: &str) -> String {
    format!("{}-{}", stem(id), base.get(..8).unwrap_or(base))
}

/// Whether a branch that a status names is one that we make for it: a status is only what somebody wrote.
pub fn is_branch_of(id: &NamespacedName, branch: &str) -> bool {
    let rest = branch.strip_prefix(&stem(id));
    let rest = rest.and_then(|rest| rest.strip_prefix('-'));
    let hex = |rest: &str| rest.len() == 8 && rest.chars().all(|c| c.is_ascii_hexdigit());
    rest.is_some_and(hex)
}
