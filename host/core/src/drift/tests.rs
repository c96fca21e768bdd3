//! Which events matter: a row each.

use super::*;
use serde_json::json;

fn name(text: &str) -> NamespacedName {
    text.parse().unwrap()
}

fn claim(manager: &str, operation: &str, time: u8, fields: Value) -> Value {
    json!({"manager": manager, "operation": operation, "fieldsV1": fields,
        "time": format!("2026-11-22T08:00:{time:02}Z")})
}

/// A Deployment as we applied it.
fn applied() -> Value {
    let fields = json!({"f:spec": {"f:replicas": {}, "f:paused": {}}});
    json!({"metadata": {
        "name": "web", "namespace": "acme", "uid": "1", "resourceVersion": "100", "generation": 1,
        "labels": {OWNER: "web", OWNER_NAMESPACE: "acme"},
        "managedFields": [claim(MANAGER, "Apply", 1, fields)],
    }})
}

/// The same at a later version, after `change`.
fn after(change: impl FnOnce(&mut Value)) -> Seen {
    let mut object = applied();
    object["metadata"]["resourceVersion"] = "101".into();
    change(&mut object["metadata"]);
    Seen::there(&object)
}

fn add(meta: &mut Value, claim: Value) {
    meta["managedFields"].as_array_mut().unwrap().push(claim);
}

/// Somebody has set a field of ours to something else: it is theirs now.
fn taken(meta: &mut Value, claim: Value) {
    meta["generation"] = 2.into();
    meta["managedFields"][0]["fieldsV1"] = json!({"f:spec": {"f:paused": {}}});
    add(meta, claim);
}

fn replicas() -> Value {
    json!({"f:spec": {"f:replicas": {}}})
}

fn judged(seen: &Seen) -> Verdict {
    let others = [name("acme/web"), name("acme/other")];
    let is_one = |who: &NamespacedName| others.contains(who);
    verdict(Sight::of(&applied()), &name("acme/web"), seen, is_one)
}

#[test]
fn only_a_change_of_what_is_ours_is_worth_a_run() {
    let status = |meta: &mut Value| {
        let mut told = claim(
            "kube-controller-manager",
            "Update",
            9,
            json!({"f:status": {}}),
        );
        told["subresource"] = "status".into();
        add(meta, told);
    };
    let scaled = |meta: &mut Value| {
        let mut told = claim("kube-controller-manager", "Update", 9, replicas());
        told["subresource"] = "scale".into();
        taken(meta, told);
    };
    type Change = Box<dyn Fn(&mut Value)>;
    let rows: Vec<(&str, Change, Verdict)> = vec![
        (
            "the echo of our write",
            Box::new(|meta| meta["resourceVersion"] = "100".into()),
            Verdict::Old,
        ),
        (
            "what was before it",
            Box::new(|meta| {
                meta["resourceVersion"] = "99".into();
                meta["uid"] = "0".into();
            }),
            Verdict::Old,
        ),
        (
            "a version that is no number",
            Box::new(|meta| meta["resourceVersion"] = "x".into()),
            Verdict::Same,
        ),
        ("a new status", Box::new(status), Verdict::Same),
        (
            "a generation that somebody else's field moved",
            Box::new(|meta| {
                meta["generation"] = 2.into();
                add(meta, claim("istio", "Update", 9, json!({"f:metadata": {}})));
            }),
            Verdict::Same,
        ),
        (
            "a field of ours, edited",
            Box::new(move |meta| taken(meta, claim("helm", "Update", 9, replicas()))),
            Verdict::Foreign,
        ),
        (
            "a field of ours, scaled",
            Box::new(scaled),
            Verdict::Foreign,
        ),
        (
            "a field beside ours, by kubectl",
            Box::new(|meta| {
                add(
                    meta,
                    claim("kubectl-edit", "Update", 9, json!({"f:data": {}})),
                );
            }),
            Verdict::Foreign,
        ),
        (
            "an apply by our name",
            Box::new(|meta| meta["managedFields"][0]["time"] = "2026-11-22T08:00:30Z".into()),
            Verdict::Foreign,
        ),
        (
            "no claims any more",
            Box::new(|meta| meta["managedFields"] = json!([])),
            Verdict::Foreign,
        ),
        (
            "deleted, and not gone yet",
            Box::new(|meta| meta["deletionTimestamp"] = "2026-11-22T08:00:30Z".into()),
            Verdict::Foreign,
        ),
        (
            "made anew",
            Box::new(|meta| meta["uid"] = "2".into()),
            Verdict::Foreign,
        ),
        (
            "our label is another",
            Box::new(|meta| meta["labels"][OWNER] = "nobody".into()),
            Verdict::Foreign,
        ),
        (
            "another Kustomization's now",
            Box::new(|meta| meta["labels"][OWNER] = "other".into()),
            Verdict::Theirs,
        ),
    ];
    for (says, change, want) in rows {
        assert_eq!(judged(&after(change)), want, "{says}");
    }
    assert_eq!(judged(&Seen::Gone { version: Some(101) }), Verdict::Foreign);
    assert_eq!(judged(&Seen::Gone { version: Some(99) }), Verdict::Old);
    assert_eq!(judged(&Seen::Gone { version: None }), Verdict::Foreign);
}

#[test]
fn without_claims_the_generation_counts() {
    let object = |generation: u8, version: &str| {
        let mut object = applied();
        object["metadata"]["managedFields"] = Value::Null;
        object["metadata"]["generation"] = generation.into();
        object["metadata"]["resourceVersion"] = version.into();
        object
    };
    let known = Sight::of(&object(1, "1"));
    let judged = |now: &Value| verdict(known, &name("acme/web"), &Seen::there(now), |_| false);
    assert_eq!(judged(&object(1, "2")), Verdict::Same);
    assert_eq!(judged(&object(2, "2")), Verdict::Foreign);
}

#[test]
fn the_last_who_wrote_is_named_but_for_us_and_for_the_status() {
    let mut object = applied();
    assert_eq!(last_hand(&object), None);
    let meta = &mut object["metadata"];
    add(meta, claim("early", "Update", 2, json!({})));
    add(meta, claim("late\n", "Apply", 3, json!({})));
    let mut status = claim("controller", "Update", 4, json!({}));
    status["subresource"] = "status".into();
    add(meta, status);
    assert_eq!(last_hand(&object).as_deref(), Some("late"));
}

#[test]
fn what_is_gone_and_left_so_is_nothing_new() {
    let gone = Seen::Gone { version: Some(7) };
    let judged = |seen: &Seen| verdict(Sight::GONE, &name("acme/web"), seen, |_| false);
    assert_eq!(judged(&gone), Verdict::Same);
    assert_eq!(judged(&after(|_| {})), Verdict::Foreign);
}

#[test]
fn one_manifest_is_told_from_another_whatever_its_order() {
    let (a, b) = (
        json!({"a": 1, "b": [true, null]}),
        json!({"b": [true, null], "a": 1}),
    );
    assert_eq!(digest(&a), digest(&b));
    for other in [
        json!({"a": "1", "b": [true, null]}),
        json!({"a": 1, "b": [null, true]}),
        json!({}),
    ] {
        assert_ne!(digest(&a), digest(&other));
    }
}
