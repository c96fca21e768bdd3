//! What rules would say to what nobody carries out.
use super::*;
use crate::admit::trial::{Trial, of_manifests, of_recollection};

fn map(name: &str, colour: &str) -> Value {
    json!({
        "apiVersion": "v1", "kind": "ConfigMap",
        "metadata": {"namespace": "acme", "name": name}, "data": {"colour": colour},
    })
}

const SUBJECT: &str = "sprintf(\"%s/%s/%s\", [one.kind, one.namespace, one.name])";

/// Tells everything that would happen to anything red, or was red.
fn tells() -> Rule {
    Rule::enforced(policy(&format!(
        "deny contains {{\"message\": sprintf(\"%s %s\", [one.action, one.id]), \"object\": {SUBJECT}}} if {{\n\tsome one in input.objects\n\tred(one)\n}}\n\nred(one) if one.object.data.colour == \"red\"\n\nred(one) if {{\n\tone.action == \"prune\"\n\tone.previous.data.colour == \"red\"\n}}\n"
    )))
}

fn ratchet() -> Rules {
    let rule = Rule {
        ratchet: true,
        ..tells()
    };
    Rules::default().and([rule])
}

fn said(answers: &Answers) -> Vec<String> {
    let told = |one: &Finding| {
        let verdict = match one.verdict {
            Verdict::Denied => "denied",
            Verdict::Tolerated(_) => "tolerated",
            Verdict::Warned => "warned",
        };
        format!("{verdict}: {}", one.objection.message)
    };
    answers.findings.iter().map(told).collect()
}

#[test]
fn what_was_rendered_last_is_judged_as_the_plan_of_it_is() {
    let (object, admitted) = (
        kustomization("acme"),
        admit(&kustomization("acme")).unwrap(),
    );
    let (tenant, grounds) = (tenant("acme"), grounds());
    let around = around(&tenant, &grounds);
    let values = [map("a", "red"), map("b", "green"), object_in_none()];
    let plan = || proposed(&values, &Inventory::default(), &admitted);
    let rendered = Recollection::of_plan(&plan());
    let rules = Rules::shipped().and([tells()]);
    let denied = super::super::plan(&rules, &around, &admitted, plan(), None, None).unwrap_err();
    assert_eq!(denied.rendered(), Some(&rendered));
    let subject = (&object, &*admitted);
    let told = of_recollection(&rules, &around, subject, &rendered, None).unwrap();
    assert_eq!(told.findings, denied.answers().findings);
    assert!(said(&told).contains(&"denied: apply acme_a__ConfigMap".to_owned()));

    let tolerated = of_recollection(&ratchet(), &around, subject, &rendered, Some(&rendered));
    assert_eq!(
        said(&tolerated.unwrap()),
        ["tolerated: apply acme_a__ConfigMap"]
    );
    let nothing = Recollection::parse(b"{\"acme_a__ConfigMap\": 1}").unwrap();
    assert!(of_recollection(&rules, &around, subject, &nothing, None).is_none());
}

fn object_in_none() -> Value {
    json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "other"}})
}

#[test]
fn manifests_are_judged_after_those_that_were_applied_before() {
    let (tenant, grounds) = (tenant("acme"), grounds());
    let around = around(&tenant, &grounds);
    let objects = |all: &[Value]| -> Vec<Object> {
        let all = all.iter().cloned();
        all.map(|one| Object::try_from(one).unwrap()).collect()
    };
    let now = [map("a", "red"), map("new", "red")];
    let before = [map("a", "red"), map("old", "red")];
    let ask = |rules: &Rules, before: Option<&[Value]>| -> Trial {
        let before = before.map(objects);
        of_manifests(
            rules,
            &around,
            &kustomization("acme"),
            objects(&now),
            before,
        )
        .unwrap()
    };
    let trial = ask(&ratchet(), Some(&before));
    let told = said(&trial.answers);
    for words in [
        "tolerated: apply acme_a__ConfigMap",
        "denied: apply acme_new__ConfigMap",
        "denied: prune acme_old__ConfigMap",
    ] {
        assert!(told.iter().any(|one| one == words), "{words}: {told:?}");
    }
    let shown = trial.document.pointer("/objects/0/previous/data/colour");
    assert_eq!(shown, Some(&json!("red")));
    let told = said(&ask(&ratchet(), None).answers);
    let want = [
        "denied: apply acme_a__ConfigMap",
        "denied: apply acme_new__ConfigMap",
    ];
    assert_eq!(told, want);
}
