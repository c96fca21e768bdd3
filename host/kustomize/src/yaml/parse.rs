//! Tokens to events: where values, lists and mappings begin and end.
//!
//! A stack of what is expected next instead of recursion. What the values mean is decided in `yaml/load.rs`.

use std::borrow::Cow;
use std::collections::BTreeMap;

use super::scan::{Mark, Scanner, Token, Written, Wrong};

/// What begins the tags that YAML itself defines.
pub(super) const CORE: &str = "tag:yaml.org,2002:";

/// What is before a value: `&anchor !tag`.
#[derive(Debug, Default)]
pub(super) struct Properties<'a> {
    pub(super) anchor: Option<&'a str>,
    pub(super) tag: Option<String>,
}

/// One event.
#[derive(Debug)]
pub(super) enum Event<'a> {
    DocumentStart,
    DocumentEnd,
    End,
    Alias(&'a str),
    Scalar(Cow<'a, str>, Written, Properties<'a>),
    Sequence {
        flow: bool,
        of: Properties<'a>,
    },
    Mapping {
        flow: bool,
        of: Properties<'a>,
    },
    /// The end of the innermost sequence or mapping.
    Close,
}

/// What is expected next.
#[derive(Clone, Copy)]
enum State {
    /// A document; the first one needs no `---`.
    Document {
        first: bool,
    },
    DocumentContent,
    DocumentEnd,
    BlockNode,
    BlockSequence,
    /// A list whose dashes stand below its key: no token ends it.
    BareSequence,
    BlockKey,
    BlockValue,
    FlowSequence {
        first: bool,
    },
    PairKey,
    PairValue,
    PairEnd,
    FlowKey {
        first: bool,
    },
    FlowValue,
    FlowNoValue,
}

/// Reads events.
pub(super) struct Parser<'a> {
    scanner: Scanner<'a>,
    states: Vec<State>,
    handles: BTreeMap<&'a str, String>,
}

type Step<'a> = Result<(Event<'a>, Mark), Wrong>;

impl<'a> Parser<'a> {
    pub(super) fn new(text: &'a str) -> Self {
        Self {
            scanner: Scanner::new(text),
            states: vec![State::Document { first: true }],
            handles: BTreeMap::new(),
        }
    }

    /// Where what the last event stands for ends, in bytes; of a plain or block text, with the white space behind it.
    pub(super) fn end(&self) -> usize {
        self.scanner.end()
    }

