//! Which comment belongs to which field or item, as go-yaml sees it.
//!
//! A comment above is the next one's, unless an empty line follows it or what follows stands further left: then it is the
//! foot of the one before. Tokens say where content ends, so that what looks like a comment in a text is none.

use std::collections::BTreeMap;

use super::{Mark, Shape, Written};
use crate::yaml::parse::CORE;

/// How many entries back the owner of a comment is looked for.
const FAR: usize = 1000;

/// The comments of one field or item, line by line.
#[derive(Debug, Default)]
pub(in super::super) struct Comments {
    pub(in super::super) head: Vec<String>,
    pub(in super::super) line: Option<String>,
    pub(in super::super) foot: Vec<String>,
}

/// The comments of a document itself.
#[derive(Debug, Default)]
pub(in super::super) struct Margin {
    pub(in super::super) head: Vec<String>,
    pub(in super::super) foot: Vec<String>,
}

/// A field or an item of a block.
struct Entry {
    line: usize,
    column: usize,
    /// Whether its value is on its line: no block, and not nothing.
    filled: bool,
}

/// What is known of the lines of a text.
pub(super) struct Notes<'a> {
    lines: Vec<&'a str>,
    entries: Vec<Entry>,
    /// Behind which column of a line nothing but punctuation and a comment stands.
    ends: BTreeMap<usize, usize>,
    /// Lines that begin within a text.
    within: Vec<bool>,
    /// Lines that begin between brackets.
    bracketed: Vec<bool>,
    /// A place: line, column and byte. Tokens come in order, so that the next is found from here.
    place: (usize, usize, usize),
}

/// A comment that fills its line.
struct Full {
    column: usize,
    text: String,
}

impl<'a> Notes<'a> {
    pub(super) fn new(text: &'a str) -> Self {
        let lines: Vec<&str> = text.split('\n').collect();
        Self {
            entries: Vec::new(),
            ends: BTreeMap::new(),
            within: vec![false; lines.len()],
            bracketed: vec![false; lines.len()],
            place: (0, 0, 0),
            lines,
        }
    }

    /// A new field or item; its number.
    pub(super) fn enter(&mut self, line: u32, column: u32) -> usize {
        let (line, column) = (line as usize, column as usize);
        self.entries.push(Entry {
            line,
            column,
            filled: false,
        });
        self.entries.len() - 1
    }

    /// The value of this entry is on its line.
    pub(super) fn fill(&mut self, entry: Option<usize>) {
        if let Some(entry) = entry.and_then(|entry| self.entries.get_mut(entry)) {
            entry.filled = true;
        }
    }

    /// The column of the dash before an item.
    pub(super) fn dash_before(&self, mark: Mark) -> Option<u32> {
        let line = self.lines.get(mark.line as usize)?;
        let before: Vec<char> = line.chars().take(mark.column as usize).collect();
        let dash = before.iter().rposition(|c| *c != ' ')?;
        (before.get(dash) == Some(&'-')).then(|| u32::try_from(dash).ok())?
    }

    /// Where the value begins whose tag begins at `mark`, if it is the tag of a scalar's type and on the line of the value.
    pub(super) fn behind_tag(&mut self, tag: &str, mark: Mark) -> Option<Mark> {
        const KEPT: [&str; 6] = ["null", "bool", "int", "float", "timestamp", "str"];
        let name = tag.strip_prefix(CORE).filter(|name| KEPT.contains(name))?;
        let rest = self.rest(mark.line as usize, mark.column as usize);
        let behind = rest.strip_prefix("!!")?.strip_prefix(name)?;
        let value = behind.trim_start_matches(' ');
        // What stands behind the tag is all in one byte each.
        let skipped = u32::try_from(rest.len() - value.len()).ok()?;
        let begins = behind.len() > value.len() && !value.is_empty() && !value.starts_with('#');
        let column = mark.column + skipped;
        begins.then_some(Mark { column, ..mark })
    }

    /// How a scalar is written that begins at `mark`; its lines are no comments.
    pub(super) fn scalar(
        &mut self,
        text: &str,
        written: Written,
        mark: Mark,
        entry: Option<usize>,
    ) -> Option<Shape> {
        let (line, start) = (mark.line as usize, mark.column as usize);
        let rest = self.rest(line, start);
        match written {
            Written::Plain if text.is_empty() => {}
            Written::Plain => self.plain(text, line, start)?,
            Written::Quoted => self.quoted(line, start)?,
            Written::Literal | Written::Folded => {
                let counted = rest.chars().take(3).any(|c| c.is_ascii_digit());
                self.block(line, start, entry, counted);
            }
        }
        Some(Shape::of(written, rest.chars().next()))
    }

    fn end(&mut self, line: usize, column: usize) {
        let end = self.ends.entry(line).or_default();
        *end = column.max(*end);
    }

