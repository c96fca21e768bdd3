//! What is read otherwise by regorus than by OPA before there is a tree.
//!
//! To OPA a bracket that begins a line begins a condition, and to regorus it calls what the line before ends with: so that
//! line gets a semicolon. Half of a surrogate pair is U+FFFD to OPA, and a control character in a text without escapes
//! stands for itself: both are written so that regorus reads them so. And `import rego.v1`, which is the language here
//! anyway, would make `v1` a name: it goes. It deliberately knows words and no grammar, and leaves all lines where they are.

use super::edits::Edit;
use super::nesting::{Word, Words};

/// What OPA has for half of a surrogate pair, as long as that.
const NO_CHARACTER: &str = "\\ufffd";
/// How long that is.
const ESCAPE: usize = 6;

/// What is written otherwise in a module.
pub(super) fn edits(source: &str) -> Vec<Edit> {
    let mut pen = Pen {
        source,
        edits: Vec::new(),
    };
    let mut words = Words::of(source);
    let mut before = Before::default();
    while let Some((word, touches)) = words.next() {
        let (begins, ends) = (words.begins, words.ends());
        let text = source.get(begins..ends).unwrap_or_default();
        if word == Word::Symbol("(") && !touches && before.may_be_called {
            pen.end_line(before.ends, begins);
        }
        if word == Word::Operand {
            pen.text(begins, text);
        }
        if text == "import" && !before.is_dot {
            pen.import(words.clone());
        }
        before = Before {
            ends,
            is_dot: text == ".",
            // `deny contains` is followed by what it contains.
            may_be_called: text == "]" || word == Word::Operand && text != "contains",
        };
    }
    pen.edits
}

/// The word before.
#[derive(Default)]
struct Before {
    ends: usize,
    is_dot: bool,
    may_be_called: bool,
}

struct Pen<'a> {
    source: &'a str,
    edits: Vec<Edit>,
}

impl Pen<'_> {
    fn edit(&mut self, start: usize, end: usize, text: String) {
        self.edits.push(Edit { start, end, text });
    }

    /// Ends a condition, if what comes next is on another line.
    fn end_line(&mut self, at: usize, next: usize) {
        let between = self.source.get(at..next).unwrap_or_default();
        if between.contains('\n') {
            self.edit(at, at, ";".to_owned());
        }
    }

    /// A text in quotes.
    fn text(&mut self, begins: usize, text: &str) {
        if !text.starts_with('"') {
            return;
        }
        if text.contains('\\') {
            for at in halves(text) {
                self.edit(begins + at, begins + at + ESCAPE, NO_CHARACTER.to_owned());
            }
            return;
        }
        let control = |c: &char| c.is_ascii_control() && !['\0', '\n', '\u{7f}'].contains(c);
        for (at, c) in text.char_indices().filter(|(_, c)| control(c)) {
            self.edit(
                begins + at,
                begins + at + 1,
                format!("\\u{:04x}", u32::from(c)),
            );
        }
    }

    /// Takes an import away that only says which language this is.
    fn import(&mut self, mut words: Words<'_>) {
        let begins = words.begins;
        let mut path = String::new();
        let mut ends = begins;
        while let Some((_, touches)) = words.next() {
            let text = self.source.get(words.begins..words.ends());
            let text = text.unwrap_or_default();
            let goes_on = path.is_empty() || touches && (text == "." || path.ends_with('.'));
            if !goes_on {
                // By another name it is no import of the language.
                if text == "as" || touches {
                    return;
                }
                break;
            }
            path.push_str(text);
            ends = words.ends();
        }
        if is_language(&path) {
            let text = self.source.get(begins..ends).unwrap_or_default();
            let blank = text.chars().map(|c| if c == '\n' { c } else { ' ' });
            self.edit(begins, ends, blank.collect());
        }
    }
}

fn is_language(path: &str) -> bool {
    let keyword = path.strip_prefix("future.keywords.");
    ["future.keywords", "rego.v1"].contains(&path)
        || keyword.is_some_and(|name| ["contains", "every", "if", "in"].contains(&name))
}

