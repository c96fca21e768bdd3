//! What has come into a repository, line by line: each change once, each commit of people, and nothing else.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::ensure;
use reeve_tests::git::{Repo, git};

/// What a look has found.
pub(super) struct Looked {
    /// The newest commit.
    pub(super) head: String,
    /// How many commits are ours.
    pub(super) ours: usize,
}

/// What somebody writes in a round.
pub(super) fn note(round: usize, nth: usize) -> String {
    format!("note-{round}-{nth}")
}

/// Looks at all that has come since a commit: that is these changes, and so many deletions and commits of people in that round.
pub(super) fn look(
    repo: &Repo,
    since: &str,
    (want, gone): (&[String], usize),
    (round, pushes): (usize, usize),
) -> anyhow::Result<Looked> {
    let bare = repo.bare();
    is_one_line(bare, since)?;
    let range = format!("{since}..main");
    each_once(bare, &range, want)?;
    let subjects = git(bare, ["log", "--format=%s", &range])?;
    nothing_is_lost(bare, &subjects, (round, pushes))?;
    let ours = subjects.lines().count() - pushes;
    let most = want.len() + gone;
    ensure!(ours <= most, "{ours} commits for {most} changes");
    let said = ["log", "--format=%s", "--grep=^Reeve-Write-Back: ", &range];
    let said = git(bare, said)?.lines().count();
    ensure!(said == ours, "{said} of {ours} commits say whose they are");
    let head = git(bare, ["rev-parse", "main"])?;
    Ok(Looked { head, ours })
}

/// There are no merges, and wherever the branch has been is on its way, one after the other: nobody went back.
fn is_one_line(bare: &Path, since: &str) -> anyhow::Result<()> {
    let all = git(bare, ["rev-list", "main"])?;
    let all: Vec<&str> = all.lines().collect();
    ensure!(all.contains(&since), "{since} was taken out of history");
    let merges = git(bare, ["rev-list", "--count", "--merges", "main"])?;
    ensure!(merges == "0", "there are merges");
    let been = git(bare, ["log", "--walk-reflogs", "--format=%H", "main"])?;
    let mut way = all.iter();
    let is_line = been.lines().all(|at| way.any(|commit| *commit == at));
    ensure!(is_line, "the branch went back: it was at\n{been}");
    Ok(())
}

/// Each of these values was written once, and no other was.
fn each_once(bare: &Path, range: &str, want: &[String]) -> anyhow::Result<()> {
    let changes = [
        "log",
        "--format=",
        "--patch",
        "--unified=0",
        range,
        "--",
        "app/map-*.yaml",
        "made",
    ];
    let changes = git(bare, changes)?;
    let values = changes
        .lines()
        .filter_map(|line| line.strip_prefix("+  value: "));
    let mut written: BTreeMap<&str, usize> = BTreeMap::new();
    for value in values {
        *written.entry(value).or_default() += 1;
    }
    for token in want {
        let times = written.remove(token.as_str()).unwrap_or_default();
        ensure!(times == 1, "{token} was written {times} times");
    }
    ensure!(written.is_empty(), "nobody has changed that: {written:?}");
    Ok(())
}

/// What people have pushed is there: their commits, their files, and what they wrote into the files of others.
fn nothing_is_lost(
    bare: &Path,
    subjects: &str,
    (round, pushes): (usize, usize),
) -> anyhow::Result<()> {
    let files = git(bare, ["ls-tree", "-r", "--name-only", "main", "notes/"])?;
    let files: Vec<&str> = files.lines().collect();
    for nth in 0..pushes {
        let note = note(round, nth);
        let times = subjects.lines().filter(|line| *line == note).count();
        ensure!(times == 1, "{note} is there {times} times");
        let file = format!("notes/{note}.txt");
        ensure!(files.contains(&file.as_str()), "{file} is lost");
    }
    if let Some(last) = pushes.checked_sub(1) {
        let text = git(bare, ["show", "main:app/map-0.yaml"])?;
        let comment = format!("# notes: {}", note(round, last));
        ensure!(text.starts_with(&comment), "{comment} is lost: {text}");
    }
    Ok(())
}
