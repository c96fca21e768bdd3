//! JSON values to YAML text, as kustomize prints them.
//!
//! kustomize prints with go-yaml v2: keys in its natural order, lists not indented below their key, text folded at 80
//! columns, multi-line text as a literal block. What it would print, down to the byte, is printed here.

use std::fmt::Write as _;

use serde_json::{Map, Number, Value};

use super::keys;
use super::scalar::needs_quotes;

/// Columns after which a space becomes a line break.
const WIDTH: usize = 80;
/// A key longer than this is written with `?`.
const SIMPLE_KEY: usize = 128;

/// Writes one document, without `---`.
pub(crate) fn emit(value: &Value, out: &mut String) {
    Emitter::sorted(out).document(value);
}

/// The same for the fields of a mapping.
pub(crate) fn emit_fields(map: &Map<String, Value>, out: &mut String) {
    let mut emitter = Emitter::sorted(out);
    if map.is_empty() {
        emitter.put("{}");
    } else {
        emitter.mapping(map, 0, true);
    }
    emitter.out.push('\n');
}

/// The same with the keys in their order and no line folded, as kustomize writes text in text.
pub(crate) fn emit_in_order(value: &Value, out: &mut String) {
    Emitter::unfolded(out).document(value);
}

pub(super) struct Emitter<'a> {
    out: &'a mut String,
    /// Characters since the last line break.
    column: usize,
    /// Columns after which a space becomes a line break.
    width: usize,
    /// Whether keys come in their natural order, not their own.
    sorted: bool,
}

impl<'a> Emitter<'a> {
    /// One that folds no line and keeps keys in their order.
    pub(super) fn unfolded(out: &'a mut String) -> Self {
        Self {
            out,
            column: 0,
            width: usize::MAX,
            sorted: false,
        }
    }

    fn sorted(out: &'a mut String) -> Self {
        Self {
            out,
            column: 0,
            width: WIDTH,
            sorted: true,
        }
    }

    fn document(mut self, value: &Value) {
        match value {
            Value::Object(map) if !map.is_empty() => self.mapping(map, 0, true),
            Value::Array(items) if !items.is_empty() => self.sequence(items, 0, true),
            other => self.inline(other, 0),
        }
        self.out.push('\n');
    }

    pub(super) fn put(&mut self, text: &str) {
        self.out.push_str(text);
        self.column += text.chars().count();
    }

    fn put_char(&mut self, c: char) {
        self.out.push(c);
        self.column += 1;
    }

    /// A new line that begins at `indent`.
    pub(super) fn line(&mut self, indent: usize) {
        self.out.push('\n');
        self.column = 0;
        self.put(&" ".repeat(indent));
    }

    /// `started`: the cursor already stands where the first key begins.
    fn mapping(&mut self, map: &Map<String, Value>, indent: usize, mut started: bool) {
        let mut keys: Vec<&String> = map.keys().collect();
        if self.sorted {
            keys = keys::in_order(keys);
        }
        for key in keys {
            let Some(value) = map.get(key) else { continue };
            if !started {
                self.line(indent);
            }
            started = false;
            let simple = key.len() <= SIMPLE_KEY && !key.contains(is_break);
            if simple {
                self.text(key, indent, true);
                self.put(":");
            } else {
                self.put("? ");
                self.text(key, indent, false);
                self.line(indent);
                self.put(":");
            }
            match value {
                Value::Object(map) if !map.is_empty() && simple => {
                    self.mapping(map, indent + 2, false);
                }
                Value::Array(items) if !items.is_empty() && simple => {
                    self.sequence(items, indent, false);
                }
                nested => {
                    self.put(" ");
                    self.item(nested, indent);
                }
            }
        }
    }

    fn sequence(&mut self, items: &[Value], indent: usize, mut started: bool) {
        for item in items {
            if !started {
                self.line(indent);
            }
            started = false;
            self.put("- ");
            self.item(item, indent);
        }
    }

    /// A value behind `- ` or `: `, where a collection begins on the same line.
    fn item(&mut self, value: &Value, indent: usize) {
        match value {
            Value::Object(map) if !map.is_empty() => self.mapping(map, indent + 2, true),
            Value::Array(items) if !items.is_empty() => self.sequence(items, indent + 2, true),
            other => self.inline(other, indent),
        }
    }

    fn inline(&mut self, value: &Value, indent: usize) {
        match value {
            Value::Null => self.put("null"),
            Value::Bool(b) => self.put(if *b { "true" } else { "false" }),
            Value::Number(n) => self.put(&number(n)),
            Value::String(s) => self.text(s, indent, false),
            Value::Array(_) => self.put("[]"),
            Value::Object(_) => self.put("{}"),
        }
    }

