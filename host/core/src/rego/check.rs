//! All that is wrong with a policy's files: what keeps it from being put in force, and what is there for nothing.
//!
//! What the controller refuses is asked of [`Policy::load`] itself; `names` says what is in no use and which names stand
//! for nothing, `fields` which fields the input doesn't have. It deliberately checks no other types: of what a document
//! holds a policy is told by its tests.

use std::collections::{BTreeMap, BTreeSet};

use super::draft::Draft;
use super::sources::Sources;
use super::{Error, Place, Policy, fields, lint, names, room};

/// One thing that is wrong with a policy's files.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Fault {
    /// Where.
    pub place: Place,
    /// What kind of fault it is.
    pub kind: FaultKind,
    /// What is wrong there.
    pub why: String,
}

/// What follows from a fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum FaultKind {
    /// The controller does not put the policy in force.
    Refused,
    /// A name stands for nothing: when evaluation comes by, it fails, and what cannot be judged is denied.
    Unbound,
    /// The input has no such field: it never has a value.
    Unknown,
    /// It changes nothing.
    Unused,
}

impl FaultKind {
    /// The word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Refused => "refused",
            Self::Unbound => "unbound",
            Self::Unknown => "unknown",
            Self::Unused => "unused",
        }
    }
}

/// What is wrong with the files, by place, when `schema` is the input's. A policy without a fault is put in force if its
/// tests hold.
pub fn check(
    name: &str,
    files: &BTreeMap<String, Vec<u8>>,
    parameters: &serde_json::Value,
    schema: &serde_json::Value,
) -> Vec<Fault> {
    let mut faults = BTreeSet::new();
    if let Err(errors) = Policy::load(name, files, parameters) {
        faults.extend(errors.into_iter().map(|error| refused(name, error)));
    }
    match room::with(|| read(files, schema)) {
        Ok(more) => faults.extend(more),
        Err(errors) => faults.extend(errors.into_iter().map(|error| refused(name, error))),
    }
    // What the controller refuses need not be told again.
    let refused = |fault: &&Fault| fault.kind == FaultKind::Refused;
    let refused: BTreeSet<Place> = faults
        .iter()
        .filter(refused)
        .map(|fault| fault.place.clone())
        .collect();
    faults.retain(|fault| fault.kind == FaultKind::Refused || !refused.contains(&fault.place));
    faults.into_iter().collect()
}

/// What the tests and the names in all of it have wrong.
fn read(
    files: &BTreeMap<String, Vec<u8>>,
    schema: &serde_json::Value,
) -> Result<Vec<Fault>, Vec<Error>> {
    let sources = Sources::sort(files)?;
    let tests: BTreeSet<String> = sources.tests.iter().map(|(file, _)| file.clone()).collect();
    let mut all = sources.modules;
    all.extend(sources.tests);
    let draft = Draft::read(Vec::new(), &all)?;
    let modules = draft.modules();
    let mut errors = lint::refusals(modules);
    errors.extend(
        tests
            .iter()
            .filter_map(|file| lint::tests(modules, file).err()),
    );
    let mut faults = names::faults(modules, &tests);
    faults.extend(fields::faults(modules, schema));
    faults.extend(errors.into_iter().map(|error| refused("", error)));
    Ok(faults)
}

