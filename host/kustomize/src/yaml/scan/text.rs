//! Text: plain, in quotes, and in blocks.

use super::{Pieces, Scanner, Token, Written, Wrong};

/// White space between two words of a text that goes over several lines.
#[derive(Default)]
struct Gap {
    /// The first line break, if there is one.
    first: &'static str,
    /// Those behind it.
    more: String,
}

impl Gap {
    fn add(&mut self, line_break: &'static str) {
        if self.first.is_empty() {
            self.first = line_break;
        } else {
            self.more.push_str(line_break);
        }
    }

    /// One break is a space, others count from the second; those that are no `\n` stay.
    fn fold(self, pieces: &mut Pieces<'_>) {
        match (self.first, self.more.is_empty()) {
            ("\n", true) => pieces.push(" "),
            ("\n", false) => {}
            (other, _) => pieces.push(other),
        }
        pieces.push(&self.more);
    }
}

/// What is done with the line breaks at the end of a block.
#[derive(Clone, Copy, PartialEq)]
enum Chomp {
    Clip,
    Strip,
    Keep,
}

impl<'a> Scanner<'a> {
    pub(super) fn plain_text(&mut self) -> Result<(), Wrong> {
        self.save_key()?;
        self.key_allowed = false;
        let mark = self.cursor.mark();
        let mut pieces = Pieces::of(&self.cursor);
        let mut from = self.cursor.at();
        let mut gap = Gap::default();
        loop {
            let marks = self.cursor.is_document_mark(b'-') || self.cursor.is_document_mark(b'.');
            if marks || self.cursor.byte(0) == b'#' || self.plain_ends() {
                break;
            }
            if !gap.first.is_empty() {
                std::mem::take(&mut gap).fold(&mut pieces);
                from = self.cursor.at();
            }
            while !self.plain_ends() {
                self.cursor.skip();
            }
            pieces.read(from, &self.cursor);
            from = self.cursor.at();
            if !self.cursor.is_blank(0) && !self.cursor.is_break(0) {
                break;
            }
            gap = self.plain_gap()?;
            if self.flow == 0 && self.cursor.column() <= self.indent {
                break;
            }
        }
        if !gap.first.is_empty() {
            self.key_allowed = true;
        }
        self.add(Token::Text(pieces.finish(), Written::Plain), mark);
        Ok(())
    }

    /// Whether a word of plain text ends here.
    fn plain_ends(&self) -> bool {
        let brackets = matches!(self.cursor.byte(0), b',' | b'?' | b'[' | b']' | b'{' | b'}');
        self.cursor.is_gap(0)
            || self.cursor.byte(0) == b':' && self.cursor.is_gap(1)
            || self.flow > 0 && brackets
    }

    fn plain_gap(&mut self) -> Result<Gap, Wrong> {
        let mut gap = Gap::default();
        loop {
            if self.cursor.is_blank(0) {
                let indentation = !gap.first.is_empty() && self.cursor.column() <= self.indent;
                if indentation && self.cursor.byte(0) == b'\t' {
                    return Err((self.cursor.mark(), "a tab is no indentation"));
                }
                self.cursor.skip();
            } else if self.cursor.is_break(0) {
                gap.add(self.cursor.line_break());
            } else {
                return Ok(gap);
            }
        }
    }

    pub(super) fn quoted_text(&mut self) -> Result<(), Wrong> {
        self.save_key()?;
        self.key_allowed = false;
        let mark = self.cursor.mark();
        let quote = self.cursor.byte(0);
        self.cursor.skip();
        let mut pieces = Pieces::of(&self.cursor);
        loop {
            if self.cursor.is_document_mark(b'-') || self.cursor.is_document_mark(b'.') {
                return Err((self.cursor.mark(), "a document ends within quotes"));
            }
            if self.cursor.is_end() {
                return Err((mark, "the quote that ends this text is missing"));
            }
            let escaped = self.quoted_words(quote, &mut pieces)?;
            if self.cursor.byte(0) == quote && !escaped {
                break;
            }
            self.quoted_gap(escaped, &mut pieces);
        }
        self.cursor.skip();
        self.add(Token::Text(pieces.finish(), Written::Quoted), mark);
        Ok(())
    }

    /// Characters up to white space or the end; whether it was an escaped line break that ended them.
    fn quoted_words(&mut self, quote: u8, pieces: &mut Pieces<'a>) -> Result<bool, Wrong> {
        loop {
            let from = self.cursor.at();
            while !self.cursor.is_gap(0)
                && self.cursor.byte(0) != quote
                && (self.cursor.byte(0) != b'\\' || quote == b'\'')
            {
                self.cursor.skip();
            }
            pieces.read(from, &self.cursor);
            match (self.cursor.byte(0), self.cursor.byte(1)) {
                (b'\'', b'\'') if quote == b'\'' => {
                    (0..2).for_each(|_| self.cursor.skip());
                    pieces.push("'");
                }
                (b'\\', _) if quote == b'"' && self.cursor.is_break(1) => {
                    self.cursor.skip();
                    self.cursor.line_break();
                    return Ok(true);
                }
                (b'\\', _) if quote == b'"' => {
                    let c = self.escape()?;
                    pieces.push(c.encode_utf8(&mut [0; 4]));
                }
                _ => return Ok(false),
            }
        }
    }

