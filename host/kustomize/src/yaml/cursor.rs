//! A place in a text that moves on, character by character and line by line.
//!
//! The text holds no NUL (`yaml/split.rs` refuses control characters), so that a zero byte stands for its end. What the
//! characters mean is known to `yaml/scan.rs`.

use std::borrow::Cow;

/// A place: in bytes, and line and column from 0, the column in characters.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Mark {
    pub(super) at: usize,
    pub(super) line: u32,
    pub(super) column: u32,
}

/// What is read next.
pub(super) struct Cursor<'a> {
    text: &'a str,
    mark: Mark,
}

impl<'a> Cursor<'a> {
    pub(super) fn new(text: &'a str) -> Self {
        Self {
            text,
            mark: Mark::default(),
        }
    }

    pub(super) fn mark(&self) -> Mark {
        self.mark
    }

    pub(super) fn column(&self) -> i64 {
        i64::from(self.mark.column)
    }

    pub(super) fn at(&self) -> usize {
        self.mark.at
    }

    /// What was read since the place `from`.
    pub(super) fn since(&self, from: usize) -> &'a str {
        self.text.get(from..self.mark.at).unwrap_or_default()
    }

    /// The byte that many bytes ahead; 0 behind the end.
    pub(super) fn byte(&self, ahead: usize) -> u8 {
        let byte = self.text.as_bytes().get(self.mark.at.saturating_add(ahead));
        byte.copied().unwrap_or_default()
    }

    pub(super) fn is_end(&self) -> bool {
        self.byte(0) == 0
    }

    pub(super) fn is_blank(&self, ahead: usize) -> bool {
        matches!(self.byte(ahead), b' ' | b'\t')
    }

    /// Whether a line ends there. YAML 1.1 has more line breaks than one.
    pub(super) fn is_break(&self, ahead: usize) -> bool {
        match self.byte(ahead) {
            b'\n' | b'\r' => true,
            0xC2 => self.byte(ahead + 1) == 0x85,
            0xE2 => self.byte(ahead + 1) == 0x80 && matches!(self.byte(ahead + 2), 0xA8 | 0xA9),
            _ => false,
        }
    }

    /// Whether a line or the text ends there.
    pub(super) fn is_line_end(&self, ahead: usize) -> bool {
        self.byte(ahead) == 0 || self.is_break(ahead)
    }

    /// Whether a word ends there.
    pub(super) fn is_gap(&self, ahead: usize) -> bool {
        self.is_blank(ahead) || self.is_line_end(ahead)
    }

    /// Whether `---` or `...` stands here alone.
    pub(super) fn is_document_mark(&self, dots: u8) -> bool {
        self.mark.column == 0 && (0..3).all(|i| self.byte(i) == dots) && self.is_gap(3)
    }

    /// Over one character that is no line break.
    pub(super) fn skip(&mut self) {
        self.mark.at += match self.byte(0) {
            0 => 0,
            0x01..0x80 => 1,
            0x80..0xE0 => 2,
            0xE0..0xF0 => 3,
            0xF0.. => 4,
        };
        self.mark.column = self.mark.column.saturating_add(1);
    }

    pub(super) fn skip_blanks(&mut self) {
        while self.is_blank(0) {
            self.skip();
        }
    }

    /// Over what is left of the line, without its break.
    pub(super) fn skip_line(&mut self) {
        while !self.is_line_end(0) {
            self.skip();
        }
    }

    /// Over a line break, and what it is in a text; nothing if there is none.
    pub(super) fn line_break(&mut self) -> &'static str {
        let (width, text) = match (self.byte(0), self.byte(1), self.byte(2)) {
            (b'\r', b'\n', _) => (2, "\n"),
            (b'\r' | b'\n', ..) => (1, "\n"),
            (0xC2, 0x85, _) => (2, "\n"),
            (0xE2, 0x80, 0xA8) => (3, "\u{2028}"),
            (0xE2, 0x80, 0xA9) => (3, "\u{2029}"),
            _ => return "",
        };
        self.mark.at += width;
        self.mark.line = self.mark.line.saturating_add(1);
        self.mark.column = 0;
        text
    }
}

/// A text that is put together out of pieces, borrowed as long as they lie side by side.
pub(super) struct Pieces<'a> {
    text: &'a str,
    begin: usize,
    end: usize,
    owned: Option<String>,
}

impl<'a> Pieces<'a> {
    /// Pieces of what `cursor` reads, from where it stands.
    pub(super) fn of(cursor: &Cursor<'a>) -> Self {
        Self {
            text: cursor.text,
            begin: cursor.mark.at,
            end: cursor.mark.at,
            owned: None,
        }
    }

    /// Adds what was read from `from` to where the cursor stands.
    pub(super) fn read(&mut self, from: usize, cursor: &Cursor<'a>) {
        if self.owned.is_none() && from == self.end {
            self.end = cursor.mark.at;
        } else {
            self.push(cursor.since(from));
        }
    }

    /// Adds what stands nowhere.
    pub(super) fn push(&mut self, text: &str) {
        if text.is_empty() {
            return;
        }
        let borrowed = self.text.get(self.begin..self.end).unwrap_or_default();
        let owned = self.owned.get_or_insert_with(|| borrowed.to_owned());
        owned.push_str(text);
    }

    pub(super) fn finish(self) -> Cow<'a, str> {
        let borrowed = self.text.get(self.begin..self.end).unwrap_or_default();
        self.owned.map_or(Cow::Borrowed(borrowed), Cow::Owned)
    }
}
