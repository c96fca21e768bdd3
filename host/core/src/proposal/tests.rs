//! Which requests are planned, what is told of them, and that nobody writes more into a comment than they may.

use reeve_api::reason::Reason;
use serde_json::{Value, json};

use super::*;
use crate::inventory::ObjectId;
use crate::preview::Rehearsed;
use crate::status::Action;
use crate::veil::Veil;

const HEAD: &str = "4b825dc642cb6eb9a060e54bf8d69288fbee4904";

fn wish(annotations: Value) -> Result<Option<Wish>, String> {
    let object: GitRepository = serde_json::from_value(json!({
        "apiVersion": "source.toolkit.fluxcd.io/v1", "kind": "GitRepository",
        "metadata": {"name": "shop", "namespace": "acme", "annotations": annotations},
        "spec": {"interval": "1m", "url": "https://git.example/acme/shop.git"},
    }))
    .unwrap();
    Wish::parse(&object).map_err(|why| why.to_string())
}

#[test]
fn what_is_told_at_a_forge_is_asked_for_and_nothing_is_guessed() {
    let wanted = |marks, plans| {
        let provider = "forge".parse().unwrap();
        Ok(Some(Wish {
            provider,
            marks,
            plans,
        }))
    };
    let (marks, plans, forks) = (COMMIT_STATUS, PULL_REQUEST_PLAN, PULL_REQUEST_FORKS);
    assert_eq!(wish(json!({})), Ok(None));
    assert_eq!(wish(json!({PROVIDER: "forge"})), Ok(None));
    let on = json!({PROVIDER: "forge", marks: "enabled"});
    assert_eq!(wish(on), wanted(true, None));
    let on = json!({PROVIDER: "forge", plans: "enabled"});
    assert_eq!(wish(on), wanted(false, Some(Plans { forks: false })));
    let on = json!({PROVIDER: "forge", plans: "enabled", forks: "allow"});
    assert_eq!(wish(on), wanted(false, Some(Plans { forks: true })));
    for (annotations, words) in [
        (json!({marks: "enabled"}), "name a provider plugin"),
        (
            json!({PROVIDER: "forge", marks: "yes"}),
            "the one value is enabled",
        ),
        (
            json!({PROVIDER: "forge", plans: "true"}),
            "the one value is enabled",
        ),
        (
            json!({PROVIDER: "forge", forks: "allow"}),
            "there are no plans",
        ),
        (
            json!({PROVIDER: "forge", plans: "enabled", forks: "yes"}),
            "the one value is allow",
        ),
    ] {
        let why = wish(annotations.clone()).unwrap_err();
        assert!(why.contains(words), "{annotations}: {why}");
    }
}

fn request(number: u64) -> Request {
    Request {
        number,
        head: HEAD.to_owned(),
        reference: format!("refs/pull/{number}/head"),
        base: "main".to_owned(),
        fork: false,
    }
}

#[test]
fn planned_is_what_goes_to_the_branch_that_is_followed_and_no_forks_unless_they_are_let() {
    let (own, let_in) = (Plans { forks: false }, Plans { forks: true });
    let with = |change: fn(&mut Request)| {
        let mut request = request(7);
        change(&mut request);
        request
    };
    for (request, plans, want) in [
        (with(|_| {}), own, true),
        (with(|it| it.base = "next".into()), own, false),
        (with(|it| it.fork = true), own, false),
        (with(|it| it.fork = true), let_in, true),
        (
            with(|it| it.reference = "refs/merge-requests/7/head".into()),
            own,
            true,
        ),
        (
            with(|it| it.reference = "refs/heads/main".into()),
            own,
            false,
        ),
        (
            with(|it| it.reference = "refs/pull/8/head".into()),
            own,
            false,
        ),
        (with(|it| it.head = "main".into()), own, false),
        (with(|it| it.head = "A".repeat(40)), own, false),
    ] {
        let (chosen, _) = chosen(vec![request.clone()], "main", plans);
        assert_eq!(!chosen.is_empty(), want, "{request:?}");
    }
    let many = (1..=60).map(request).collect();
    let (chosen, left) = chosen(many, "main", own);
    assert_eq!((chosen.len(), left), (MOST, 10), "what is left out is told");
}

