//! Texts in blocks, behind `|` and `>`: lines come and go, the others stay as they are.

use std::ops::Range;

use serde_json::Value;

use super::{Slot, Writer};
use crate::edit::align::{Step, align};
use crate::yaml::Layout;

impl Writer<'_> {
    /// Puts `new` in the place of `old`; false where a block cannot hold it.
    pub(super) fn block(&mut self, layout: &Layout, old: &str, new: &str, slot: Slot<'_>) -> bool {
        let change = self.block_of(layout, old, new, slot);
        let is_held = change.is_some();
        self.changes.extend(change);
        is_held
    }

    fn block_of(
        &self,
        layout: &Layout,
        old: &str,
        new: &str,
        slot: Slot<'_>,
    ) -> Option<(Range<usize>, String)> {
        let at = self.content(&layout.at);
        let (header, body) = self.text.get(at.clone())?.split_once('\n')?;
        let header = header.strip_suffix('\r').unwrap_or(header);
        let split = header.find([' ', '\t']).unwrap_or(header.len());
        let (indicator, comment) = header.split_at_checked(split)?;
        let lines: Vec<&str> = body
            .split('\n')
            .map(|line| line.strip_suffix('\r').unwrap_or(line))
            .collect();
        let digit = indicator.chars().find_map(|c| c.to_digit(10));
        let indent = match digit {
            Some(digit) => self.outer_column(layout, slot)? + usize::try_from(digit).ok()?,
            None => {
                let first = lines.iter().find(|line| !line.trim().is_empty())?;
                first.len() - first.trim_start_matches(' ').len()
            }
        };
        if !is_held(new, digit.is_some()) {
            return None;
        }
        let digit = digit.map(|digit| digit.to_string()).unwrap_or_default();
        let chomping = chomping(indicator, old, new)?;
        let was_literal = indicator.starts_with('|');
        let kept = if was_literal { lines.as_slice() } else { &[] };
        let body = written(kept, old, new, indent).join("\n");
        Some((at, format!("|{digit}{chomping}{comment}\n{body}")))
    }

    /// The column that the indentation in a block's header is counted from.
    fn outer_column(&self, layout: &Layout, slot: Slot<'_>) -> Option<usize> {
        match slot {
            Slot::Key(entry) => Some(self.column(entry.key.start)),
            Slot::Dash => Some(self.column(self.dash(layout)?)),
            Slot::Bracket => None,
        }
    }
}

/// Whether a literal block can hold the text as it is.
fn is_held(text: &str, indented: bool) -> bool {
    let first = text.split('\n').next().unwrap_or_default();
    let odd = |c: char| {
        (c.is_control() && c != '\n' && c != '\t')
            || matches!(c, '\u{2028}' | '\u{2029}' | '\u{feff}')
    };
    let begins = !first.is_empty() && (indented || !first.starts_with([' ', '\t']));
    begins && !text.contains(odd)
}

/// What the header says of the line breaks at the end; nothing where they cannot be written without more lines.
fn chomping(indicator: &str, old: &str, new: &str) -> Option<&'static str> {
    let ends = |text: &str| text.len() - text.trim_end_matches('\n').len();
    let keeps = indicator.contains('+');
    match ends(new) {
        same if keeps && same == ends(old) => Some("+"),
        0 if !keeps => Some("-"),
        1 if !keeps => Some(""),
        _ => None,
    }
}

/// The lines of the new text, those that stay as they were written.
fn written(lines: &[&str], old: &str, new: &str, indent: usize) -> Vec<String> {
    let values = |text: &str| -> Vec<Value> {
        let text = text.trim_end_matches('\n');
        text.split('\n').map(Value::from).collect()
    };
    let (old, new) = (values(old), values(new));
    let fresh = |value: &Value| match value.as_str() {
        None | Some("") => String::new(),
        Some(line) => format!("{}{line}", " ".repeat(indent)),
    };
    if old.len() != lines.len() {
        return new.iter().map(fresh).collect();
    }
    let mut out = Vec::with_capacity(new.len());
    for step in align(&old, &new) {
        match step {
            Step::Both(before, after) => {
                let same = old.get(before) == new.get(after);
                let kept = lines.get(before).filter(|_| same);
                out.extend(match kept {
                    Some(line) => Some((*line).to_owned()),
                    None => new.get(after).map(fresh),
                });
            }
            Step::Old(_) => {}
            Step::New(after) => out.extend(new.get(after).map(fresh)),
        }
    }
    out
}
