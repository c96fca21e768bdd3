//! What is told of what a rule makes of a value that came from a Secret.
use super::*;

const SECRET: &str = "hunter2-sesame";

/// What rules make of a ConfigMap's colour, and what is told of it where that came from a Secret.
const MADE: &[(&str, &str)] = &[
    ("one.object.data.colour", "it is ***"),
    ("lower(one.name)", "it is a"),
    ("substring(one.object.data.colour, 3, 4)", NOT_TOLD),
    ("split(one.object.data.colour, \"-\")[1]", NOT_TOLD),
    ("strings.reverse(one.object.data.colour)", NOT_TOLD),
    ("base64.encode(one.object.data.colour)", NOT_TOLD),
    ("upper(one.object.data.colour)", NOT_TOLD),
    ("crypto.sha256(one.object.data.colour)", NOT_TOLD),
    ("sprintf(\"%d\", [count(one.object.data.colour)])", NOT_TOLD),
    ("sprintf(\"%v\", [one.object.data.port])", "it is ***"),
    ("sprintf(\"%v\", [one.object.data.port + 1])", NOT_TOLD),
];
const NOT_TOLD: &str = "ConfigMap/acme/a: what is wrong has to do with a value that came from a Secret, and is not told";

fn judge(rules: &str, mode: Mode, veil: &Veil) -> Result<Passed, Denied> {
    let admitted = admit(&kustomization("acme")).unwrap();
    let mut map = object("ConfigMap", "acme", "a");
    map["data"] = json!({"colour": SECRET, "port": 18_443});
    let (tenant, grounds) = (tenant("acme"), grounds());
    let around = Circumstances {
        veil,
        ..around(&tenant, &grounds)
    };
    let rule = Rule {
        mode,
        ..Rule::enforced(policy(rules))
    };
    let rules = Rules::default().and([rule]);
    let plan = proposed(&[map], &Inventory::default(), &admitted);
    super::super::plan(&rules, &around, &admitted, plan, None, None).map(|(_, passed)| passed)
}

fn says(made: &str) -> String {
    let subject = "sprintf(\"%s/%s/%s\", [one.kind, one.namespace, one.name])";
    format!(
        "deny contains {{\"message\": sprintf(\"it is %s\", [made]), \"object\": {subject}}} if {{\n\tsome one in input.objects\n\tmade := {made}\n}}\n"
    )
}

fn veil() -> Veil {
    Veil::of([SECRET.to_owned(), "18443".to_owned()])
}

#[test]
fn what_a_rule_makes_of_a_secret_is_told_of_whole_values_only() {
    for (made, want) in MADE {
        let denied = judge(&says(made), Mode::Enforce, &veil()).unwrap_err();
        let [told] = denied.objections().collect::<Vec<_>>()[..] else {
            panic!("{made}: {denied}");
        };
        assert_eq!(told.message, *want, "{made}");
        assert_eq!(told.object.as_deref(), Some("ConfigMap/acme/a"), "{made}");
        assert_eq!(told.hint.as_deref(), Some("do it"), "{made}");
        // Without anything from a Secret all of it is told.
        let bare = judge(&says(made), Mode::Audit, Veil::nothing()).unwrap();
        let [finding] = bare.answers().findings.as_slice() else {
            panic!("{made}: {bare:?}");
        };
        assert!(finding.objection.message.starts_with("it is "), "{made}");
        assert!(!finding.objection.message.contains("***"), "{made}");
    }
}

#[test]
fn a_rule_denies_by_the_value_itself_and_not_by_what_stands_for_it() {
    let by_value = "deny contains {\"message\": \"no\"} if startswith(input.objects[_].object.data.colour, \"hunter\")";
    let denied = judge(by_value, Mode::Enforce, &veil()).unwrap_err();
    assert!(denied.to_string().contains("is not told"), "{denied}");
    let by_other = "deny contains {\"message\": \"no\"} if input.objects[_].object.data.colour == \"nottobetold\"";
    assert!(judge(by_other, Mode::Enforce, &veil()).is_ok());
    // What it would say of something else is told in the same words by what it says of this.
    let of_both =
        "deny contains {\"message\": \"no\"} if input.objects[_].object.data.colour != \"\"";
    let denied = judge(of_both, Mode::Enforce, &veil()).unwrap_err();
    assert_eq!(denied.to_string(), "denied by policy test: no");
}

#[test]
fn many_things_that_may_not_be_told_of_one_object_are_told_once() {
    let letters = "warn contains {\"message\": letter, \"object\": \"ConfigMap/acme/a\"} if some letter in split(input.objects[_].object.data.colour, \"\")";
    let passed = judge(letters, Mode::Enforce, &veil()).unwrap();
    let told: Vec<&str> = passed
        .answers()
        .findings
        .iter()
        .map(|one| one.objection.message.as_str())
        .collect();
    // Letters that stand in both are told: they come from what was shown instead.
    let odd = told.iter().filter(|said| **said == NOT_TOLD).count();
    assert_eq!(odd, 1, "{told:?}");
    assert!(!told.contains(&"2"), "{told:?}");
}

#[test]
fn an_object_that_is_not_there_is_not_named_by_what_is_not_told() {
    let names = "deny contains {\"message\": \"no\", \"object\": substring(colour, 0, 7), \"path\": substring(colour, 0, 6)} if colour := input.objects[_].object.data.colour";
    let denied = judge(names, Mode::Enforce, &veil()).unwrap_err();
    let [told] = denied.objections().collect::<Vec<_>>()[..] else {
        panic!("{denied}");
    };
    assert_eq!((&told.object, &told.path), (&None, &None));
    assert!(told.message.starts_with("what is wrong"), "{told:?}");
}
