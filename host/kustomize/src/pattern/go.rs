//! Regular expressions as Go reads them, in the words of the engine here.
//!
//! What Go refuses is refused: stacked repetitions, flags it does not know, ranges that run backwards. What it takes for
//! text is text (`${NAME}`, `[[a]]`, `[a&&b]`), and `\d`, `\s` and `\w` mean ASCII. What stands behind a backslash is in
//! `go/escape.rs`, sets are in `go/class.rs`.

mod class;
mod escape;

use std::iter::Peekable;
use std::str::Chars;

/// How often something may be repeated, repetitions within repetitions multiplied.
const REPEATED: u64 = 1_000;
/// How much may stand between an item and what repeats it: flags, which nobody writes there.
const FLAGS: usize = 256;

/// The expression `text` in the syntax of the `regex` crate; nothing if it is none.
pub(super) fn translated(text: &str) -> Option<String> {
    let mut reader = Reader {
        chars: text.chars().peekable(),
        out: String::with_capacity(text.len() + 8),
        groups: vec![Group::default()],
        item: None,
        after_repeat: false,
        no_names: false,
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
    /// Where in `out` the last item ends, if there is one to repeat: flags may stand behind it.
    item: Option<usize>,
    /// Whether a repetition was read last.
    after_repeat: bool,
    /// Whether nothing that is left ends the name of a class.
    no_names: bool,
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
                return self.repeated(&c.to_string(), 1, after_repeat);
            }
            '{' => {
                if let Some((count, rest)) = counted(self.chars.clone()) {
                    let most = count.most()?;
                    self.chars = rest;
                    return self.repeated(&count.to_string(), most, after_repeat);
                }
                self.out.push_str("\\{");
            }
            '}' | ']' => self.out.extend(['\\', c]),
            '(' => return self.open(),
            ')' => return self.close(),
            '[' => class::class(&mut self.chars, &mut self.out, &mut self.no_names)?,
            '\\' => escape::escape(&mut self.chars, &mut self.out)?,
            '|' => {
                self.out.push(c);
                self.item = None;
                return Some(());
            }
            c => self.out.push(c),
        }
        self.item(1)
    }

    /// An item was read in which something is repeated so often.
    fn item(&mut self, times: u64) -> Option<()> {
        let group = self.groups.last_mut()?;
        group.last = times;
        group.all = group.all.max(times);
        self.item = Some(self.out.len());
        Some(())
    }

    /// The last item is repeated; two repetitions in a row are none.
    fn repeated(&mut self, how: &str, times: u64, after_repeat: bool) -> Option<()> {
        let at = self.item.filter(|_| !after_repeat)?;
        (self.out.len() - at <= FLAGS).then_some(())?;
        let lazy = self.chars.next_if_eq(&'?').map_or("", |_| "?");
        let how = format!("{how}{lazy}");
        self.out.insert_str(at, &how);
        self.after_repeat = true;
        let group = self.groups.last_mut()?;
        group.last = group.last.saturating_mul(times);
        group.all = group.all.max(group.last);
        self.item = Some(at + how.len());
        (group.last <= REPEATED).then_some(())
    }

    fn open(&mut self) -> Option<()> {
        if self.chars.peek() != Some(&'?') {
            self.group();
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
            // Names are for nothing here, and two groups may have one.
            is_name.then_some(())?;
            self.group();
        } else {
            let (flags, end) = flags(&mut rest)?;
            if end == ':' {
                self.group();
                self.out.extend(["?", &flags, ":"]);
            } else if !flags.is_empty() {
                self.out.extend(["(?", &flags, ")"]);
            }
        }
        self.chars = rest;
        Some(())
    }

    fn group(&mut self) {
        self.out.push('(');
        self.groups.push(Group::default());
        self.item = None;
    }

    fn close(&mut self) -> Option<()> {
        self.out.push(')');
        let group = self.groups.pop()?;
        self.item(group.all)
    }
}

/// The flags of `(?i-s:` or `(?i)`, and what ends them.
fn flags(rest: &mut Rest<'_>) -> Option<(String, char)> {
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
            end @ (':' | ')') if seen || !off => return Some((flags, end)),
            _ => return None,
        }
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
