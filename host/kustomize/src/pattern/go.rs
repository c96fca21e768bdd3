//! Regular expressions as Go reads them, in the words of the engine here.
//!
//! What Go refuses is refused: stacked repetitions, flags it does not know, ranges that run backwards. What it takes for
//! text is text (`${NAME}`, `[[a]]`, `[a&&b]`), and `\d`, `\s` and `\w` mean ASCII. What stands behind a backslash is in
//! `go/escape.rs`, sets are in `go/class.rs`.

mod class;
mod escape;

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::iter::Peekable;
use std::str::Chars;

/// How often something may be repeated, repetitions within repetitions multiplied.
const REPEATED: u64 = 1_000;

/// The expression `text` in the syntax of the `regex` crate; nothing if it is none.
pub(super) fn translated(text: &str) -> Option<String> {
    let mut reader = Reader {
        chars: text.chars().peekable(),
        out: String::with_capacity(text.len() + 8),
        groups: vec![Group::default()],
        names: BTreeSet::new(),
        after_repeat: false,
    };
    while let Some(c) = reader.chars.next() {
        reader.next(c)?;
    }
    Some(reader.out)
}

/// What is left to read, and its first character to come.
type Rest<'t> = Peekable<Chars<'t>>;

struct Reader<'t> {
    chars: Rest<'t>,
    out: String,
    /// Those that are open, the whole at the bottom.
    groups: Vec<Group>,
    /// The names of groups.
    names: BTreeSet<String>,
    /// Whether a repetition was read last.
    after_repeat: bool,
}

/// How often a group and the last item in it are repeated, at most.
#[derive(Clone, Copy, Default)]
struct Group {
    all: u64,
    last: u64,
}

impl Reader<'_> {
    fn next(&mut self, c: char) -> Option<()> {
        let after_repeat = std::mem::take(&mut self.after_repeat);
        match c {
            '*' | '+' | '?' => {
                self.out.push(c);
                return self.repeated(1, after_repeat);
            }
            '{' => {
                if let Some((count, rest)) = counted(self.chars.clone()) {
                    let most = count.most()?;
                    // Writing to a string cannot fail.
                    let _ = write!(self.out, "{count}");
                    self.chars = rest;
                    return self.repeated(most, after_repeat);
                }
                self.out.push_str("\\{");
            }
            '}' | ']' => self.out.extend(['\\', c]),
            '(' => return self.open(),
            ')' => return self.close(),
            '[' => class::class(&mut self.chars, &mut self.out)?,
            '\\' => escape::escape(&mut self.chars, &mut self.out)?,
            c => self.out.push(c),
        }
        self.item(1)
    }

    /// An item was read in which something is repeated so often.
    fn item(&mut self, times: u64) -> Option<()> {
        let group = self.groups.last_mut()?;
        group.last = times;
        group.all = group.all.max(times);
        Some(())
    }

    /// The last item is repeated; two repetitions in a row are none.
    fn repeated(&mut self, times: u64, after_repeat: bool) -> Option<()> {
        if after_repeat {
            return None;
        }
        if self.chars.peek() == Some(&'?') {
            self.out.extend(self.chars.next());
        }
        self.after_repeat = true;
        let times = self.groups.last()?.last.saturating_mul(times);
        (times <= REPEATED).then_some(())?;
        self.item(times)
    }

    fn open(&mut self) -> Option<()> {
        self.out.push('(');
        if self.chars.peek() != Some(&'?') {
            self.groups.push(Group::default());
            return Some(());
        }
        let mut rest = self.chars.clone();
        rest.next();
        let named = rest.peek() == Some(&'P');
        if named {
            rest.next();
        }
        if named || rest.peek() == Some(&'<') {
            (rest.next() == Some('<')).then_some(())?;
            let name: String = rest.by_ref().take_while(|c| *c != '>').collect();
            let is_word = |c: char| c.is_ascii_alphanumeric() || c == '_';
            let is_name = !name.is_empty() && name.chars().all(is_word);
            (is_name && self.names.insert(name)).then_some(())?;
            self.groups.push(Group::default());
        } else if self.flags(&mut rest)? == ':' {
            self.groups.push(Group::default());
        }
        self.chars = rest;
        Some(())
    }

    /// The flags of `(?i-s:` or `(?i)`, and what ends them.
    fn flags(&mut self, rest: &mut Rest<'_>) -> Option<char> {
        let (mut flags, mut off, mut seen) = (String::new(), false, false);
        loop {
            match rest.next()? {
                c @ ('i' | 'm' | 's' | 'U') => {
                    flags.push(c);
                    seen = true;
                }
                '-' if !off => {
                    (off, seen) = (true, false);
                    flags.push('-');
                }
                end @ (':' | ')') if seen || !off => {
                    // `(?)` says nothing, and is nothing to the engine here.
                    let flags = if flags.is_empty() && end == ')' {
                        ":"
                    } else {
                        &flags
                    };
                    self.out.extend(["?", flags]);
                    self.out.push(end);
                    return Some(end);
                }
                _ => return None,
            }
        }
    }

    fn close(&mut self) -> Option<()> {
        self.out.push(')');
        let group = self.groups.pop()?;
        self.item(group.all)
    }
}

/// `{2}`, `{2,}` or `{2,3}`.
struct Count {
    least: u64,
    /// Without an upper bound there is none here.
    most: Option<u64>,
    comma: bool,
}

impl Count {
    /// How often it repeats, at most; nothing if that is too often or the wrong way round.
    fn most(&self) -> Option<u64> {
        let most = self.most.unwrap_or(self.least);
        (self.least <= most && most <= REPEATED).then_some(most)
    }
}

impl std::fmt::Display for Count {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{{{}", self.least)?;
        if self.comma {
            f.write_str(",")?;
            if let Some(most) = self.most {
                write!(f, "{most}")?;
            }
        }
        f.write_str("}")
    }
}

/// What counts behind an open brace, and what is left then; a brace that counts nothing is a brace.
fn counted(mut rest: Rest<'_>) -> Option<(Count, Rest<'_>)> {
    let least = number(&mut rest)?;
    let (mut most, mut comma) = (None, false);
    if rest.peek() == Some(&',') {
        rest.next();
        comma = true;
        if rest.peek() != Some(&'}') {
            most = Some(number(&mut rest)?);
        }
    }
    let count = Count { least, most, comma };
    (rest.next() == Some('}')).then_some((count, rest))
}

/// A number without leading zeros. What is too large for any use is the same number.
fn number(rest: &mut Rest<'_>) -> Option<u64> {
    let mut digits = String::new();
    while let Some(digit) = rest.next_if(char::is_ascii_digit) {
        digits.push(digit);
    }
    let plain = !digits.is_empty() && (digits.len() == 1 || !digits.starts_with('0'));
    plain.then(|| digits.parse().unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests;
