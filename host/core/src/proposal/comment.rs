//! The comment at a pull request: what would change, object by object, and what policies say.
//!
//! Whatever somebody else wrote stands in a block of code that it cannot leave, without what steers a terminal, under the veil of
//! its preview. It begins with a marker that people do not see, by which it is found again. It has a bound: what no longer fits
//! is left out, and that is said.

use reeve_api::name::NamespacedName;

use super::{Part, Seen};
use crate::failure::Explained;
use crate::preview::{Change, Preview};
use crate::status::words;
use crate::text;
use crate::veil::Veil;

/// The largest comment, in bytes: GitHub takes 65,536 characters.
pub(super) const LONGEST: usize = 60_000;
/// The least of a block that is worth being shown.
const LEAST: usize = 400;
/// Kept free for what is said at the end.
const ENDING: usize = 400;

/// The line by which our comment for a source is found, and told from one for another cluster.
pub fn marker(cluster: Option<&str>, source: &NamespacedName) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    let cluster = cluster.map(|name| name.replace(|c: char| !plain(c), "_") + " ");
    format!(
        "<!-- reeve:plan {}{source} -->",
        cluster.unwrap_or_default()
    )
}

/// The text, which begins with `marker`.
pub fn comment(marker: &str, source: &NamespacedName, seen: &Seen, parts: &[Part]) -> String {
    let mut page = Page {
        text: format!("{marker}\n### What this would change\n\n"),
        left_out: 0,
    };
    let head = seen.request.head.get(..12).unwrap_or_default();
    page.text.push_str(&format!(
        "Commit `{head}` as it is, for GitRepository `{source}`, beside what is on the cluster now. Nothing was written.\n"
    ));
    for part in parts {
        let revision = seen.live.iter().find(|live| live.id == part.id);
        let revision = revision.and_then(|live| live.revision.as_deref());
        page.part(part, revision);
    }
    page.end()
}

struct Page {
    text: String,
    /// Blocks that did not fit, whole or in part.
    left_out: usize,
}

impl Page {
    fn part(&mut self, part: &Part, applied: Option<&str>) {
        let applied = match applied {
            Some(revision) => format!(", applied is `{}`", code(revision)),
            None => String::new(),
        };
        match &part.told {
            Ok(told) => {
                let counts = told.counts();
                // Which one, the Secret with the kubeconfig says.
                let place = match told.cluster {
                    Some(_) => " on another cluster",
                    None => "",
                };
                self.line(&format!("\n**{}**{place}: {counts}{applied}\n", part.id));
                self.preview(told);
            }
            Err(why) => {
                self.line(&format!("\n**{}**: it cannot be said{applied}\n", part.id));
                self.failure(why);
            }
        }
    }

    fn preview(&mut self, told: &Preview) {
        if !told.denied.is_empty() {
            self.line("Policies deny it, and nothing of it would be applied:\n");
            self.block("text", &told.denied.join("\n"), &told.veil);
        }
        if !told.failed.is_empty() {
            self.line("The cluster would refuse:\n");
            self.block("text", &told.failed.join("\n"), &told.veil);
        }
        if let Some(waits) = &told.waits {
            self.block("text", &waits.words(), &told.veil);
        }
        if !told.hooks.is_empty() {
            let hooks = told.hooks.iter();
            let hooks = hooks.map(|hook| format!("hook {} {} would run", hook.phase, hook.object));
            self.block("text", &hooks.collect::<Vec<_>>().join("\n"), &told.veil);
        }
        if !told.not_compared.is_empty() {
            self.line("Not compared with what is on the cluster:\n");
            self.block("text", &told.not_compared.join("\n"), &told.veil);
        }
        for change in &told.changes {
            self.block("diff", &lines(change), &told.veil);
        }
    }

    /// Nothing is known that would have to be covered: whoever failed has covered it.
    fn failure(&mut self, why: &Explained) {
        self.block("text", &words(why), Veil::nothing());
    }

    fn line(&mut self, text: &str) {
        if text.len() <= self.room() {
            self.text.push_str(text);
        } else {
            self.left_out += 1;
        }
    }

    /// A block of code, or as much of it as there is room for. What is covered is covered before it is cut.
    fn block(&mut self, kind: &str, body: &str, veil: &Veil) {
        let covered = veil.cover(body.to_owned());
        let tamed: Vec<String> = covered.lines().map(text::line).collect();
        let body = tamed.join("\n");
        let fence = fence(&body);
        let frame = 2 * fence.len() + kind.len() + 3;
        let room = self.room().saturating_sub(frame);
        let shown = match body.len() <= room {
            true => body.as_str(),
            false => {
                self.left_out += 1;
                if room < LEAST {
                    return;
                }
                let cut = body.get(..body.floor_char_boundary(room)).unwrap_or("");
                cut.rsplit_once('\n').map_or(cut, |(whole, _)| whole)
            }
        };
        self.text
            .push_str(&format!("{fence}{kind}\n{shown}\n{fence}\n"));
    }

    fn room(&self) -> usize {
        (LONGEST - ENDING).saturating_sub(self.text.len())
    }

    fn end(mut self) -> String {
        if self.left_out > 0 {
            self.text.push_str(&format!(
                "\nThis is not all of it: {} of its pieces did not fit here, whole or in part. `reeve diff` shows them.\n",
                self.left_out
            ));
        }
        self.text
    }
}

/// An object, and its lines.
fn lines(change: &Change) -> String {
    let mut out = format!("{} {}", change.object, change.action);
    if let Some(why) = &change.unasked {
        out.push_str(&format!("\nas git has it, since {why}"));
    }
    for line in change.lines.lines() {
        out.push('\n');
        out.push_str(line);
    }
    out
}

/// More backticks than there are anywhere in a row.
fn fence(body: &str) -> String {
    let runs = body.split(|c: char| c != '`').map(str::len);
    "`".repeat(runs.max().unwrap_or_default().max(2) + 1)
}

/// What may stand between two backticks.
fn code(text: &str) -> String {
    text::line(text).replace('`', "'")
}