    /// What stands in a line from a column on.
    fn rest(&mut self, line: usize, column: usize) -> &'a str {
        let text = self.lines.get(line).copied().unwrap_or_default();
        let (_, known, byte) = match self.place {
            place if place.0 == line && place.1 <= column => place,
            _ => (line, 0, 0),
        };
        let tail = text.get(byte..).unwrap_or_default();
        let skipped = tail.char_indices().nth(column - known);
        let byte = byte + skipped.map_or(tail.len(), |(at, _)| at);
        self.place = (line, column, byte);
        text.get(byte..).unwrap_or_default()
    }

    fn quoted(&mut self, line: usize, start: usize) -> Option<()> {
        let mut quote = None;
        let mut escaped = false;
        for at in line..self.lines.len() {
            let skip = if at == line { start } else { 0 };
            if at > line {
                *self.within.get_mut(at)? = true;
            }
            let mut chars = self.rest(at, skip).chars().enumerate().peekable();
            while let Some((column, c)) = chars.next() {
                match quote {
                    None => quote = Some(c),
                    Some('"') if escaped => escaped = false,
                    Some('"') if c == '\\' => escaped = true,
                    Some('\'') if c == '\'' && chars.peek().is_some_and(|(_, c)| *c == '\'') => {
                        chars.next();
                    }
                    Some(open) if c == open => {
                        self.end(at, skip + column + 1);
                        return Some(());
                    }
                    Some(_) => {}
                }
            }
            escaped = false;
        }
        None
    }

    /// A plain text, maybe over several lines: as many words as it has.
    fn plain(&mut self, text: &str, line: usize, start: usize) -> Option<()> {
        let mut words = text.split_whitespace().peekable();
        for at in line..self.lines.len() {
            let skip = if at == line { start } else { 0 };
            let rest = self.rest(at, skip);
            let mut end = 0;
            while let Some(word) = words.peek() {
                let tail = rest.get(end..)?;
                let gap = tail.len() - tail.trim_start().len();
                if !tail.trim_start().starts_with(word) {
                    break;
                }
                end += gap + word.len();
                words.next();
            }
            if let Some(inside) = self.within.get_mut(at).filter(|_| at > line) {
                *inside = true;
            }
            if words.peek().is_none() {
                let length = rest.get(..end)?.chars().count();
                self.end(at, skip + length);
                return Some(());
            }
        }
        None
    }

    fn block(&mut self, line: usize, start: usize, entry: Option<usize>, counted: bool) {
        self.end(line, start + 1);
        let parent = entry.and_then(|entry| self.entries.get(entry));
        let mut least = parent.map_or(0, |entry| entry.column + 1);
        let mut first = true;
        let mut last = line;
        for (at, text) in self.lines.iter().enumerate().skip(line + 1) {
            let indent = text.chars().take_while(|c| *c == ' ').count();
            let blank = text.trim().is_empty();
            if !blank && indent < least {
                break;
            }
            if !blank {
                if first && !counted {
                    least = indent;
                }
                first = false;
                last = at;
            }
        }
        // Empty lines at the end only part it from what follows.
        for inside in self.within.iter_mut().take(last + 1).skip(line + 1) {
            *inside = true;
        }
    }

    /// Brackets from `start` to `end`.
    pub(super) fn brackets(&mut self, start: Mark, end: Mark) {
        let (first, last) = (start.line as usize, end.line as usize);
        self.end(first, start.column as usize + 1);
        self.end(last, end.column as usize + 1);
        let lines = self.bracketed.iter_mut().take(last + 1).skip(first + 1);
        lines.for_each(|inside| *inside = true);
    }

    /// Gives every comment to the one it belongs to; nothing if one stands between brackets.
    pub(super) fn attached(mut self) -> Option<(Vec<Comments>, Margin)> {
        let mut all = Attacher {
            comments: self.entries.iter().map(|_| Comments::default()).collect(),
            margin: Margin::default(),
        };
        let mut run: Vec<Option<Full>> = Vec::new();
        let mut before: Option<usize> = None;
        let lines = std::mem::take(&mut self.lines);
        for (at, text) in lines.iter().enumerate() {
            let inside = self.within.get(at).copied().unwrap_or_default();
            let trimmed = text.trim_start_matches([' ', '\t']);
            let has_content = self.ends.contains_key(&at);
            if !inside && !has_content && trimmed.is_empty() {
                run.push(None);
                continue;
            }
            if !inside && !has_content && trimmed.starts_with('#') {
                if self.bracketed.get(at).copied().unwrap_or_default() {
                    return None;
                }
                let column = text.chars().take_while(|c| matches!(c, ' ' | '\t')).count();
                let text = trimmed.to_owned();
                run.push(Some(Full { column, text }));
                continue;
            }
            // Entries come in the order of their lines.
            let first = self.entries.partition_point(|entry| entry.line < at);
            let behind = self.entries.partition_point(|entry| entry.line <= at);
            let next = (first < behind).then_some(first);
            if next.is_some() {
                all.give(&self.entries, std::mem::take(&mut run), before, next);
            } else {
                run.clear();
            }
            let innermost = behind.checked_sub(1);
            before = innermost.or(before);
            let Some(comment) = self.behind(at, text) else {
                continue;
            };
            if self.bracketed.get(at + 1).copied().unwrap_or_default() {
                return None;
            }
            let owner = innermost.and_then(|entry| all.comments.get_mut(entry))?;
            owner.line = Some(comment);
        }
        all.give(&self.entries, run, before, None);
        Some((all.comments, all.margin))
    }

    /// The comment behind the content of a line.
    fn behind(&self, line: usize, text: &str) -> Option<String> {
        let end = *self.ends.get(&line)?;
        let rest: String = text.chars().skip(end).collect();
        let at = rest.match_indices('#').find(|(at, _)| {
            let before = rest.get(..*at).unwrap_or_default();
            before.ends_with([' ', '\t'])
        });
        let (at, _) = at?;
        Some(rest.get(at..)?.to_owned())
    }
}

