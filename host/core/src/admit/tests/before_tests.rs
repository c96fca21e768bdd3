//! What was applied before, and what is tolerated because of it or because somebody answers for it.
use std::collections::BTreeMap;

use super::*;
use crate::status::{Action, Change};

/// A ConfigMap of that colour.
fn map(name: &str, colour: &str) -> Value {
    json!({
        "apiVersion": "v1", "kind": "ConfigMap",
        "metadata": {"namespace": "acme", "name": name}, "data": {"colour": colour},
    })
}

/// What the objects are applied as, all of them.
fn applied(values: &[Value]) -> Recollection {
    let admitted = admit(&kustomization("acme")).unwrap();
    Recollection::of_plan(&proposed(values, &Inventory::default(), &admitted))
}

fn id(text: &str) -> crate::plan::ObjectId {
    text.parse().unwrap()
}

/// Asked of `values`, and of the deletion of what is only in `inventory`.
struct Asked<'a> {
    values: &'a [Value],
    inventory: &'a [(&'a str, &'a str)],
    before: Option<&'a Recollection>,
    now: &'a str,
}

const EARLY: &str = "2026-01-01T00:00:00Z";

impl Asked<'_> {
    fn of(&self, rules: &Rules) -> Result<Passed, Denied> {
        let admitted = admit(&kustomization("acme")).unwrap();
        let inventory = Inventory::parse(self.inventory.iter().copied()).unwrap();
        let plan = proposed(self.values, &inventory, &admitted);
        let (tenant, grounds) = (tenant("acme"), grounds());
        let around = Circumstances {
            now: self.now.parse().unwrap(),
            ..around(&tenant, &grounds)
        };
        super::super::plan(rules, &around, &admitted, plan, self.before, None)
            .map(|(_, passed)| passed)
    }
}

/// Minds red, naming the object as `object` says.
fn minds_red(object: &str) -> Policy {
    policy(&format!(
        "deny contains {{\"message\": one.name, \"object\": {object}}} if {{\n\tsome one in input.objects\n\tone.object.data.colour == \"red\"\n}}\n"
    ))
}

const SUBJECT: &str = "sprintf(\"%s/%s/%s\", [one.kind, one.namespace, one.name])";

fn ratchet(policy: Policy) -> Rules {
    let rule = Rule {
        ratchet: true,
        ..Rule::enforced(policy)
    };
    Rules::shipped().and([rule])
}

#[test]
fn previous_is_shown_to_a_policy_that_mentions_it_of_what_is_applied_and_of_what_is_pruned() {
    let was = [map("a", "red"), map("old", "green")];
    let tells = policy(
        "deny contains {\"message\": said} if {\n\tsome one in input.objects\n\tcolour := one.previous.data.colour\n\tsaid := sprintf(\"%s %s was %s\", [one.action, one.name, colour])\n}\n",
    );
    let silent = policy(
        "deny contains {\"message\": \"it is there\"} if {\n\tsome one in input.objects\n\tcount(one) > 8\n}\n",
    );
    let rules = Rules::new(vec![tells, silent]);
    assert!(rules.want_previous());
    let before = applied(&was);
    let asked = Asked {
        values: &[map("a", "blue"), map("new", "blue")],
        inventory: &[("acme_old__ConfigMap", "v1")],
        before: Some(&before),
        now: EARLY,
    };
    let denied = asked.of(&rules).unwrap_err();
    let mut told: Vec<_> = denied
        .objections()
        .map(|one| one.message.as_str())
        .collect();
    told.sort_unstable();
    assert_eq!(told, ["apply a was red", "prune old was green"]);
    let without = Asked {
        before: None,
        ..asked
    };
    assert!(without.of(&rules).is_ok());
}

