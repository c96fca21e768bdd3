//! What Go reads and refuses, in expressions.

use super::*;
use regex::Regex;

#[test]
fn expressions_mean_what_they_mean_in_go() {
    for (pattern, fits, not) in [
        (r"^\${CLUSTER}-a$", "${CLUSTER}-a", "CLUSTER-a"),
        (r"^a{2}b{1,2}c{,2}$", "aabbc{,2}", "aabbcc"),
        (r"^a{01}b{2,}$", "a{01}bbb", "ab"),
        (r"^x{y}$", "x{y}", "xy"),
        (r"^\Qa.b\E.$", "a.bc", "axbc"),
        (r"^[[a]]$", "[]", "a"),
        (r"^[a&&b]+$", "&ab", "c"),
        (r"^[a~~b]+$", "~ab", "c"),
        (r"^[+--]+$", "+,-", "."),
        (r"^[a-c-e]+$", "b-e", "d"),
        (r"^[[:digit:]_]+$", "1_2", "a"),
        (r"^[[:^digit:]]$", "a", "1"),
        (r"^[[:a]+$", "[:a", "b"),
        (r"^[]a]+$", "]a", "b"),
        (r"^[a-]+$", "-a", "b"),
        (r"^\d[\w-]\S$", "1-x", "\u{661}-x"),
        (r"^[\D]$", "x", "1"),
        (r"^\<a\>$", "<a>", "a"),
        (r"^(a|b.*)$", "bcd", "cd"),
        (r"^\p{Ll}\pN\P{Lu}$", "a1b", "A1b"),
        (r"^\p{^Lu}[\p{Greek}\d]$", "aα", "Aα"),
        (r"^\p{Lowercase_Letter}\p{greek}$", "aα", "aa"),
        (r"^\141\0$", "a\0", "1"),
        (r"^[\060-\x39\x{41}]+$", "05A", "B"),
        (r"^(?P<a>x)(?<a>y)(?:z)$", "xyz", "xy"),
        (r"^(?i)a(?-i)b$", "Ab", "AB"),
        (r"^(?)a{2}?$", "aa", "a"),
        (r"^a(?i)+(?-i)*B$", "aaB", "AB"),
        (r"^a*?b+?$", "aab", "aa"),
        (r"^(a{10}){2}$", "aaaaaaaaaaaaaaaaaaaa", "aaaaaaaaaa"),
        (r"^(?i:A\.)$", "a.", "ab"),
    ] {
        let regex = Regex::new(&translated(pattern).unwrap()).unwrap();
        assert!(regex.is_match(fits), "{pattern}");
        assert!(!regex.is_match(not), "{pattern}");
    }
}

#[test]
fn what_go_refuses_is_no_expression() {
    for pattern in [
        "p**",
        "p+*",
        "p*?*",
        "p{2}{3}",
        "p{2}*",
        "p{1001}",
        "p{3,2}",
        "(p{100}){11}",
        "(?x)p",
        "(?u)p",
        "(?R)p",
        "(?-)p",
        "(?)*",
        "(?i)*",
        "p|(?i)*",
        "(?i--s)p",
        "[a--c]",
        "[b-a]",
        "[[:what:]]",
        "[[:much longer than any name:]]",
        "[a",
        r"[a-\d]",
        r"[\z]",
        r"\8",
        r"\1",
        r"\C",
        r"\Z",
        r"\y",
        r"\é",
        r"\x{110000}",
        r"\x{}",
        r"\xg0",
        r"\p{What}",
        r"\p{",
        r"\p{Alphabetic}",
        "(?P<>p)",
        "(?P<a.b>p)",
        "(?P=a)",
        "(?=a)",
        "(",
        ")",
        "*",
        "a|*",
        "\\",
    ] {
        let regex = translated(pattern).map(|text| Regex::new(&text));
        assert!(regex.is_none_or(|regex| regex.is_err()), "{pattern}");
    }
}
