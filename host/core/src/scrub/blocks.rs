//! Secrets in texts that are YAML: the patches of a Kustomization, a file in a ConfigMap.
//!
//! A text goes by its lines, since it may be no whole document: behind a key that names something secret everything goes to the
//! end of the line, and every line that is indented below it; in a document that is a Secret what is in its data. It would rather take
//! out too much. What it deliberately doesn't: read YAML, so that what stays stands as it was written.

use std::sync::LazyLock;

use regex::Regex;

use super::{MASK, Sort, Tally, is_secret};

/// What begins another document, behind the end of a line.
const NEXT: &str = "\n---";

struct Forms {
    /// A key at the beginning of a line or of a list's item, and what is behind it.
    keyed: Regex,
    /// That the document is a Secret.
    secret: Regex,
    /// Its data on one line.
    flow: Regex,
}

static FORMS: LazyLock<Forms> = LazyLock::new(|| {
    let pattern = |text| Regex::new(text).expect("because it is written here, and is a pattern");
    Forms {
        keyed: pattern(r#"^(\s*(?:-\s+)*)["']?([A-Za-z0-9_./-]+)["']?\s*:(\s.*)?$"#),
        secret: pattern(
            r#"(?m)(?:^[\s-]*|[{,]\s*)["']?kind["']?\s*:\s*["']?Secret["']?\s*(?:[,}]|#|$)"#,
        ),
        flow: pattern(r#"((?:stringData|data)["']?\s*:\s*)\{[^{}]*\}"#),
    }
});

/// The text without them.
pub(super) fn without(text: &str, tally: &mut Tally) -> String {
    let documents = text.split_inclusive(NEXT);
    let each = documents.map(|document| without_in(document, tally));
    each.collect()
}

fn without_in(document: &str, tally: &mut Tally) -> String {
    let forms = &*FORMS;
    let is_secrets = forms.secret.is_match(document);
    let mut out = String::with_capacity(document.len());
    // How far the key is indented, and why everything below it goes.
    let mut below: Option<(usize, Sort)> = None;
    for whole in document.split_inclusive('\n') {
        let line = whole.trim_end_matches(['\n', '\r']);
        let end = whole.get(line.len()..).unwrap_or_default();
        let plain = line.trim_start();
        let indent = line.len() - plain.len();
        if let Some((at, sort)) = below
            && is_below(at, indent, plain)
        {
            if !plain.is_empty() && plain != MASK {
                tally.count(sort);
                out.push_str(line.get(..indent).unwrap_or_default());
                out.push_str(MASK);
            } else {
                out.push_str(line);
            }
            out.push_str(end);
            continue;
        }
        below = None;
        match hides(line, is_secrets) {
            Some((head, value, sort)) => {
                below = Some((column(line), sort));
                out.push_str(head);
                out.push_str(&taken_out(value, sort, tally));
            }
            None if is_secrets && forms.flow.is_match(line) => {
                tally.count(Sort::Secret);
                let instead = format!("${{1}}{{{MASK}}}");
                out.push_str(&forms.flow.replace_all(line, instead));
            }
            None => out.push_str(line),
        }
        out.push_str(end);
    }
    out
}

/// Whether a line belongs to what is at that column. The items of a list may stand as far left as their key.
fn is_below(at: usize, indent: usize, plain: &str) -> bool {
    let is_item = plain == "-" || plain.starts_with("- ");
    plain.is_empty() || indent > at || (indent == at && is_item)
}

/// Where the key of a line begins.
fn column(line: &str) -> usize {
    let found = FORMS.keyed.captures(line);
    let head = found.and_then(|found| found.get(1));
    head.map_or(0, |head| head.len())
}

/// A line up to the value that it hides, the value, and why.
fn hides(line: &str, is_secrets: bool) -> Option<(&str, &str, Sort)> {
    let found = FORMS.keyed.captures(line)?;
    let key = found.get(2)?.as_str();
    let value = found.get(3).map_or("", |value| value.as_str());
    let sort = if is_secrets && matches!(key, "data" | "stringData") {
        Sort::Secret
    } else if is_secret(key) {
        Sort::Named
    } else {
        return None;
    };
    let head = line.get(..line.len() - value.len())?;
    Some((head, value, sort))
}

/// What stands for it.
fn taken_out(value: &str, sort: Sort, tally: &mut Tally) -> String {
    let is_mask = value.trim().trim_matches(['"', '\'']) == MASK;
    if value.trim().is_empty() || is_mask {
        return value.to_owned();
    }
    tally.count(sort);
    format!(" {MASK}")
}
