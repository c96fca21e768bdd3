//! The wall around regorus, held against policies that try to climb it.
use super::verdict::TEXT_LIMIT;
use super::*;
use serde_json::json;

const HEAD: &str = "\
# METADATA
# title: A rule
# description: For tests.
# custom: {hint: do it, severity: low}
package reeve.test

";

fn compile(rules: &str) -> Result<Policy, Error> {
    Policy::compile("test", &format!("{HEAD}{rules}"))
}

fn judge(rules: &str, input: serde_json::Value) -> Result<Verdict, Error> {
    compile(rules).unwrap().judge(&Input::new(&input).unwrap())
}

fn refusal(rules: &str) -> String {
    compile(rules).expect_err(rules).to_string()
}

#[test]
fn a_policy_denies_with_message_object_path_and_hint() {
    let rules = r#"
deny contains {"message": "no", "object": "A/b/c", "path": "spec.x", "hint": "yes"} if input.bad
deny contains {"message": "never"} if input.worse
"#;
    assert_eq!(judge(rules, json!({})).unwrap(), Verdict::default());
    let verdict = judge(rules, json!({"bad": true, "worse": true})).unwrap();
    let told = |message: &str| Violation {
        message: message.into(),
        object: None,
        path: None,
        hint: None,
        package: "data.reeve.test".into(),
    };
    let full = Violation {
        object: Some("A/b/c".into()),
        path: Some("spec.x".into()),
        hint: Some("yes".into()),
        ..told("no")
    };
    let mut violations = verdict.violations;
    violations.sort();
    assert_eq!((violations, verdict.more), (vec![told("never"), full], 0));
}

#[test]
fn a_policy_says_what_it_is() {
    let policy = compile("deny contains {\"message\": \"no\"} if input.bad").unwrap();
    let Metadata {
        title,
        description,
        hint,
        severity,
        links,
    } = policy.metadata();
    assert_eq!(
        (title.as_str(), description.as_str()),
        ("A rule", "For tests.")
    );
    assert_eq!((hint.as_deref(), severity.as_str()), (Some("do it"), "low"));
    assert!(links.is_empty());
    let bare = "package reeve.test\n\ndeny contains {\"message\": \"no\"} if input.bad\n";
    for (head, message) in [
        (
            "",
            "test/policy.rego: there is no METADATA comment in front of the package",
        ),
        (
            "# METADATA\n# title: x\n",
            "test/policy.rego:1: METADATA has no description",
        ),
        (
            "# METADATA\n# title: x\n# description: y\n# custom: {severity: bad}\n",
            "test/policy.rego:1: custom.severity is none of critical, high, medium, low, info",
        ),
        ("# METADATA\n# title: [\n", "test/policy.rego:"),
    ] {
        let error = Policy::compile("test", &format!("{head}{bare}"))
            .unwrap_err()
            .to_string();
        assert!(error.starts_with(message), "{error}");
    }
}

/// A call, and what is said of it.
const REFUSED_CALLS: &str = r#"
http.send({}) => function http.send is refused: a policy has no network
http["send"]({}) => function http.send is refused: a policy has no network
net.lookup_ip_addr("a") => function net.lookup_ip_addr is refused: a policy has no network
time.now_ns() => function time.now_ns is refused: a policy has no clock
rand.intn("a", 5) => function rand.intn is refused: a policy is not random
uuid.rfc4122("a") => function uuid.rfc4122 is refused: a policy is not random
opa.runtime() => function opa.runtime is refused: a policy doesn't know where it runs
trace("a") => function trace is refused: a policy prints nothing
print("a") => function print is refused: a policy prints nothing
crypto.md5("a") => function crypto.md5 is refused: it is not available
io.jwt.decode("a") => function io.jwt.decode is refused: it is not available
bits.lsh(1, 9) => function bits.lsh is refused: its cost isn't bounded by its arguments' size
yaml.unmarshal("a") => function yaml.unmarshal is refused: its YAML is not OPA's: use JSON
yaml.marshal("a") => function yaml.marshal is refused: its YAML is not OPA's: use JSON
regex.match("a(?i)*", "a") => function regex.match is asked for what is not done here: a pattern with flags before a repetition
strings.render_template(`{{len .a}}`, {}) => function strings.render_template is asked for what is not done here: a template with more in its braces than fields, if, with, range, else, end and the variables of range
json.match_schema({}, {}) => function json.match_schema is refused: what it finds wrong is not told as by OPA
graph.reachable_paths({}, []) => function graph.reachable_paths is refused: its cost isn't bounded by its arguments' size
0.1 + 1 => + beside 0.1 is calculated with fewer digits than OPA has: write plus(x, y) for x + y
numbers.range(1, 3, y) => function numbers.range takes 2 arguments and not 3
walk(input) => function walk is given a place for each path and value: walk(x, [path, value])
upper("a", "b", "c") => function upper takes 1 arguments and not 3
no_such_function(1) => function no_such_function is not known
data.reeve.other.f(1) => function data.reeve.other.f is not known
"#;

