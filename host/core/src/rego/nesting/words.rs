//! The words of a module: operands, keywords and symbols, and nothing of what strings and comments hold.
//!
//! Where regorus sees one word and this sees two, more is counted, never less. What cannot be read ends nothing here: the
//! parser tells it with its place.

/// Words after which no operand is ended.
const KEYWORDS: [&str; 12] = [
    "as", "default", "else", "every", "if", "import", "in", "not", "or", "package", "some", "with",
];

/// One word of a module.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(in crate::rego) enum Word<'a> {
    /// A name, a number or a string.
    Operand,
    /// A name that is a keyword in most places.
    Keyword(&'a str),
    /// Anything else.
    Symbol(&'a str),
}

/// Reads words one by one.
#[derive(Clone)]
pub(in crate::rego) struct Words<'a> {
    rest: &'a str,
    length: usize,
    /// The line of the last one, from 1.
    pub(super) line: u64,
    /// Where the last one begins.
    pub(in crate::rego) begins: usize,
}

impl<'a> Words<'a> {
    pub(in crate::rego) fn of(source: &'a str) -> Self {
        Self {
            rest: source,
            length: source.len(),
            line: 1,
            begins: 0,
        }
    }

    /// The next word, and whether nothing stands between it and the one before.
    pub(in crate::rego) fn next(&mut self) -> Option<(Word<'a>, bool)> {
        let skipped = self.skip();
        self.begins = self.ends();
        let first = self.rest.chars().next()?;
        let is_of_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
        let word = match first {
            '"' => {
                self.cut(end_of_string(self.rest));
                Word::Operand
            }
            '`' => {
                let end = self.rest.get(1..).and_then(|rest| rest.find('`'));
                self.cut(end.map_or(self.rest.len(), |end| end + 2));
                Word::Operand
            }
            first if is_of_name(first) => {
                let end = self.rest.find(|c| !is_of_name(c));
                let name = self.cut(end.unwrap_or(self.rest.len()));
                match KEYWORDS.contains(&name) {
                    true => Word::Keyword(name),
                    false => Word::Operand,
                }
            }
            first => {
                let pair = self
                    .rest
                    .get(..2)
                    .filter(|pair| [":=", "==", "!=", "<=", ">="].contains(pair));
                Word::Symbol(self.cut(pair.map_or_else(|| first.len_utf8(), str::len)))
            }
        };
        Some((word, !skipped))
    }

    /// Where the last one ends.
    pub(in crate::rego) fn ends(&self) -> usize {
        self.length - self.rest.len()
    }

    /// Goes past blanks and comments; returns whether there were any.
    fn skip(&mut self) -> bool {
        let before = self.rest.len();
        loop {
            let word = self.rest.find(|c: char| !c.is_whitespace());
            self.cut(word.unwrap_or(self.rest.len()));
            if !self.rest.starts_with('#') {
                return before != self.rest.len();
            }
            self.cut(self.rest.find('\n').unwrap_or(self.rest.len()));
        }
    }

    fn cut(&mut self, at: usize) -> &'a str {
        let (word, rest) = self.rest.split_at_checked(at).unwrap_or((self.rest, ""));
        self.rest = rest;
        self.line += word.bytes().filter(|byte| *byte == b'\n').count() as u64;
        word
    }
}

/// Where the string at the beginning of `rest` ends.
fn end_of_string(rest: &str) -> usize {
    let mut escaped = false;
    for (at, c) in rest.char_indices().skip(1) {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '"' => return at + 1,
            _ => {}
        }
    }
    rest.len()
}
