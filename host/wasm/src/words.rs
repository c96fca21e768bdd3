//! Text that a guest wrote, made fit to be shown: one line, no control characters, bounded.
//!
//! Conditions, events and logs show these words, so a guest could otherwise forge a log line or
//! paint a terminal. It does not judge what they say.

/// `text` in at most `most` bytes (an ellipsis included), with everything replaced that could break
/// a line or steer a terminal.
pub(crate) fn tame(text: &str, most: usize) -> String {
    let text = text.trim();
    let shown = |char| if steers(char) { ' ' } else { char };
    if text.len() <= most {
        return text.chars().map(shown).collect();
    }
    let room = most.saturating_sub('…'.len_utf8());
    let mut tamed = String::with_capacity(most);
    for char in text.chars().map(shown) {
        if tamed.len() + char.len_utf8() > room {
            break;
        }
        tamed.push(char);
    }
    tamed.push('…');
    tamed
}

/// Control characters, and those that reorder or hide the text around them.
fn steers(char: char) -> bool {
    const HIDDEN: [std::ops::RangeInclusive<char>; 4] = [
        '\u{200b}'..='\u{200f}',
        '\u{2028}'..='\u{202e}',
        '\u{2060}'..='\u{2069}',
        '\u{feff}'..='\u{feff}',
    ];
    char.is_control() || HIDDEN.iter().any(|range| range.contains(&char))
}

/// `64 MiB`, `1500 bytes`: the largest binary unit that divides it.
pub(crate) fn bytes(count: usize) -> String {
    const UNITS: [(usize, &str); 3] = [(1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB")];
    UNITS
        .iter()
        .find(|(unit, _)| count >= *unit && count.is_multiple_of(*unit))
        .map_or_else(
            || format!("{count} bytes"),
            |(unit, name)| format!("{} {name}", count / unit),
        )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_guests_words_stay_on_one_line_and_within_bounds() {
        for (says, most, want) in [
            ("plain", 10, "plain"),
            ("two\nlines\r\n", 20, "two lines"),
            ("\u{1b}[31mred", 20, "[31mred"),
            ("left\u{202e}right", 20, "left right"),
            ("0123456789", 10, "0123456789"),
            ("0123456789x", 10, "0123456…"),
            ("ää", 4, "ää"),
            ("äää", 5, "ä…"),
        ] {
            let got = tame(says, most);
            assert_eq!(got.trim(), want, "{says:?} in {most}");
            assert!(got.len() <= most, "{got:?} is longer than {most}");
        }
    }

    #[test]
    fn sizes_read_as_people_write_them() {
        assert_eq!(bytes(64 << 20), "64 MiB");
        assert_eq!(bytes(1536), "1536 bytes");
        assert_eq!(bytes(2048), "2 KiB");
        assert_eq!(bytes(0), "0 bytes");
    }
}
