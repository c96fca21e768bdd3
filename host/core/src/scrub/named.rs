//! Values behind a word that says that they are secret: `password=x`, `"token": "x"`, `authorization: Token x`.
//!
//! A value in quotes goes to the quote that ends it. One without them goes on over spaces to the end of the line or of its part
//! (`;`, `,`, `&`, brackets), or to a word that begins something else: one with `=` or `:` in it, or a flag. What it deliberately
//! doesn't: read what the text is written in.

use std::sync::LazyLock;

use regex::Regex;

use super::{MASK, Sort, Tally, WORDS, is_secret};

struct Forms {
    /// A key, and what stands between it and its value.
    key: Regex,
    /// A value in quotes, which may be escaped.
    quoted: Regex,
}

static FORMS: LazyLock<Forms> = LazyLock::new(|| {
    let pattern =
        |text: &str| Regex::new(text).expect("because it is written here, and is a pattern");
    Forms {
        key: pattern(&format!(
            r#"(?i)([a-z0-9_.-]*(?:{WORDS})[a-z0-9_.-]*)\\*["']?\s*[:=]\s*"#,
        )),
        quoted: pattern(r#"\A(?:\\*"(?:[^"\\]|\\[^"])*\\*"|'[^']*')"#),
    }
});

/// The text without them.
pub(super) fn without(text: &str, tally: &mut Tally) -> String {
    let mut out = String::with_capacity(text.len());
    let mut at = 0;
    while let Some(found) = FORMS.key.captures_at(text, at) {
        let (Some(whole), Some(key)) = (found.get(0), found.get(1)) else {
            break;
        };
        out.push_str(text.get(at..whole.end()).unwrap_or_default());
        at = whole.end();
        if !is_secret(key.as_str()) {
            continue;
        }
        let value = value_of(key.as_str(), text.get(at..).unwrap_or_default());
        at += value.len();
        match masked(value) {
            Some(instead) => {
                tally.count(Sort::Named);
                out.push_str(&instead);
            }
            None => out.push_str(value),
        }
    }
    out.push_str(text.get(at..).unwrap_or_default());
    out
}

/// What stands for a value; its quotes stay, so that what was JSON still is. None: there is nothing in it, or no more.
pub(super) fn masked(value: &str) -> Option<String> {
    let opening = value.len() - value.trim_start_matches(is_quote).len();
    let closing = value.trim_end_matches(is_quote).len().max(opening);
    let (begin, end) = (value.get(..opening)?, value.get(closing..)?);
    let first = value.get(opening..closing)?.split_whitespace().next()?;
    let is_out = first.contains(MASK);
    (!is_out).then(|| format!("{begin}{MASK}{end}"))
}

fn is_quote(c: char) -> bool {
    matches!(c, '"' | '\'' | '\\')
}

/// The value at the beginning of a text.
fn value_of<'a>(key: &str, text: &'a str) -> &'a str {
    if let Some(quoted) = FORMS.quoted.find(text) {
        return quoted.as_str();
    }
    // One that is cut off has no quote at its end. A header has words with `=` and commas in it.
    let is_header = key.to_ascii_lowercase().ends_with("authorization");
    let is_end = |c: char| {
        matches!(c, '\n' | '\r')
            || is_quote(c)
            || (!is_header && matches!(c, ',' | ';' | '&' | '{' | '}' | '[' | ']'))
    };
    let begin = text.len() - text.trim_start_matches(is_quote).len();
    let body = text.get(begin..).unwrap_or_default();
    let mut end = 0;
    for piece in body.split_inclusive(|c| matches!(c, ' ' | '\t') || is_end(c)) {
        let word = piece.trim_end_matches(is_end);
        let is_another = word.starts_with('-') || word.contains(['=', ':']);
        if end > 0 && !is_header && is_another {
            break;
        }
        end += word.len();
        if word.len() < piece.len() {
            break;
        }
    }
    let len = body.get(..end).unwrap_or_default().trim_end().len();
    text.get(..begin + len).unwrap_or_default()
}
