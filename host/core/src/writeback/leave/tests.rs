//! What is left alone of objects that others have changed.

use reeve_api::writeback::WriteBackRule;
use serde_json::{Value, json};

use super::*;

const ID: &str = "acme_web_apps_Deployment";

fn rules(written: Value) -> Vec<Rules> {
    let rules: Vec<WriteBackRule> = serde_json::from_value(written).unwrap();
    vec![Rules::parse(&rules).unwrap()]
}

fn to_git() -> Yielding {
    Yielding::new(rules(json!([{"syncTo": "git"}])), None)
}

/// A Deployment of one container with this image, that many replicas and what else its template has.
fn web(image: &str, replicas: u8) -> Value {
    json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web", "namespace": "acme"},
        "spec": {"replicas": replicas, "template": {"spec": {"containers": [{"name": "web", "image": image}]}}}})
}

fn image() -> Value {
    json!({"f:spec": {"f:template": {"f:spec": {"f:containers": {"k:{\"name\":\"web\"}":
        {".": {}, "f:name": {}, "f:image": {}}}}}}})
}

fn claim(manager: &str, operation: &str, fields: Value) -> Value {
    json!({"manager": manager, "operation": operation, "fieldsV1": fields})
}

fn claimed(mut object: Value, claims: Value) -> Value {
    object["metadata"]["managedFields"] = claims;
    object
}

/// Ours on the replicas, and on the image as long as nobody else has it.
fn ours(with_image: bool) -> Value {
    let mut fields = image();
    fields["f:spec"]["f:replicas"] = json!({});
    let container =
        fields.pointer_mut("/f:spec/f:template/f:spec/f:containers/k:{\"name\":\"web\"}");
    if !with_image {
        container
            .unwrap()
            .as_object_mut()
            .unwrap()
            .shift_remove("f:image");
    }
    claim("kustomize-controller", "Apply", fields)
}

fn left(yielding: &Yielding, wanted: &Value, live: &Value, dry: &Value) -> Vec<String> {
    let leave = yielding.leave("deployments", ID, wanted, live, dry);
    leave.paths.iter().map(ToString::to_string).collect()
}

const IMAGE: &str = "spec.template.spec.containers[name=web].image";

#[test]
fn what_somebody_else_has_changed_is_left_and_what_git_alone_has_changed_is_not() {
    let keel = || claim("keel", "Update", image());
    let wanted = web("web:1", 1);
    for (about, live, claims, want) in [
        (
            "somebody's image",
            web("web:2", 1),
            json!([ours(false), keel()]),
            vec![IMAGE],
        ),
        ("git's image", web("web:2", 1), json!([ours(true)]), vec![]),
        (
            "both have it",
            web("web:2", 1),
            json!([ours(true), keel()]),
            vec![],
        ),
        (
            "git's replicas beside it",
            web("web:2", 3),
            json!([ours(false), keel()]),
            vec![IMAGE],
        ),
        (
            "the same",
            web("web:1", 1),
            json!([ours(false), keel()]),
            vec![],
        ),
        ("never applied", web("web:2", 1), json!([keel()]), vec![]),
    ] {
        let live = claimed(live, claims);
        assert_eq!(left(&to_git(), &wanted, &live, &wanted), want, "{about}");
    }
}

#[test]
fn only_what_a_rule_means_is_left() {
    let live = claimed(
        web("web:2", 1),
        json!([ours(false), claim("keel", "Update", image())]),
    );
    let wanted = web("web:1", 1);
    let image = "/spec/template/spec/containers/*/image";
    for (written, want) in [
        (json!([{"syncTo": "git"}]), true),
        (json!([{"syncTo": "git", "filters": [image]}]), true),
        (
            json!([{"syncTo": "git", "filters": ["/spec/replicas"]}]),
            false,
        ),
        (json!([{"syncTo": "git", "resources": ["services"]}]), false),
        (json!([{"syncTo": "kubernetes"}]), false),
        (json!([{"syncTo": "kubernetes"}, {"syncTo": "git"}]), false),
        (
            json!([{"syncTo": "ignore"}, {"syncTo": "kubernetes"}]),
            true,
        ),
        (json!([{"syncTo": "ignore", "filters": [image]}]), true),
        (
            json!([{"syncTo": "ignore", "filters": ["/spec/replicas"]}, {"syncTo": "kubernetes"}]),
            false,
        ),
        (
            json!([{"syncTo": "kubernetes", "filters": [image]}, {"syncTo": "git"}]),
            false,
        ),
        (
            json!([{"syncTo": "ignore", "names": ["api"]}, {"syncTo": "git"}]),
            true,
        ),
    ] {
        let yielding = Yielding::new(rules(written.clone()), None);
        assert_eq!(
            !left(&yielding, &wanted, &live, &wanted).is_empty(),
            want,
            "{written}"
        );
    }
    assert!(left(&Yielding::default(), &wanted, &live, &wanted).is_empty());
}

