//! How a document was written: quotes, brackets and comments, which its tree does not keep.
//!
//! Only what kustomize itself writes again is read here: text in text that a replacement changes (`yaml/restyle.rs`). What
//! is beyond it (anchors, most tags, comments between brackets) is not read, and nothing is kept then.

use std::collections::BTreeMap;

use super::parse::{Event, Parser, Properties};
use super::scan::{Mark, Written};
use comment::Notes;
pub(super) use comment::{Comments, Margin};

mod comment;

/// How a value was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Shape {
    Plain,
    Single,
    Double,
    Literal,
    Folded,
    Block,
    Flow,
}

/// How a value and all in it was written.
#[derive(Debug)]
pub(super) struct Look {
    pub(super) shape: Shape,
    pub(super) fields: BTreeMap<String, Field>,
    pub(super) items: Vec<Item>,
}

/// A field of a mapping; `entry` is the number of its comments.
#[derive(Debug)]
pub(super) struct Field {
    pub(super) key: Shape,
    pub(super) entry: Option<usize>,
    pub(super) value: Look,
}

/// An item of a list.
#[derive(Debug)]
pub(super) struct Item {
    pub(super) entry: Option<usize>,
    pub(super) value: Look,
}

/// A document's look and its comments.
pub(super) struct Page {
    pub(super) look: Look,
    pub(super) comments: Vec<Comments>,
    pub(super) margin: Margin,
}

impl Page {
    /// Reads the first document of `text`, whose nesting must have been bounded before.
    pub(super) fn read(text: &str) -> Option<Self> {
        if text.contains(['\r', '\u{85}', '\u{2028}', '\u{2029}', '\u{feff}']) {
            return None;
        }
        let mut reading = Reading {
            parser: Parser::new(text),
            notes: Notes::new(text),
        };
        loop {
            match reading.parser.next().ok()? {
                (Event::DocumentStart, _) => {}
                (event, mark) => {
                    let look = reading.value(event, mark, None)?;
                    if !matches!(reading.parser.next().ok()?.0, Event::DocumentEnd) {
                        return None;
                    }
                    // A second document would have comments of its own.
                    if !matches!(reading.parser.next().ok()?.0, Event::End) {
                        return None;
                    }
                    let (comments, margin) = reading.notes.attached()?;
                    return Some(Self {
                        look,
                        comments,
                        margin,
                    });
                }
            }
        }
    }
}

struct Reading<'a> {
    parser: Parser<'a>,
    notes: Notes<'a>,
}

impl<'a> Reading<'a> {
    /// A value; `entry` is the field or item of a block that it is of.
    fn value(&mut self, event: Event<'a>, mark: Mark, entry: Option<usize>) -> Option<Look> {
        let bare = |of: &Properties<'_>| of.anchor.is_none() && of.tag.is_none();
        match event {
            Event::Scalar(text, written, of) if of.anchor.is_none() => {
                let mark = match of.tag {
                    Some(tag) => self.notes.behind_tag(&tag, mark)?,
                    None => mark,
                };
                if !text.is_empty() || written != Written::Plain {
                    self.notes.fill(entry);
                }
                let shape = self.notes.scalar(&text, written, mark, entry)?;
                Some(Look::scalar(shape))
            }
            Event::Sequence { flow, of } if bare(&of) => {
                self.notes.fill(entry.filter(|_| flow));
                self.sequence(flow, mark)
            }
            Event::Mapping { flow, of } if bare(&of) => {
                self.notes.fill(entry.filter(|_| flow));
                self.mapping(flow, mark)
            }
            _ => None,
        }
    }

    fn sequence(&mut self, flow: bool, start: Mark) -> Option<Look> {
        let mut items = Vec::new();
        loop {
            let (event, mark) = self.parser.next().ok()?;
            if matches!(event, Event::Close) {
                return self.closed(flow, start, mark, BTreeMap::new(), items);
            }
            let entry = if flow {
                None
            } else {
                let column = self.notes.dash_before(mark)?;
                Some(self.notes.enter(mark.line, column))
            };
            let value = self.value(event, mark, entry)?;
            items.push(Item { entry, value });
        }
    }

    fn mapping(&mut self, flow: bool, start: Mark) -> Option<Look> {
        let mut fields = BTreeMap::new();
        loop {
            let (event, mark) = self.parser.next().ok()?;
            let (text, written) = match event {
                Event::Close => return self.closed(flow, start, mark, fields, Vec::new()),
                Event::Scalar(text, written, of) if of.anchor.is_none() && of.tag.is_none() => {
                    (text, written)
                }
                _ => return None,
            };
            let entry = (!flow).then(|| self.notes.enter(mark.line, mark.column));
            let key = self.notes.scalar(&text, written, mark, entry)?;
            let (event, mark) = self.parser.next().ok()?;
            let value = self.value(event, mark, entry)?;
            let field = Field { key, entry, value };
            // Twice the same key is no document, and `<<` brings fields of others.
            if text == "<<" || fields.insert(text.into_owned(), field).is_some() {
                return None;
            }
        }
    }

    fn closed(
        &mut self,
        flow: bool,
        start: Mark,
        end: Mark,
        fields: BTreeMap<String, Field>,
        items: Vec<Item>,
    ) -> Option<Look> {
        if flow {
            self.notes.brackets(start, end);
        }
        let shape = if flow { Shape::Flow } else { Shape::Block };
        Some(Look {
            shape,
            fields,
            items,
        })
    }
}

impl Look {
    fn scalar(shape: Shape) -> Self {
        Self {
            shape,
            fields: BTreeMap::new(),
            items: Vec::new(),
        }
    }
}

impl Shape {
    fn of(written: Written, quote: Option<char>) -> Self {
        match (written, quote) {
            (Written::Plain, _) => Self::Plain,
            (Written::Literal, _) => Self::Literal,
            (Written::Folded, _) => Self::Folded,
            (Written::Quoted, Some('\'')) => Self::Single,
            (Written::Quoted, _) => Self::Double,
        }
    }
}
