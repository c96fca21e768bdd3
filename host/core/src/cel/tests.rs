//! What expressions come to, and what they may not do.

use super::*;
use serde_json::json;

fn thing() -> Value {
    json!({
        "apiVersion": "example.com/v1", "kind": "Thing",
        "metadata": {"generation": 3, "name": "a", "labels": {"app/version": "2.1"}},
        "spec": {"replicas": 2, "hosts": ["a.example", "b.example"]},
        "status": {
            "observedGeneration": 3, "phase": "Running", "load": 0.5,
            "conditions": [
                {"type": "Synced", "status": "True"},
                {"type": "Ready", "status": "True", "observedGeneration": 3},
            ],
        },
    })
}

fn told(source: &str) -> String {
    let object = thing();
    let fields = object.as_object().unwrap().iter();
    let fields = fields.map(|(name, value)| (name.as_str(), value));
    let read = Expression::parse(source, None);
    match read.and_then(|expression| expression.holds(fields)) {
        Ok(holds) => holds.to_string(),
        Err(why) => why.to_string(),
    }
}

#[test]
fn what_holds_of_an_object_is_true() {
    for source in [
        "status.phase == 'Running'",
        "status.conditions.filter(e, e.type == 'Ready').all(e, e.status == 'True')",
        "status.conditions.exists(e, e.type == 'Ready' && e.observedGeneration == metadata.generation)",
        "status.conditions.exists_one(e, e.type == 'Ready')",
        "has(status.phase) && !has(status.reason)",
        "metadata.labels['app/version'] == '2.1'",
        "'app/version' in metadata.labels && 'a.example' in spec.hosts",
        "size(spec.hosts) == spec.replicas && spec.hosts.size() > 1",
        "spec.replicas * 2 - 1 == 3 && 7 / 2 == 3 && 7 % 2 == 1 && -spec.replicas == -2",
        "status.load < 1 && status.load * 2 == 1.0 && spec.replicas == 2.0",
        "spec.hosts.map(h, h.endsWith('.example')).all(is, is)",
        "status.phase.matches('^Run') && status.phase.lowerAscii() == 'running'",
        "status.phase.startsWith('Run') ? true : false",
        "spec.hosts.join(',').split(',') == spec.hosts && 'abc'.substring(1, 2) == 'b'",
        "int('3') == metadata.generation && string(3) == '3' && double(1) == 1.0",
        "{'a': [1, 2]} == {'a': [1.0, 2]}",
        "status.?reason.orValue('none') == 'none' && status.?phase.hasValue()",
        // either side alone decides
        "true || status.nothing == 1",
        "status.nothing == 1 || true",
        "!has(metadata.namespace)",
        "!(status.nothing == 1 && false)",
        "[1, 0].exists(x, 2 / x == 2)",
        "!([0, 1].all(x, 1 / x == 2))",
    ] {
        assert_eq!(told(source), "true", "{source}");
    }
}

#[test]
fn what_cannot_be_told_says_why() {
    for (source, want) in [
        ("status.reason == 'x'", "no such key: reason"),
        ("nothing.there", "no such attribute: nothing"),
        ("spec.replicas", "it comes to an int, not to true or false"),
        (
            "spec.replicas + 'a' == 'x'",
            "'+' cannot be done with an int and a string",
        ),
        (
            "1 / 0 == 1",
            "a number becomes too large, or is divided by zero",
        ),
        (
            "9223372036854775807 + 1 == 0",
            "a number becomes too large, or is divided by zero",
        ),
        (
            "spec.hosts[7] == 'a'",
            "no such key, or an index out of bounds",
        ),
        (
            "[0, 0].exists(x, 1 / x == 2)",
            "a number becomes too large, or is divided by zero",
        ),
        (
            "status.phase.matches('(')",
            "a pattern cannot be used, or is too large",
        ),
        (
            "'x'.matches('(((a{99}){99}){99})')",
            "a pattern cannot be used, or is too large",
        ),
    ] {
        assert_eq!(told(source), want, "{source}");
    }
}

