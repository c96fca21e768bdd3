//! From a text, what it means and what it shall mean, to the text with the fewest lines changed.
//!
//! Only what differs is touched: comments, order, quotes and indentation of the rest stay. What cannot be done by
//! replacing, removing or inserting whole values is refused, with its field; the caller reads the result once more and
//! compares, so nothing is mangled unseen. What stands between brackets is `edit/write/flow.rs`, texts in blocks
//! `edit/write/block.rs`, how new values look `edit/render.rs`.

mod block;
mod flow;
mod lines;

use std::ops::Range;

use serde_json::{Map, Value};

use super::align::{Step, align};
use super::render::{self, Ways};
use crate::yaml::{Entry, Layout, Shape};

/// The field that cannot be edited, and why.
pub(super) struct Refused {
    pub(super) field: String,
    pub(super) why: &'static str,
}

/// Fields that move into another one: the key is renamed where the other is not there yet.
pub(super) type Renames<'a> = &'a [(&'a str, &'a str)];

/// The changes of one text.
pub(super) struct Writer<'a> {
    text: &'a str,
    ways: Ways,
    changes: Vec<(Range<usize>, String)>,
    field: Vec<String>,
}

/// What a value stands behind.
#[derive(Clone, Copy)]
enum Slot<'a> {
    Key(&'a Entry),
    Dash,
    Bracket,
}

impl<'a> Writer<'a> {
    pub(super) fn new(text: &'a str, ways: Ways) -> Self {
        Self {
            text,
            ways,
            changes: Vec::new(),
            field: Vec::new(),
        }
    }

    /// The text in which `old` has become `new`; `root` is nothing for a text without a document.
    pub(super) fn write(
        mut self,
        root: Option<&Layout>,
        old: &Map<String, Value>,
        new: &Map<String, Value>,
        renames: Renames<'_>,
    ) -> Result<String, Refused> {
        match root.map(|root| &root.shape) {
            None | Some(Shape::Empty) => self.append(new.iter()),
            Some(Shape::Map { flow, entries }) => {
                if let Some(root) = root.filter(|_| *flow) {
                    let (old, new) = (Value::Object(old.clone()), Value::Object(new.clone()));
                    self.value(root, &old, &new, Slot::Bracket)?;
                } else {
                    self.top(entries, old, new, renames)?;
                }
            }
            Some(_) => return Err(self.refuse("is not a mapping")),
        }
        Ok(self.finish())
    }

    /// The same for a text that is no kustomization file, whatever it holds.
    pub(super) fn rewrite(
        mut self,
        root: Option<&Layout>,
        old: &Value,
        new: &Value,
    ) -> Result<String, Refused> {
        match (root, old, new) {
            (Some(_), Value::Object(old), Value::Object(new)) => self.write(root, old, new, &[]),
            (_, Value::Null, Value::Object(new)) => self.write(root, &Map::new(), new, &[]),
            (Some(root), old, new) => {
                self.value(root, old, new, Slot::Bracket)?;
                Ok(self.finish())
            }
            (None, ..) => Err(self.refuse("holds nothing")),
        }
    }

    fn finish(mut self) -> String {
        // Of two at one place, what was asked for first stands first.
        self.changes.sort_by_key(|(at, _)| (at.start, at.end));
        let mut out = String::with_capacity(self.text.len() + 256);
        let mut done = 0;
        for (at, new) in &self.changes {
            out.push_str(self.text.get(done..at.start).unwrap_or_default());
            if new.contains('\n') && self.ways.windows {
                out.push_str(&new.replace('\n', "\r\n"));
            } else {
                out.push_str(new);
            }
            done = done.max(at.end);
        }
        out.push_str(self.text.get(done..).unwrap_or_default());
        out
    }

    fn refuse(&self, why: &'static str) -> Refused {
        Refused {
            field: self.field.concat(),
            why,
        }
    }

    fn change(&mut self, at: Range<usize>, new: impl Into<String>) {
        self.changes.push((at, new.into()));
    }

    fn top(
        &mut self,
        entries: &[Entry],
        old: &Map<String, Value>,
        new: &Map<String, Value>,
        renames: Renames<'_>,
    ) -> Result<(), Refused> {
        self.check_unique(entries)?;
        let mut taken: Vec<&str> = Vec::new();
        for entry in entries {
            let moved = renames.iter().find(|(from, to)| {
                entry.name.eq_ignore_ascii_case(from)
                    && !new.contains_key(&entry.name)
                    && !old.contains_key(*to)
                    && new.contains_key(*to)
                    && !taken.contains(to)
            });
            if let Some((_, to)) = moved {
                self.change(entry.key.clone(), *to);
                taken.push(to);
            }
            let name = moved.map_or(entry.name.as_str(), |(_, to)| to);
            self.entry(entry, entries, old.get(&entry.name), new.get(name))?;
        }
        let added = |key: &str| !old.contains_key(key) && !taken.contains(&key);
        let more: Vec<_> = new.iter().filter(|(key, _)| added(key)).collect();
        self.append(more.into_iter());
        Ok(())
    }

