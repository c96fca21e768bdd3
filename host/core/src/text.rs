//! Text that somebody else wrote, made fit to be shown: in conditions and events, in reports, on terminals.
//!
//! A rule quotes what tenants wrote, and so do errors: without this a name could steer the terminal of whoever reads about it,
//! turn a line round or begin another. It deliberately judges no words, and leaves every letter of every script.

/// `1 policy`, `2 policies`.
pub fn counted(count: usize, one: &str, many: &str) -> String {
    match count {
        1 => format!("1 {one}"),
        count => format!("{count} {many}"),
    }
}

/// On one line: what would break it, or do anything to it, is a space.
pub fn line(text: &str) -> String {
    text.chars().map(tamed).collect()
}

/// The same of each of its lines; what stands in columns stays there.
pub fn lines(text: &str) -> String {
    let tamed = |char| match char {
        '\n' | '\t' => char,
        char => tamed(char),
    };
    text.chars().map(tamed).collect()
}

fn tamed(char: char) -> char {
    if steers(char) { ' ' } else { char }
}

/// Control characters, and those that reorder or hide what stands around them.
fn steers(char: char) -> bool {
    let hides = matches!(
        char,
        '\u{61c}'
            | '\u{200b}'
            | '\u{200e}'..='\u{200f}'
            | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}'
            | '\u{feff}'
            | '\u{fff9}'..='\u{fffb}'
            | '\u{e0000}'..='\u{e007f}'
    );
    char.is_control() || hides
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_would_steer_a_terminal_or_turn_a_line_round_is_a_space_and_letters_stay() {
        for (text, on_one, on_many) in [
            (
                "plain: Größe, 名前, שם",
                "plain: Größe, 名前, שם",
                "plain: Größe, 名前, שם",
            ),
            ("\u{1b}[2Jred\u{9b}31m", " [2Jred 31m", " [2Jred 31m"),
            ("one\r\ntwo\tthree", "one  two three", "one \ntwo\tthree"),
            ("admin\u{202e}nimda\u{2066}", "admin nimda ", "admin nimda "),
            ("a\u{200b}b\u{e0061}c\u{0}", "a b c ", "a b c "),
        ] {
            assert_eq!(line(text), on_one);
            assert_eq!(lines(text), on_many);
        }
    }
}