fn id(name: &str) -> NamespacedName {
    NamespacedName::new("acme", name).unwrap()
}

fn map(colour: &str) -> Value {
    json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "settings"},
        "data": {"colour": colour}})
}

/// A preview in which a ConfigMap gets this colour.
fn preview(colour: &str, secret: &str) -> Preview {
    let veil = Veil::of([secret.to_owned()]);
    let mut preview = Preview::new(&id("web"), format!("sha1:{HEAD}"), veil);
    let object = ObjectId {
        namespace: "acme".to_owned(),
        name: "settings".to_owned(),
        group: String::new(),
        kind: "ConfigMap".to_owned(),
    };
    let done = Rehearsed {
        action: Action::Configured,
        live: Some(map("blue")),
        applied: Some(map(colour)),
        unasked: None,
    };
    preview.add(&object, Ok(done));
    preview
}

fn part(told: Result<Preview, Explained>) -> Part {
    let id = id("web");
    Part { id, told }
}

fn told(parts: &[Part]) -> String {
    let seen = Seen {
        request: request(7),
        live: Vec::new(),
    };
    let source = id("shop");
    comment(&marker(Some("prod"), &source), &source, &seen, parts)
}

#[test]
fn a_head_may_be_merged_only_when_all_of_it_would_be_applied() {
    let denied = |mut told: Preview| {
        told.denied.push("policy pods: no".to_owned());
        told
    };
    let failed = |mut told: Preview| {
        told.failed.push("Service/acme/web: invalid".to_owned());
        told
    };
    let fine = || preview("red", "s3cr3t-value");
    let why = |turn| Explained::new(Reason::BuildFailed, turn, "no");
    let empty = Preview::new(&id("web"), String::new(), Veil::default());
    for (told, state, words) in [
        (
            vec![Ok(fine())],
            State::Success,
            "1 object would be changed",
        ),
        (vec![Ok(empty)], State::Success, "nothing would be changed"),
        (vec![], State::Success, "nothing would be changed"),
        (
            vec![Ok(fine()), Ok(denied(fine()))],
            State::Failure,
            "acme/web: denied by policy",
        ),
        (vec![Ok(failed(fine()))], State::Failure, "it would fail"),
        (
            vec![Ok(fine()), Err(why(Turn::NextRevision))],
            State::Failure,
            "it would fail",
        ),
        (
            vec![Err(why(Turn::Ours))],
            State::Error,
            "it cannot be said yet",
        ),
        (
            vec![Err(why(Turn::Ours)), Ok(denied(fine()))],
            State::Failure,
            "denied by policy",
        ),
    ] {
        let parts: Vec<Part> = told.into_iter().map(part).collect();
        let mark = verdict(HEAD, &parts);
        assert_eq!((mark.state, &*mark.commit), (state, HEAD), "{parts:?}");
        assert!(mark.description.contains(words), "{}", mark.description);
    }
    assert_eq!(context(None, &id("shop")), "reeve/plan/acme/shop");
    assert_eq!(
        context(Some("prod"), &id("shop")),
        "reeve/plan/prod/acme/shop"
    );
}

#[test]
fn a_comment_shows_what_changes_and_no_secret() {
    let said = told(&[part(Ok(preview("red s3cr3t-value", "s3cr3t-value")))]);
    assert!(
        said.starts_with("<!-- reeve:plan prod acme/shop -->\n"),
        "{said}"
    );
    for words in [
        "**acme/web**: 0 created, 1 configured, 0 deleted, 0 unchanged",
        "```diff\nConfigMap/acme/settings configured\n",
        "-   colour: blue\n",
        "Nothing was written.",
    ] {
        assert!(said.contains(words), "{words}: {said}");
    }
    assert!(!said.contains("s3cr3t"), "{said}");
    assert!(said.contains("***"), "{said}");
}

