//! What Go makes of patterns; each row is what OPA answers.

use super::*;

/// Pattern, text, whether it matches.
const MATCHES: &[(&str, &str, bool)] = &[
    (r"^\d+$", "12", true),
    (r"^\d+$", "١٢", false),
    (r"^\w+$", "aé", false),
    (r"^\W$", "é", true),
    (r"^\s$", "\u{a0}", false),
    (r"^\s$", "\u{b}", false),
    (r"^\S$", "\u{b}", true),
    (r"a\b", "aé", true),
    (r"é\b", "é", false),
    (r"^\B$", "", true),
    (r"^[a&&b]+$", "a&b", true),
    (r"^[a~~b]+$", "~", true),
    (r"^[[a]+$", "[a", true),
    (r"^[\w-]+$", "a-b", true),
    (r"^[]a]+$", "]a", true),
    (r"^[^]a]+$", "bc", true),
    (r"^[a-c-]+$", "b-", true),
    (r"^[[:alpha:][:^space:]]$", "1", true),
    (r"(?i)^[[:^upper:]]$", "a", false),
    (r"(?i)^\W$", "k", false),
    ("(?i)k", "\u{212a}", true),
    (r"(?i)\w", "ſ", true),
    (r"^\pN\p{^L}\P{Greek}$", "1-a", true),
    (r"^\Qa.b\E+$", "a.bb", true),
    (r"^\Qa.b\E$", "axb", false),
    (r"^a{,2}$", "a{,2}", true),
    (r"^a{$", "a{", true),
    (r"^\x41\x{e9}\101\0$", "AéA\0", true),
    (r"^(?P<1>a)(?<b>b)$", "ab", true),
    (r"(?s-m:^a.b$)", "a\nb", true),
    (r"(?m)^b$", "a\nb", true),
    ("^b$", "a\nb", false),
    ("a$", "a\n", false),
    (r"\_\ \-", "_ -", true),
    (r"a# b", "a# b", true),
];

/// What is no pattern to Go.
const INVALID: &[&str] = &[
    "a**",
    "a+*",
    "a{2}{3}",
    "*a",
    "(|*)",
    "a{1001}",
    "(?:a{500}){3}",
    "(?x)a",
    "(?u)a",
    "(?-)",
    "(?i-)",
    "(a",
    "a)",
    "[a",
    "[b-a]",
    "[a-\\d]",
    r"\Z",
    r"\C",
    r"\y",
    r"\é",
    "[a--b]",
    r"\1",
    "(?=a)",
    "(?<!a)",
    "(?P<a-b>c)",
    r"\p{Alphabetic}",
    r"\p{sc=Greek}",
    r"\p{Old_Italic}",
    r"\p",
    "[[:foo:]]",
    r"\x{110000}",
    r"\x{}",
    r"\xg0",
    "\\",
    "a{2,1}",
];

fn asked(function: fn(&[Value]) -> Result<Value, Refusal>, texts: &[&str]) -> String {
    let arguments: Vec<Value> = texts
        .iter()
        .map(|text| match text.strip_prefix('#') {
            Some(number) => Value::from_json_str(number).unwrap(),
            None => Value::from(*text),
        })
        .collect();
    match function(&arguments) {
        Ok(value) => value.to_string(),
        Err(why) => format!("{why}"),
    }
}

#[test]
fn classes_are_asciis_and_folding_is_gos() {
    for (pattern, text, want) in MATCHES {
        let told = asked(is_match, &[pattern, text]);
        assert_eq!(told, want.to_string(), "{pattern} in {text}");
        assert_eq!(asked(is_valid, &[pattern]), "true", "{pattern}");
    }
}

#[test]
fn what_go_refuses_is_no_pattern() {
    for pattern in INVALID {
        assert_eq!(asked(is_valid, &[pattern]), "false", "{pattern}");
        let told = asked(is_match, &[pattern, "a"]);
        assert_eq!(told, "argument 1 is not a pattern", "{pattern}");
        assert_eq!(undone(pattern), None);
    }
}

#[test]
fn what_go_takes_and_is_not_done_is_said() {
    for pattern in ["a(?i)*", r"\x{d800}", r"[\x{d800}-\x{dfff}]", r"a\Q\E*"] {
        assert!(undone(pattern).is_some(), "{pattern}");
        let told = asked(is_match, &[pattern, "a"]);
        assert!(told.contains(super::super::UNDONE), "{told}");
    }
}

#[test]
fn texts_are_split_and_found_at_empty_places_as_by_go() {
    assert_eq!(asked(split, &["", "abc"]), r#"["a","b","c"]"#);
    assert_eq!(asked(split, &["b*", "abc"]), r#"["a","c"]"#);
    assert_eq!(asked(split, &["", ""]), "[]");
    assert_eq!(asked(split, &["a", ""]), r#"[""]"#);
    assert_eq!(asked(split, &["a", "aba"]), r#"["","b",""]"#);
    assert_eq!(asked(find, &["b*", "abc", "#-1"]), r#"["","b",""]"#);
    assert_eq!(asked(find, &["[a-c]", "abc", "#2"]), r#"["a","b"]"#);
    assert_eq!(
        asked(find_groups, &["(a)|(b)", "ab", "#1"]),
        r#"[["a","a",""]]"#
    );
}

#[test]
fn a_name_behind_a_dollar_is_as_long_as_it_can_be() {
    let by = |by| asked(replace, &["abc", "(?P<n>b)", by]);
    assert_eq!(by("$1x"), r#""ac""#);
    assert_eq!(by("${1}x-$n-$$-$-${n"), r#""abx-b-$-$-${nc""#);
    assert_eq!(by("$01$9${é}"), r#""ac""#);
    let twice = ["abc", "(?P<n>x)?(?P<n>b)", "[$n]"];
    assert_eq!(asked(replace, &twice), r#""a[b]c""#);
    assert_eq!(asked(replace, &["abc", "b*", "-"]), r#""-a-c-""#);
    assert_eq!(asked(replace, &["abc", "b**", "-"]), "\"<undefined>\"");
}

#[test]
fn a_template_holds_patterns_between_delimiters() {
    let told = |template, text| asked(super::template, &[template, text, "{", "}"]);
    assert_eq!(told("urn:{[a-z]+}:x", "urn:ab:x"), "true");
    assert_eq!(told("urn:{[a-z]+}:x", "urn:a1:x"), "false");
    assert_eq!(told("a.{b{2}}", "a.bb"), "true");
    assert_eq!(told("a.{b{2}}", "axbb"), "false");
    assert_eq!(
        told("a{b", "ab"),
        "argument 1 is not a template whose delimiters are balanced"
    );
}