#[test]
fn a_key_and_a_value_are_not_looked_for_in_a_set() {
    let rule = |looked: &str| {
        format!("deny contains {{\"message\": \"no\"}} if {{\n  input.never\n  {looked}\n}}\n")
    };
    for looked in ["1, 1 in {1}", "1, 1 in {x | x := 1}"] {
        let told = refusal(&rule(looked));
        let why = "a key and a value are not looked for in a set: write value in set";
        assert!(told.ends_with(why), "{looked}: {told}");
    }
    for looked in ["1 in {1}", "\"a\", 1 in {\"a\": 1}", "1, 1 in input.set"] {
        assert!(compile(&rule(looked)).is_ok(), "{looked}");
    }
}

#[test]
fn what_a_policy_may_not_call_is_found_before_it_is_called() {
    let rows: Vec<_> = REFUSED_CALLS
        .lines()
        .filter_map(|row| row.split_once(" => "))
        .collect();
    assert_eq!(rows.len(), 24);
    for (call, why) in rows {
        // Behind a condition that is never true: evaluation would not come by.
        let hidden = format!(
            "deny contains {{\"message\": \"no\"}} if {{\n  input.never\n  x := {call}\n  x\n}}\n"
        );
        assert_eq!(refusal(&hidden), format!("test/policy.rego:9:8: {why}"));
        let nested = format!(
            "deny contains {{\"message\": \"no\"}} if count([y | y := [{call}]; input.never]) > 0\n"
        );
        assert!(refusal(&nested).ends_with(why), "{nested}");
        let every = format!(
            "deny contains {{\"message\": \"no\"}} if every x in input.a {{ x == {call} }}\n"
        );
        assert!(refusal(&every).ends_with(why), "{every}");
    }
}

#[test]
fn a_function_that_is_refused_cannot_be_slipped_in_by_another_name() {
    let with =
        "deny contains {\"message\": \"no\"} if count(input.x) > 0 with count as rand.intn\n";
    assert!(refusal(with).ends_with("function rand.intn is refused: a policy is not random"));
    let wrapped = "f(x) := time.now_ns()\ndeny contains {\"message\": \"no\"} if f(1) > 0\n";
    assert!(refusal(wrapped).ends_with("function time.now_ns is refused: a policy has no clock"));
}

#[test]
fn what_a_policy_may_call_it_may() {
    for body in [
        "count(numbers.range(1, 100)) == 1",
        "startswith(input.a, \"b\")",
        "own(input.a)",
        "data.reeve.test.own(input.a)",
        "regex.match(\"^a\", input.a)",
        "count([x | some x in input.a]) > 3",
        "glob.match(\"a*\", [], input.a)",
        "object.get(input, \"a\", \"\") == \"b\"",
        "by_name[\"a\"].b == 1",
        "semver.compare(\"1.0.0\", \"1.0.1\") > 0",
    ] {
        let rules = format!(
            "own(x) if x == 1\nby_name[x].b := 1 if some x in input.a\ndeny contains {{\"message\": \"no\"}} if {body}\n"
        );
        assert!(compile(&rules).is_ok(), "{body}: {:?}", compile(&rules));
    }
}