/// An image, replicas and a note that somebody has changed.
fn all_changed() -> (Value, Value) {
    let mut fields = image();
    fields["f:spec"]["f:replicas"] = json!({});
    fields["f:metadata"] = json!({"f:annotations": {"f:note": {}}});
    let with = |image: &str, replicas: u8, note: &str| {
        let mut object = web(image, replicas);
        object["metadata"]["annotations"] = json!({"note": note});
        object
    };
    let mine = claim(
        "kustomize-controller",
        "Apply",
        json!({"f:spec": {"f:selector": {}}}),
    );
    let claims = json!([mine, claim("kubectl-edit", "Update", fields)]);
    let live = claimed(with("web:2", 3, "theirs"), claims);
    (with("web:1", 1, "ours"), live)
}

/// What autoscalers set is left for good, an image until it is committed, and a note is put right.
fn three_sides() -> Value {
    json!([{"filters": ["/spec/replicas"], "syncTo": "ignore"}, {"filters": ["/metadata/annotations"], "syncTo": "kubernetes"},
        {"syncTo": "git"}])
}

#[test]
fn each_field_goes_by_the_first_rule_that_covers_it() {
    let (wanted, live) = all_changed();
    let of = |all: Vec<Value>| {
        let all = all.into_iter().flat_map(rules).collect();
        let mut left = left(&Yielding::new(all, None), &wanted, &live, &wanted);
        left.sort();
        left
    };
    let (replicas, note) = ("spec.replicas", "metadata.annotations.note");
    assert_eq!(of(vec![three_sides()]), [replicas, IMAGE]);
    // What one commits is left whatever others say; what one ignores only if no other has it put right.
    let only = |field: &str, side: &str| json!([{"filters": [field], "syncTo": side}]);
    let ignored = json!([{"syncTo": "ignore"}]);
    assert_eq!(of(vec![ignored.clone()]), [note, replicas, IMAGE]);
    let kept = only("/spec", "kubernetes");
    assert_eq!(of(vec![ignored, kept.clone()]), [note]);
    let committed = only("/spec/replicas", "git");
    assert_eq!(of(vec![kept, committed]), [replicas]);
}

#[test]
fn a_mapping_that_is_gone_is_asked_about_field_by_field() {
    let (wanted, _) = all_changed();
    let live = claimed(web("web:1", 1), json!([ours(true)]));
    let before = || Recollection::parse(json!({ID: wanted}).to_string().as_bytes());
    for (side, want) in [("ignore", true), ("git", true), ("kubernetes", false)] {
        let written = json!([{"filters": ["/metadata/annotations/note"], "syncTo": side}]);
        let yielding = Yielding::new(rules(written), before());
        let leave = yielding.leave("deployments", ID, &wanted, &live, &wanted);
        assert_eq!(!leave.is_nothing(), want, "{side}");
        // Nor is an empty mapping sent in its place.
        let sent = leave.without(&leave.shown(&wanted, &live)).into_owned();
        assert_eq!(sent == web("web:1", 1), want, "{side}");
    }
}