struct Attacher {
    comments: Vec<Comments>,
    margin: Margin,
}

impl Attacher {
    /// Gives the comments between the entries `before` and `next` to one or the other.
    fn give(
        &mut self,
        entries: &[Entry],
        run: Vec<Option<Full>>,
        before: Option<usize>,
        next: Option<usize>,
    ) {
        let column_of = |entry: Option<usize>| Some(entries.get(entry?)?.column);
        let indent = column_of(before).unwrap_or_default();
        let next_column = column_of(next);
        // A key whose value is yet to come has no foot, nor has the first line.
        let last = before.and_then(|entry| entries.get(entry));
        let bare = last.is_none_or(|entry| !entry.filled || entry.line == 0);
        let mut first_empty = before.is_some() && matches!(run.first(), Some(Some(_)));
        let mut recent_empty = false;
        let mut text: Vec<String> = Vec::new();
        let mut start = (0, 0);
        let ended = [None];
        let at_end = next.is_none() && !matches!(run.last(), Some(None));
        let closing = ended.into_iter().filter(|_: &Option<Full>| at_end);
        for (line, full) in run.into_iter().chain(closing).enumerate() {
            let Some(full) = full else {
                if !recent_empty && !text.is_empty() {
                    if first_empty && (start.0 == 0 && !bare || start.1 < indent) {
                        self.foot(entries, before, next_column, start.1, &mut text);
                    } else {
                        text.push(String::new());
                    }
                }
                first_empty = false;
                recent_empty = true;
                continue;
            };
            if !text.is_empty() && full.column < indent && full.column != start.1 {
                self.foot(entries, before, next_column, indent, &mut text);
            }
            if text.is_empty() {
                start = (line, full.column);
            }
            text.push(full.text);
            recent_empty = false;
        }
        let left = next_column.is_some_and(|column| column < indent && column != start.1);
        if !text.is_empty() && left {
            self.foot(entries, before, next_column, indent, &mut text);
        }
        self.head(before, next, text);
    }

    fn head(&mut self, before: Option<usize>, next: Option<usize>, mut text: Vec<String>) {
        if before.is_none() {
            // What stands above an empty line at the top is the document's.
            if let Some(empty) = text.iter().rposition(String::is_empty) {
                let rest = text.split_off(empty);
                self.margin.head = std::mem::replace(&mut text, rest);
                text.remove(0);
            }
        }
        while text.last().is_some_and(String::is_empty) {
            text.pop();
        }
        match next.and_then(|entry| self.comments.get_mut(entry)) {
            Some(comments) => comments.head = text,
            None => self.margin.foot = text,
        }
    }

    /// Makes `text`, which begins at `column`, the foot of the last entry before that ends there: one of this column if
    /// it ends there, else the one before the next.
    fn foot(
        &mut self,
        entries: &[Entry],
        before: Option<usize>,
        next: Option<usize>,
        column: usize,
        text: &mut Vec<String>,
    ) {
        let up_to = before.map_or(0, |entry| entry + 1);
        let known = entries.get(..up_to).unwrap_or_default();
        let last_at = |most: usize| {
            let mut near = known.iter().enumerate().rev().take(FAR);
            near.find(|(_, entry)| entry.column <= most)
        };
        let dedented = known.last().is_some_and(|last| column < last.column);
        let owner = last_at(column).filter(|(_, entry)| {
            !dedented || entry.column == column && next.is_none_or(|next| next < column)
        });
        let owner = owner.or_else(|| last_at(next.unwrap_or(column)));
        let taken = std::mem::take(text);
        if let Some(comments) = owner.and_then(|(owner, _)| self.comments.get_mut(owner)) {
            comments.foot.extend(taken);
        }
    }
}