    fn text(&mut self, text: &str, indent: usize, key: bool) {
        let shape = Shape::of(text);
        let plain_type = !needs_quotes(text);
        if text.contains('\n') && !key {
            if shape.block {
                self.literal(text, indent + 2);
            } else {
                self.double_quoted(text, indent + 2, true);
            }
        } else if !plain_type || shape.multiline {
            self.double_quoted(text, indent + 2, !key);
        } else if shape.plain && !(key && text.is_empty()) {
            self.plain(text, indent + 2, !key);
        } else if shape.single {
            self.single_quoted(text, indent + 2, !key);
        } else {
            self.double_quoted(text, indent + 2, !key);
        }
    }

    fn plain(&mut self, text: &str, indent: usize, folds: bool) {
        let mut spaces = false;
        let mut chars = text.chars().peekable();
        while let Some(c) = chars.next() {
            if c == ' '
                && folds
                && !spaces
                && self.column > self.width
                && chars.peek() != Some(&' ')
            {
                self.line(indent);
            } else {
                self.put_char(c);
            }
            spaces = c == ' ';
        }
    }

    fn single_quoted(&mut self, text: &str, indent: usize, folds: bool) {
        self.put("'");
        let mut spaces = false;
        let mut first = true;
        let mut chars = text.chars().peekable();
        while let Some(c) = chars.next() {
            let inside = !first && chars.peek().is_some_and(|next| *next != ' ');
            if c == ' ' && folds && !spaces && self.column > self.width && inside {
                self.line(indent);
            } else {
                if c == '\'' {
                    self.put_char('\'');
                }
                self.put_char(c);
            }
            spaces = c == ' ';
            first = false;
        }
        self.put("'");
    }

    pub(super) fn double_quoted(&mut self, text: &str, indent: usize, folds: bool) {
        self.put("\"");
        let mut spaces = false;
        let mut first = true;
        // go-yaml looks for a byte order mark at each character, but always at the first.
        let marked = text.starts_with('\u{feff}');
        let mut chars = text.chars().peekable();
        while let Some(c) = chars.next() {
            if marked {
                self.escaped(c, true);
            } else if c == ' ' {
                if folds && !spaces && self.column > self.width && !first && chars.peek().is_some()
                {
                    self.line(indent);
                    if chars.peek() == Some(&' ') {
                        self.put_char('\\');
                    }
                } else {
                    self.put_char(c);
                }
                spaces = true;
            } else {
                self.escaped(c, false);
                spaces = false;
            }
            first = false;
        }
        self.put("\"");
    }

    /// A character between double quotes; as an escape if it must be one, or `all` are.
    fn escaped(&mut self, c: char, all: bool) {
        let short = match c {
            '\0' => '0',
            '\x07' => 'a',
            '\x08' => 'b',
            '\t' => 't',
            '\n' => 'n',
            '\x0b' => 'v',
            '\x0c' => 'f',
            '\r' => 'r',
            '\x1b' => 'e',
            '"' => '"',
            '\\' => '\\',
            '\u{85}' => 'N',
            '\u{a0}' => '_',
            '\u{2028}' => 'L',
            '\u{2029}' => 'P',
            c if is_printable(c) && !all => return self.put_char(c),
            c => {
                let mut text = String::new();
                let n = u32::from(c);
                // Writing to a string cannot fail.
                let _ = match n {
                    0..=0xFF => write!(text, "\\x{n:02X}"),
                    0x100..=0xFFFF => write!(text, "\\u{n:04X}"),
                    _ => write!(text, "\\U{n:08X}"),
                };
                return self.put(&text);
            }
        };
        // A no-break space is printable and only escaped because it is a break elsewhere.
        if c == '\u{a0}' && !all {
            return self.put_char(c);
        }
        self.put_char('\\');
        self.put_char(short);
    }

    fn literal(&mut self, text: &str, indent: usize) {
        self.put("|");
        self.hints(text);
        for line in text.strip_suffix('\n').unwrap_or(text).split('\n') {
            if line.is_empty() {
                self.out.push('\n');
                self.column = 0;
            } else {
                self.line(indent);
                self.put(line);
            }
        }
    }

    /// What follows the sign of a block: where its lines begin and how its end is kept.
    pub(super) fn hints(&mut self, text: &str) {
        if text.starts_with([' ', '\n']) {
            self.put("2");
        }
        match text.strip_suffix('\n') {
            None => self.put("-"),
            Some(rest) if rest.is_empty() || rest.ends_with('\n') => self.put("+"),
            Some(_) => {}
        }
    }
}

/// Which ways of writing a text are open, as libyaml analyses it.
pub(super) struct Shape {
    pub(super) plain: bool,
    pub(super) single: bool,
    pub(super) block: bool,
    multiline: bool,
}

impl Shape {
    pub(super) fn of(text: &str) -> Self {
        let special = text
            .chars()
            .any(|c| c != '\n' && (is_break(c) || !is_printable(c)));
        let multiline = text.contains('\n');
        let trailing_space = text.ends_with(' ');
        let edge = text.starts_with([' ', '\n']) || text.ends_with([' ', '\n']);
        let space_break = text.contains(" \n");
        let break_space = text.contains("\n ");
        Self {
            plain: !(special || multiline || edge || block_indicators(text)),
            single: !(special || space_break || break_space),
            block: !(special || space_break || trailing_space),
            multiline,
        }
    }
}

