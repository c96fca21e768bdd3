//! What must never be told: every secret that a run uses, and the search for it in all that was told.
//!
//! Fixtures that make a secret register it here. The search goes through every log of a control plane
//! and of what runs beside it, every event, and every status of reeve's kinds. At the end of a run of
//! scenarios it is made once more over the planes that still stand, for what no scenario looked at.

use std::collections::BTreeSet;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Mutex, MutexGuard, Once, PoisonError};

use anyhow::{Context as _, ensure};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use serde_json::Value;

use crate::binaries;

/// Shorter pieces are words that anybody may say.
const SHORTEST: usize = 12;
/// What an API server is given to answer at the end of a run.
const TIMEOUT: &str = "--request-timeout=20s";
/// Reeve's kinds, whose statuses are searched.
const KINDS: [&str; 8] = [
    "gitrepositories.source.toolkit.fluxcd.io",
    "kustomizations.kustomize.toolkit.fluxcd.io",
    "receivers.notification.toolkit.fluxcd.io",
    "clusterplugins.reeve.dev",
    "plugins.reeve.dev",
    "policies.reeve.dev",
    "tenants.reeve.dev",
    "projects.reeve.dev",
];

static USED: Mutex<BTreeSet<String>> = Mutex::new(BTreeSet::new());
static STANDING: Mutex<Vec<Place>> = Mutex::new(Vec::new());

fn locked<T>(what: &'static Mutex<T>) -> MutexGuard<'static, T> {
    what.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Where something may have been told.
#[derive(Clone, Debug)]
pub struct Place {
    /// The directory of the logs.
    pub logs: PathBuf,
    /// How the API server is reached.
    pub kubeconfig: PathBuf,
}

/// Registers a secret: from now on no piece of it may be told, nor its usual encodings.
pub fn used(secret: &str) {
    let mut used = locked(&USED);
    for needle in needles(secret) {
        used.insert(needle);
    }
}

/// A user and a password as they stand in a header.
pub fn used_as(user: &str, password: &str) {
    used(password);
    locked(&USED).insert(STANDARD.encode(format!("{user}:{password}")));
}

/// How many pieces are searched for.
#[must_use]
pub fn known() -> usize {
    locked(&USED).len()
}

/// The pieces of a secret that give it away. A key of many lines is one by each of them.
fn needles(secret: &str) -> impl Iterator<Item = String> + '_ {
    let is_telling = |line: &&str| line.len() >= SHORTEST && !line.starts_with("-----");
    let lines = secret.lines().map(str::trim).filter(is_telling);
    lines.flat_map(|line| {
        [
            line.to_owned(),
            STANDARD_NO_PAD.encode(line),
            URL_SAFE_NO_PAD.encode(line),
        ]
    })
}

/// A secret that was told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Leak {
    /// Where.
    pub place: String,
    /// The line it stands in, with the secret blackened.
    pub line: String,
}

/// The secrets in a text.
#[must_use]
pub fn leaks(place: &str, text: &str) -> Vec<Leak> {
    let used = locked(&USED).clone();
    let found = used.iter().filter(|needle| text.contains(needle.as_str()));
    found
        .map(|needle| {
            let line = text
                .lines()
                .find(|line| line.contains(needle.as_str()))
                .unwrap_or(text);
            let line: String = line
                .replace(needle.as_str(), "█")
                .chars()
                .take(500)
                .collect();
            Leak {
                place: place.to_owned(),
                line,
            }
        })
        .collect()
}

/// The secrets in the files of a directory.
pub fn leaks_in(dir: &Path) -> anyhow::Result<Vec<Leak>> {
    let mut all = Vec::new();
    for entry in std::fs::read_dir(dir).with_context(|| format!("{}", dir.display()))? {
        let path = entry?.path();
        if path.is_file() {
            let text = std::fs::read(&path)?;
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            all.extend(leaks(&name, &String::from_utf8_lossy(&text)));
        }
    }
    Ok(all)
}

/// The secrets in everything that was told at a place: logs, events and statuses. Every kind of reeve's has to be there.
pub fn search(place: &Place) -> anyhow::Result<Vec<Leak>> {
    search_of(place, &KINDS)
}