#[test]
fn a_ratchet_tolerates_what_is_as_it_was_and_denies_what_is_new_or_changed() {
    let (red, blue) = (map("a", "red"), map("a", "blue"));
    let mut labelled = red.clone();
    labelled["metadata"]["labels"] = json!({"tier": "web"});
    let was_red = applied(std::slice::from_ref(&red));
    let was_blue = applied(&[blue]);
    let other = applied(&[map("b", "red")]);
    let text = "sprintf(\"%s/%s\", [one.kind, one.name])";
    for (says, values, before, object, passes) in [
        (
            "as it was",
            vec![red.clone()],
            Some(&was_red),
            SUBJECT,
            true,
        ),
        (
            "changed to it",
            vec![red.clone()],
            Some(&was_blue),
            SUBJECT,
            false,
        ),
        (
            "changed besides",
            vec![labelled],
            Some(&was_red),
            SUBJECT,
            false,
        ),
        ("new", vec![red.clone()], Some(&other), SUBJECT, false),
        ("nobody can say", vec![red.clone()], None, SUBJECT, false),
        (
            "another is new",
            vec![red.clone(), map("b", "red")],
            Some(&was_red),
            SUBJECT,
            false,
        ),
        (
            "it names another",
            vec![red.clone()],
            Some(&was_red),
            "\"ConfigMap/acme/b\"",
            false,
        ),
        (
            "it names no place",
            vec![red.clone()],
            Some(&was_red),
            text,
            false,
        ),
        (
            "it names nothing",
            vec![red.clone()],
            Some(&was_red),
            "\"\"",
            false,
        ),
        (
            "it names a part",
            vec![red],
            Some(&was_red),
            "\"ConfigMap/acme/a/x\"",
            false,
        ),
    ] {
        let asked = Asked {
            values: &values,
            inventory: &[],
            before,
            now: EARLY,
        };
        let told = asked.of(&ratchet(minds_red(object)));
        assert_eq!(told.is_ok(), passes, "{says}");
        let Ok(passed) = told else { continue };
        let [finding] = passed.answers().findings.as_slice() else {
            panic!("{says}")
        };
        let Verdict::Tolerated(why) = &finding.verdict else {
            panic!("{says}: {:?}", finding.verdict)
        };
        assert_eq!(why.to_string(), "it is as it was when it was last applied");
        // Without the ratchet nothing is tolerated.
        assert!(
            asked.of(&Rules::new(vec![minds_red(object)])).is_err(),
            "{says}"
        );
    }
}

#[test]
fn a_ratchet_never_tolerates_a_denial_without_an_object_or_of_a_spec_or_of_a_deletion_or_a_broken_rule()
 {
    let red = map("a", "red");
    let before = applied(std::slice::from_ref(&red));
    let asked = Asked {
        values: std::slice::from_ref(&red),
        inventory: &[("acme_a__ConfigMap", "v1")],
        before: Some(&before),
        now: EARLY,
    };
    let nameless = policy(
        "deny contains {\"message\": \"no\"} if input.objects[_].object.data.colour == \"red\"\n",
    );
    assert!(asked.of(&ratchet(nameless)).is_err());
    let broken = policy(
        "deny contains {\"message\": \"no\", \"object\": \"ConfigMap/acme/a\"} if to_number(input.objects[0].name) > 1\n",
    );
    assert!(asked.of(&ratchet(broken)).is_err());
    let pruned = policy(
        "deny contains {\"message\": \"no\", \"object\": \"ConfigMap/acme/a\"} if input.objects[_].action == \"prune\"\n",
    );
    let deleted = Asked {
        values: &[],
        ..asked
    };
    assert!(deleted.of(&ratchet(pruned)).is_err());
    let of_spec = policy(
        "deny contains {\"message\": \"no\", \"object\": \"ConfigMap/acme/a\"} if input.phase == \"spec\"\n",
    );
    assert!(admit_with(&ratchet(of_spec), &kustomization("acme")).is_err());
}

#[test]
fn what_nobody_looked_at_is_not_tolerated() {
    let many: Vec<Value> = (0..1_100).map(|n| map(&format!("a{n}"), "red")).collect();
    let some = &many[..150];
    let before = applied(&many);
    let asked = |values| Asked {
        values,
        inventory: &[],
        before: Some(&before),
        now: EARLY,
    };
    let passed = asked(some).of(&ratchet(minds_red(SUBJECT))).unwrap();
    assert_eq!(passed.answers().findings.len(), 100);
    let denied = asked(&many).of(&ratchet(minds_red(SUBJECT))).unwrap_err();
    assert!(
        denied
            .to_string()
            .contains("what nobody looks at is denied"),
        "{denied}"
    );
}

