//! How often each hook was made: counted by what the API server wrote down, whoever saw the answer.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{Read as _, Seek as _, SeekFrom};
use std::path::PathBuf;

use anyhow::{Context as _, ensure};
use reeve_tests::objects;
use serde_json::Value;

use super::crowd::{has_hooks, name};
use super::ends::{Ends, Excuse};

/// Which hooks a push runs, and how often.
const HOOKS: [(&str, usize); 3] = [("before", 1), ("after", 1), ("failed", 0)];

/// The API server's record of Jobs, as far as it was read.
pub(super) struct Tally {
    record: PathBuf,
    read: u64,
}

/// The Jobs of a name in a namespace: `namespace name`, and which objects these were.
type Jobs = BTreeMap<(String, String), BTreeSet<String>>;

impl Tally {
    pub(super) fn new(record: PathBuf) -> Self {
        Self { record, read: 0 }
    }

    /// Jobs that the API server has answered somebody about since the last look: made, changed or deleted.
    pub(super) fn since(&mut self) -> anyhow::Result<Jobs> {
        let mut file = File::open(&self.record).context("the API server's record")?;
        file.seek(SeekFrom::Start(self.read))?;
        let mut text = Vec::new();
        file.read_to_end(&mut text)?;
        let whole = text.iter().rposition(|byte| *byte == b'\n');
        let whole = whole.map_or(0, |end| end + 1);
        self.read += whole as u64;
        let mut jobs = Jobs::new();
        for line in text[..whole].split(|byte| *byte == b'\n') {
            // One that was cut off when the server was killed says nothing of use.
            let event = serde_json::from_slice::<Value>(line).unwrap_or_default();
            if let Some((key, uid)) = job(&event) {
                jobs.entry(key).or_default().insert(uid);
            }
        }
        Ok(jobs)
    }
}

/// The Job that an event is about, if it was there then.
fn job(event: &Value) -> Option<((String, String), String)> {
    let text = |pointer| objects::text(event, pointer);
    let code = event.pointer("/responseStatus/code")?.as_u64()?;
    let rehearsed = text("/requestURI")?.contains("dryRun=");
    let part = text("/objectRef/subresource").is_some();
    if !(200..300).contains(&code) || rehearsed || part {
        return None;
    }
    // A deletion is answered with the Job, or with a word about it.
    let uid =
        text("/responseObject/metadata/uid").or_else(|| text("/responseObject/details/uid"))?;
    let key = (text("/objectRef/namespace")?, text("/objectRef/name")?);
    Some(((key.0.to_owned(), key.1.to_owned()), uid.to_owned()))
}

/// Each hook was made as often as a push runs it.
pub(super) fn ran_once(
    number: usize,
    mut jobs: Jobs,
    (before, now): (&Ends, &Ends),
    excuse: &Excuse,
) -> anyhow::Result<()> {
    for tenant in (0..number).filter(|at| has_hooks(*at)).map(name) {
        if excuse.tenants.contains(&tenant) {
            continue;
        }
        for (hook, times) in HOOKS {
            let key = (tenant.clone(), hook.to_owned());
            let mut made = jobs.remove(&key).unwrap_or_default();
            made.extend(now.job(&tenant, hook).cloned());
            // That of the last push, which this one has deleted.
            if let Some(old) = before.job(&tenant, hook) {
                made.remove(old);
            }
            ensure!(
                made.len() == times,
                "{tenant}: the hook {hook} was made {} times, not {times}: {made:?}",
                made.len()
            );
        }
    }
    Ok(())
}
