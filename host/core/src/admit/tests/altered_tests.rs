//! What `spec.ignore` makes of a plan's objects, judged in their place.
use std::collections::BTreeMap;

use super::*;
use crate::plan::ObjectId;

fn map(name: &str, colour: &str) -> Value {
    json!({
        "apiVersion": "v1", "kind": "ConfigMap",
        "metadata": {"namespace": "acme", "name": name}, "data": {"colour": colour},
    })
}

/// Minds red, and two of one colour.
fn colours(ratchet: bool) -> Rules {
    let subject = "sprintf(\"%s/%s/%s\", [one.kind, one.namespace, one.name])";
    let red = format!(
        "deny contains {{\"message\": \"red\", \"object\": {subject}}} if {{\n\tsome one in input.objects\n\tone.object.data.colour == \"red\"\n}}\n"
    );
    let twice = "deny contains {\"message\": \"twice\"} if {\n\tall := [one.object.data.colour | some one in input.objects]\n\tcount(all) > count({colour | some colour in all})\n}\n";
    let rule = Rule {
        ratchet,
        ..Rule::enforced(policy(&format!("{red}\n{twice}")))
    };
    Rules::shipped().and([rule])
}

/// A plan for what git has, and what is sent of `a` instead when that has another value there.
struct Kept {
    spec: AdmittedSpec,
    plan: Plan<Admitted>,
    sent: BTreeMap<ObjectId, Value>,
}

impl Kept {
    fn of(namespace: &str, rules: &Rules, git: &[Value], pointer: &str, is: &str) -> Self {
        let spec = admit(&kustomization(namespace)).unwrap();
        let proposed = proposed(git, &Inventory::default(), &spec);
        let plan = plan_of(rules, &tenant(namespace), &spec, proposed).unwrap();
        let object = plan.steady().find(|one| one.id().name == "a").unwrap();
        let mut manifest = object.manifest().clone();
        *manifest.pointer_mut(pointer).unwrap() = is.into();
        let sent = BTreeMap::from([(object.id().clone(), manifest)]);
        Self { spec, plan, sent }
    }

    fn judged(self, rules: &Rules, before: Option<&Recollection>) -> Result<Altered, Denied> {
        let (tenant, grounds) = (tenant("acme"), grounds());
        let around = around(&tenant, &grounds);
        let sent = self.sent.into_iter();
        let sent = sent.map(|(id, manifest)| (id, Sent::from(manifest)));
        altered(
            rules,
            &around,
            &self.spec,
            &self.plan,
            sent.collect(),
            before,
        )
        .map(|(altered, _)| altered)
    }
}

/// What is said when `a` is green in git, beside a blue `b`, and of that colour when it is sent.
fn said(rules: &Rules, colour: &str, before: Option<&Recollection>) -> Result<(), String> {
    let git = [map("a", "green"), map("b", "blue")];
    let kept = Kept::of("acme", rules, &git, "/data/colour", colour);
    let judged = kept.judged(rules, before).map(|_| ());
    judged.map_err(|why| why.to_string())
}

#[test]
fn what_is_kept_is_judged_in_the_place_of_what_git_has() {
    let rules = colours(false);
    assert_eq!(said(&rules, "yellow", None), Ok(()));
    let red = "denied by policy test: red";
    assert_eq!(said(&rules, "red", None), Err(red.to_owned()));
    let twice = "denied by policy test: twice";
    assert_eq!(said(&rules, "blue", None), Err(twice.to_owned()), "with b");

    let kept = Kept::of("acme", &rules, &[map("a", "green")], "/data/colour", "red");
    let denied = kept.judged(&rules, None).unwrap_err();
    assert_eq!(denied.reason(), Reason::PolicyDenied);
    assert_eq!(denied.phase(), Phase::Plan);
    let object = denied.objections().next().unwrap().object.as_deref();
    assert_eq!(object, Some("ConfigMap/acme/a"));
}

#[test]
fn what_was_let_pass_may_be_sent_once_and_nothing_else() {
    let rules = colours(false);
    let git = [map("a", "green"), map("b", "blue")];
    let kept = Kept::of("acme", &rules, &git, "/data/colour", "yellow");
    let ids: Vec<ObjectId> = kept.plan.steady().map(|one| one.id().clone()).collect();
    let sent = kept.sent.clone();
    let mut altered = kept.judged(&rules, None).unwrap();
    for id in ids {
        let admitted = altered.take(&id);
        let manifest = admitted.as_ref().map(AdmittedManifest::manifest);
        assert_eq!(manifest, sent.get(&id));
        assert!(altered.take(&id).is_none());
    }
}

#[test]
fn a_ratchet_tolerates_what_is_kept_only_if_it_was_applied_so() {
    let rules = colours(true);
    let spec = admit(&kustomization("acme")).unwrap();
    let applied = |colour| {
        let was = proposed(&[map("a", colour)], &Inventory::default(), &spec);
        Recollection::of_plan(&was)
    };
    assert_eq!(said(&rules, "red", Some(&applied("red"))), Ok(()));
    assert!(said(&rules, "red", Some(&applied("green"))).is_err());
    assert!(said(&rules, "red", None).is_err());
}

#[test]
fn nothing_is_sent_as_another_object() {
    let rules = colours(false);
    let kept = Kept::of("acme", &rules, &[map("a", "green")], "/metadata/name", "c");
    let why = kept.judged(&rules, None).unwrap_err().to_string();
    assert!(
        why.ends_with("ConfigMap/acme/a would be sent as another object"),
        "{why}"
    );
    let mut kept = Kept::of("acme", &rules, &[map("a", "green")], "/data/colour", "b");
    let unknown = ("acme_z__ConfigMap".parse().unwrap(), map("z", "green"));
    kept.sent.extend([unknown]);
    assert!(kept.judged(&rules, None).is_err(), "no object of the plan");
}

#[test]
fn in_a_namespace_of_the_platform_no_rule_is_asked_about_it() {
    let rules = colours(false);
    let git = [map("a", "green")];
    let kept = Kept::of("flux-system", &rules, &git, "/data/colour", "red");
    assert!(kept.judged(&rules, None).is_ok());
}

#[test]
fn of_a_secret_no_value_is_shown() {
    let tells = policy(
        "deny contains {\"message\": one.object.data.key} if {\n\tsome one in input.objects\n\tone.object.type == \"kept\"\n}\n",
    );
    let rules = Rules::shipped().and([Rule::enforced(tells)]);
    let secret = json!({
        "apiVersion": "v1", "kind": "Secret", "type": "Opaque",
        "metadata": {"namespace": "acme", "name": "a"}, "data": {"key": "aHVudGVyMg=="},
    });
    let kept = Kept::of("acme", &rules, &[secret], "/type", "kept");
    let why = kept.judged(&rules, None).unwrap_err().to_string();
    assert_eq!(why, "denied by policy test: ***");
}