#[test]
fn what_was_applied_before_is_part_of_what_passed() {
    let red = map("a", "red");
    let (was_red, was_other) = (
        applied(std::slice::from_ref(&red)),
        applied(&[map("b", "x")]),
    );
    let rules = ratchet(minds_red(SUBJECT));
    let asked = Asked {
        values: std::slice::from_ref(&red),
        inventory: &[],
        before: Some(&was_red),
        now: EARLY,
    };
    let passed = asked.of(&rules).unwrap();
    let (tenant, grounds) = (tenant("acme"), grounds());
    let around = around(&tenant, &grounds);
    let admitted = admit(&kustomization("acme")).unwrap();
    let again = |digest| {
        let plan = proposed(std::slice::from_ref(&red), &Inventory::default(), &admitted);
        let told = super::super::again(&rules, &around, &admitted, plan, digest, &passed);
        matches!(told, Hearing::Passed(_))
    };
    assert!(again(Some(was_red.digest())));
    assert!(!again(Some(was_other.digest())));
    assert!(!again(None));
}

/// A policy with exceptions.
fn excepting(exceptions: &str) -> Result<Policy, Vec<rego::Error>> {
    let module = format!(
        "# METADATA\n# title: No red\n# description: d\npackage platform.colours\n\n\
         deny contains {{\"message\": one.name, \"object\": {SUBJECT}}} if {{\n\tsome one in input.objects\n\tone.object.data.colour == \"red\"\n}}\n\n\
         deny contains {{\"message\": \"no name\"}} if input.kustomization.metadata.name == \"nameless\"\n"
    );
    let files = [
        ("colours.rego", module),
        ("exceptions.yaml", exceptions.to_owned()),
    ];
    let files = files.map(|(path, text)| (path.to_owned(), text.into_bytes()));
    Policy::load("colours", &BTreeMap::from(files), &json!({}))
}

fn entry(fields: &str) -> String {
    let more: Vec<String> = fields.lines().map(|line| format!("\n  {line}")).collect();
    format!(
        "- policy: platform.colours\n  owner: team-web\n  reason: soon\n  expires: 2026-03-01{}\n",
        more.concat()
    )
}

#[test]
fn an_exception_tolerates_what_it_is_for_until_it_ends() {
    let values = [map("a", "red")];
    for (fields, now, passes) in [
        ("", EARLY, true),
        ("", "2026-02-28T23:59:59Z", true),
        ("", "2026-03-01T00:00:00Z", false),
        ("namespaces: [acme]\nkustomizations: [web]", EARLY, true),
        ("namespaces: [other]", EARLY, false),
        ("kustomizations: [other]", EARLY, false),
        ("objects: [{kind: ConfigMap, name: a}]", EARLY, true),
        ("objects: [{kind: ConfigMap, name: b}]", EARLY, false),
        ("objects: [{kind: Secret}, {namespace: acme}]", EARLY, true),
        ("objects: [{group: apps}]", EARLY, false),
    ] {
        let rules = Rules::new(vec![excepting(&entry(fields)).unwrap()]);
        let asked = Asked {
            values: &values,
            inventory: &[],
            before: None,
            now,
        };
        let told = asked.of(&rules);
        assert_eq!(told.is_ok(), passes, "{fields} at {now}");
        let web = "acme/web".parse().unwrap();
        let end = rules.next_end(&web, now.parse().unwrap());
        if let Ok(passed) = told {
            let Verdict::Tolerated(why) = &passed.answers().findings[0].verdict else {
                panic!("{fields}")
            };
            assert_eq!(
                why.to_string(),
                "excepted by team-web until 2026-03-01T00:00:00Z: soon"
            );
            assert_eq!(end, Some("2026-03-01T00:00:00Z".parse().unwrap()));
        }
    }
}

