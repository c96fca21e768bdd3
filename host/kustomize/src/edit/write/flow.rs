//! Lists and mappings between brackets: members come and go in their places, on lines of their own where the others are.

use std::ops::Range;

use serde_json::{Map, Value};

use super::{Refused, Slot, Writer};
use crate::edit::align::{Step, align};
use crate::edit::render;
use crate::yaml::{Entry, Layout};

/// What becomes of the members.
enum Member {
    Kept(Range<usize>),
    Gone(Range<usize>),
    New(String),
}

impl Writer<'_> {
    /// A list in brackets.
    pub(super) fn flow_list(
        &mut self,
        layout: &Layout,
        items: &[Layout],
        old: &[Value],
        new: &[Value],
        slot: Slot<'_>,
    ) -> Result<(), Refused> {
        if items.is_empty() {
            return self.whole(layout, &Value::Array(new.to_vec()), slot);
        }
        let mut members = Vec::new();
        for step in align(old, new) {
            match step {
                Step::Both(at, to) => {
                    if let (Some(item), Some(old), Some(new)) =
                        (items.get(at), old.get(at), new.get(to))
                    {
                        self.field.push(format!("[{at}]"));
                        self.value(item, old, new, Slot::Bracket)?;
                        self.field.pop();
                        members.push(Member::Kept(item.at.clone()));
                    }
                }
                Step::Old(at) => {
                    members.extend(items.get(at).map(|item| Member::Gone(item.at.clone())));
                }
                Step::New(to) => {
                    let text = new.get(to).map(|new| self.brackets(new));
                    members.extend(text.map(Member::New));
                }
            }
        }
        let whole = || Value::Array(new.to_vec());
        self.members(layout, &members, whole)
    }

    /// A mapping in braces.
    pub(super) fn flow_mapping(
        &mut self,
        layout: &Layout,
        entries: &[Entry],
        old: &Map<String, Value>,
        new: &Map<String, Value>,
        added: &[(&String, &Value)],
    ) -> Result<(), Refused> {
        let mut members = Vec::new();
        for entry in entries {
            let at = entry.key.start..entry.value.at.end;
            match (old.get(&entry.name), new.get(&entry.name)) {
                (Some(_), None) => members.push(Member::Gone(at)),
                (Some(old), Some(new)) => {
                    let dot = if self.field.is_empty() { "" } else { "." };
                    self.field.push(format!("{dot}{}", entry.name));
                    self.value(&entry.value, old, new, Slot::Bracket)?;
                    self.field.pop();
                    members.push(Member::Kept(at));
                }
                // `<<`, which the values do not show.
                (None, _) => members.push(Member::Kept(at)),
            }
        }
        for (key, value) in added {
            let key = self.brackets(&Value::String((*key).clone()));
            let text = format!("{key}: {}", self.brackets(value));
            members.push(Member::New(text));
        }
        let whole = || Value::Object(new.clone());
        self.members(layout, &members, whole)
    }

    /// A value between brackets, in the way of the file.
    pub(super) fn brackets(&self, value: &Value) -> String {
        match self.ways.json {
            true => render::json(value),
            false => render::flow(value),
        }
    }

    fn members(
        &mut self,
        layout: &Layout,
        members: &[Member],
        whole: impl FnOnce() -> Value,
    ) -> Result<(), Refused> {
        let is_kept = |member: &Member| matches!(member, Member::Kept(_));
        if members.iter().all(is_kept) {
            return Ok(());
        }
        if !members.iter().any(is_kept) {
            self.without_comment(&layout.at)?;
            let new = self.brackets(&whole());
            self.change(self.content(&layout.at), new);
            return Ok(());
        }
        let gap = self.gap(layout, members);
        // What goes and what comes before the first that stays, and behind the last so far.
        let (mut first, mut ahead, mut last) = (None, String::new(), None);
        let mut gone: Option<Range<usize>> = None;
        for member in members {
            match (member, last) {
                (Member::Kept(at), _) => {
                    if first.is_none() {
                        first = Some(at.start);
                    }
                    if let Some(gone) = gone.take() {
                        self.cut(gone.start..at.start)?;
                    }
                    last = Some(at.end);
                }
                (Member::Gone(at), _) => {
                    let start = gone.map_or(at.start, |gone| gone.start);
                    gone = Some(start..at.end);
                }
                (Member::New(text), None) => ahead.extend([text, gap.as_str()]),
                (Member::New(text), Some(last)) => self.change(last..last, format!("{gap}{text}")),
            }
        }
        if let (Some(gone), Some(last)) = (gone, last) {
            self.cut(last..gone.end)?;
        }
        if let Some(first) = first {
            self.change(first..first, ahead);
        }
        Ok(())
    }

    fn cut(&mut self, at: Range<usize>) -> Result<(), Refused> {
        self.without_comment(&at)?;
        self.change(at, "");
        Ok(())
    }

    /// What stands between two members: as between the first two, else as before the first.
    fn gap(&self, layout: &Layout, members: &[Member]) -> String {
        let old = |member: &Member| match member {
            Member::Kept(at) | Member::Gone(at) => Some(at.clone()),
            Member::New(_) => None,
        };
        let mut old = members.iter().filter_map(old);
        let text = |at: Range<usize>| self.text.get(at).unwrap_or_default().replace('\r', "");
        let (first, second) = (old.next(), old.next());
        let start = first.as_ref().map_or(layout.at.end, |first| first.start);
        let before = text(layout.at.start + 1..start);
        let gap = match first.zip(second) {
            Some((first, second)) => text(first.end..second.start),
            None if before.contains('\n') => format!(",{before}"),
            None => String::new(),
        };
        let is_gap = gap.chars().filter(|c| !c.is_whitespace()).eq([',']);

        if is_gap && gap.starts_with(',') {
            gap
        } else {
            ", ".to_owned()
        }
    }
}
