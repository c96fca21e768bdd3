//! Patterns as Go writes them (RE2), written as Rust's `regex` reads them.
//!
//! The two look alike and are not the same: to Go `\d`, `\w`, `\s` and `\b` are ASCII's alone, a class has no operators,
//! and `a**` or a thousand and one repetitions are no pattern. So a pattern is read as Go reads it, and nothing of how it
//! was spelled is left in what is written. It deliberately matches nothing; what stands in brackets and behind a
//! backslash is `class`'s.

use std::collections::BTreeSet;

use super::class;

/// The most times that a part is repeated, with all that is repeated in it.
const REPEATS: u32 = 1_000;

/// A pattern that is none, or none here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fault {
    /// Go refuses it too.
    Invalid,
    /// Go takes it.
    Undone(&'static str),
}

/// What a pattern is to Rust.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Translated {
    pub(super) text: String,
    /// The name of each group, in order; the first is the whole match.
    pub(super) names: Vec<Option<String>>,
}

/// Reads a pattern.
pub(super) fn translated(pattern: &str) -> Result<Translated, Fault> {
    let mut reader = Reader {
        rest: pattern,
        text: String::with_capacity(pattern.len() * 2),
        names: vec![None],
        outer: Vec::new(),
        here: Level::default(),
    };
    while let Some(next) = reader.rest.chars().next() {
        reader.read(next)?;
    }
    if !reader.outer.is_empty() {
        return Err(Fault::Invalid);
    }
    Ok(Translated {
        text: reader.text,
        names: reader.names,
    })
}

/// A character as itself, whatever it means elsewhere.
pub(super) fn literal(c: char) -> String {
    format!("\\x{{{:X}}}", u32::from(c))
}

/// What is known of a group while it is read.
#[derive(Default)]
struct Level {
    /// How often the most repeated of its parts is.
    repeats: u32,
    last: Last,
}

/// What stands before the next character of a pattern.
#[derive(Clone, Copy, Default)]
enum Last {
    /// Nothing that could be repeated.
    #[default]
    Nothing,
    /// A part, and how often the most repeated in it is.
    Part(u32),
    /// A part with how often it is.
    Repeated,
    /// What is no part itself, behind one or behind none.
    Between { part: bool },
}

struct Reader<'a> {
    rest: &'a str,
    text: String,
    names: Vec<Option<String>>,
    /// The groups that are open, but for the innermost.
    outer: Vec<Level>,
    here: Level,
}

impl<'a> Reader<'a> {
    fn read(&mut self, next: char) -> Result<(), Fault> {
        match next {
            '(' => self.group(),
            '\\' => self.escape(),
            '[' => {
                let (class, rest) = class::bracketed(self.rest)?;
                self.rest = rest;
                self.part(&class);
                Ok(())
            }
            '{' => match counts(self.rest) {
                Some((from, to, rest)) => {
                    self.rest = rest;
                    self.counted(from, to)
                }
                None => {
                    self.step(next);
                    self.part(&literal(next));
                    Ok(())
                }
            },
            '*' | '+' | '?' => {
                self.step(next);
                self.repeat(next.encode_utf8(&mut [0; 4]), None)
            }
            ')' => {
                self.step(next);
                let outer = self.outer.pop().ok_or(Fault::Invalid)?;
                let repeats = std::mem::replace(&mut self.here, outer).repeats;
                self.text.push(next);
                self.is_part(repeats);
                Ok(())
            }
            '|' => {
                self.step(next);
                self.text.push(next);
                self.here.last = Last::Nothing;
                Ok(())
            }
            '.' | '^' | '$' => {
                self.step(next);
                self.part(next.encode_utf8(&mut [0; 4]));
                Ok(())
            }
            _ => {
                self.step(next);
                self.part(&literal(next));
                Ok(())
            }
        }
    }

    /// Goes past the character that is next.
    fn step(&mut self, next: char) {
        self.rest = self.rest.get(next.len_utf8()..).unwrap_or_default();
    }

    fn part(&mut self, text: &str) {
        self.text.push_str(text);
        self.is_part(1);
    }

    fn is_part(&mut self, repeats: u32) {
        let repeats = repeats.max(1);
        self.here.repeats = self.here.repeats.max(repeats);
        self.here.last = Last::Part(repeats);
    }

    /// What was read is no part: what is repeated next is the part before it.
    fn is_between(&mut self) {
        let part = match self.here.last {
            Last::Part(_) | Last::Repeated => true,
            Last::Between { part } => part,
            Last::Nothing => false,
        };
        self.here.last = Last::Between { part };
    }

    /// Has the last part repeated: `most` is how often at most, where numbers say so.
    fn repeat(&mut self, operator: &str, most: Option<u32>) -> Result<(), Fault> {
        let within = match self.here.last {
            Last::Part(within) => within,
            Last::Nothing | Last::Repeated | Last::Between { part: false } => {
                return Err(Fault::Invalid);
            }
            Last::Between { part: true } => {
                return Err(Fault::Undone("a pattern with flags before a repetition"));
            }
        };
        let repeats = match most {
            None => within,
            Some(0) => 1,
            Some(most) => within.saturating_mul(most),
        };
        if most.is_some_and(|most| most >= 2) && repeats > REPEATS {
            return Err(Fault::Invalid);
        }
        self.text.push_str(operator);
        if let Some(rest) = self.rest.strip_prefix('?') {
            self.rest = rest;
            self.text.push('?');
        }
        self.is_part(repeats);
        self.here.last = Last::Repeated;
        Ok(())
    }