#[test]
fn an_exception_that_ends_is_another_question() {
    let rules = Rules::new(vec![excepting(&entry("")).unwrap()]);
    let values = [map("a", "red")];
    let passed = |now| {
        let asked = Asked {
            values: &values,
            inventory: &[],
            before: None,
            now,
        };
        asked.of(&rules).map(|passed| passed.of()).ok()
    };
    assert_eq!(passed(EARLY), passed("2026-02-01T00:00:00Z"));
    assert_eq!(passed("2026-04-01T00:00:00Z"), None);
}

#[test]
fn an_exception_is_by_package_or_title_and_both_forms_of_a_moment_are_read() {
    for text in [
        entry(""),
        entry("").replace("platform.colours", "No red"),
        entry("").replace("platform.colours", "data.platform.colours"),
        entry("").replace("2026-03-01", "\"2026-03-01T00:00:00Z\""),
        entry("").replace("2026-03-01", "2026-03-01T01:00:00+01:00"),
    ] {
        let policy = excepting(&text).unwrap_or_else(|why| panic!("{text}: {why:?}"));
        let [one] = policy.exceptions() else {
            panic!("{text}")
        };
        assert_eq!(one.expires.to_string(), "2026-03-01T00:00:00Z");
    }
    assert!(excepting("").unwrap().exceptions().is_empty());
}

#[test]
fn a_bad_exception_is_an_error_with_its_line() {
    let good = entry("");
    let without = |field: &str| {
        let lines = good.lines().filter(|line| !line.contains(field));
        lines.map(|line| format!("{line}\n")).collect::<String>()
    };
    let second = |bad: String| format!("{good}{bad}");
    for (text, want) in [
        (
            second(without("owner")),
            "exceptions.yaml:5: the exception cannot be read: missing field `owner`",
        ),
        (
            second(without("reason")),
            "exceptions.yaml:5: the exception cannot be read: missing field `reason`",
        ),
        (
            second(without("expires")),
            "exceptions.yaml:5: the exception cannot be read: missing field `expires`",
        ),
        (
            second(good.replace("soon", "''")),
            "exceptions.yaml:5: reason is empty or longer than 500 characters",
        ),
        (
            second(good.replace("2026-03-01", "tomorrow")),
            "exceptions.yaml:5: expires is neither a day such as 2026-12-24 nor a moment such as 2026-12-24T08:00:00Z: tomorrow",
        ),
        (
            second(good.replace("2026-03-01", "2026-03-01T10:00:00")),
            "exceptions.yaml:5: expires is neither a day such as 2026-12-24 nor a moment such as 2026-12-24T08:00:00Z: 2026-03-01T10:00:00",
        ),
        (
            good.replace("platform.colours", "platform.color"),
            "exceptions.yaml:1: policy names no package here that denies, and no title of one: platform.color",
        ),
        (
            "exceptions: []\n".to_owned(),
            "exceptions.yaml:1: it is not one list of exceptions",
        ),
    ] {
        let errors = excepting(&text).unwrap_err();
        assert_eq!(errors.len(), 1, "{text}");
        assert_eq!(errors[0].to_string(), want);
    }
    let unknown = excepting(&entry("until: never")).unwrap_err();
    assert!(unknown[0].to_string().contains("unknown field `until`"));
}

#[test]
fn an_exception_that_names_nobody_is_not_for_anybody() {
    for (fields, hollow) in [
        ("namespaces: []", "namespaces"),
        ("kustomizations: []", "kustomizations"),
        ("objects: []", "objects"),
        ("objects: [{}]", "objects[0]"),
        (
            "objects: [{name: a}, {matchLabels: {}}]",
            "objects[1].matchLabels",
        ),
        ("objects:\n- kind: ConfigMap\n  name: ~", "objects[0].name"),
    ] {
        let errors = excepting(&format!("{}{}", entry(""), entry(fields))).unwrap_err();
        let told: Vec<String> = errors.iter().map(ToString::to_string).collect();
        let want = format!(
            "exceptions.yaml:5: {hollow} is there and holds nothing: fill it, or leave it out where any is meant"
        );
        assert_eq!(told, [want], "{fields}");
    }
    for fields in [
        "namespaces:",
        "namespaces: [~]",
        "objects: [{matchLabels: }]",
    ] {
        assert!(excepting(&entry(fields)).is_err(), "{fields}");
    }
}

