//! What becomes of folded text (`>`) when kustomize prints it and reads it back.
//!
//! It does so with every object on its way out, and go-yaml's writer looks at the wrong character when it decides whether
//! a line break needs a second one: text with deeper lines, or with breaks kept at its end, comes out longer.

/// The text of a folded scalar after it was written and read once.
pub(super) fn rewritten(text: &str) -> String {
    if is_written_in_quotes(text) {
        return text.to_owned();
    }
    read(&lines(text), text)
}

/// Text that no block can hold goes between quotes, unharmed.
fn is_written_in_quotes(text: &str) -> bool {
    let special =
        |c: char| c != '\n' && (c < ' ' || c > '\u{7e}' && c < '\u{a0}' || c == '\u{feff}');
    text.is_empty() || text.ends_with(' ') || text.contains(" \n") || text.contains(special)
}

/// The lines of the block, without their indentation.
pub(super) fn lines(text: &str) -> Vec<String> {
    let first = text.trim_start_matches('\n');
    let first_is_blank = first.is_empty() || first.starts_with(' ');
    let mut lines = vec![String::new()];
    let (mut after_break, mut deeper) = (true, true);
    for c in text.chars() {
        if c == '\n' {
            if !after_break && !deeper && !first_is_blank {
                lines.push(String::new());
            }
            lines.push(String::new());
            after_break = true;
            continue;
        }
        if after_break {
            deeper = matches!(c, ' ' | '\t');
        }
        if let Some(line) = lines.last_mut() {
            line.push(c);
        }
        after_break = false;
    }
    lines
}

/// Reads the block's lines; how its end is kept follows from `text`.
fn read(lines: &[String], text: &str) -> String {
    let keeps = text.ends_with("\n\n") || text == "\n";
    let strips = !text.ends_with('\n');
    let mut out = String::new();
    let (mut leading_break, mut breaks, mut leading_blank) = (false, 0usize, false);
    // The last line is what stands behind the last break: nothing, or text without one.
    let (last, complete) = lines
        .split_last()
        .map_or(("", lines), |(l, rest)| (l.as_str(), rest));
    let closing = (!last.is_empty()).then_some(last);
    for line in complete.iter().map(String::as_str).chain(closing) {
        if line.is_empty() {
            breaks += 1;
            continue;
        }
        let blank = line.starts_with([' ', '\t']);
        if leading_break && !leading_blank && !blank {
            if breaks == 0 {
                out.push(' ');
            }
        } else if leading_break {
            out.push('\n');
        }
        out.push_str(&"\n".repeat(breaks));
        breaks = 0;
        leading_blank = blank;
        out.push_str(line);
        leading_break = true;
    }
    if !strips && leading_break {
        out.push('\n');
    }
    if keeps {
        out.push_str(&"\n".repeat(breaks));
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folded_text_grows_as_kustomize_lets_it_grow() {
        for (text, want) in [
            ("a b\n", "a b\n"),
            ("a b", "a b"),
            ("a\nb\n", "a\nb\n"),
            ("b c\n\n d\ne\n", "b c\n\n\n d\ne\n"),
            ("b\n\n\n", "b\n\n\n\n"),
            ("a \nb\n", "a \nb\n"),
        ] {
            assert_eq!(rewritten(text), want, "{text:?}");
        }
    }
}