fn refused(name: &str, error: Error) -> Fault {
    let (place, why) = match error {
        Error::Compile { place, why } => (place, why),
        error => (Place::of(name), error.to_string()),
    };
    Fault {
        place,
        kind: FaultKind::Refused,
        why,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::admit::schema;
    use serde_json::json;

    const HEAD: &str = "# METADATA\n# title: t\n# description: d\npackage a\n";

    fn faults(files: &[(&str, &str)]) -> Vec<String> {
        faults_with(files, &json!({}))
    }

    fn faults_with(files: &[(&str, &str)], schema: &serde_json::Value) -> Vec<String> {
        let files = files.iter().map(|(path, text)| {
            let head = if *path == "policy.rego" { HEAD } else { "" };
            ((*path).to_owned(), format!("{head}{text}").into_bytes())
        });
        let faults = check("a", &files.collect(), &json!({}), schema);
        let told =
            |fault: Fault| format!("{}: {}: {}", fault.place, fault.kind.as_str(), fault.why);
        faults.into_iter().map(told).collect()
    }

    /// Rules from line 5 on, and what is wrong with them.
    const FAULTS: &[(&str, &[&str])] = &[
        ("deny contains {\"message\": \"m\"} if input.x", &[]),
        (
            "import data.lib.images\nimport data.lib.other as o\ndeny contains {\"message\": \"m\"} if images.ok",
            &["policy.rego:6:1: unused: import o is not used"],
        ),
        (
            "deny contains {\"message\": \"m\"} if {\n\tx := input.x\n\ty := input.y\n\ty\n}",
            &["policy.rego:6:5: unused: variable x is not used"],
        ),
        (
            "deny contains {\"message\": m} if {\n\tsome i\n\tm := input.xs[i]\n}",
            &[],
        ),
        (
            "deny contains {\"message\": m} if {\n\tsome i, j\n\tm := input.xs[i]\n}",
            &["policy.rego:6:13: unused: variable j is not used"],
        ),
        (
            "deny contains {\"message\": \"m\"} if f(1, 2)\nf(x, y) if x == 1",
            &["policy.rego:6:6: unused: variable y is not used"],
        ),
        (
            "deny contains {\"message\": \"m\"} if f(1, 2)\nf(x, _y) if x == 1",
            &[],
        ),
        (
            "deny contains {\"message\": \"m\"} if count([1 | x := input.x]) > 0",
            &["policy.rego:5:46: unused: variable x is not used"],
        ),
        (
            "deny contains {\"message\": \"m\"} if {\n\tinput.x\n\tbuton == 1\n}",
            &["policy.rego:7:5: refused: use of undefined variable `buton` is unsafe"],
        ),
        (
            "deny contains {\"message\": \"m\"} if {\n\tinput.x\n\t[a, _] = input.y\n\ta == 1\n\twalk(input, [p, v])\n\tp == v\n}",
            &[],
        ),
        (
            "deny contains {\"message\": \"m\"} if b.c\nb := input.b\ne := f(1)\nf(x) := x\ng := h\nh := 1",
            &[
                "policy.rego:7:1: unused: neither deny nor warn leads to rule e",
                "policy.rego:8:1: unused: neither deny nor warn leads to function f",
                "policy.rego:9:1: unused: neither deny nor warn leads to rule g",
                "policy.rego:10:1: unused: neither deny nor warn leads to rule h",
            ],
        ),
        (
            "deny contains {\"message\": \"m\"} if data.a.b[input.x]\nb.c := 1",
            &[],
        ),
        (
            "deny contains {\"message\": \"m\"} if {\n\tinput.never\n\thttp.send({})\n}",
            &["policy.rego:7:5: refused: function http.send is refused: a policy has no network"],
        ),
        (
            "deny contains {\"message\": \"m\"} if {\n\tevery k, v in input.x { k == v }\n\tcount(input.y) == 1 with count as f\n}\nf(x) := x",
            &[],
        ),
        (
            "deny contains {\"message\": \"m\"} if {",
            &["policy.rego:5:36: refused: expecting expression"],
        ),
    ];

    #[test]
    fn what_is_in_no_use_what_stands_for_nothing_and_what_is_refused_is_told_with_its_place() {
        let mut other = Vec::new();
        for (rules, want) in FAULTS {
            let told = faults(&[("policy.rego", rules)]);
            if told != *want {
                other.push(format!("{rules}\n{told:#?}"));
            }
        }
        assert!(other.is_empty(), "{}", other.join("\n"));
    }

    #[test]
    fn a_test_keeps_no_rule_in_use_but_those_of_tests() {
        let rules = "deny contains {\"message\": \"m\"} if input.x\nhelper := 1\n";
        let tests = "package a_test\ntest_a if data.a.helper == b\nb := 1\nc := wrong\n";
        let told = faults(&[("policy.rego", rules), ("policy_test.rego", tests)]);
        assert_eq!(
            told,
            [
                "policy.rego:6:1: unused: neither deny nor warn leads to rule helper",
                "policy_test.rego:4:1: unused: no test leads to rule c",
                "policy_test.rego:4:6: unbound: nothing in its rule gives variable wrong a value",
            ]
        );
    }

    /// Conditions, and what is said of the fields that they ask for.
    const FIELDS: &[(&str, &[&str])] = &[
        ("input.kustomization.spec.anything.goes", &[]),
        ("input.objects[0].object.spec.replicas > 3", &[]),
        ("input[input.phase]", &[]),
        (
            "input.kustomisation.spec.prune",
            &["5:41: unknown: input has no field kustomisation: did you mean input.kustomization?"],
        ),
        (
            "input[\"kustomisation\"].spec.prune",
            &["5:42: unknown: input has no field kustomisation: did you mean input.kustomization?"],
        ),
        (
            "input.whatever",
            &[
                "5:41: unknown: input has no field whatever: it has phase, kustomization, source, tenant, platform, objects",
            ],
        ),
        (
            "input.tenant.name.first",
            &["5:53: unknown: input.tenant.name has no field first: it has no fields"],
        ),
        (
            "input.objects.kind",
            &["5:49: unknown: input.objects has no field kind: it has no fields"],
        ),
        (
            "input.objects[_].kindd == \"Pod\"",
            &[
                "5:52: unknown: input.objects[_] has no field kindd: did you mean input.objects[_].kind?",
            ],
        ),
        (
            "{\n\tsome planned in input.objects\n\tplanned.nmae == \"a\"\n}",
            &["7:13: unknown: planned has no field nmae: did you mean planned.name?"],
        ),
        (
            "{\n\tevery one in input.objects { one.object.kind == one.knd }\n}",
            &["6:57: unknown: one has no field knd: did you mean one.kind?"],
        ),
        (
            "{\n\towner := input.tenant\n\towner.nam == \"a\"\n}",
            &["7:11: unknown: owner has no field nam: did you mean owner.name?"],
        ),
        // Which of the two it stands for nobody knows.
        (
            "{\n\tcount([1 | some one in input.objects; one.x]) > 0\n\tcount([1 | some one in input.y; one.x]) > 0\n}",
            &[
                "7:34: unknown: input has no field y: it has phase, kustomization, source, tenant, platform, objects",
            ],
        ),
    ];

    #[test]
    fn a_field_that_the_input_does_not_have_is_told_with_the_one_that_is_meant() {
        let schema = schema();
        let mut other = Vec::new();
        for (condition, want) in FIELDS {
            let rule = format!("deny contains {{\"message\": \"m\"}} if {condition}\n");
            let told = faults_with(&[("policy.rego", &rule)], schema.as_value());
            let want: Vec<String> = want
                .iter()
                .map(|one| format!("policy.rego:{one}"))
                .collect();
            if told != want {
                other.push(format!("{condition}\n{told:#?}"));
            }
        }
        assert!(other.is_empty(), "{}", other.join("\n"));
    }

    #[test]
    fn nothing_is_wrong_with_what_is_shipped() {
        for shipped in crate::library::LIBRARY {
            let file = ("policy.rego".to_owned(), shipped.source.as_bytes().to_vec());
            let files = BTreeMap::from([file]);
            let faults = check(shipped.name, &files, &json!({}), schema().as_value());
            assert_eq!(faults, [], "{}", shipped.name);
        }
    }
}