    /// White space in quotes: kept within a line, folded between lines. After an escaped break the line's blanks are gone.
    fn quoted_gap(&mut self, escaped: bool, pieces: &mut Pieces<'a>) {
        let mut gap = Gap::default();
        let from = self.cursor.at();
        loop {
            if self.cursor.is_blank(0) {
                self.cursor.skip();
            } else if !self.cursor.is_break(0) {
                break;
            } else if escaped {
                gap.more.push_str(self.cursor.line_break());
            } else {
                gap.add(self.cursor.line_break());
            }
        }
        if escaped {
            pieces.push(&gap.more);
        } else if gap.first.is_empty() {
            pieces.read(from, &self.cursor);
        } else {
            gap.fold(pieces);
        }
    }

    /// A character behind `\`.
    fn escape(&mut self) -> Result<char, Wrong> {
        let mark = self.cursor.mark();
        let (digits, c) = match self.cursor.byte(1) {
            b'0' => (0, '\0'),
            b'a' => (0, '\u{7}'),
            b'b' => (0, '\u{8}'),
            b't' | b'\t' => (0, '\t'),
            b'n' => (0, '\n'),
            b'v' => (0, '\u{b}'),
            b'f' => (0, '\u{c}'),
            b'r' => (0, '\r'),
            b'e' => (0, '\u{1b}'),
            b'N' => (0, '\u{85}'),
            b'_' => (0, '\u{a0}'),
            b'L' => (0, '\u{2028}'),
            b'P' => (0, '\u{2029}'),
            same @ (b' ' | b'"' | b'\'' | b'\\') => (0, char::from(same)),
            b'x' => (2, '\0'),
            b'u' => (4, '\0'),
            b'U' => (8, '\0'),
            _ => {
                return Err((
                    mark,
                    "no escape begins so: a \\ in double quotes is written \\\\",
                ));
            }
        };
        (0..2).for_each(|_| self.cursor.skip());
        if digits == 0 {
            return Ok(c);
        }
        let mut number = 0u32;
        for _ in 0..digits {
            let Some(digit) = char::from(self.cursor.byte(0)).to_digit(16) else {
                return Err((mark, "this escape has too few digits"));
            };
            number = number.wrapping_mul(16).wrapping_add(digit);
            self.cursor.skip();
        }
        char::from_u32(number).ok_or((mark, "this escape is no character"))
    }

    /// `|` or `>`.
    pub(super) fn block_text(&mut self) -> Result<(), Wrong> {
        self.forget_key()?;
        self.key_allowed = true;
        let mark = self.cursor.mark();
        let literal = self.cursor.byte(0) == b'|';
        self.cursor.skip();
        let (chomp, increment) = self.block_header()?;
        let mut indent = match increment {
            0 => None,
            more => Some(self.indent.max(0) + more),
        };
        let mut out = String::new();
        let mut breaks = String::new();
        self.block_breaks(&mut indent, &mut breaks)?;
        let (mut last, mut deeper) = ("", false);
        while Some(self.cursor.column()) == indent && !self.cursor.is_end() {
            let blank = self.cursor.is_blank(0);
            if !literal && last == "\n" && !deeper && !blank {
                out.push_str(if breaks.is_empty() { " " } else { "" });
            } else {
                out.push_str(last);
            }
            out.push_str(&std::mem::take(&mut breaks));
            deeper = blank;
            let from = self.cursor.at();
            self.cursor.skip_line();
            out.push_str(self.cursor.since(from));
            last = self.cursor.line_break();
            self.block_breaks(&mut indent, &mut breaks)?;
        }
        if chomp != Chomp::Strip {
            out.push_str(last);
        }
        if chomp == Chomp::Keep {
            out.push_str(&breaks);
        }
        let written = if literal {
            Written::Literal
        } else {
            Written::Folded
        };
        self.add(Token::Text(out.into(), written), mark);
        Ok(())
    }

    /// What stands behind the `|` of a block, in any order, up to the next line.
    fn block_header(&mut self) -> Result<(Chomp, i64), Wrong> {
        let (mut chomp, mut indent) = (None, None);
        loop {
            match self.cursor.byte(0) {
                b'+' if chomp.is_none() => chomp = Some(Chomp::Keep),
                b'-' if chomp.is_none() => chomp = Some(Chomp::Strip),
                digit @ b'1'..=b'9' if indent.is_none() => indent = Some(i64::from(digit - b'0')),
                _ => break,
            }
            self.cursor.skip();
        }
        self.cursor.skip_blanks();
        if self.cursor.byte(0) == b'#' {
            self.cursor.skip_line();
        }
        if !self.cursor.is_line_end(0) {
            let why =
                "behind a | or > only an indentation from 1 to 9, + or - and a comment may stand";
            return Err((self.cursor.mark(), why));
        }
        self.cursor.line_break();
        Ok((chomp.unwrap_or(Chomp::Clip), indent.unwrap_or(0)))
    }

    /// The empty lines before the next line of a block, which decides the indentation if nothing did.
    fn block_breaks(&mut self, indent: &mut Option<i64>, breaks: &mut String) -> Result<(), Wrong> {
        let mut deepest = 0;
        loop {
            let inside = |column: i64| indent.is_none_or(|indent| column < indent);
            while inside(self.cursor.column()) && self.cursor.byte(0) == b' ' {
                self.cursor.skip();
            }
            deepest = deepest.max(self.cursor.column());
            if inside(self.cursor.column()) && self.cursor.byte(0) == b'\t' {
                return Err((self.cursor.mark(), "a tab is no indentation"));
            }
            if !self.cursor.is_break(0) {
                break;
            }
            breaks.push_str(self.cursor.line_break());
        }
        indent.get_or_insert(deepest.max(self.indent + 1).max(1));
        Ok(())
    }
}
