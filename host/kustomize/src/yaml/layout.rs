//! Where each value of a YAML text stands, in bytes.
//!
//! Built from the parser's events beside the values themselves, which the reader makes: an alias is a leaf here, and an
//! empty value has no extent. The next stage is `edit/write.rs`, which replaces, removes and inserts between these places.

use std::ops::Range;

use super::parse::{Event, Parser};
use super::scan::Written;

/// One value of the text.
#[derive(Debug)]
pub(crate) struct Layout {
    /// Its first byte and the one behind its last; of a collection without brackets, from its first child to its last.
    pub(crate) at: Range<usize>,
    pub(crate) shape: Shape,
}

/// How a value is written.
#[derive(Debug)]
pub(crate) enum Shape {
    /// On one line or folded, without quotes.
    Plain,
    /// In quotes of this kind.
    Quoted(char),
    /// As a literal or folded block.
    Block,
    /// Not at all: null.
    Empty,
    /// As a reference to an anchor.
    Alias,
    /// As a list; `flow` is with brackets.
    Seq { flow: bool, items: Vec<Layout> },
    /// As a mapping; `flow` is with braces.
    Map { flow: bool, entries: Vec<Entry> },
}

/// A key and its value.
#[derive(Debug)]
pub(crate) struct Entry {
    pub(crate) key: Range<usize>,
    pub(crate) name: String,
    pub(crate) value: Layout,
}

/// A collection whose end is not reached.
struct Open {
    start: usize,
    key: Option<(Range<usize>, String)>,
    shape: Shape,
}

impl Layout {
    /// The root of the only document of `text`, which the reader has found to be valid; nothing where there is none.
    pub(crate) fn read(text: &str) -> Option<Self> {
        let mut open: Vec<Open> = Vec::new();
        let mut parser = Parser::new(text);
        loop {
            let (event, mark) = parser.next().ok()?;
            let at = mark.at..parser.end().max(mark.at);
            let done = match event {
                Event::End => return None,
                Event::DocumentStart | Event::DocumentEnd => continue,
                Event::Sequence { flow, .. } => {
                    let items = Vec::new();
                    open.push(Open::new(at.start, Shape::Seq { flow, items }));
                    continue;
                }
                Event::Mapping { flow, .. } => {
                    let entries = Vec::new();
                    open.push(Open::new(at.start, Shape::Map { flow, entries }));
                    continue;
                }
                Event::Close => open.pop()?.close(at.end),
                Event::Alias(_) => Self {
                    at,
                    shape: Shape::Alias,
                },
                Event::Scalar(value, written, _) => {
                    let layout = Self::scalar(text, at, value.is_empty(), written);
                    match open.last_mut() {
                        Some(parent) if parent.wants_key() => {
                            parent.key = Some((layout.at, value.into_owned()));
                            continue;
                        }
                        _ => layout,
                    }
                }
            };
            match open.last_mut() {
                None => return Some(done),
                Some(parent) => parent.take(done, text),
            }
        }
    }

    fn scalar(text: &str, at: Range<usize>, empty: bool, written: Written) -> Self {
        let shown = text.get(at.clone()).unwrap_or_default().trim_end();
        let shape = match written {
            Written::Plain if empty => Shape::Empty,
            Written::Plain => Shape::Plain,
            Written::Quoted if shown.ends_with('\'') => Shape::Quoted('\''),
            Written::Quoted => Shape::Quoted('"'),
            Written::Literal | Written::Folded => Shape::Block,
        };
        let end = match shape {
            // What was taken last is what is before it.
            Shape::Empty => at.start,
            _ => at.start + shown.len(),
        };
        let at = at.start..end;
        Self { at, shape }
    }
}

impl Open {
    fn new(start: usize, shape: Shape) -> Self {
        Self {
            start,
            key: None,
            shape,
        }
    }

    fn wants_key(&self) -> bool {
        matches!(self.shape, Shape::Map { .. }) && self.key.is_none()
    }

    fn take(&mut self, mut done: Layout, text: &str) {
        match &mut self.shape {
            Shape::Seq { items, .. } => items.push(done),
            Shape::Map { entries, .. } => {
                let Some((key, name)) = self.key.take() else {
                    return;
                };
                if matches!(done.shape, Shape::Empty) {
                    let rest = text.get(key.end..).unwrap_or_default();
                    let colon = key.end + rest.find(':').map_or(0, |at| at + 1);
                    done.at = colon..colon;
                }
                entries.push(Entry {
                    key,
                    name,
                    value: done,
                });
            }
            _ => {}
        }
    }

    fn close(self, end: usize) -> Layout {
        let children = match &self.shape {
            Shape::Seq { flow: false, items } => items
                .first()
                .zip(items.last())
                .map(|(first, last)| first.at.start..last.at.end),
            Shape::Map {
                flow: false,
                entries,
            } => entries
                .first()
                .zip(entries.last())
                .map(|(first, last)| first.key.start..last.value.at.end),
            _ => None,
        };
        Layout {
            at: children.unwrap_or(self.start..end),
            shape: self.shape,
        }
    }
}