#[test]
fn standing_alone_all_is_left_that_is_not_to_be_put_right_whoever_has_changed_it() {
    let (wanted, mut live) = all_changed();
    live["metadata"]["managedFields"] = json!([]);
    let alone = |written: Value| Yielding::alone(rules(written).remove(0));
    let of = |written: Value, live: &Value| {
        let mut left = left(&alone(written), &wanted, live, &wanted);
        left.sort();
        left
    };
    let (replicas, note) = ("spec.replicas", "metadata.annotations.note");
    assert_eq!(of(three_sides(), &live), [replicas, IMAGE]);
    let kept = json!([{"filters": ["/spec"], "syncTo": "kubernetes"}]);
    assert_eq!(of(kept.clone(), &live), [note], "no rule is for it");
    assert!(of(json!([{"syncTo": "kubernetes"}]), &live).is_empty());
    live["metadata"]["annotations"]["reeve.dev/write-back"] = json!("disabled");
    assert_eq!(of(kept.clone(), &live), [note, replicas, IMAGE]);
    // Nobody makes what no rule has put right as a whole.
    for (written, want) in [
        (json!([{"syncTo": "kubernetes"}]), false),
        (
            json!([{"filters": ["/spec"], "syncTo": "git"}, {"syncTo": "kubernetes"}]),
            false,
        ),
        (kept, true),
        (three_sides(), true),
    ] {
        let lets_go = alone(written.clone()).lets_go("deployments", ID, &wanted);
        assert_eq!(lets_go, want, "{written}");
    }
}

#[test]
fn an_object_that_was_taken_out_and_a_secret_are_as_without_rules() {
    let claims = json!([ours(false), claim("keel", "Update", image())]);
    let (wanted, paused) = (web("web:1", 1), json!({"reeve.dev/write-back": "disabled"}));
    let mut live = claimed(web("web:2", 1), claims);
    live["metadata"]["annotations"] = paused.clone();
    assert!(left(&to_git(), &wanted, &live, &wanted).is_empty());
    live["metadata"]["annotations"] = json!({});
    let mut in_git = wanted.clone();
    in_git["metadata"]["annotations"] = paused;
    assert!(left(&to_git(), &in_git, &live, &in_git).is_empty());

    let secret = |value: &str| {
        json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "a", "namespace": "acme"},
        "data": {"a": value}})
    };
    let data = json!({"f:data": {"f:a": {}}});
    let mine = claim("kustomize-controller", "Apply", json!({"f:type": {}}));
    let live = claimed(secret("eA=="), json!([mine, claim("x", "Update", data)]));
    let leave = to_git().leave(
        "secrets",
        "acme_a__Secret",
        &secret("eQ=="),
        &live,
        &secret("eQ=="),
    );
    assert_eq!(leave, Leave::default());
}

#[test]
fn what_is_gone_is_left_only_if_it_was_applied_once() {
    let with = |names: &[&str]| {
        let env: Vec<Value> = names
            .iter()
            .map(|name| json!({"name": name, "value": "1"}))
            .collect();
        let mut object = web("web:1", 1);
        object["spec"]["template"]["spec"]["containers"][0]["env"] = json!(env);
        object
    };
    let before = |names: &[&str]| {
        let objects = json!({ID: with(names)});
        Recollection::parse(objects.to_string().as_bytes())
    };
    let live = claimed(with(&["A"]), json!([ours(true)]));
    let wanted = with(&["A", "B"]);
    let left = |before| {
        left(
            &Yielding::new(to_git().rules, before),
            &wanted,
            &live,
            &wanted,
        )
    };
    assert_eq!(
        left(before(&["A", "B"])),
        ["spec.template.spec.containers[name=web].env[name=B]"]
    );
    assert!(left(before(&["A"])).is_empty(), "git has added it");
    assert!(left(None).is_empty(), "nobody knows");
}

#[test]
fn what_is_claimed_as_a_whole_is_left_as_a_whole() {
    let with = |selector: Value, args: Value| {
        let mut object = web("web:1", 1);
        object["spec"]["template"]["spec"]["nodeSelector"] = selector;
        object["spec"]["template"]["spec"]["containers"][0]["args"] = args;
        object
    };
    let fields = json!({"f:spec": {"f:template": {"f:spec": {"f:nodeSelector": {},
        "f:containers": {"k:{\"name\":\"web\"}": {"f:args": {}}}}}}});
    let live = with(json!({"disk": "ssd", "zone": "a"}), json!(["x", "z"]));
    let live = claimed(
        live,
        json!([ours(true), claim("kubectl-edit", "Update", fields)]),
    );
    let wanted = with(json!({"disk": "hdd", "zone": "a"}), json!(["x", "y"]));
    let leave = to_git().leave("deployments", ID, &wanted, &live, &wanted);
    let paths: Vec<String> = leave.paths.iter().map(ToString::to_string).collect();
    let selector = "spec.template.spec.nodeSelector";
    let mut want = vec![selector, "spec.template.spec.containers[name=web].args"];
    want.sort_unstable();
    let mut paths: Vec<&str> = paths.iter().map(String::as_str).collect();
    paths.sort_unstable();
    assert_eq!(paths, want);
    let sent = leave.without(&wanted);
    assert_eq!(sent.pointer("/spec/template/spec/nodeSelector"), None);
    assert_eq!(sent.pointer("/spec/template/spec/containers/0/args"), None);
}

