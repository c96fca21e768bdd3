//! A template as its parts.
//!
//! What stands between the braces is looked at word by word; whatever isn't known there is refused as not done, also where
//! Go would say that it is no template.

use super::super::Refusal;

/// What a value is found by.
pub(super) struct Path<'a> {
    /// The variable that it begins at, without its `$`; none for the dot.
    pub(super) variable: Option<&'a str>,
    /// The names of fields, from the outermost.
    pub(super) fields: Vec<&'a str>,
}

/// A part of a template.
pub(super) enum Node<'a> {
    Text(&'a str),
    Field(Path<'a>),
    If(Path<'a>, Vec<Self>, Vec<Self>),
    With(Path<'a>, Vec<Self>, Vec<Self>),
    Range(Each<'a>, Vec<Self>, Vec<Self>),
}

/// What is gone through, and the variables for the place and for what lies there.
pub(super) struct Each<'a> {
    pub(super) path: Path<'a>,
    pub(super) place: Option<&'a str>,
    pub(super) item: Option<&'a str>,
}

const UNDONE: Refusal = Refusal::Undone(
    "a template with more in its braces than fields, if, with, range, else, end and the variables of range",
);
const NO_TEMPLATE: Refusal = Refusal::Argument(1, "a template");

/// The deepest nesting.
const DEPTH: usize = 100;

/// The parts of a template.
pub(super) fn parsed(template: &str) -> Result<Vec<Node<'_>>, Refusal> {
    let mut parser = Parser {
        rest: template,
        is_trimmed: false,
        variables: vec![""],
    };
    let (nodes, end) = parser.nodes(0)?;
    match end {
        End::Text => Ok(nodes),
        End::Closed | End::Else(_) => Err(NO_TEMPLATE),
    }
}

struct Parser<'a> {
    rest: &'a str,
    /// Whether the white space that is next is to be left out.
    is_trimmed: bool,
    /// Those that are declared; the first has no name, and is all that there is.
    variables: Vec<&'a str>,
}

/// What ends a list of parts.
enum End<'a> {
    Text,
    Closed,
    /// `else`, with what is asked behind it.
    Else(Option<Path<'a>>),
}

/// What stands between braces.
enum Action<'a> {
    Comment,
    Words(Vec<&'a str>),
}

impl<'a> Parser<'a> {
    fn nodes(&mut self, depth: usize) -> Result<(Vec<Node<'a>>, End<'a>), Refusal> {
        if depth > DEPTH {
            return Err(Refusal::TooMuch);
        }
        let mut nodes = Vec::new();
        loop {
            let Some(action) = self.action(&mut nodes)? else {
                return Ok((nodes, End::Text));
            };
            let Action::Words(words) = action else {
                continue;
            };
            match words.as_slice() {
                ["end"] => return Ok((nodes, End::Closed)),
                ["else"] => return Ok((nodes, End::Else(None))),
                ["else", "if", path] => {
                    return Ok((nodes, End::Else(Some(self.path(path)?))));
                }
                ["if", path] => {
                    let path = self.path(path)?;
                    let (then, otherwise) = self.branches(true, depth)?;
                    nodes.push(Node::If(path, then, otherwise));
                }
                ["with", path] => {
                    let path = self.path(path)?;
                    let (then, otherwise) = self.branches(false, depth)?;
                    nodes.push(Node::With(path, then, otherwise));
                }
                ["range", each @ ..] => {
                    let each = gone_through(each)?;
                    self.is_declared(&each.path)?;
                    let known = self.variables.len();
                    self.variables
                        .extend([each.place, each.item].into_iter().flatten());
                    let (then, otherwise) = self.branches(false, depth)?;
                    self.variables.truncate(known);
                    nodes.push(Node::Range(each, then, otherwise));
                }
                [path] => nodes.push(Node::Field(self.path(path)?)),
                _ => return Err(UNDONE),
            }
        }
    }

    fn path(&self, text: &'a str) -> Result<Path<'a>, Refusal> {
        let path = fields(text)?;
        self.is_declared(&path)?;
        Ok(path)
    }

    fn is_declared(&self, path: &Path<'a>) -> Result<(), Refusal> {
        match path.variable {
            Some(name) if !self.variables.contains(&name) => Err(NO_TEMPLATE),
            _ => Ok(()),
        }
    }

    /// What stands up to the end, and behind `else`.
    fn branches(
        &mut self,
        is_if: bool,
        depth: usize,
    ) -> Result<(Vec<Node<'a>>, Vec<Node<'a>>), Refusal> {
        let (then, end) = self.nodes(depth + 1)?;
        let otherwise = match end {
            End::Closed => Vec::new(),
            // The end of the inner one is that of both.
            End::Else(Some(path)) if is_if => {
                let (then, otherwise) = self.branches(true, depth + 1)?;
                vec![Node::If(path, then, otherwise)]
            }
            End::Else(None) => match self.nodes(depth + 1)? {
                (otherwise, End::Closed) => otherwise,
                _ => return Err(NO_TEMPLATE),
            },
            End::Text | End::Else(Some(_)) => return Err(NO_TEMPLATE),
        };
        Ok((then, otherwise))
    }

    /// The text before the next braces, which goes to the parts, and what stands in them.
    fn action(&mut self, nodes: &mut Vec<Node<'a>>) -> Result<Option<Action<'a>>, Refusal> {
        let (mut text, after) = match self.rest.split_once("{{") {
            Some((text, after)) => (text, Some(after)),
            None => (self.rest, None),
        };
        if std::mem::take(&mut self.is_trimmed) {
            text = text.trim_start_matches(is_space);
        }
        let Some(mut inner) = after else {
            self.rest = "";
            push(nodes, text);
            return Ok(None);
        };
        if let Some(trimmed) = inner
            .strip_prefix('-')
            .filter(|rest| rest.starts_with(is_space))
        {
            text = text.trim_end_matches(is_space);
            inner = trimmed.get(1..).unwrap_or_default();
        }
        push(nodes, text);
        if let Some(comment) = inner.strip_prefix("/*") {
            let (_, after) = comment.split_once("*/").ok_or(NO_TEMPLATE)?;
            let trimmed = after.strip_prefix(is_space);
            let trimmed = trimmed.and_then(|end| end.strip_prefix("-}}"));
            self.is_trimmed = trimmed.is_some();
            self.rest = trimmed
                .or_else(|| after.strip_prefix("}}"))
                .ok_or(NO_TEMPLATE)?;
            return Ok(Some(Action::Comment));
        }
        let (mut inner, after) = inner.split_once("}}").ok_or(NO_TEMPLATE)?;
        self.rest = after;
        if let Some(trimmed) = inner
            .strip_suffix('-')
            .filter(|rest| rest.ends_with(is_space))
        {
            self.is_trimmed = true;
            inner = trimmed;
        }
        let words = inner.split(is_space).filter(|word| !word.is_empty());
        Ok(Some(Action::Words(words.collect())))
    }
}

fn push<'a>(nodes: &mut Vec<Node<'a>>, text: &'a str) {
    if !text.is_empty() {
        nodes.push(Node::Text(text));
    }
}

fn is_space(c: char) -> bool {
    matches!(c, ' ' | '\t' | '\r' | '\n')
}

/// `.a.b`, `$a.b`.
fn fields(text: &str) -> Result<Path<'_>, Refusal> {
    let (variable, rest) = match text.strip_prefix('$') {
        Some(rest) => {
            let (name, rest) = rest.split_at(rest.find('.').unwrap_or(rest.len()));
            (Some(name), rest)
        }
        None => (None, text),
    };
    let is_known = variable.is_none_or(|name| name.is_empty() || is_name(name));
    let fields: Vec<&str> = match (rest.strip_prefix('.'), variable) {
        (Some(""), None) | (None, Some(_)) => Vec::new(),
        (Some(names), _) => names.split('.').collect(),
        (None, None) => return Err(UNDONE),
    };
    match is_known && fields.iter().all(|name| is_name(name)) {
        true => Ok(Path { variable, fields }),
        false => Err(UNDONE),
    }
}

/// `.a`, or `$place, $item := .a`.
fn gone_through<'a>(words: &[&'a str]) -> Result<Each<'a>, Refusal> {
    let variable = |word: &'a str| {
        let name = word.strip_prefix('$').filter(|name| is_name(name));
        name.ok_or(UNDONE)
    };
    let (place, item, path) = match words {
        [path] => (None, None, path),
        [item, ":=", path] => (None, Some(variable(item)?), path),
        [place, item, ":=", path] => {
            let place = place.strip_suffix(',').ok_or(UNDONE)?;
            (Some(variable(place)?), Some(variable(item)?), path)
        }
        _ => return Err(UNDONE),
    };
    let path = fields(path)?;
    Ok(Each { path, place, item })
}

fn is_name(name: &str) -> bool {
    let is_letter = |c: char| c.is_ascii_alphanumeric() || c == '_';
    !name.is_empty()
        && !name.starts_with(|c: char| c.is_ascii_digit())
        && name.chars().all(is_letter)
}