#[test]
fn a_module_that_is_no_policy_is_refused() {
    for (rules, why) in [
        (
            "allow if true\n",
            "test/policy.rego: there is no rule: deny contains objection if { … }",
        ),
        (
            "deny := true\n",
            "test/policy.rego:7:1: deny must be a set: deny contains objection if { … }",
        ),
        (
            "deny(x) := {x}\n",
            "test/policy.rego:7:1: deny must be a set: deny contains objection if { … }",
        ),
        (
            "deny[x] := 1 if some x in input.a\n",
            "test/policy.rego:7:1: deny must be a set: deny contains objection if { … }",
        ),
        (
            "deny.a contains 1 if true\n",
            "test/policy.rego:7:1: deny must be a set: deny contains objection if { … }",
        ),
        (
            "default allow := true\ndeny contains {\"message\": \"no\"} if input.x\n",
            "test/policy.rego:7:1: a policy only denies: no default for deny, and nothing is true by default",
        ),
        ("deny contains if\n", "test/policy.rego:7"),
        (
            "deny contains {\"message\": x} if y > 1\n",
            "test/policy.rego:",
        ),
    ] {
        let error = refusal(rules);
        assert!(error.starts_with(why), "{rules}: {error}");
    }
    let error = Policy::compile("test", &"x".repeat(sources::SOURCE_LIMIT + 1)).unwrap_err();
    assert!(matches!(error, Error::Compile { .. }), "{error}");
}

#[test]
fn an_answer_of_another_shape_is_an_error() {
    for (element, why) in [
        ("\"no\"", "an element of deny is not an object"),
        ("{}", "an element of deny has no message"),
        ("{\"message\": \" \"}", "an element of deny has no message"),
        (
            "{\"message\": 1}",
            "a field of an element of deny is not a text",
        ),
        (
            "{\"message\": \"no\", \"object\": {}}",
            "a field of an element of deny is not a text",
        ),
        (
            "{\"message\": \"no\", \"mesage\": \"x\"}",
            "an element of deny has a field other than message, object, path, hint",
        ),
    ] {
        let rules = format!("deny contains {element} if input.bad\n");
        assert_eq!(judge(&rules, json!({})), Ok(Verdict::default()));
        let error = judge(&rules, json!({"bad": true})).unwrap_err();
        assert_eq!(
            error.to_string(),
            format!("policy test gave no usable answer: {why}")
        );
    }
}

#[test]
fn a_policy_that_fails_does_not_pass_and_gives_no_value_of_the_input_away() {
    let rules = "deny contains {\"message\": \"no\"} if to_number(input.secret) > 3\n";
    let error = judge(rules, json!({"secret": "hunter2"})).unwrap_err();
    assert!(matches!(error, Error::Evaluate { .. }), "{error}");
    assert!(
        error
            .to_string()
            .starts_with("policy test could not be evaluated: it failed at test/policy.rego:7:"),
        "{error}"
    );
    let why =
        "`to_number`: argument 1 is not a number, as a text or otherwise; it was given string";
    assert!(error.to_string().ends_with(why), "{error}");
    assert!(!format!("{error:?} {error}").contains("hunter2"), "{error}");
    let rules = "v := input.a if input.a\nv := input.b if input.b\ndeny contains {\"message\": \"no\"} if v == 3\n";
    let error = judge(rules, json!({"a": "hunter2", "b": "hunter3"})).unwrap_err();
    assert!(!format!("{error:?} {error}").contains("hunter"), "{error}");
    assert!(
        error.to_string().ends_with("a rule has two values"),
        "{error}"
    );
}

#[test]
fn why_a_policy_failed_is_told_without_what_it_was_given() {
    for (condition, why) in [
        (
            "startswith(input.n, \"a\")",
            "`startswith` expects string argument; it was given number",
        ),
        (
            "lower(input.n) == \"a\"",
            "`lower`: argument 1 is not a string; it was given number",
        ),
        (
            "trim(input.n, input.xs) == \"a\"",
            "`trim` expects string argument; it was given number, array",
        ),
        (
            "input.s + 1 > 3",
            "`+` expects numeric argument; it was given string",
        ),
        ("1 / input.z > 3", "it divides by zero"),
        (
            "some x in input.s; x > 3",
            "`some … in` expects a collection; it was given string",
        ),
    ] {
        let rules = format!("deny contains {{\"message\": \"no\"}} if {{ {condition} }}\n");
        let input = json!({"n": 7, "z": 0, "s": "hunter2", "xs": ["hunter2"]});
        let error = judge(&rules, input).unwrap_err().to_string();
        assert!(error.ends_with(&format!(": {why}")), "{error}");
        assert!(error.contains("it failed at test/policy.rego:"), "{error}");
    }
}

