//! No file over 500 production lines, no function over 60.

use crate::source;

const FILE_CAP: usize = 500;
const FUNCTION_CAP: usize = 60;

#[test]
fn no_file_is_longer_than_one_room() {
    let long: Vec<String> = source::production()
        .filter(|(_, lines)| lines.len() > FILE_CAP)
        .map(|(path, lines)| format!("{}: {} lines", source::shown(&path), lines.len()))
        .collect();
    assert!(
        long.is_empty(),
        "split these (cap {FILE_CAP}):\n{}",
        long.join("\n")
    );
}

#[test]
fn no_function_is_longer_than_a_screen() {
    let mut long = Vec::new();
    for (path, lines) in source::production() {
        for (start, line) in lines.iter().enumerate() {
            let Some(indent) = function_indent(line) else {
                continue;
            };
            // rustfmt puts the closing brace under the `fn`.
            let end = format!("{}}}", " ".repeat(indent));
            let Some(length) = lines[start..].iter().position(|line| *line == end) else {
                continue;
            };
            if length > FUNCTION_CAP {
                long.push(format!(
                    "{}:{}: {length} lines",
                    source::shown(&path),
                    start + 1
                ));
            }
        }
    }
    assert!(
        long.is_empty(),
        "split these (cap {FUNCTION_CAP}):\n{}",
        long.join("\n")
    );
}

/// How far a line that begins a function is indented.
fn function_indent(line: &str) -> Option<usize> {
    let code = line.trim_start();
    let mut words = code.split_whitespace();
    let begins = words.by_ref().take(6).any(|word| word == "fn");
    let declares = !code.starts_with("//") && !code.ends_with(';') && !code.contains('"');
    (begins && declares && !code.ends_with('}')).then_some(line.len() - code.len())
}