/// Whether something in a text would be read as YAML in block style.
fn block_indicators(text: &str) -> bool {
    if text.starts_with("---") || text.starts_with("...") {
        return true;
    }
    let blank = |c: Option<char>| c.is_none_or(|c| matches!(c, ' ' | '\t' | '\n'));
    let mut chars = text.chars();
    let second = chars.clone().nth(1);
    match chars.next() {
        Some(
            '#' | ',' | '[' | ']' | '{' | '}' | '&' | '*' | '!' | '|' | '>' | '\'' | '"' | '%'
            | '@' | '`',
        ) => {
            return true;
        }
        Some('?' | ':' | '-') if blank(second) => return true,
        _ => {}
    }
    let mut before = text.chars().next();
    let mut rest = text.chars().skip(1).peekable();
    while let Some(c) = rest.next() {
        if c == ':' && blank(rest.peek().copied()) || c == '#' && blank(before) {
            return true;
        }
        before = Some(c);
    }
    false
}

/// Whether a character would be read as YAML between brackets.
pub(super) fn is_flow_indicator(c: char) -> bool {
    matches!(c, ',' | '?' | '[' | ']' | '{' | '}' | ':')
}

fn is_break(c: char) -> bool {
    matches!(c, '\n' | '\r' | '\u{85}' | '\u{2028}' | '\u{2029}')
}

fn is_printable(c: char) -> bool {
    matches!(c, '\n' | ' '..='~' | '\u{a0}'..='\u{d7ff}' | '\u{e000}'..='\u{fffd}')
        && c != '\u{feff}'
}

/// Go's shortest `%g`.
fn number(n: &Number) -> String {
    let Some(f) = n.as_f64().filter(|_| n.is_f64()) else {
        return n.to_string();
    };
    let scientific = format!("{f:e}");
    let Some((mantissa, exponent)) = scientific.split_once('e') else {
        return scientific;
    };
    let exponent: i32 = exponent.parse().unwrap_or_default();
    if (-4..6).contains(&exponent) {
        return format!("{f}");
    }
    let sign = if exponent < 0 { '-' } else { '+' };
    format!("{mantissa}e{sign}{:02}", exponent.abs())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn text(value: &Value) -> String {
        let mut out = String::new();
        emit(value, &mut out);
        out
    }

    #[test]
    fn collections_are_written_as_kustomize_writes_them() {
        let value = json!({"b": [{"x": 1, "a": []}, "s", [1, [2]]], "a": {"k": {}}, "n": null});
        assert_eq!(
            text(&value),
            "a:\n  k: {}\nb:\n- a: []\n  x: 1\n- s\n- - 1\n  - - 2\n\"n\": null\n"
        );
    }

    #[test]
    fn text_is_quoted_where_it_would_be_read_as_something_else() {
        for (value, want) in [
            ("yes", "\"yes\""),
            ("1.10", "\"1.10\""),
            ("0o17", "\"0o17\""),
            ("1:30", "\"1:30\""),
            ("", "\"\""),
            ("a: b", "'a: b'"),
            ("# x", "'# x'"),
            ("- x", "'- x'"),
            ("-x", "-x"),
            ("it's", "it's"),
            ("'q'", "'''q'''"),
            ("a\tb", "\"a\\tb\""),
            ("x ", "'x '"),
            ("2020-01-01", "\"2020-01-01\""),
            ("{{ x }}", "'{{ x }}'"),
            ("a #b", "'a #b'"),
            ("a#b", "a#b"),
            ("\u{1F600}", "\"\\U0001F600\""),
            ("l1\nl2\n", "|\n  l1\n  l2"),
            ("l1\nl2", "|-\n  l1\n  l2"),
            ("l1\n\n", "|+\n  l1\n"),
            ("\n", "|2+\n"),
            (" l1\n", "|2\n   l1"),
            ("l1 \nl2", "\"l1 \\nl2\""),
        ] {
            assert_eq!(
                text(&json!({"k": value})),
                format!("k: {want}\n"),
                "{value:?}"
            );
        }
    }

    #[test]
    fn long_text_is_folded_after_80_columns() {
        let long = ["word"; 30].join(" ");
        let want = format!(
            "k: {}\n  {}\n",
            ["word"; 16].join(" "),
            ["word"; 14].join(" ")
        );
        assert_eq!(text(&json!({"k": long})), want);
    }

    #[test]
    fn keys_come_in_natural_order() {
        let value = json!({"a10": 1, "a2": 1, "B": 1, "a_": 1, "_": 1, "1": 1, "ab": 1});
        let keys: Vec<String> = text(&value)
            .lines()
            .map(|l| l.split(':').next().unwrap().to_owned())
            .collect();
        assert_eq!(keys, ["_", "\"1\"", "B", "a_", "a2", "a10", "ab"]);
    }
}
