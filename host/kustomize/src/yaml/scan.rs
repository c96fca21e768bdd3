//! Characters to tokens, by the rules of go-yaml.
//!
//! go-yaml lets pass what YAML 1.2 forbids and the other way round, and what it lets pass lies in repositories: a quoted text
//! that goes on at the edge, tabs between brackets, `{a:b}`. No crate reads so without a panic somewhere, so this is written
//! here. Text is read in `scan/text.rs`, tags and anchors in `scan/name.rs`; what tokens make is known to `yaml/parse.rs`.
//! Comments are dropped.

mod name;
mod text;

use std::borrow::Cow;
use std::collections::VecDeque;

pub(super) use super::cursor::Mark;
use super::cursor::{Cursor, Pieces};

/// How far behind its beginning the colon of a key may stand, in characters.
const LONGEST_KEY: u32 = 1024;
/// How many tokens go-yaml looks ahead.
const AHEAD: usize = 3;

/// How a text was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Written {
    Plain,
    Quoted,
    Literal,
    Folded,
}

/// One token.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Token<'a> {
    End,
    DocumentStart,
    DocumentEnd,
    /// `%YAML`, and whether it is version 1.1.
    Version(bool),
    TagDirective {
        handle: &'a str,
        prefix: String,
    },
    BlockSequence,
    BlockMapping,
    BlockEnd,
    FlowSequence,
    FlowSequenceEnd,
    FlowMapping,
    FlowMappingEnd,
    /// `- `
    Dash,
    Comma,
    Key,
    Value,
    Alias(&'a str),
    Anchor(&'a str),
    Tag {
        handle: &'a str,
        suffix: String,
    },
    Text(Cow<'a, str>, Written),
}

/// What is wrong, and where.
pub(super) type Wrong = (Mark, &'static str);

/// Where a key without `?` may have begun, for one level of brackets.
#[derive(Clone, Copy, Default)]
struct SimpleKey {
    possible: bool,
    /// Whether there must be one, since only a key may stand there.
    required: bool,
    /// The number of its first token.
    token: usize,
    mark: Mark,
}

/// Reads tokens.
pub(super) struct Scanner<'a> {
    cursor: Cursor<'a>,
    queue: VecDeque<(Token<'a>, Mark, usize)>,
    /// How many tokens were taken from the queue.
    taken: usize,
    /// Where the one taken last ends, in bytes.
    end: usize,
    ended: bool,
    /// The column of the innermost block, or -1.
    indent: i64,
    indents: Vec<i64>,
    /// How many brackets are open.
    flow: usize,
    key_allowed: bool,
    /// For the block, and for each open bracket. The tokens' numbers grow along it.
    keys: Vec<SimpleKey>,
}

impl<'a> Scanner<'a> {
    pub(super) fn new(text: &'a str) -> Self {
        Self {
            cursor: Cursor::new(text),
            queue: VecDeque::new(),
            taken: 0,
            end: 0,
            ended: false,
            indent: -1,
            indents: Vec::new(),
            flow: 0,
            key_allowed: true,
            keys: vec![SimpleKey::default()],
        }
    }

    /// The next token, which stays.
    pub(super) fn peek(&mut self) -> Result<(&Token<'a>, Mark), Wrong> {
        while !self.ended && (self.queue.len() < AHEAD || self.may_become_key()?) {
            self.fetch()?;
        }
        let end = (&Token::End, self.cursor.mark());
        Ok(self
            .queue
            .front()
            .map_or(end, |(token, mark, _)| (token, *mark)))
    }

    /// The next token.
    pub(super) fn take(&mut self) -> Result<(Token<'a>, Mark), Wrong> {
        let mark = self.peek()?.1;
        let Some((token, mark, end)) = self.queue.pop_front() else {
            return Ok((Token::End, mark));
        };
        self.taken += 1;
        self.end = end;
        Ok((token, mark))
    }

    /// Where the token that was taken last ends, in bytes.
    pub(super) fn end(&self) -> usize {
        self.end
    }

    /// Whether the next token may turn out to begin a key.
    fn may_become_key(&mut self) -> Result<bool, Wrong> {
        let level = self.keys.partition_point(|key| key.token < self.taken);
        let mut found = false;
        for level in level..self.keys.len() {
            if self
                .keys
                .get(level)
                .is_none_or(|key| key.token != self.taken)
            {
                break;
            }
            found |= self.is_valid(level)?;
        }
        Ok(found)
    }

    /// Whether the key of a level is still possible here.
    fn is_valid(&mut self, level: usize) -> Result<bool, Wrong> {
        let here = self.cursor.mark();
        let Some(key) = self.keys.get_mut(level) else {
            return Ok(false);
        };
        let late =
            key.mark.line < here.line || key.mark.column.saturating_add(LONGEST_KEY) < here.column;
        if key.possible && late {
            key.possible = false;
            if key.required {
                return Err((key.mark, "a : is missing behind this key"));
            }
        }
        Ok(key.possible)
    }

    fn add(&mut self, token: Token<'a>, mark: Mark) {
        self.queue.push_back((token, mark, self.cursor.at()));
    }

    fn fetch(&mut self) -> Result<(), Wrong> {
        self.skip_to_token();
        self.unroll(self.cursor.column());
        let mark = self.cursor.mark();
        if self.cursor.is_end() {
            self.unroll(-1);
            self.forget_key()?;
            self.ended = true;
            return Ok(());
        }
        if mark.column == 0 && self.cursor.byte(0) == b'%' {
            self.outside()?;
            let token = self.directive()?;
            self.add(token, mark);
            return Ok(());
        }
        for (dots, token) in [(b'-', Token::DocumentStart), (b'.', Token::DocumentEnd)] {
            if self.cursor.is_document_mark(dots) {
                self.outside()?;
                (0..3).for_each(|_| self.cursor.skip());
                self.add(token, mark);
                return Ok(());
            }
        }
        let (in_flow, gap) = (self.flow > 0, self.cursor.is_gap(1));
        match self.cursor.byte(0) {
            b'[' => self.open(Token::FlowSequence),
            b'{' => self.open(Token::FlowMapping),
            b']' => self.close(Token::FlowSequenceEnd),
            b'}' => self.close(Token::FlowMappingEnd),
            b',' => self.comma(),
            b'-' if gap => self.dash(),
            b'?' if in_flow || gap => self.key(),
            b':' if in_flow || gap => self.value(),
            b'*' | b'&' => self.name(),
            b'!' => self.tag(),
            b'|' | b'>' if !in_flow => self.block_text(),
            b'\'' | b'"' => self.quoted_text(),
            b'#' | b'|' | b'>' | b'%' | b'@' | b'`' | b'\t' => {
                Err((mark, "no value may begin with this character"))
            }
            _ => self.plain_text(),
        }
    }

    fn skip_to_token(&mut self) {
        loop {
            if self.cursor.column() == 0
                && self.cursor.byte(0) == 0xEF
                && self.cursor.byte(1) == 0xBB
                && self.cursor.byte(2) == 0xBF
            {
                self.cursor.skip();
            }
            // A tab is no indentation.
            let tabs = self.flow > 0 || !self.key_allowed;
            while self.cursor.byte(0) == b' ' || tabs && self.cursor.byte(0) == b'\t' {
                self.cursor.skip();
            }
            if self.cursor.byte(0) == b'#' {
                self.cursor.skip_line();
            }
            if self.cursor.line_break().is_empty() {
                return;
            }
            self.key_allowed |= self.flow == 0;
        }
    }

    /// Ends the blocks that are deeper than `column`.
    fn unroll(&mut self, column: i64) {
        if self.flow > 0 {
            return;
        }
        while self.indent > column {
            self.add(Token::BlockEnd, self.cursor.mark());
            self.indent = self.indents.pop().unwrap_or(-1);
        }
    }

    /// Begins a block at `mark` unless there is one; its token comes before the one of that number, or last.
    fn roll(&mut self, mark: Mark, before: Option<usize>, token: Token<'a>) {
        let column = i64::from(mark.column);
        if self.flow > 0 || self.indent >= column {
            return;
        }
        self.indents.push(self.indent);
        self.indent = column;
        self.insert(before, token, mark);
    }

    fn insert(&mut self, before: Option<usize>, token: Token<'a>, mark: Mark) {
        let last = self.queue.len();
        let at = before.map_or(last, |number| number.saturating_sub(self.taken).min(last));
        self.queue.insert(at, (token, mark, mark.at));
    }

    /// Leaves all blocks, for a line that belongs to none.
    fn outside(&mut self) -> Result<(), Wrong> {
        self.unroll(-1);
        self.forget_key()?;
        self.key_allowed = false;
        Ok(())
    }

    /// Remembers that a key may begin here.
    fn save_key(&mut self) -> Result<(), Wrong> {
        if !self.key_allowed {
            return Ok(());
        }
        self.forget_key()?;
        let key = SimpleKey {
            possible: true,
            required: self.flow == 0 && self.indent == self.cursor.column(),
            token: self.taken + self.queue.len(),
            mark: self.cursor.mark(),
        };
        if let Some(last) = self.keys.last_mut() {
            *last = key;
        }
        Ok(())
    }

    /// The key of this level did not come.
    fn forget_key(&mut self) -> Result<(), Wrong> {
        let Some(key) = self.keys.last_mut() else {
            return Ok(());
        };
        if key.possible && key.required {
            return Err((key.mark, "a : is missing behind this key"));
        }
        key.possible = false;
        Ok(())
    }

    fn one(&mut self, token: Token<'a>) {
        let mark = self.cursor.mark();
        self.cursor.skip();
        self.add(token, mark);
    }

    fn open(&mut self, token: Token<'a>) -> Result<(), Wrong> {
        self.save_key()?;
        self.flow += 1;
        self.keys.push(SimpleKey {
            token: self.taken + self.queue.len(),
            ..SimpleKey::default()
        });
        self.key_allowed = true;
        self.one(token);
        Ok(())
    }

    fn close(&mut self, token: Token<'a>) -> Result<(), Wrong> {
        self.forget_key()?;
        if self.flow > 0 {
            self.flow -= 1;
            self.keys.pop();
        }
        self.key_allowed = false;
        self.one(token);
        Ok(())
    }

    fn comma(&mut self) -> Result<(), Wrong> {
        self.forget_key()?;
        self.key_allowed = true;
        self.one(Token::Comma);
        Ok(())
    }

    fn dash(&mut self) -> Result<(), Wrong> {
        let mark = self.cursor.mark();
        if self.flow == 0 {
            if !self.key_allowed {
                return Err((mark, "a list may not begin here"));
            }
            self.roll(mark, None, Token::BlockSequence);
        }
        self.forget_key()?;
        self.key_allowed = true;
        self.one(Token::Dash);
        Ok(())
    }

    fn key(&mut self) -> Result<(), Wrong> {
        let mark = self.cursor.mark();
        if self.flow == 0 {
            if !self.key_allowed {
                return Err((mark, "a mapping may not begin here"));
            }
            self.roll(mark, None, Token::BlockMapping);
        }
        self.forget_key()?;
        self.key_allowed = self.flow == 0;
        self.one(Token::Key);
        Ok(())
    }

    fn value(&mut self) -> Result<(), Wrong> {
        let level = self.keys.len().saturating_sub(1);
        let key = self.keys.get(level).copied().unwrap_or_default();
        if self.is_valid(level)? {
            self.insert(Some(key.token), Token::Key, key.mark);
            self.roll(key.mark, Some(key.token), Token::BlockMapping);
            if let Some(key) = self.keys.last_mut() {
                key.possible = false;
            }
            self.key_allowed = false;
        } else {
            let mark = self.cursor.mark();
            if self.flow == 0 {
                if !self.key_allowed {
                    return Err((
                        mark,
                        "a mapping may not begin here: quote the text if the : belongs to it",
                    ));
                }
                self.roll(mark, None, Token::BlockMapping);
            }
            self.key_allowed = self.flow == 0;
        }
        self.one(Token::Value);
        Ok(())
    }
}