#[test]
fn what_is_no_expression_is_refused_with_its_place() {
    let place =
        |source: &str, variables: Option<&[&str]>| match Expression::parse(source, variables) {
            Err(Error::Malformed { line, column, why }) => format!("{line}:{column} {why}"),
            other => format!("{other:?}"),
        };
    assert!(
        place("a ==", None).starts_with("1:"),
        "{}",
        place("a ==", None)
    );
    assert!(place("true &&\n  )", None).starts_with("2:"));
    let unknown = place("true &&\n  now() > 3", None);
    assert!(
        unknown.starts_with("2:") && unknown.contains("there is no function 'now'"),
        "{unknown}"
    );
    let known: &[&str] = &["self", "dep"];
    let foreign = place("self.x == other.y", Some(known));
    assert!(
        foreign.contains("undeclared reference to 'other'"),
        "{foreign}"
    );
    assert!(Expression::parse("self.a.all(x, x == dep.b)", Some(known)).is_ok());
    assert_eq!(Expression::parse(&"a".repeat(5000), None), Err(Error::Long));
    let deep = format!("{}1{}", "(".repeat(1000), ")".repeat(1000));
    assert!(Expression::parse(&deep, None).is_err());
    let long = vec!["true"; 400].join(" && ");
    assert!(Expression::parse(&long, None).is_ok());
}

#[test]
fn a_chain_is_as_short_as_what_goes_down_along_it_can_bear() {
    for (first, link) in [
        ("a", ".b"),
        ("1", "+1"),
        ("1", " - 1"),
        ("a", "[0]"),
        ("a", " in b"),
        ("a", "==b"),
        ("a", "<b"),
        ("a", ".size()"),
        ("a", "?b:c"),
        ("", "!a&&"),
    ] {
        let long = format!("{first}{}", link.repeat(500));
        assert_eq!(
            Expression::parse(&long, None),
            Err(Error::Tangled),
            "{link}"
        );
        let joints = super::joints(link);
        let most = format!("{first}{}", link.repeat(MOST_JOINTS / joints));
        let read = Expression::parse(&most, None);
        assert_ne!(read, Err(Error::Tangled), "{link}");
        if let Ok(read) = read {
            let of = json!({"a": {}, "b": 1, "c": 1});
            let fields = of.as_object().unwrap().iter();
            let _told = read.holds(fields.map(|(k, v)| (k.as_str(), v)));
        }
    }
    for wide in [" && true", " || true"] {
        assert!(Expression::parse(&format!("true{}", wide.repeat(400)), None).is_ok());
    }
}

#[test]
fn an_expression_that_would_never_end_ends_when_its_purse_is_empty() {
    let items: Vec<u32> = (0..2000).collect();
    let text = "x".repeat(1 << 20);
    let object = json!({"items": items, "text": text});
    let fields = || {
        object
            .as_object()
            .unwrap()
            .iter()
            .map(|(k, v)| (k.as_str(), v))
    };
    for source in [
        "items.all(a, items.all(b, items.all(c, a + b + c >= 0)))",
        "items.map(a, items.map(b, items)) == items",
        "items.all(a, (text + text).size() > 0)",
        "items.all(a, text.contains('y') || true)",
        "items.all(a, text.matches('(x+x+)+y') || true)",
        "items.all(a, [text, text, text].join(text).size() > 0)",
        "items.all(a, text.replace('x', text).size() > 0)",
        "items.all(a, items == items)",
    ] {
        let expression = Expression::parse(source, None).unwrap();
        assert_eq!(expression.holds(fields()), Err(Error::Spent), "{source}");
    }
    // What only looks is not charged for what lies around.
    let cheap = Expression::parse("items.all(a, a >= 0) && text != 'y'", None).unwrap();
    assert_eq!(cheap.holds(fields()), Ok(true));
}

#[test]
fn what_an_expression_comes_to_is_json_and_is_paid_for() {
    let claims = json!({"sub": "acme/web", "roles": ["a", {"b": 1.5}], "at": 0});
    for (source, want) in [
        ("claims.sub.split('/')[0]", json!("acme")),
        ("claims.roles", json!(["a", {"b": 1.5}])),
        ("{'n': [1, true, null]}", json!({"n": [1, true, null]})),
        ("claims.?none", json!(null)),
        ("claims.?sub", json!("acme/web")),
        ("duration('1m30s')", json!("90s")),
    ] {
        let expression = Expression::parse(source, Some(&["claims"])).unwrap();
        let value = expression.value([("claims", &claims)], &mut Purse::of(1));
        assert_eq!(value, Ok(want), "{source}");
    }
    let large = json!({"l": vec!["x".repeat(16); 200_000]});
    let expression = Expression::parse("claims.l", None).unwrap();
    let value = expression.value([("claims", &large)], &mut Purse::of(1));
    assert_eq!(value, Err(Error::Spent));
}
