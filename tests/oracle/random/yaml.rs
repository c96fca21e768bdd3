//! YAML as somebody might have written it: scalars as they are spelled, blocks and brackets, texts that hold YAML.
//!
//! Written here and not by a library, because how a value is spelled is half of what is compared.

use std::fmt::Write as _;

/// A piece of YAML.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Yaml {
    /// A scalar as it is written.
    Plain(String),
    /// A block scalar: its head, as `|-`, and its lines.
    Block(&'static str, String),
    /// A block scalar whose text is YAML.
    Inline(Vec<Self>),
    Map(Vec<(String, Self)>),
    List(Vec<Self>),
    /// The same, in brackets.
    Flow(Box<Self>),
}

pub(super) fn plain(text: impl Into<String>) -> Yaml {
    Yaml::Plain(text.into())
}

pub(super) fn map<const N: usize>(entries: [(&str, Yaml); N]) -> Yaml {
    let own = |(key, value): (&str, Yaml)| (key.to_owned(), value);
    Yaml::Map(entries.into_iter().map(own).collect())
}

pub(super) fn texts<I: IntoIterator<Item = T>, T: Into<String>>(items: I) -> Yaml {
    Yaml::List(items.into_iter().map(plain).collect())
}

pub(super) fn flow(of: Yaml) -> Yaml {
    Yaml::Flow(Box::new(of))
}

impl Yaml {
    /// Adds an entry to a mapping.
    pub(super) fn with(mut self, key: &str, value: Self) -> Self {
        self.put(key, value);
        self
    }

    /// Sets an entry of a mapping.
    pub(super) fn put(&mut self, key: &str, value: Self) {
        if let Self::Map(entries) = self {
            match entries.iter_mut().find(|(name, _)| name == key) {
                Some((_, old)) => *old = value,
                None => entries.push((key.to_owned(), value)),
            }
        }
    }

    /// Its parts, if it has any.
    pub(super) fn len(&self) -> usize {
        match self {
            Self::Plain(_) | Self::Block(..) => 0,
            Self::Inline(items) | Self::List(items) => items.len(),
            Self::Map(entries) => entries.len(),
            Self::Flow(of) => of.len(),
        }
    }

    pub(super) fn remove(&mut self, at: usize) {
        match self {
            Self::Plain(_) | Self::Block(..) => {}
            Self::Inline(items) | Self::List(items) => drop(items.remove(at)),
            Self::Map(entries) => drop(entries.remove(at)),
            Self::Flow(of) => of.remove(at),
        }
    }

    pub(super) fn part(&mut self, at: usize) -> Option<&mut Self> {
        match self {
            Self::Plain(_) | Self::Block(..) => None,
            Self::Inline(items) | Self::List(items) => items.get_mut(at),
            Self::Map(entries) => entries.get_mut(at).map(|(_, value)| value),
            Self::Flow(of) => of.part(at),
        }
    }
}

/// Writes documents, one after the other.
pub(super) fn write(documents: &[Yaml]) -> String {
    let mut out = String::new();
    for (index, document) in documents.iter().enumerate() {
        if index > 0 {
            out.push_str("---\n");
        }
        match document {
            Yaml::Map(entries) if !entries.is_empty() => block(document, 0, &mut out),
            Yaml::List(items) if !items.is_empty() => block(document, 0, &mut out),
            other => {
                value(other, 0, &mut out);
            }
        }
    }
    out
}

/// A mapping or list that begins on a line of its own.
fn block(of: &Yaml, indent: usize, out: &mut String) {
    let spaces = " ".repeat(indent);
    match of {
        Yaml::Map(entries) => {
            for (key, of) in entries {
                let _ = write!(out, "{spaces}{key}: ");
                value(of, indent, out);
            }
        }
        Yaml::List(items) => {
            for item in items {
                let _ = write!(out, "{spaces}- ");
                match item {
                    Yaml::Map(entries) if !entries.is_empty() => {
                        let mut text = String::new();
                        block(item, indent + 2, &mut text);
                        out.push_str(text.trim_start());
                    }
                    Yaml::List(items) if !items.is_empty() => {
                        trim(out);
                        out.push('\n');
                        block(item, indent + 2, out);
                    }
                    other => value(other, indent, out),
                }
            }
        }
        _ => {}
    }
}

/// What stands behind a key or a dash whose line is indented by `indent`.
fn value(of: &Yaml, indent: usize, out: &mut String) {
    match of {
        Yaml::Plain(text) => {
            out.push_str(text);
            out.push('\n');
        }
        Yaml::Block(head, text) => lines(head, text, indent + 2, out),
        Yaml::Inline(documents) => lines("|-", &write(documents), indent + 2, out),
        Yaml::Map(entries) if entries.is_empty() => out.push_str("{}\n"),
        Yaml::List(items) if items.is_empty() => out.push_str("[]\n"),
        Yaml::Map(_) => {
            trim(out);
            out.push('\n');
            block(of, indent + 2, out);
        }
        Yaml::List(_) => {
            trim(out);
            out.push('\n');
            // The dashes of a list may stand under its key, or further in.
            block(
                of,
                if of.len().is_multiple_of(2) {
                    indent + 2
                } else {
                    indent
                },
                out,
            );
        }
        Yaml::Flow(of) => {
            brackets(of, out);
            out.push('\n');
        }
    }
}

fn trim(out: &mut String) {
    out.truncate(out.trim_end_matches(' ').len());
}

fn lines(head: &str, text: &str, indent: usize, out: &mut String) {
    out.push_str(head);
    out.push('\n');
    for line in text.lines() {
        if !line.is_empty() {
            out.push_str(&" ".repeat(indent));
            out.push_str(line);
        }
        out.push('\n');
    }
}

fn brackets(of: &Yaml, out: &mut String) {
    match of {
        Yaml::Plain(text) => out.push_str(text),
        Yaml::Map(entries) => {
            out.push('{');
            for (index, (key, value)) in entries.iter().enumerate() {
                let _ = write!(out, "{}{key}: ", if index > 0 { ", " } else { "" });
                brackets(value, out);
            }
            out.push('}');
        }
        Yaml::List(items) => {
            out.push('[');
            for (index, item) in items.iter().enumerate() {
                out.push_str(if index > 0 { ", " } else { "" });
                brackets(item, out);
            }
            out.push(']');
        }
        Yaml::Flow(of) => brackets(of, out),
        Yaml::Block(..) | Yaml::Inline(_) => out.push_str("''"),
    }
}