#[test]
fn rules_are_asked_about_what_will_be_and_what_is_left_is_not_sent() {
    let live = claimed(
        web("web:2", 1),
        json!([ours(false), claim("keel", "Update", image())]),
    );
    let wanted = web("web:1", 3);
    let leave = to_git().leave("deployments", ID, &wanted, &live, &wanted);
    assert_eq!(leave.shown(&wanted, &live), web("web:2", 3));
    let mut sent = web("web:1", 3);
    sent["spec"]["template"]["spec"]["containers"][0] = json!({"name": "web"});
    assert_eq!(*leave.without(&wanted), sent);
    let shown = leave.shown(&wanted, &live);
    assert_eq!(*leave.without(&shown), sent);
    assert!(!leave.is_nothing());
    // A mapping that was there for it alone is not sent empty: it would be ours then.
    let with = |annotations: Value| {
        let mut object = web("web:1", 1);
        object["metadata"]["annotations"] = annotations;
        object
    };
    let fields = json!({"f:metadata": {"f:annotations": {"f:a": {}}}});
    let live = claimed(
        with(json!({"a": "2"})),
        json!([ours(true), claim("x", "Update", fields)]),
    );
    let wanted = with(json!({"a": "1"}));
    let leave = to_git().leave("deployments", ID, &wanted, &live, &wanted);
    assert_eq!(*leave.without(&wanted), web("web:1", 1));
}

#[test]
fn what_was_written_back_is_claimed_again() {
    let keel = claim("keel", "Update", image());
    let dry = claimed(web("web:2", 1), json!([ours(true), keel]));
    for (about, live, want) in [
        (
            "written back",
            claimed(web("web:2", 1), json!([ours(false), keel])),
            true,
        ),
        (
            "claimed again",
            claimed(web("web:2", 1), json!([ours(true), keel])),
            false,
        ),
        (
            "still another",
            claimed(web("web:3", 1), json!([ours(false), keel])),
            false,
        ),
    ] {
        let leave = to_git().leave("deployments", ID, &web("web:2", 1), &live, &dry);
        assert_eq!(leave.reclaims(&live, &dry), want, "{about}");
    }
    let live = claimed(web("web:2", 1), json!([ours(false), keel]));
    assert!(!Leave::default().reclaims(&live, &dry), "no rule is for it");
}

#[test]
fn claims_on_what_git_does_not_have_yet_are_not_taken_over() {
    let annotations = json!({"a": "1", "new": "1", "reeve.dev/reason": "night"});
    let mut live = web("web:2", 3);
    live["metadata"]["annotations"] = annotations;
    let mut wanted = web("web:1", 1);
    wanted["metadata"]["annotations"] = json!({"a": "1"});
    let mut fields = image();
    fields["f:spec"]["f:replicas"] = json!({});
    fields["f:metadata"] =
        json!({"f:annotations": {".": {}, "f:a": {}, "f:new": {}, "f:reeve.dev/reason": {}}});
    let live = claimed(
        live,
        json!([ours(false), claim("kubectl-edit", "Update", fields.clone())]),
    );
    let taken = |written: Value, live: &Value| {
        let yielding = Yielding::new(rules(json!([written])), None);
        let leave = yielding.leave("deployments", ID, &wanted, live, &wanted);
        leave.taken(&fields, &wanted, live)
    };
    let name = json!({"f:spec": {"f:template": {"f:spec": {"f:containers": {"k:{\"name\":\"web\"}":
        {".": {}, "f:name": {}}}}}}});
    let mut want = name.clone();
    want["f:metadata"] = json!({"f:annotations": {".": {}, "f:a": {}}});
    assert_eq!(taken(json!({"syncTo": "git"}), &live), want);
    // What is not meant is drift.
    let mut more = want.clone();
    more["f:spec"]["f:replicas"] = json!({});
    more["f:metadata"]["f:annotations"]["f:new"] = json!({});
    let only = json!({"syncTo": "git", "filters": ["/spec/template/spec/containers/*/image"]});
    assert_eq!(taken(only, &live), more);
    // Of what was taken out, only what is said to us.
    let mut paused = live.clone();
    paused["metadata"]["annotations"]["reeve.dev/write-back"] = json!("disabled");
    let mut all = fields.clone();
    let annotations = all["f:metadata"]["f:annotations"].as_object_mut().unwrap();
    annotations.shift_remove("f:reeve.dev/reason");
    assert_eq!(taken(json!({"syncTo": "git"}), &paused), all);
    assert_eq!(taken(json!({"syncTo": "kubernetes"}), &live), fields);
}