#[test]
fn an_exception_ends_at_no_moment_whose_offset_is_a_day_or_more() {
    for (offset, is_read) in [
        ("+23:59", true),
        ("-12:00", true),
        ("+24:00", false),
        ("+25:00", false),
        ("-25:59", false),
    ] {
        let text = entry("").replace("2026-03-01", &format!("2026-03-01T00:00:00{offset}"));
        assert_eq!(excepting(&text).is_ok(), is_read, "{offset}");
    }
}

#[test]
fn an_object_counts_as_applied_when_applying_it_succeeded() {
    let admitted = admit(&kustomization("acme")).unwrap();
    let inventory = Inventory::parse([
        ("acme_a__ConfigMap", "v1"),
        ("acme_b__ConfigMap", "v1"),
        ("acme_old__ConfigMap", "v1"),
    ])
    .unwrap();
    let wanted = [map("a", "blue"), map("b", "blue"), map("c", "blue")];
    let plan = proposed(&wanted, &inventory, &admitted);
    let (tenant, grounds) = (tenant("acme"), grounds());
    let around = around(&tenant, &grounds);
    let none = Rules::new(Vec::new());
    let (plan, _) = super::super::plan(&none, &around, &admitted, plan, None, None).unwrap();
    let before = applied(&[
        map("a", "red"),
        map("b", "red"),
        map("old", "red"),
        map("gone", "red"),
    ]);
    let change = |name: &str, action| Change {
        id: id(&format!("acme_{name}__ConfigMap")),
        action,
        fields: Vec::new(),
    };
    let colours = |made: &Recollection| -> Vec<String> {
        let names = ["a", "b", "c", "old", "gone"];
        let told = names.map(|name| {
            let found = made.get(&format!("acme_{name}__ConfigMap"));
            let colour = found.and_then(|found| found.pointer("/data/colour")?.as_str());
            format!("{name} {}", colour.unwrap_or("-"))
        });
        told.to_vec()
    };
    let all = inventory.union(plan.inventory());
    // It stopped after the first.
    let half = [change("a", Action::Configured)];
    let made = Recollection::after(Some(&before), &plan, &half, &all);
    assert_eq!(
        colours(&made),
        ["a blue", "b red", "c -", "old red", "gone -"]
    );
    assert!(Recollection::depends_on_before(&half, &all));
    // One was left alone, one was there already.
    let done = [
        change("a", Action::Skipped),
        change("b", Action::Unchanged),
        change("c", Action::Created),
        change("old", Action::Deleted),
    ];
    let made = Recollection::after(Some(&before), &plan, &done, plan.inventory());
    assert_eq!(
        colours(&made),
        ["a red", "b blue", "c blue", "old -", "gone -"]
    );
    let done = ["a", "b", "c"].map(|name| change(name, Action::Unchanged));
    assert!(!Recollection::depends_on_before(&done, plan.inventory()));
    let made = Recollection::after(None, &plan, &done, plan.inventory());
    assert_eq!(made.digest(), applied(&wanted).digest());
    assert_eq!(Recollection::parse(&made.to_json()), Some(made));
    assert_eq!(Recollection::parse(b"{"), None);
}

#[test]
fn what_must_not_be_told_of_what_was_applied_is_something_else_to_a_rule() {
    let veil = crate::veil::Veil::of(["hunter2".to_owned()]);
    let instead = applied(&[map("a", crate::veil::INSTEAD)]);
    assert_eq!(applied(&[map("a", "hunter2")]).without(&veil), instead);
    let open = applied(&[map("a", "blue")]);
    assert_eq!(open.clone().without(&veil), open);
}