/// Where in a text escapes stand that are half of a surrogate pair, without the other half.
fn halves(text: &str) -> Vec<usize> {
    let mut found = Vec::new();
    let mut at = 0;
    while let Some(next) = text.get(at..).and_then(|rest| rest.find('\\')) {
        at += next;
        match (code(text, at), code(text, at + ESCAPE)) {
            (Some(0xd800..=0xdbff), Some(0xdc00..=0xdfff)) => at += 2 * ESCAPE,
            (Some(0xd800..=0xdfff), _) => {
                found.push(at);
                at += ESCAPE;
            }
            (Some(_), _) => at += ESCAPE,
            // One letter follows; it may be a backslash.
            (None, _) => at += 2,
        }
    }
    found
}

/// What is escaped there as `\u….`.
fn code(text: &str, at: usize) -> Option<u32> {
    let digits = text.get(at..at + ESCAPE)?.strip_prefix("\\u")?;
    let is_hex = digits.bytes().all(|byte| byte.is_ascii_hexdigit());
    let code = u32::from_str_radix(digits, 16).ok();
    code.filter(|_| is_hex)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rego::edits::edited;
    use crate::rego::{Input, Policy};
    use serde_json::json;

    fn spelt(source: &str) -> String {
        edited(source, 0, edits(source))
    }

    #[test]
    fn a_bracket_that_begins_a_line_begins_a_condition() {
        for (source, want) in [
            ("x\n(y)", "x;\n(y)"),
            ("x # why\n\t(y)", "x; # why\n\t(y)"),
            ("a[\"b\"]\n(y)", "a[\"b\"];\n(y)"),
            ("x;\n(y)", "x;\n(y)"),
            ("x := \n(y)", "x := \n(y)"),
            ("f(x)\n(y)", "f(x)\n(y)"),
            ("f(x)", "f(x)"),
            ("f(\n(y))", "f(\n(y))"),
            ("r contains\n(y) if\n(z)", "r contains\n(y) if\n(z)"),
        ] {
            assert_eq!(spelt(source), want);
        }
    }

    #[test]
    fn a_text_is_read_as_by_opa() {
        for (source, want) in [
            (r#""\ud83d""#, r#""\ufffd""#),
            (r#""\ud83d\ude00""#, r#""\ud83d\ude00""#),
            (r#""\ude00\ud83d\ude00""#, r#""\ufffd\ud83d\ude00""#),
            (r#""\\ud83d\u00e9\"""#, r#""\\ud83d\u00e9\"""#),
            (r#""\ud83d\u0041""#, r#""\ufffd\u0041""#),
            ("\"a\tb\"", "\"a\\u0009b\""),
            // With an escape in it neither takes it.
            ("\"a\t\\n\"", "\"a\t\\n\""),
            ("`a\tb\\ud83d`", "`a\tb\\ud83d`"),
            ("# \"a\tb\"", "# \"a\tb\""),
            ("\"\\ud8", "\"\\ud8"),
        ] {
            assert_eq!(spelt(source), want);
        }
    }

    #[test]
    fn an_import_of_the_language_goes() {
        let source = "import rego.v1\nimport future.keywords # why\nimport future.keywords.in\nimport data.x";
        let want = format!("{:14}\n{:22} # why\n{:25}\nimport data.x", "", "", "");
        assert_eq!(spelt(source), want);
        for other in [
            "import rego.v1 as y\nx",
            "import rego.v1.x",
            "import rego.v2\n",
            "import future.keywordsin",
            "import future.keywords.other",
            "import data.rego.v1",
            "x.import rego.v1",
        ] {
            assert_eq!(spelt(other), other);
        }
    }

    #[test]
    fn what_is_spelt_otherwise_is_what_it_is_to_opa() {
        let rules = "import rego.v1\nimport future.keywords.in\n\
            deny contains {\"message\": \"m\"} if {\n\tv1 := input.x\n\t(v1 == 1)\n\tinput.xs[\"a\"]\n\t(v1 + 1) == 2\n\
            \t\"a\tb\" == input.tab\n\t\"\\ud83d\" == input.half\n}\n";
        let head = "# METADATA\n# title: t\n# description: d\npackage a\n";
        let policy = Policy::compile("a", &format!("{head}{rules}")).unwrap();
        let denied = |x: u8| {
            let input = json!({"x": x, "xs": {"a": 1}, "tab": "a\tb", "half": "\u{fffd}"});
            let verdict = policy.judge(&Input::new(&input).unwrap());
            verdict.map(|told| told.violations.len())
        };
        assert_eq!((denied(1), denied(2)), (Ok(1), Ok(0)));
    }
}