#[test]
fn what_is_deleted_stays_so_only_by_rule_and_if_it_was_applied() {
    let before = || Recollection::parse(json!({ID: web("web:1", 1)}).to_string().as_bytes());
    let delete = json!([{"syncTo": "git", "onDelete": "delete"}]);
    for (written, before, want) in [
        (delete.clone(), before(), true),
        (delete.clone(), None, false),
        (json!([{"syncTo": "git"}]), before(), false),
        (
            json!([{"syncTo": "kubernetes", "onDelete": "delete"}]),
            before(),
            false,
        ),
        (
            json!([{"syncTo": "git", "onDelete": "delete", "filters": ["/spec"]}]),
            before(),
            false,
        ),
    ] {
        let yielding = Yielding::new(rules(written.clone()), before);
        assert_eq!(
            yielding.lets_go("deployments", ID, &web("web:1", 1)),
            want,
            "{written}"
        );
    }
    let yielding = Yielding::new(rules(delete), before());
    assert!(!yielding.lets_go("deployments", "acme_api_apps_Deployment", &web("web:1", 1)));
}

#[test]
fn what_somebody_had_taken_out_is_made_again_when_it_is_deleted() {
    let wanted = web("web:1", 1);
    let before = Recollection::parse(json!({ID: wanted}).to_string().as_bytes());
    let delete = json!([{"syncTo": "git", "onDelete": "delete"}]);
    let yielding = Yielding::new(rules(delete), before);
    assert!(yielding.lets_go("deployments", ID, &wanted));
    let yielding = yielding.without([ID.to_owned()]);
    assert!(!yielding.lets_go("deployments", ID, &wanted));
}

/// Where it looks, the image that is left of a Deployment in `acme`, and whether that stays deleted.
#[test]
fn what_nobody_looks_at_is_put_right() {
    let wanted = web("web:1", 1);
    let claims = json!([ours(false), claim("keel", "Update", image())]);
    let live = claimed(web("web:2", 1), claims);
    let before = || Recollection::parse(json!({ID: wanted}).to_string().as_bytes());
    for (namespaces, want) in [
        (None, true),
        (Some(["acme"]), true),
        (Some(["other"]), false),
    ] {
        let namespaces = namespaces.map(|all| all.map(str::to_owned).into());
        let all = rules(json!([{"syncTo": "git", "onDelete": "delete"}])).remove(0);
        let yielding = Yielding::new(vec![all.watched(namespaces)], before());
        let left = left(&yielding, &wanted, &live, &wanted);
        assert_eq!(left == [IMAGE], want, "{left:?}");
        assert_eq!(yielding.lets_go("deployments", ID, &wanted), want);
    }
}

#[test]
fn other_rules_have_another_mark() {
    let of = |written| Yielding::new(rules(written), None).mark();
    let one = of(json!([{"syncTo": "git"}]));
    assert_eq!(one, of(json!([{"syncTo": "git"}])));
    assert_ne!(one, of(json!([{"syncTo": "kubernetes"}])));
    assert_ne!(one, Yielding::default().mark());
}

