//! What Go makes of formats; each row is what OPA answers.

use super::*;

fn told(format: &str, arguments: &str) -> String {
    // JSON has no numbers of more than 64 bits here.
    let large = |value: &Value| match value {
        Value::String(text) if text.as_ref() == "LARGE" => Value::from((1_u128 << 64) + 1),
        other => other.clone(),
    };
    let arguments = Value::from_json_str(arguments).unwrap();
    let arguments: Vec<Value> = arguments.as_array().unwrap().iter().map(large).collect();
    let arguments = Value::from(arguments);
    match sprintf(&[Value::from(format), arguments]) {
        Ok(Value::String(text)) => text.to_string(),
        Ok(other) => panic!("{other}"),
        Err(why) => format!("error: {why}"),
    }
}

/// Format, arguments, text.
const PRINTED: &[(&str, &str, &str)] = &[
    (
        "%5.2f|%-7.1f|%07.2f|%+.0f|% f",
        "[1.005, 2.55, -3.14159, 2.5, 1.5]",
        " 1.00|2.5    |-003.14|+2| 1.500000",
    ),
    (
        "%e %.2E %g %.3g %G %v",
        "[123456.5, 0.00012, 1e21, 1234.5, 1e-7, 0.1]",
        "1.234565e+05 1.20E-04 1e+21 1.23e+03 1E-07 0.1",
    ),
    (
        "%v %v %v %v",
        "[1000000.5, 0.000001, 1.0, 123456.5]",
        "1.0000005e+06 1e-06 1 123456.5",
    ),
    (
        "%#g %#.3g %#v %#.0f",
        "[1.5, 2.0, 2.5, 3.5]",
        "1.50000 2.00 2.5 4.",
    ),
    (
        "%d|%5d|%-5d|%05d|%+d|% d|%.3d|%x|%X|%#x|%o|%#o|%O|%b|%#b",
        "[1,2,3,4,5,6,7,255,255,255,8,8,8,5,5]",
        "1|    2|3    |00004|+5| 6|007|ff|FF|0xff|10|010|0o10|101|0b101",
    ),
    (
        "%c|%q|%U|%#U|%-4c|%5U",
        "[65, 65, 233, 233, 66, 1]",
        "A|'A'|U+00E9|U+00E9 'é'|B   |U+0001",
    ),
    (
        "%c %c %U",
        "[-1, 1114112, -1]",
        "\u{fffd} \u{fffd} U+FFFFFFFFFFFFFFFF",
    ),
    (
        "%06.2d|%-06d|%+05d|%.0d|",
        "[5, -7, 3, 0]",
        "    05|-7    |+0003||",
    ),
    (
        "%s|%5s|%-5s|%05s|%.2s|%q|%x|% X|%# x",
        "[\"a\", \"é\", \"b\", \"c\", \"ééé\", \"a\\\"\\n\", \"hi\", \"hi\", \"hi\"]",
        "a|    é|b    |0000c|éé|\"a\\\"\\n\"|6869|68 69|0x68 0x69",
    ),
    (
        "%#q %+q %#v",
        "[\"a`b\", \"é\", \"a\"]",
        "\"a`b\" \"\\u00e9\" \"a\"",
    ),
    (
        "%d|%x|%s|%c|%+d|%030d|%T",
        "[\"LARGE\",\"LARGE\",\"LARGE\",\"LARGE\",\"LARGE\",\"LARGE\",\"LARGE\"]",
        "18446744073709551617|10000000000000001|18446744073709551617|%!c(big.Int=18446744073709551617)|+18446744073709551617|000000000018446744073709551617|*big.Int",
    ),
    (
        "%v %s %d %T %t",
        "[[1, \"x\"], {\"b\": null, \"a\": 1.5}, true, null, true]",
        "[1, \"x\"] {\"a\": 1.5, \"b\": null} %!d(string=true) string %!t(string=true)",
    ),
    (
        "%s %d %z %p %w %f",
        "[5, \"a\", 1, \"a\", \"b\", 1]",
        "%!s(int64=5) %!d(string=a) %!z(int64=1) %!p(string=a) %!w(string=b) %!f(int64=1)",
    ),
    (
        "%5d|%-4d|",
        "[\"a\", \"b\"]",
        "%!d(string=    a)|%!d(string=b   )|",
    ),
    ("%d %d", "[1]", "1 %!d(MISSING)"),
    ("%v", "[\"a\", 1, \"b\"]", "a%!(EXTRA int64=1, string=b)"),
    ("%", "[]", "%!(NOVERB)"),
    ("%!", "[]", "%!!(MISSING)"),
    ("100%%", "[]", "100%"),
    ("%[2]d %[1]d", "[1, 2]", "2 1"),
    (
        "%[3]d|%[x]d|%[1]5d|%[1",
        "[1]",
        "%!d(BADINDEX)|%!d(BADINDEX)|%!d(BADINDEX)|%!(NOVERB)",
    ),
    (
        "%*d|%-*d|%.*f|%*d",
        "[4, 1, 4, 2, 1, 1.25, \"a\", 3]",
        "   1|2   |1.2|%!(BADWIDTH)3",
    ),
    ("%éx%½d", "[1, 2]", "%!é(int64=1)x%!½(int64=2)d"),
    ("%+w %#w", "[1, 1.5]", "%!w(int64=1) %!w(float64=1.5)"),
    ("%+w %#w", "[1, 1.5]", "%!w(int64=1) %!w(float64=1.5)"),
    ("%5.", "[1]", "%!.(int64=    1)"),
];

#[test]
fn a_format_is_printed_as_by_go() {
    for (format, arguments, want) in PRINTED {
        assert_eq!(told(format, arguments), *want, "{format}");
    }
}

#[test]
fn values_are_written_as_in_rego() {
    let set = |items: &[&str]| {
        Value::from(
            items
                .iter()
                .map(|one| Value::from(*one))
                .collect::<std::collections::BTreeSet<_>>(),
        )
    };
    assert_eq!(term(&set(&[])), "set()");
    assert_eq!(term(&set(&["b", "a\u{7f}"])), r#"{"a\x7f", "b"}"#);
    let nested = Value::from_json_str(r#"{"b": [], "a": [{}, 1.0, 1.5, null, false]}"#).unwrap();
    assert_eq!(
        term(&nested),
        r#"{"a": [{}, 1.0, 1.5, null, false], "b": []}"#
    );
}

#[test]
fn what_is_not_done_and_what_is_too_wide_is_said() {
    assert!(told("%x", "[1.5]").contains(super::super::UNDONE));
    assert!(told("%p", "[\"LARGE\"]").contains(super::super::UNDONE));
    for (format, arguments) in [
        ("%1001d", "[1]"),
        ("%.99999999999999999999f", "[1.5]"),
        ("%*d", "[1001, 1]"),
    ] {
        assert!(
            told(format, arguments).contains(super::super::TOO_MUCH),
            "{format}"
        );
    }
    assert_eq!(told("%*d", "[1000001, 1]"), "%!(BADWIDTH)1");
}