#[test]
fn a_policy_that_thinks_for_too_long_is_stopped() {
    let rules = "\
deny contains {\"message\": \"no\"} if {
\tsome a in input.list
\tsome b in input.list
\tsome c in input.list
\ta + b + c == -1
}
";
    let limit = Duration::from_millis(50);
    let policy = compile(rules).unwrap().within(limit);
    let input = Input::new(&json!({"list": (0..2000).collect::<Vec<_>>()})).unwrap();
    let stopped = Err(Error::Deadline {
        policy: "test".into(),
        limit,
    });
    assert_eq!(policy.judge(&input), stopped);
    // And answers the next question.
    assert_eq!(
        policy.judge(&Input::new(&json!({})).unwrap()),
        Ok(Verdict::default())
    );
}

#[test]
fn a_policy_that_cannot_be_stopped_is_given_up_and_not_asked_again() {
    let doubled: String = (1..=40)
        .map(|n| format!("\ta{n} := [a{0}, a{0}]\n\tb{n} := [b{0}, b{0}]\n", n - 1))
        .collect();
    let rules = format!(
        "deny contains {{\"message\": \"no\"}} if {{\n\ta0 := [input.n]\n\tb0 := [input.n]\n{doubled}\ta40 == b40\n}}\n"
    );
    let limit = Duration::from_millis(50);
    let policy = compile(&rules).unwrap().within(limit);
    let endless = Err(Error::Endless {
        policy: "test".into(),
        limit,
    });
    let input = Input::new(&json!({"n": 1})).unwrap();
    assert_eq!(policy.judge(&input), endless);
    // Nor about what it could answer, nor by anybody who has loaded the same.
    let harmless = Input::new(&json!({})).unwrap();
    let same = compile(&rules).unwrap().within(limit);
    assert_eq!(same.judge(&harmless), endless);
    let changed = compile(&format!("{rules}\n")).unwrap();
    assert_eq!(changed.judge(&harmless), Ok(Verdict::default()));
}

#[test]
fn an_answer_is_cut_where_it_is_too_long_and_denies_all_the_same() {
    let rules = "deny contains {\"message\": sprintf(\"%d %s\", [n, input.long])} if some n in numbers.range(1, 1900)\n";
    let verdict = judge(rules, json!({"long": "x".repeat(5000)})).unwrap();
    assert_eq!(
        (verdict.violations.len(), verdict.more),
        (VIOLATION_LIMIT, 900)
    );
    assert!(
        verdict
            .violations
            .iter()
            .all(|one| one.message.chars().count() == TEXT_LIMIT)
    );
}

#[test]
fn what_a_policy_quotes_is_told_on_one_line_and_steers_no_terminal() {
    let rules = "deny contains {\"message\": input.name, \"object\": input.name, \"path\": input.name, \"hint\": input.name} if true\n";
    let name = "\u{1b}[2J\u{1b}]0;x\u{7}one\r\ntwo \u{202e}drow\u{2066}";
    let verdict = judge(rules, json!({"name": name})).unwrap();
    let [said] = verdict.violations.as_slice() else {
        panic!("{verdict:?}");
    };
    let want = " [2J ]0;x one  two  drow ";
    assert_eq!(said.message, want);
    for text in [&said.object, &said.path, &said.hint] {
        assert_eq!(text.as_deref(), Some(want));
    }
    // Nothing is left to be read.
    let nothing = judge(rules, json!({"name": "\u{1b}\u{202e}\n"}));
    assert!(matches!(nothing, Err(Error::Shape { .. })), "{nothing:?}");
}

#[test]
fn a_document_that_is_too_large_is_not_read() {
    let error = Input::new(&json!("x".repeat(INPUT_LIMIT))).err().unwrap();
    assert_eq!(
        error,
        Error::Input {
            bytes: INPUT_LIMIT + 2,
            limit: INPUT_LIMIT
        }
    );
}