    /// The next event.
    pub(super) fn next(&mut self) -> Step<'a> {
        match self.states.pop() {
            None => Ok((Event::End, self.scanner.peek()?.1)),
            Some(State::Document { first }) => self.document(first),
            Some(State::DocumentContent) => self.document_content(),
            Some(State::DocumentEnd) => self.document_end(),
            Some(State::BlockNode) => self.node(true, false),
            Some(State::BlockSequence) => self.block_sequence(),
            Some(State::BareSequence) => self.bare_sequence(),
            Some(State::BlockKey) => self.block_key(),
            Some(State::BlockValue) => self.block_value(),
            Some(State::FlowSequence { first }) => self.flow_sequence(first),
            Some(State::PairKey) => self.pair_key(),
            Some(State::PairValue) => self.pair_value(),
            Some(State::PairEnd) => Ok((Event::Close, self.scanner.peek()?.1)),
            Some(State::FlowKey { first }) => self.flow_key(first),
            Some(State::FlowValue) => self.flow_value(),
            Some(State::FlowNoValue) => self.missing(),
        }
    }

    /// A value that is not there.
    fn missing(&mut self) -> Step<'a> {
        let mark = self.scanner.peek()?.1;
        let text = Event::Scalar(Cow::Borrowed(""), Written::Plain, Properties::default());
        Ok((text, mark))
    }

    fn document(&mut self, first: bool) -> Step<'a> {
        while !first && matches!(self.scanner.peek()?.0, Token::DocumentEnd) {
            self.scanner.take()?;
        }
        let (token, mark) = self.scanner.peek()?;
        let content = match token {
            Token::End => return Ok((Event::End, mark)),
            Token::Version(_) | Token::TagDirective { .. } | Token::DocumentStart => {
                self.directives()?;
                match self.scanner.take()? {
                    (Token::DocumentStart, _) => State::DocumentContent,
                    (_, mark) => {
                        return Err((mark, "--- is expected here, for a document to begin"));
                    }
                }
            }
            _ if first => State::BlockNode,
            _ => return Err((mark, "--- is expected here, for a document to begin")),
        };
        self.states.extend([State::DocumentEnd, content]);
        Ok((Event::DocumentStart, mark))
    }

    fn directives(&mut self) -> Result<(), Wrong> {
        let mut versions = 0;
        loop {
            match self.scanner.peek()?.0 {
                Token::Version(_) | Token::TagDirective { .. } => {}
                _ => return Ok(()),
            }
            let (token, mark) = self.scanner.take()?;
            match token {
                Token::Version(false) => return Err((mark, "only %YAML 1.1 is read")),
                Token::Version(true) if versions > 0 => return Err((mark, "%YAML is there twice")),
                Token::Version(true) => versions += 1,
                Token::TagDirective { handle, .. } if self.handles.contains_key(handle) => {
                    return Err((mark, "%TAG is there twice for this handle"));
                }
                Token::TagDirective { handle, prefix } => {
                    self.handles.insert(handle, prefix);
                }
                _ => {}
            }
        }
    }

    fn document_content(&mut self) -> Step<'a> {
        match self.scanner.peek()?.0 {
            Token::Version(_)
            | Token::TagDirective { .. }
            | Token::DocumentStart
            | Token::DocumentEnd
            | Token::End => self.missing(),
            _ => self.node(true, false),
        }
    }

    fn document_end(&mut self) -> Step<'a> {
        let (token, mark) = self.scanner.peek()?;
        if matches!(token, Token::DocumentEnd) {
            self.scanner.take()?;
        }
        self.handles.clear();
        self.states.push(State::Document { first: false });
        Ok((Event::DocumentEnd, mark))
    }

    /// A value; `bare` where a list may stand at the column of its key.
    fn node(&mut self, block: bool, bare: bool) -> Step<'a> {
        let start = self.scanner.peek()?.1;
        if let Token::Alias(name) = self.scanner.peek()?.0 {
            let name = *name;
            self.scanner.take()?;
            return Ok((Event::Alias(name), start));
        }
        let of = self.properties()?;
        let (token, mark) = self.scanner.peek()?;
        let (event, inner) = match token {
            Token::Dash if bare => (Event::Sequence { flow: false, of }, State::BareSequence),
            Token::Text(..) => {
                let (Token::Text(text, written), _) = self.scanner.take()? else {
                    return Err((mark, "a value is expected here"));
                };
                return Ok((Event::Scalar(text, written, of), start));
            }
            Token::FlowSequence => (
                Event::Sequence { flow: true, of },
                State::FlowSequence { first: true },
            ),
            Token::FlowMapping => (
                Event::Mapping { flow: true, of },
                State::FlowKey { first: true },
            ),
            Token::BlockSequence if block => {
                (Event::Sequence { flow: false, of }, State::BlockSequence)
            }
            Token::BlockMapping if block => (Event::Mapping { flow: false, of }, State::BlockKey),
            _ if of.anchor.is_some() || of.tag.is_some() => {
                return Ok((Event::Scalar(Cow::Borrowed(""), Written::Plain, of), start));
            }
            _ => return Err((mark, "a value is expected here")),
        };
        if !matches!(inner, State::BareSequence) {
            self.scanner.take()?;
        }
        self.states.push(inner);
        Ok((event, start))
    }

    /// An anchor and a tag, in any order.
    fn properties(&mut self) -> Result<Properties<'a>, Wrong> {
        let mut of = Properties::default();
        loop {
            match self.scanner.peek()?.0 {
                Token::Anchor(_) if of.anchor.is_none() => {}
                Token::Tag { .. } if of.tag.is_none() => {}
                _ => return Ok(of),
            }
            match self.scanner.take()? {
                (Token::Anchor(name), _) => of.anchor = Some(name),
                (Token::Tag { handle, suffix }, mark) => {
                    of.tag = Some(self.resolve(handle, suffix, mark)?);
                }
                _ => return Ok(of),
            }
        }
    }

    fn resolve(&self, handle: &str, suffix: String, mark: Mark) -> Result<String, Wrong> {
        match (self.handles.get(handle), handle) {
            (Some(prefix), _) => Ok(format!("{prefix}{suffix}")),
            (None, "") => Ok(suffix),
            (None, "!") => Ok(format!("!{suffix}")),
            (None, "!!") => Ok(format!("{CORE}{suffix}")),
            _ => Err((mark, "no %TAG says what the handle of this tag is")),
        }
    }

    fn block_sequence(&mut self) -> Step<'a> {
        match self.scanner.take()? {
            (Token::Dash, _) => {
                self.states.push(State::BlockSequence);
                match self.scanner.peek()?.0 {
                    Token::Dash | Token::BlockEnd => self.missing(),
                    _ => self.node(true, false),
                }
            }
            (Token::BlockEnd, mark) => Ok((Event::Close, mark)),
            (_, mark) => Err((mark, "a - is expected here, in line with those before")),
        }
    }

    fn bare_sequence(&mut self) -> Step<'a> {
        let (token, mark) = self.scanner.peek()?;
        if !matches!(token, Token::Dash) {
            return Ok((Event::Close, mark));
        }
        self.scanner.take()?;
        self.states.push(State::BareSequence);
        match self.scanner.peek()?.0 {
            Token::Dash | Token::Key | Token::Value | Token::BlockEnd => self.missing(),
            _ => self.node(true, false),
        }
    }

    fn block_key(&mut self) -> Step<'a> {
        match self.scanner.take()? {
            (Token::Key, _) => {
                self.states.push(State::BlockValue);
                self.block_content()
            }
            (Token::BlockEnd, mark) => Ok((Event::Close, mark)),
            (_, mark) => Err((mark, "a key is expected here, in line with those before")),
        }
    }

    fn block_value(&mut self) -> Step<'a> {
        self.states.push(State::BlockKey);
        if !matches!(self.scanner.peek()?.0, Token::Value) {
            return self.missing();
        }
        self.scanner.take()?;
        self.block_content()
    }

    fn block_content(&mut self) -> Step<'a> {
        match self.scanner.peek()?.0 {
            Token::Key | Token::Value | Token::BlockEnd => self.missing(),
            _ => self.node(true, true),
        }
    }

    /// Whether another entry comes: the comma before it is taken.
    fn another(&mut self, first: bool, end: &Token<'_>) -> Result<bool, Wrong> {
        let (token, mark) = self.scanner.peek()?;
        if token == end {
            return Ok(false);
        }
        if first {
            return Ok(true);
        }
        if !matches!(token, Token::Comma) {
            return Err((mark, "a , or the closing bracket is expected here"));
        }
        self.scanner.take()?;
        Ok(self.scanner.peek()?.0 != end)
    }

    fn flow_sequence(&mut self, first: bool) -> Step<'a> {
        if !self.another(first, &Token::FlowSequenceEnd)? {
            return Ok((Event::Close, self.scanner.take()?.1));
        }
        self.states.push(State::FlowSequence { first: false });
        let (token, mark) = self.scanner.peek()?;
        if !matches!(token, Token::Key) {
            return self.node(false, false);
        }
        self.scanner.take()?;
        self.states.push(State::PairKey);
        let of = Properties::default();
        Ok((Event::Mapping { flow: true, of }, mark))
    }

    fn pair_key(&mut self) -> Step<'a> {
        self.states.push(State::PairValue);
        match self.scanner.peek()?.0 {
            Token::Value | Token::Comma | Token::FlowSequenceEnd => self.missing(),
            _ => self.node(false, false),
        }
    }

    fn pair_value(&mut self) -> Step<'a> {
        self.states.push(State::PairEnd);
        self.value_in_flow(&Token::FlowSequenceEnd)
    }

    fn flow_key(&mut self, first: bool) -> Step<'a> {
        if !self.another(first, &Token::FlowMappingEnd)? {
            return Ok((Event::Close, self.scanner.take()?.1));
        }
        self.states.push(State::FlowKey { first: false });
        if !matches!(self.scanner.peek()?.0, Token::Key) {
            self.states.push(State::FlowNoValue);
            return self.node(false, false);
        }
        self.scanner.take()?;
        self.states.push(State::FlowValue);
        match self.scanner.peek()?.0 {
            Token::Value | Token::Comma | Token::FlowMappingEnd => self.missing(),
            _ => self.node(false, false),
        }
    }

    fn flow_value(&mut self) -> Step<'a> {
        self.value_in_flow(&Token::FlowMappingEnd)
    }

    fn value_in_flow(&mut self, end: &Token<'_>) -> Step<'a> {
        if !matches!(self.scanner.peek()?.0, Token::Value) {
            return self.missing();
        }
        self.scanner.take()?;
        match self.scanner.peek()?.0 {
            Token::Comma => self.missing(),
            token if token == end => self.missing(),
            _ => self.node(false, false),
        }
    }
}