    /// New fields of the document, behind everything, comments included.
    fn append<'v>(&mut self, fields: impl Iterator<Item = (&'v String, &'v Value)>) {
        let mut lines = Vec::new();
        for (key, value) in fields {
            render::entry(key, value, self.ways, &mut lines);
        }
        if lines.is_empty() {
            return;
        }
        let mut new = lines.join("\n");
        new.push('\n');
        let end = self.document_end();
        let before = self.text.get(..end).unwrap_or_default();
        if !before.is_empty() && !before.ends_with('\n') {
            new.insert(0, '\n');
        }
        self.change(end..end, new);
    }

    /// Where the line `...` begins that ends the document, else where the text ends.
    fn document_end(&self) -> usize {
        let mut at = 0;
        for line in self.text.split_inclusive('\n') {
            let rest = line.strip_prefix("...");
            if rest
                .is_some_and(|rest| rest.trim_start().is_empty() || rest.starts_with([' ', '\t']))
            {
                return at;
            }
            at += line.len();
        }
        at
    }

    fn check_unique(&self, entries: &[Entry]) -> Result<(), Refused> {
        let mut names: Vec<&str> = entries.iter().map(|entry| entry.name.as_str()).collect();
        names.sort_unstable();
        let twice = names.iter().zip(names.iter().skip(1)).any(|(a, b)| a == b);
        if twice {
            return Err(self.refuse("holds a key twice"));
        }
        Ok(())
    }

    /// An entry that is kept, changed or removed.
    fn entry(
        &mut self,
        entry: &Entry,
        all: &[Entry],
        old: Option<&Value>,
        new: Option<&Value>,
    ) -> Result<(), Refused> {
        let dot = if self.field.is_empty() { "" } else { "." };
        self.field.push(format!("{dot}{}", entry.name));
        match (old, new) {
            (Some(old), Some(new)) => self.value(&entry.value, old, new, Slot::Key(entry))?,
            (Some(_), None) => self.remove_entry(entry, all)?,
            // `<<`, which the values do not show.
            (None, _) => {}
        }
        self.field.pop();
        Ok(())
    }

    fn value(
        &mut self,
        layout: &Layout,
        old: &Value,
        new: &Value,
        slot: Slot<'_>,
    ) -> Result<(), Refused> {
        if old == new {
            return Ok(());
        }
        match (&layout.shape, old, new) {
            (Shape::Alias, ..) if !self.ways.overrides => {
                Err(self.refuse("is an alias of another value"))
            }
            (Shape::Block, Value::String(old), Value::String(new))
                if self.block(layout, old, new, slot) =>
            {
                Ok(())
            }
            (Shape::Map { flow, entries }, Value::Object(old), Value::Object(new))
                if *flow || !new.is_empty() =>
            {
                self.mapping(layout, *flow, entries, old, new)
            }
            (Shape::Seq { flow, items }, Value::Array(old), Value::Array(new))
                if *flow || !new.is_empty() =>
            {
                if *flow {
                    self.flow_list(layout, items, old, new, slot)
                } else {
                    self.list(items, old, new)
                }
            }
            (Shape::Plain | Shape::Quoted(_) | Shape::Alias, _, new) if render::is_inline(new) => {
                let text = match (&layout.shape, new) {
                    (Shape::Quoted(quote), Value::String(text)) => render::quoted(text, *quote),
                    _ => None,
                };
                let text = text.unwrap_or_else(|| match slot {
                    Slot::Bracket => self.brackets(new),
                    Slot::Key(_) | Slot::Dash => render::inline(new, false),
                });
                self.change(self.content(&layout.at), text);
                Ok(())
            }
            _ => self.whole(layout, new, slot),
        }
    }

    /// A value of another shape in the place of an old one.
    fn whole(&mut self, layout: &Layout, new: &Value, slot: Slot<'_>) -> Result<(), Refused> {
        match slot {
            Slot::Bracket => {
                self.without_comment(&layout.at)?;
                let new = self.brackets(new);
                self.change(self.content(&layout.at), new);
            }
            Slot::Dash => {
                self.without_comment(&layout.at)?;
                let mut lines = Vec::new();
                render::value(new, self.ways, &mut lines);
                let column = self.column(layout.at.start);
                self.change(layout.at.clone(), render::indent(&lines, column));
            }
            Slot::Key(entry) => {
                let rest = self.text.get(entry.key.end..).unwrap_or_default();
                let colon = entry.key.end + rest.find(':').map_or(0, |at| at + 1);
                let old = colon..layout.at.end.max(colon);
                let mut lines = Vec::new();
                render::entry("", new, self.ways, &mut lines);
                let column = self.column(entry.key.start);
                let new = render::indent(&lines, column);
                // The key is there: what follows its colon is what is new.
                let new = new.split_once(':').map_or("", |(_, new)| new).to_owned();
                let empty = matches!(layout.shape, Shape::Empty);
                if empty && new.starts_with('\n') {
                    // Behind a comment on the key's line.
                    let end = self.line_end(colon);
                    self.change(end..end, new);
                } else {
                    self.without_comment(&old)?;
                    self.change(old, new);
                }
            }
        }
        Ok(())
    }

    fn mapping(
        &mut self,
        layout: &Layout,
        flow: bool,
        entries: &[Entry],
        old: &Map<String, Value>,
        new: &Map<String, Value>,
    ) -> Result<(), Refused> {
        self.check_unique(entries)?;
        let written = |key: &str| entries.iter().any(|entry| entry.name == key);
        // What is merged can be written over, but not taken away.
        let merged = old.iter().any(|(key, value)| {
            let stays = match self.ways.overrides {
                true => new.contains_key(key),
                false => new.get(key) == Some(value),
            };
            !written(key) && !stays
        });
        if merged {
            return Err(self.refuse("is merged from another value"));
        }
        let added: Vec<_> = new
            .iter()
            .filter(|(key, value)| !written(key) && old.get(*key) != Some(*value))
            .collect();
        if flow {
            return self.flow_mapping(layout, entries, old, new, &added);
        }
        for entry in entries {
            self.entry(entry, entries, old.get(&entry.name), new.get(&entry.name))?;
        }
        let Some(last) = entries.last().filter(|_| !added.is_empty()) else {
            return Ok(());
        };
        let mut lines = Vec::new();
        for (key, value) in added {
            render::entry(key, value, self.ways, &mut lines);
        }
        let column = self.column(entries.first().unwrap_or(last).key.start);
        self.insert_lines(last.value.at.end, &lines, column);
        Ok(())
    }

    fn list(&mut self, items: &[Layout], old: &[Value], new: &[Value]) -> Result<(), Refused> {
        let Some(first) = items.first() else {
            return Err(self.refuse("is written in a way that is not understood"));
        };
        let dash = self.dash(first).ok_or_else(|| self.refuse("is nested"))?;
        let column = self.column(dash);
        let mut before: Option<usize> = None;
        for step in align(old, new) {
            match step {
                Step::Both(at, to) => {
                    if let (Some(item), Some(old), Some(new)) =
                        (items.get(at), old.get(at), new.get(to))
                    {
                        self.field.push(format!("[{at}]"));
                        self.value(item, old, new, Slot::Dash)?;
                        self.field.pop();
                        before = Some(item.at.end);
                    }
                }
                Step::Old(at) => {
                    if let Some(item) = items.get(at) {
                        self.remove_item(item)?;
                        before = Some(item.at.end);
                    }
                }
                Step::New(to) => {
                    let mut lines = Vec::new();
                    if let Some(value) = new.get(to) {
                        render::item(value, self.ways, &mut lines);
                    }
                    match before {
                        Some(end) => self.insert_lines(end, &lines, column),
                        None => {
                            let start = self.line_start(dash);
                            let text = format!(
                                "{}{}\n",
                                " ".repeat(column),
                                render::indent(&lines, column)
                            );
                            self.change(start..start, text);
                        }
                    }
                }
            }
        }
        Ok(())
    }

    fn remove_entry(&mut self, entry: &Entry, all: &[Entry]) -> Result<(), Refused> {
        let start = self.line_start(entry.key.start);
        let before = self.text.get(start..entry.key.start).unwrap_or_default();
        let value = &entry.value.at;
        if before.trim().is_empty() {
            let end = self.next_line(value.end.max(entry.key.end));
            self.change(start..end, "");
            return Ok(());
        }
        // The first key of a list's item: the next one takes its place.
        let next = all
            .iter()
            .find(|other| other.key.start > entry.key.start)
            .filter(|_| before.trim() == "-");
        let Some(next) = next else {
            return Err(self.refuse("shares its line with something else"));
        };
        let gap = value.end..next.key.start;
        self.without_comment(&gap)?;
        self.change(entry.key.start..next.key.start, "");
        Ok(())
    }

    fn remove_item(&mut self, item: &Layout) -> Result<(), Refused> {
        let Some(dash) = self.dash(item) else {
            return Err(self.refuse("shares its line with something else"));
        };
        let start = self.line_start(dash);
        let end = self.next_line(item.at.end);
        self.change(start..end, "");
        Ok(())
    }

    /// Where the dash of an item stands that is the first thing of its line.
    fn dash(&self, item: &Layout) -> Option<usize> {
        let start = self.line_start(item.at.start);
        let before = self.text.get(start..item.at.start)?;
        let dash = before.find('-')?;
        let (spaces, rest) = before.split_at_checked(dash)?;
        let rest = rest.get(1..)?.trim();
        let alone = rest.is_empty() || rest.starts_with(['&', '!']);
        (spaces.trim().is_empty() && alone).then_some(start + dash)
    }

    /// Inserts lines below the one that `after` stands in.
    fn insert_lines(&mut self, after: usize, lines: &[String], column: usize) {
        // As whole lines, so that it does not matter whether the one before stays.
        let at = self.next_line(after);
        let text = format!("{}{}", " ".repeat(column), render::indent(lines, column));
        let text = match self
            .text
            .get(..at)
            .is_some_and(|before| before.ends_with('\n'))
        {
            true => format!("{text}\n"),
            false => format!("\n{text}"),
        };
        self.change(at..at, text);
    }
}