    fn counted(&mut self, from: u32, to: To) -> Result<(), Fault> {
        let (operator, most) = match to {
            To::Same => (format!("{{{from}}}"), from),
            To::Any => (format!("{{{from},}}"), from),
            To::Most(most) => (format!("{{{from},{most}}}"), most),
        };
        if from > most || most > REPEATS {
            return Err(Fault::Invalid);
        }
        self.repeat(&operator, Some(most))
    }

    fn open(&mut self, how: &str) {
        self.text.push_str(how);
        self.outer.push(std::mem::take(&mut self.here));
    }

    fn group(&mut self) -> Result<(), Fault> {
        let Some(inner) = self.rest.strip_prefix("(?") else {
            self.step('(');
            self.names.push(None);
            self.open("(");
            return Ok(());
        };
        let named = inner.strip_prefix("P<").or_else(|| inner.strip_prefix('<'));
        let Some(named) = named else {
            return self.flags(inner);
        };
        let (name, rest) = named.split_once('>').ok_or(Fault::Invalid)?;
        let is_plain = |c: char| c.is_ascii_alphanumeric() || c == '_';
        if name.is_empty() || !name.chars().all(is_plain) {
            return Err(Fault::Invalid);
        }
        self.rest = rest;
        self.names.push(Some(name.to_owned()));
        self.open("(");
        Ok(())
    }

    /// `(?i)`, or `(?i-s:`, which begins a group.
    fn flags(&mut self, inner: &'a str) -> Result<(), Fault> {
        let (mut on, mut off) = (BTreeSet::new(), BTreeSet::new());
        let mut is_off = false;
        for (at, flag) in inner.char_indices() {
            match flag {
                'i' | 'm' | 's' | 'U' if is_off => {
                    on.remove(&flag);
                    off.insert(flag);
                }
                'i' | 'm' | 's' | 'U' => {
                    on.insert(flag);
                }
                '-' if !is_off => is_off = true,
                ':' | ')' if !is_off || !off.is_empty() => {
                    self.rest = inner.get(at + 1..).unwrap_or_default();
                    self.set(&on, &off, flag == ':');
                    return Ok(());
                }
                _ => return Err(Fault::Invalid),
            }
        }
        Err(Fault::Invalid)
    }

    fn set(&mut self, on: &BTreeSet<char>, off: &BTreeSet<char>, begins: bool) {
        let mut flags = String::from_iter(on);
        if !off.is_empty() {
            flags.push('-');
            flags.extend(off);
        }
        if begins {
            self.open(&format!("(?{flags}:"));
            return;
        }
        if !flags.is_empty() {
            self.text.push_str(&format!("(?{flags})"));
        }
        self.is_between();
    }

    fn escape(&mut self) -> Result<(), Fault> {
        let assertions = [
            ("\\A", "\\A"),
            ("\\z", "\\z"),
            ("\\b", "(?-u:\\b)"),
            ("\\B", "(?-u:\\B)"),
        ];
        for (theirs, ours) in assertions {
            if let Some(rest) = self.rest.strip_prefix(theirs) {
                self.rest = rest;
                self.part(ours);
                return Ok(());
            }
        }
        if let Some(quoted) = self.rest.strip_prefix("\\Q") {
            let (quoted, rest) = quoted.split_once("\\E").unwrap_or((quoted, ""));
            self.rest = rest;
            for c in quoted.chars() {
                self.part(&literal(c));
            }
            if quoted.is_empty() {
                self.is_between();
            }
            return Ok(());
        }
        if let Some((class, rest)) = class::escaped(self.rest)? {
            self.rest = rest;
            self.part(&class);
            return Ok(());
        }
        let (c, rest) = class::character(self.rest)?;
        self.rest = rest;
        self.part(&literal(c));
        Ok(())
    }
}

/// How often at most, in `{2}`, `{2,}` and `{2,3}`.
enum To {
    Same,
    Any,
    Most(u32),
}

/// `{2,3}` at the beginning of a text; anything else in braces stands for itself.
fn counts(text: &str) -> Option<(u32, To, &str)> {
    let (from, rest) = number(text.strip_prefix('{')?)?;
    if let Some(rest) = rest.strip_prefix('}') {
        return Some((from, To::Same, rest));
    }
    let rest = rest.strip_prefix(',')?;
    if let Some(rest) = rest.strip_prefix('}') {
        return Some((from, To::Any, rest));
    }
    let (most, rest) = number(rest)?;
    Some((from, To::Most(most), rest.strip_prefix('}')?))
}

fn number(text: &str) -> Option<(u32, &str)> {
    let end = text
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(text.len());
    let (digits, rest) = text.split_at_checked(end)?;
    let is_plain = digits.len() == 1 || !digits.is_empty() && !digits.starts_with('0');
    is_plain.then(|| (digits.parse().unwrap_or(u32::MAX), rest))
}