#[test]
fn tests_of_a_policy_run_and_can_fail() {
    let policy = compile("deny contains {\"message\": \"no\"} if input.bad\n").unwrap();
    let tests = "\
package reeve.test_test

test_holds if count(data.reeve.test.deny) == 1 with input as {\"bad\": true}

test_fails if count(data.reeve.test.deny) == 1 with input as {}

test_breaks if data.reeve.nothing.deny

helper := 1
";
    let ended = policy.test("test/policy_test.rego", tests).unwrap();
    let ended: Vec<_> = ended
        .iter()
        .map(|test| (test.name.as_str(), test.failure.is_none()))
        .collect();
    assert_eq!(
        ended,
        [
            ("test_holds", true),
            ("test_fails", false),
            ("test_breaks", false)
        ]
    );
    let none = policy.test(
        "test/policy_test.rego",
        "package reeve.test_test\n\nx := 1\n",
    );
    assert!(
        none.unwrap_err()
            .to_string()
            .contains("no rule whose name begins with test_")
    );
}

/// A policy of several files.
const SEVERAL: [(&str, &str); 5] = [
    (
        "lib/kinds.rego",
        "package lib.kinds\n\nis_known(kind) if kind in data.limits.kinds\n\nis_small(n) if n < data.parameters.most\n",
    ),
    (
        "one.rego",
        "# METADATA\n# title: One\n# description: The first.\n# custom: {hint: first}\n# related_resources:\n# - https://a.example\n# - {ref: https://b.example, description: b}\npackage reeve.one\n\nimport data.lib.kinds as k\n\ndeny contains {\"message\": \"unknown\"} if not k.is_known(input.kind)\n",
    ),
    (
        "two.rego",
        "# METADATA\n# title: Two\n# description: The second.\n# custom: {hint: second}\npackage reeve.two\n\nimport data.lib.kinds\n\ndeny contains {\"message\": \"large\"} if not kinds.is_small(input.n)\n\nwarn contains {\"message\": \"odd\"} if input.n % 2 == 1\n",
    ),
    ("limits/kinds.yaml", "kinds: [Pod]\n"),
    (
        "one_test.rego",
        "package reeve.one_test\n\ntest_known if count(data.reeve.one.deny) == 0 with input as {\"kind\": \"Pod\"}\n\ntest_wrong if count(data.reeve.one.deny) == 1 with input as {\"kind\": \"Pod\"}\n",
    ),
];

fn files(files: &[(&str, &str)]) -> BTreeMap<String, Vec<u8>> {
    let file = |(path, text): &(&str, &str)| ((*path).to_owned(), text.as_bytes().to_vec());
    files.iter().map(file).collect()
}

fn errors(more: &[(&str, &str)]) -> Vec<String> {
    let mut all = files(&SEVERAL);
    all.extend(files(more));
    let errors = Policy::load("several", &all, &json!({"most": 10}));
    let errors = errors.expect_err("it is refused");
    errors.iter().map(ToString::to_string).collect()
}

#[test]
fn a_policy_of_several_packages_gathers_what_each_says() {
    let policy = Policy::load("several", &files(&SEVERAL), &json!({"most": 10})).unwrap();
    let metadata = policy.metadata();
    assert_eq!((metadata.title.as_str(), metadata.links.len()), ("One", 2));
    let verdict = policy
        .judge(&Input::new(&json!({"kind": "Box", "n": 11})).unwrap())
        .unwrap();
    let told = |all: &[Violation]| -> Vec<_> {
        all.iter()
            .map(|one| (one.message.clone(), one.hint.clone()))
            .collect()
    };
    // The first package's hint is the policy's; what another one says brings that one's.
    let violations = [
        ("unknown".into(), None),
        ("large".into(), Some("second".into())),
    ];
    assert_eq!(told(&verdict.violations), violations);
    assert_eq!(
        told(&verdict.warnings),
        [("odd".into(), Some("second".into()))]
    );
    let passes = policy
        .judge(&Input::new(&json!({"kind": "Pod", "n": 2})).unwrap())
        .unwrap();
    assert_eq!(passes, Verdict::default());
}

#[test]
fn a_policys_own_tests_run_and_tell_which_lines_they_reach() {
    let policy = Policy::load("several", &files(&SEVERAL), &json!({"most": 10})).unwrap();
    let tests = policy.tests().unwrap();
    let ended: Vec<_> = tests
        .ended
        .iter()
        .map(|one| (one.file.as_str(), one.name.as_str(), one.failure.is_none()))
        .collect();
    let file = "one_test.rego";
    assert_eq!(
        ended,
        [(file, "test_known", true), (file, "test_wrong", false)]
    );
    assert!(!tests.hold());
    let reached: Vec<_> = tests.coverage.keys().map(String::as_str).collect();
    assert_eq!(reached, ["lib/kinds.rego", "one.rego", "two.rego"]);
    assert_eq!(tests.coverage["one.rego"].covered, [12].into());
    assert_eq!(tests.coverage["two.rego"].uncovered, [9, 11].into());
    assert!(tests.percent() > 0 && tests.percent() < 100, "{tests:?}");
    let none = compile("deny contains {\"message\": \"no\"} if input.bad\n").unwrap();
    let none = none.tests().unwrap();
    assert!(none.ended.is_empty() && !none.hold());
}

#[test]
fn all_errors_of_all_files_are_told_each_with_its_place() {
    let told = errors(&[
        ("a.rego", "package reeve.a\n\nx := {\n"),
        ("b.rego", "package reeve.b\n\ny := ]\n"),
    ]);
    assert_eq!(told.len(), 2, "{told:?}");
    assert!(told[0].starts_with("a.rego:4:1: "), "{told:?}");
    assert!(told[1].starts_with("b.rego:3:6: "), "{told:?}");
    let told = errors(&[(
        "c.rego",
        "package reeve.c\n\nx := time.now_ns()\n\ny if rand.intn(\"a\", trace(\"b\"))\n",
    )]);
    assert_eq!(
        told,
        [
            "c.rego:3:6: function time.now_ns is refused: a policy has no clock",
            "c.rego:5:6: function rand.intn is refused: a policy is not random",
            "c.rego:5:21: function trace is refused: a policy prints nothing",
        ]
    );
    let told = errors(&[
        ("d.json", "{\"a\": \n1,}"),
        ("e.yaml", "a: [\n"),
        ("f.rego", &"x".repeat(sources::SOURCE_LIMIT + 1)),
    ]);
    assert_eq!(told[0], "d.json:2:3: it is not JSON");
    assert!(
        told[1].starts_with("e.yaml:") && told[1].contains("it is not YAML"),
        "{told:?}"
    );
    assert!(
        told[2].starts_with("f.rego: it has 262145 bytes"),
        "{told:?}"
    );
}

#[test]
fn so_much_rego_is_read_and_no_more() {
    let lines = "# nothing\n".repeat(sources::SOURCE_LIMIT / 10);
    let many: Vec<(String, &str)> = (0..5)
        .map(|n| (format!("{n}.rego"), lines.as_str()))
        .collect();
    let many: Vec<(&str, &str)> = many.iter().map(|(name, text)| (&**name, *text)).collect();
    let told = errors(&many);
    let [only] = told.as_slice() else {
        panic!("{told:?}");
    };
    assert!(only.contains("at most 1048576 are read"), "{only}");
}

#[test]
fn what_lies_where_something_else_is_is_refused() {
    let said_twice = "is in another file as well: each name is said once";
    for (file, text, why) in [
        (
            "limits/more.json",
            "{\"kinds\": [\"Pod\"]}",
            format!("data.limits.kinds {said_twice}"),
        ),
        (
            "limits.json",
            "{\"limits\": {\"kinds\": 1}}",
            format!("data.limits.kinds {said_twice}"),
        ),
        (
            "x.json",
            "[]",
            "data beside a policy is an object: its keys are the names under data".to_owned(),
        ),
        ("x.yaml", "", "it is not one document of data".to_owned()),
        (
            "parameters/x.json",
            "{}",
            "data.parameters is what the Policy gives: use another name".to_owned(),
        ),
        (
            "reeve/one/x.json",
            "{\"deny\": []}",
            "data.reeve.one.deny is data of a file as well".to_owned(),
        ),
        (
            "reeve.json",
            "{\"reeve\": 1}",
            "data.reeve.one is data of a file as well".to_owned(),
        ),
    ] {
        let told = errors(&[(file, text)]);
        assert!(
            told.iter().any(|error| error.ends_with(&why)),
            "{file}: {told:?}"
        );
    }
    for package in ["parameters.x", "reeve_answers", "reeve[\"a b\"]"] {
        let told = errors(&[("p.rego", &format!("package {package}\n\nx := 1\n"))]);
        assert!(
            told[0].contains("a package may not be called data."),
            "{told:?}"
        );
    }
    let told = errors(&[(
        "p.rego",
        "package reeve.p\n\ndeny contains {\"message\": \"a\"}\n",
    )]);
    assert_eq!(
        told,
        ["p.rego: there is no METADATA comment in front of the package"]
    );
}

#[test]
fn data_and_parameters_are_where_their_files_and_their_policy_say() {
    let policy = Policy::load(
        "several",
        &files(&[
            (
                "p.rego",
                "# METADATA\n# title: P\n# description: p\npackage reeve.p\n\ndeny contains {\"message\": sprintf(\"%v %v %v\", [data.a.b.c, data.a.list, data.parameters])}\n",
            ),
            ("a/b/whatever.json", "{\"c\": 1}"),
            ("a/list.yml", "list: [2]\n"),
            ("README.md", "not data"),
        ]),
        &json!({"p": true}),
    );
    let verdict = policy.unwrap().judge(&Input::new(&json!({})).unwrap());
    assert_eq!(
        verdict.unwrap().violations[0].message,
        "1 [2] {\"p\": true}"
    );
    let bad = Policy::load("several", &files(&SEVERAL), &json!([])).unwrap_err();
    assert_eq!(bad[0].to_string(), "several: parameters are no object");
}

#[test]
fn dates_in_data_are_the_texts_that_they_were_written_as() {
    let policy = Policy::load(
        "freeze",
        &files(&[
            (
                "p.rego",
                "# METADATA\n# title: P\n# description: p\npackage reeve.p\n\ndeny contains {\"message\": \"frozen\"} if {\n\tdata.cfg.freeze == \"2026-12-24\"\n\tdata.cfg.ports[\"8080\"] == 12\n\tdata.cfg.open == \"yes\"\n\tis_null(data.cfg.none.a)\n}\n",
            ),
            (
                "cfg/x.yaml",
                "freeze: 2026-12-24\nopen: yes\nports: {8080: 0o14}\nnone: {a: }\n",
            ),
        ]),
        &json!({}),
    );
    let verdict = policy.unwrap().judge(&Input::new(&json!({})).unwrap());
    assert_eq!(verdict.unwrap().violations[0].message, "frozen");
    for (text, why) in [
        (
            "a: 1\n---\nb: 2\n",
            "x.yaml: it is not one document of data",
        ),
        (
            "a: 1\na: 2\n",
            "x.yaml:2: it is not YAML: key \"a\" is there already",
        ),
        (
            "1.5: a\n",
            "x.yaml:1: it is not YAML: key 1.5 must be text: quote it",
        ),
    ] {
        assert_eq!(errors(&[("x.yaml", text)]), [why]);
    }
}

#[test]
fn more_files_than_a_policy_has_are_not_read() {
    let many: BTreeMap<_, _> = (0..1001).map(|n| (format!("{n}.md"), Vec::new())).collect();
    let error = Policy::load("many", &many, &json!({})).unwrap_err();
    assert!(
        error[0]
            .to_string()
            .starts_with("the policy: a policy has at most 1000 files")
    );
    let large = BTreeMap::from([("large.md".to_owned(), vec![0; (8 << 20) + 1])]);
    assert!(Policy::load("large", &large, &json!({})).is_err());
    let deep = files(&[(&format!("{}x.json", "a/".repeat(33)), "{}")]);
    assert!(Policy::load("deep", &deep, &json!({})).is_err());
}

/// A condition, and what it is given: each takes more than there is. The first could be made by a tenant.
fn expensive() -> Vec<(&'static str, serde_json::Value)> {
    let text = "a".repeat(2 << 20);
    let digits = "9".repeat(2_000);
    let many: Vec<String> = (0..20_000).map(|n| n.to_string()).collect();
    vec![
        (
            "count(replace(input.s, \"a\", input.s)) > 0",
            json!({"s": text}),
        ),
        (
            "count(replace(input.s, \"\", input.s)) > 0",
            json!({"s": text}),
        ),
        (
            "count(concat(input.s, input.l)) > 0",
            json!({"s": text, "l": many}),
        ),
        (
            "count(split(input.s, \"\")) > 0",
            json!({"s": text.repeat(2)}),
        ),
        (
            "count(numbers.range(1, input.n)) > 0",
            json!({"n": 30_000_000}),
        ),
        (
            "count(numbers.range_step(1, input.n, 2)) > 0",
            json!({"n": 30_000_000}),
        ),
        (
            "count(sprintf(input.f, [1])) > 0",
            json!({"f": "%99999999d"}),
        ),
        ("to_number(input.s) > 0", json!({"s": digits})),
        (
            "product([n | some l in input.l; n := 3]) > 0",
            json!({"l": many}),
        ),
        ("units.parse(input.s) > 0", json!({"s": digits})),
        (
            "semver.is_valid(input.s)",
            json!({"s": format!("1.0.{digits}")}),
        ),
        ("regex.match(\"a\", input.s)", json!({"s": text})),
        (
            "regex.match(input.s, \"a\")",
            json!({"s": "a".repeat(5_000)}),
        ),
        ("regex.match(input.s, \"a\")", json!({"s": r"\pL{1000}"})),
        (
            "count(regex.replace(\"a\", input.s, \"b\")) > 0",
            json!({"s": r"\pL{1000}"}),
        ),
        ("glob.match(\"*a\", [], input.s)", json!({"s": text})),
        (
            "count(regex.replace(input.s, \"a\", input.t)) > 0",
            json!({"s": "a".repeat(1 << 20), "t": "b".repeat(1_000)}),
        ),
        (
            "strings.any_prefix_match(input.l, input.l)",
            json!({"l": many}),
        ),
        (
            "count(net.cidr_contains_matches(input.l, input.l)) > 0",
            json!({"l": many}),
        ),
        ("count(net.cidr_expand(input.s)) > 0", json!({"s": "::/0"})),
        ("object.subset(input.l, input.l)", json!({"l": many})),
        (
            "count([t | some n in numbers.range(1, 1000); t := upper(input.s)]) > 0",
            json!({"s": text}),
        ),
        (
            "count([t | some n in numbers.range(1, 1000); t := json.marshal(input.l)]) > 0",
            json!({"l": many}),
        ),
    ]
}

#[test]
fn what_a_function_may_take_is_bounded() {
    for (condition, input) in expensive() {
        let rules = format!("deny contains {{\"message\": \"no\"}} if {condition}\n");
        // However slow the machine is: it is not the time that ends it.
        let policy = compile(&rules).unwrap().within(Duration::from_secs(60));
        let said = policy.judge(&Input::new(&input).unwrap());
        assert!(
            matches!(said, Err(Error::Expense { .. })),
            "{condition}: {said:?}"
        );
    }
}

#[test]
fn a_pattern_is_the_same_whenever_it_is_asked_for() {
    // More of them than are kept.
    let rules = "deny contains {\"message\": m} if {\n\tsome n in numbers.range(1, 200)\n\tp := sprintf(\"^a%d$\", [n % 100])\n\tregex.match(p, input.a)\n\tm := regex.replace(input.a, p, \"[$0]\")\n}\n";
    for _ in 0..2 {
        let verdict = judge(rules, json!({"a": "a7"})).unwrap();
        let told: Vec<_> = verdict
            .violations
            .iter()
            .map(|one| one.message.as_str())
            .collect();
        assert_eq!(told, ["[a7]"]);
    }
}

#[test]
fn a_value_that_is_put_into_itself_again_and_again_is_not_written_out() {
    let twice = |n: usize| {
        format!(
            "x{} := [x{n}, x{n}]\ny{} := array.concat(y{n}, y{n})\n",
            n + 1,
            n + 1
        )
    };
    let all: String = (0..40).map(twice).collect();
    for end in ["json.marshal(x40)", "sprintf(\"%v\", [x40])", "y40"] {
        let rules = format!(
            "{all}x0 := input.l\ny0 := input.l\ndeny contains {{\"message\": \"no\"}} if count({end}) > 0\n"
        );
        let said = judge(&rules, json!({"l": [1]}));
        assert!(
            matches!(said, Err(Error::Expense { .. })),
            "{end}: {said:?}"
        );
    }
}

#[test]
fn functions_within_their_bounds_answer_as_ever() {
    let rules = r#"
deny contains {"message": replace("a-b", "-", "+")} if input
deny contains {"message": sprintf("%05d %.2f %s %v", [7, 1.5, "x", [1]])} if input
deny contains {"message": concat(",", {"b", "a"})} if input
deny contains {"message": strings.replace_n({"a": "b", "b": "a"}, "ab")} if input
deny contains {"message": crypto.sha256("")} if input
deny contains {"message": json.marshal(net.cidr_expand("10.0.0.0/30"))} if input
deny contains {"message": json.marshal(array.flatten([[1], 2, [[3]]]))} if input
"#;
    let verdict = judge(rules, json!({})).unwrap();
    let told: Vec<_> = verdict
        .violations
        .iter()
        .map(|one| one.message.as_str())
        .collect();
    assert_eq!(
        told,
        [
            "00007 1.50 x [1]",
            "[\"10.0.0.0\",\"10.0.0.1\",\"10.0.0.2\",\"10.0.0.3\"]",
            "[1,2,[3]]",
            "a+b",
            "a,b",
            "ba",
            "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
        ]
    );
}