/// The same where nobody may have installed them: of a kind that is not there nothing was told.
fn search_what_is_there(place: &Place) -> anyhow::Result<Vec<Leak>> {
    let definitions = get(&place.kubeconfig, "customresourcedefinitions")?;
    search_of(place, &installed(&definitions))
}

/// Those of reeve's kinds that are among the definitions.
fn installed(definitions: &Value) -> Vec<&'static str> {
    let names: BTreeSet<&str> = items(definitions)
        .filter_map(|one| one.pointer("/metadata/name")?.as_str())
        .collect();
    let there = |kind: &&str| names.contains(kind);
    KINDS.into_iter().filter(there).collect()
}

fn items(list: &Value) -> impl Iterator<Item = &Value> {
    let items = list.pointer("/items").and_then(Value::as_array);
    items.into_iter().flatten()
}

fn search_of(place: &Place, kinds: &[&str]) -> anyhow::Result<Vec<Leak>> {
    let mut all = leaks_in(&place.logs)?;
    let events = get(&place.kubeconfig, "events")?;
    all.extend(leaks("events", &events.to_string()));
    let objects = match kinds {
        [] => Value::Null,
        kinds => get(&place.kubeconfig, &kinds.join(","))?,
    };
    for object in items(&objects) {
        let text = |pointer| {
            object
                .pointer(pointer)
                .and_then(Value::as_str)
                .unwrap_or_default()
        };
        let name = format!("{} {}", text("/kind"), text("/metadata/name"));
        let status = object.get("status").cloned().unwrap_or_default();
        all.extend(leaks(&name, &status.to_string()));
    }
    Ok(all)
}

fn get(kubeconfig: &Path, kinds: &str) -> anyhow::Result<Value> {
    let mut command = Command::new(binaries::find("kubectl")?);
    command.args(["get", kinds, "--all-namespaces", "--output=json", TIMEOUT]);
    command.env("KUBECONFIG", kubeconfig).stdin(Stdio::null());
    let out = command.output().context("starting kubectl")?;
    let said = String::from_utf8_lossy(&out.stderr);
    ensure!(out.status.success(), "kubectl get {kinds}: {said}");
    serde_json::from_slice(&out.stdout).context("kubectl prints JSON")
}

/// A plane stands here now.
pub(crate) fn stands(place: Place) {
    locked(&STANDING).push(place);
}

/// A plane stands here no more.
pub(crate) fn falls(logs: &Path) {
    locked(&STANDING).retain(|place| place.logs != logs);
}

static AT_END: Once = Once::new();

/// Searches once more when this process ends, and has it end in failure if anything is found.
pub fn search_at_end() {
    AT_END.call_once(|| {});
}

/// Called first thing when the process ends, while the planes still stand. Returns whether all is well.
pub(crate) fn end() -> bool {
    if !AT_END.is_completed() {
        return true;
    }
    let places = locked(&STANDING).clone();
    let mut wrong = Vec::new();
    for place in places.iter().filter(|place| place.logs.is_dir()) {
        match search_what_is_there(place) {
            Ok(found) => wrong.extend(found.into_iter().map(|leak| format!("{leak:?}"))),
            Err(why) => wrong.push(format!("the search for secrets failed: {why:#}")),
        }
    }
    if !wrong.is_empty() {
        let said = format!("secrets were told in this run:\n{}\n", wrong.join("\n"));
        // Nobody is left to report a failed write to.
        drop(std::io::stderr().write_all(said.as_bytes()));
    }
    wrong.is_empty()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn only_kinds_that_are_installed_are_searched_at_the_end() {
        let named = |names: &[&str]| {
            let items = names.iter().map(|name| json!({"metadata": {"name": name}}));
            json!({"items": items.collect::<Vec<_>>()})
        };
        assert!(installed(&named(&[])).is_empty());
        assert!(installed(&named(&["certificates.cert-manager.io"])).is_empty());
        let two = ["tenants.reeve.dev", "policies.reeve.dev"];
        assert_eq!(
            installed(&named(&two)),
            ["policies.reeve.dev", "tenants.reeve.dev"]
        );
        assert_eq!(installed(&named(&KINDS)), KINDS);
    }
}