#[test]
fn what_somebody_has_made_anew_is_left_if_it_was_applied_once() {
    let wanted = web("web:1", 1);
    let before = || Recollection::parse(json!({ID: wanted}).to_string().as_bytes());
    let by_hand = claim("kubectl-create", "Update", image());
    let live = claimed(web("web:2", 1), json!([by_hand]));
    let of = |yielding: Yielding| left(&yielding, &wanted, &live, &wanted);
    let rule = || rules(json!([{"syncTo": "git"}]));
    assert_eq!(of(Yielding::new(rule(), before())), [IMAGE]);
    let ids = [ID.to_owned()];
    assert_eq!(of(Yielding::new(rule(), None).after_leaving(ids)), [IMAGE]);
    assert!(
        of(Yielding::new(rule(), None)).is_empty(),
        "nobody's change"
    );
    let kept = rules(json!([{"syncTo": "kubernetes"}]));
    assert!(of(Yielding::new(kept, before())).is_empty());
}

#[test]
fn what_was_let_go_stays_so_though_nobody_knows_as_what_it_was_applied() {
    for (written, ids, want) in [
        (
            json!([{"syncTo": "git", "onDelete": "delete"}]),
            vec![ID],
            true,
        ),
        (
            json!([{"syncTo": "git", "onDelete": "delete"}]),
            vec!["acme_api_apps_Deployment"],
            false,
        ),
        (json!([{"syncTo": "git"}]), vec![ID], false),
    ] {
        let ids = ids.into_iter().map(str::to_owned);
        let yielding = Yielding::new(rules(written.clone()), None).after_leaving(ids);
        let goes = yielding.lets_go("deployments", ID, &web("web:1", 1));
        assert_eq!(goes, want, "{written}");
    }
}

/// The Deployment with what the server fills in, and what cannot be changed.
fn filled(image: &str, selector: &str) -> Value {
    let mut object = web(image, 1);
    object["spec"]["selector"] = json!({"matchLabels": {"app": selector}});
    object["spec"]["progressDeadlineSeconds"] = json!(600);
    object["spec"]["template"]["spec"]["containers"][0]["pull"] = json!("Always");
    object
}

#[test]
fn where_no_dry_run_can_be_made_it_goes_by_what_git_says_over_what_is_there() {
    let mut wanted = web("web:1", 1);
    wanted["spec"]["selector"] = json!({"matchLabels": {"app": "web"}});
    let before = || Recollection::parse(json!({ID: wanted}).to_string().as_bytes());
    let selector = "spec.selector.matchLabels.app";
    let by_hand = || claim("kubectl-create", "Update", image());
    let mut own = image();
    own["f:spec"]["f:selector"] = json!({"f:matchLabels": {"f:app": {}}});
    let ours = claim("kustomize-controller", "Apply", own);
    let git = json!([{"syncTo": "git"}]);
    for (about, written, live, claims, want) in [
        (
            "it was made anew",
            git.clone(),
            filled("web:1", "by-hand"),
            json!([by_hand()]),
            (vec![selector], true),
        ),
        (
            "only the server has filled it in",
            git.clone(),
            filled("web:1", "web"),
            json!([by_hand()]),
            (vec![], false),
        ),
        (
            "git alone has changed it",
            git,
            filled("web:1", "before"),
            json!([ours]),
            (vec![], false),
        ),
        (
            "nobody commits it",
            json!([{"syncTo": "ignore"}]),
            filled("web:1", "by-hand"),
            json!([by_hand()]),
            (vec![selector], false),
        ),
        (
            "another field is committed",
            json!([{"syncTo": "git", "filters": ["/spec/replicas"]}]),
            filled("web:1", "by-hand"),
            json!([by_hand()]),
            (vec![], false),
        ),
    ] {
        let live = claimed(live, claims);
        let yielding = Yielding::new(rules(written), before());
        let leave = yielding.leave_unsaid("deployments", ID, &wanted, &live);
        let paths: Vec<String> = leave.paths.iter().map(ToString::to_string).collect();
        assert_eq!(
            (paths, leave.waits()),
            (want.0.iter().map(ToString::to_string).collect(), want.1),
            "{about}"
        );
    }
    let nobody = Yielding::default().leave_unsaid("deployments", ID, &wanted, &filled("a", "b"));
    assert_eq!(nobody, Leave::default());
}