#[test]
fn what_is_not_compared_is_named_and_the_other_cluster_is_not() {
    let mut preview = preview("red", "s3cr3t-value");
    let object = ObjectId {
        namespace: "acme".to_owned(),
        name: "db".to_owned(),
        group: String::new(),
        kind: "Secret".to_owned(),
    };
    preview.pass_over(&object, "data is not compared in plans");
    preview.cluster = Some("https://10.0.0.1:6443".to_owned());
    let parts = [part(Ok(preview))];
    let said = told(&parts);
    for words in [
        "**acme/web** on another cluster: 0 created, 1 configured, 0 deleted, 0 unchanged, 1 not compared",
        "Not compared with what is on the cluster:\n```text\nSecret/acme/db: data is not compared in plans\n```\n",
    ] {
        assert!(said.contains(words), "{words}: {said}");
    }
    assert!(!said.contains("10.0.0.1"), "{said}");
    let mark = verdict(HEAD, &parts);
    assert_eq!(mark.state, State::Success);
    assert_eq!(
        mark.description,
        "1 object would be changed, 1 not compared"
    );
}

#[test]
fn nothing_that_is_proposed_leaves_its_block_of_code() {
    let wild = "x\n```\n@everybody <img src=x> \u{202e}````";
    let mut preview = preview(wild, "s3cr3t-value");
    preview.denied.push(format!("policy p: {wild}"));
    let said = told(&[part(Ok(preview))]);
    let mut open: Option<&str> = None;
    for line in said.lines() {
        let ticks = line.len() - line.trim_start_matches('`').len();
        match open {
            None if ticks >= 3 => open = line.get(..ticks),
            Some(fence) if line == fence => open = None,
            None => assert!(
                !line.contains("@everybody") && !line.contains("<img"),
                "{line}"
            ),
            Some(fence) => assert!(ticks < fence.len(), "{line}"),
        }
    }
    assert_eq!(open, None, "{said}");
    assert!(!said.contains('\u{202e}'));
}

#[test]
fn a_comment_has_a_bound_and_says_what_it_leaves_out() {
    let lines = |count: usize| {
        let lines: Vec<String> = (0..count).map(|line| format!("line {line} ä")).collect();
        lines.join("\n")
    };
    let parts: Vec<Part> = (0..40)
        .map(|_| part(Ok(preview(&lines(1000), "s3cr3t-value"))))
        .collect();
    let said = told(&parts);
    assert!(said.len() <= comment::LONGEST, "{}", said.len());
    assert!(said.contains("This is not all of it"), "{said}");
    let fences = said.lines().filter(|line| line.starts_with("```")).count();
    assert_eq!(fences % 2, 0, "each block that is begun ends");
}

#[test]
fn a_plan_is_made_again_only_when_something_of_it_is_another() {
    let object = |revision: &str, generation: i64| -> Kustomization {
        serde_json::from_value(json!({
            "apiVersion": "kustomize.toolkit.fluxcd.io/v1", "kind": "Kustomization",
            "metadata": {"name": "web", "namespace": "acme", "generation": generation},
            "spec": {
                "interval": "5m", "prune": true, "sourceRef": {"kind": "GitRepository", "name": "shop"},
            },
            "status": {"lastAppliedRevision": revision},
        }))
        .unwrap()
    };
    let under = |rules, request: Request, revision: &str, generation| Seen {
        request,
        live: vec![Live::of(&id("web"), &object(revision, generation), rules)],
    };
    let seen = |request, revision: &str, generation| under([0; 32], request, revision, generation);
    let first = seen(request(7), "main@sha1:a", 1);
    assert_eq!(first, seen(request(7), "main@sha1:a", 1));
    let mut pushed = request(7);
    pushed.head = "0".repeat(40);
    assert_ne!(first, seen(pushed, "main@sha1:a", 1));
    assert_ne!(first, seen(request(7), "main@sha1:b", 1));
    assert_ne!(first, seen(request(7), "main@sha1:a", 2));
    let ruled = under([1; 32], request(7), "main@sha1:a", 1);
    assert_ne!(first, ruled);
    assert!(ruled.is_only_ruled_otherwise(&first) && !first.is_only_ruled_otherwise(&first));
    let both = under([1; 32], request(7), "main@sha1:b", 1);
    assert!(!both.is_only_ruled_otherwise(&first));
}
