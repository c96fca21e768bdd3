//! Secrets in texts that are YAML: the patches of a Kustomization, a file in a ConfigMap.
//!
//! A text goes by its lines, since it may be no whole document: behind a key that names something secret everything goes to the
//! end of the line, and every line that is indented below it; in a document that is a Secret what is in its data; in a JSON patch the
//! value whose path says so. It would rather take out too much. What it deliberately doesn't: read YAML, so that what stays stands as
//! it was written.

use std::collections::BTreeSet;
use std::sync::LazyLock;

use regex::{Captures, Regex};

use super::{MASK, Sort, Tally, hides, is_secret};

/// What begins another document, behind the end of a line.
const NEXT: &str = "\n---";

struct Forms {
    /// A key at the beginning of a line or of a list's item, and what is behind it.
    keyed: Regex,
    /// That the document is a Secret.
    secret: Regex,
    /// Its data on one line.
    flow: Regex,
    /// The path and the value of a JSON patch on one line.
    path: Regex,
    value: Regex,
}

static FORMS: LazyLock<Forms> = LazyLock::new(|| {
    let pattern = |text| Regex::new(text).expect("because it is written here, and is a pattern");
    Forms {
        keyed: pattern(r#"^(\s*(?:-\s+)*)["']?([A-Za-z0-9_./-]+)["']?\s*:(\s.*)?$"#),
        secret: pattern(
            r#"(?m)(?:^[\s-]*|[{,]\s*)["']?kind["']?\s*:\s*["']?Secret["']?\s*(?:[,}]|#|$)"#,
        ),
        flow: pattern(r#"((?:stringData|data)["']?\s*:\s*)\{[^{}]*\}"#),
        path: pattern(r#"[{,\s"']path["']?\s*:\s*["']?(/[^\s"',}]*)"#),
        value: pattern(
            r#"([{,\s"']value["']?\s*:\s*)("(?:[^"\\]|\\.)*"|'[^']*'|\{[^{}]*\}|[^\s,}\]][^,}\]]*)"#,
        ),
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
    let patched = patched(document);
    let mut out = String::with_capacity(document.len());
    // How far the key is indented, and why everything below it goes.
    let mut below: Option<(usize, Sort)> = None;
    for (number, whole) in document.split_inclusive('\n').enumerate() {
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
        match hidden(line, is_secrets, patched.contains(&number)) {
            Some((head, value, sort)) => {
                below = Some((column(line), sort));
                out.push_str(head);
                out.push_str(&taken_out(value, sort, tally));
            }
            None => out.push_str(&on_one_line(line, is_secrets, tally)),
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

/// A line without the data of a Secret, and without the value of a JSON patch, that are written in braces.
fn on_one_line(line: &str, is_secrets: bool, tally: &mut Tally) -> String {
    let forms = &*FORMS;
    let mut line = line.to_owned();
    if is_secrets && forms.flow.is_match(&line) {
        tally.count(Sort::Secret);
        let instead = format!("${{1}}{{{MASK}}}");
        line = forms.flow.replace_all(&line, instead).into_owned();
    }
    let says_so = |found: Captures<'_>| found.get(1).is_some_and(|path| hides(path.as_str()));
    let is_patched = forms.path.captures_iter(&line).any(says_so);
    if is_patched && forms.value.is_match(&line) {
        tally.count(Sort::Named);
        let instead = format!("${{1}}{MASK}");
        line = forms.value.replace_all(&line, instead).into_owned();
    }
    line
}

/// A map that goes on at this line: where its keys are, whether its path says that its value is secret, and the lines of that.
struct Open {
    column: usize,
    hides: bool,
    values: Vec<usize>,
}

/// The lines with a value of a JSON patch that is secret by the path beside it, which may stand above it or below.
fn patched(document: &str) -> BTreeSet<usize> {
    let mut found = BTreeSet::new();
    let mut open: Vec<Open> = Vec::new();
    for (number, line) in document.lines().enumerate() {
        if line.trim().is_empty() {
            continue;
        }
        let keyed = FORMS.keyed.captures(line);
        let part = |at| {
            let part = keyed.as_ref().and_then(|keyed| keyed.get(at));
            part.map_or("", |part| part.as_str())
        };
        let (head, key, value) = (part(1), part(2), part(3));
        let column = match keyed {
            Some(_) => head.len(),
            None => line.len() - line.trim_start().len(),
        };
        let begins = head.contains('-');
        let ends = |map: &mut Open| map.column > column || (begins && map.column == column);
        while let Some(map) = open.pop_if(ends) {
            found.extend(map.values.into_iter().filter(|_| map.hides));
        }
        if key.is_empty() {
            continue;
        }
        if open.last().is_none_or(|map| map.column < column) {
            open.push(Open {
                column,
                hides: false,
                values: Vec::new(),
            });
        }
        match (key, open.last_mut()) {
            ("path", Some(map)) => {
                let path = value.trim().trim_matches(['"', '\'', ',']);
                map.hides = map.hides || hides(path);
            }
            ("value", Some(map)) => map.values.push(number),
            _ => {}
        }
    }
    let left = open.into_iter().filter(|map| map.hides);
    found.extend(left.flat_map(|map| map.values));
    found
}

/// A line up to the value that it hides, the value, and why.
fn hidden(line: &str, is_secrets: bool, is_patched: bool) -> Option<(&str, &str, Sort)> {
    let found = FORMS.keyed.captures(line)?;
    let key = found.get(2)?.as_str();
    let value = found.get(3).map_or("", |value| value.as_str());
    let sort = if is_secrets && matches!(key, "data" | "stringData" | "patch") {
        Sort::Secret
    } else if is_secret(key) || is_patched {
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
