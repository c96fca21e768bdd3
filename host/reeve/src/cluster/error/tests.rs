//! What refusals are taken to mean, with the messages of a real API server.

use std::time::Duration;

use super::super::refusal::Refusal;
use super::*;

fn refused(code: u16, reason: &str, message: &str) -> CallError {
    CallError::Refused(Box::new(Refusal {
        code,
        reason: reason.into(),
        message: message.into(),
        causes: vec![("data[token]".into(), "FieldValueInvalid".into())],
        names_object: message.contains("\" not found"),
        retry_after: None,
        attempt: Attempt::DryRun,
    }))
}

fn on(subject: &str, source: CallError) -> ObjectError {
    ObjectError {
        subject: subject.into(),
        attempt: Attempt::DryRun,
        account: "system:serviceaccount:acme:deployer".into(),
        resource: "deployments.apps".into(),
        namespace: Some("acme".into()),
        source: Box::new(source),
    }
}

const RBAC: &str = r#"deployments.apps "web" is forbidden: User "system:serviceaccount:acme:deployer" cannot patch resource "deployments" in API group "apps" in the namespace "acme""#;

const STRANGER: &str = r#"serviceaccounts "deployer" is forbidden: User "system:serviceaccount:reeve-system:reeve" cannot impersonate resource "serviceaccounts" in API group "" in the namespace "acme""#;

#[test]
fn who_is_not_onboarded_is_told_how_and_not_which_right_the_controller_lacks() {
    let told = on("ConfigMap/acme/a", refused(403, "Forbidden", STRANGER));
    let hint = told.hint().unwrap();
    assert!(hint.contains("`reeve tenant adopt acme`"), "{hint}");
    assert!(hint.contains("instead of deployer"), "{hint}");
    assert!(!hint.contains("auth can-i"), "{hint}");
}

#[test]
fn a_refusal_is_understood_by_its_words_not_its_code_alone() {
    for (code, reason, message, cause, turn) in [
        (403, "Forbidden", RBAC, Cause::Forbidden, Turn::Retry),
        (403, "Forbidden", STRANGER, Cause::NotOnboarded, Turn::Retry),
        (
            403,
            "Forbidden",
            "pods \"x\" is forbidden: exceeded quota: small, requested: pods=1",
            Cause::Quota,
            Turn::Retry,
        ),
        (
            403,
            "Forbidden",
            "configmaps \"x\" is forbidden: unable to create new content in namespace acme because it is being terminated",
            Cause::Terminating,
            Turn::Retry,
        ),
        (
            403,
            "Forbidden",
            "roles.rbac.authorization.k8s.io \"x\" is forbidden: user \"a\" (groups=[]) is attempting to grant RBAC permissions not currently held:",
            Cause::Escalation,
            Turn::Retry,
        ),
        (
            404,
            "NotFound",
            "namespaces \"nowhere\" not found",
            Cause::Missing,
            Turn::Retry,
        ),
        (
            404,
            "NotFound",
            "the server could not find the requested resource",
            Cause::UnknownKind,
            Turn::Retry,
        ),
        (
            422,
            "Invalid",
            "Deployment.apps \"web\" is invalid: spec.selector: Invalid value: {}: field is immutable",
            Cause::Immutable,
            Turn::NextRevision,
        ),
        (
            422,
            "Invalid",
            "Service \"web\" is invalid: spec.ports[0].port: Invalid value: 0",
            Cause::Invalid,
            Turn::NextRevision,
        ),
        (
            500,
            "",
            "failed to create typed patch object (acme/web; apps/v1, Kind=Deployment): .spec.zzz: field not declared in schema",
            Cause::Invalid,
            Turn::NextRevision,
        ),
        (
            400,
            "BadRequest",
            "Deployment in version \"v1\" cannot be handled",
            Cause::Invalid,
            Turn::NextRevision,
        ),
        (
            409,
            "Conflict",
            "the object has been modified",
            Cause::Conflict,
            Turn::Ours,
        ),
        (
            429,
            "TooManyRequests",
            "try again later",
            Cause::Unavailable,
            Turn::Ours,
        ),
        (
            500,
            "InternalError",
            "etcdserver: leader changed",
            Cause::Unavailable,
            Turn::Ours,
        ),
        (
            503,
            "ServiceUnavailable",
            "starting",
            Cause::Unavailable,
            Turn::Ours,
        ),
        (
            401,
            "Unauthorized",
            "Unauthorized",
            Cause::Unauthorized,
            Turn::Ours,
        ),
    ] {
        let why = refused(code, reason, message);
        assert_eq!(why.cause(), cause, "{message}");
        assert_eq!(why.turn_over_object(), turn, "{message}");
    }
    assert_eq!(
        CallError::Slow(Duration::from_secs(30)).turn_over_object(),
        Turn::Ours
    );
    assert_eq!(
        CallError::Unreachable("connection refused".into()).turn_over_object(),
        Turn::Ours
    );
}

#[test]
fn only_what_may_pass_by_itself_is_sent_again() {
    for (code, message, again) in [
        (429, "", true),
        (503, "", true),
        (504, "", true),
        (500, "etcdserver: request timed out", true),
        (500, "failed to create typed patch object", false),
        (500, "failed calling webhook", false),
        (403, RBAC, false),
        (409, "", false),
        (422, "", false),
    ] {
        assert_eq!(
            refused(code, "", message).is_transient(),
            again,
            "{code} {message}"
        );
    }
}

#[test]
fn a_missing_right_is_named_with_the_account_and_the_command_that_shows_it() {
    let why = on("Deployment/acme/web", refused(403, "Forbidden", RBAC));
    assert_eq!(
        why.to_string(),
        format!("Deployment/acme/web dry-run failed (Forbidden): {RBAC}")
    );
    assert_eq!(
        why.hint().unwrap(),
        "grant system:serviceaccount:acme:deployer the verb `patch` on deployments.apps; check with \
         `kubectl auth can-i patch deployments.apps -n acme --as system:serviceaccount:acme:deployer`"
    );
    let create = RBAC.replace("cannot patch", "cannot create");
    let why = on("Deployment/acme/web", refused(403, "Forbidden", &create));
    assert!(why.hint().unwrap().contains("verb `create`"));
}

#[test]
fn a_secrets_values_are_in_no_message() {
    let value = "hunter2-in-the-clear";
    for (code, reason) in [
        (422, "Invalid"),
        (500, ""),
        (400, "BadRequest"),
        (403, "Forbidden"),
    ] {
        let message =
            format!("admission webhook \"x\" denied: data.token: Invalid value: {value:?}");
        let why = on("Secret/acme/creds", refused(code, reason, &message));
        for told in [
            why.to_string(),
            format!("{why:?}"),
            why.hint().unwrap_or_default(),
        ] {
            assert!(!told.contains(value), "{told}");
        }
        assert!(
            why.to_string().contains("data[token] (FieldValueInvalid)"),
            "{why}"
        );
        // The same about any other kind is told in full.
        let why = on("ConfigMap/acme/plain", refused(code, reason, &message));
        assert!(why.to_string().contains(value));
    }
    let rbac = RBAC.replace("deployments", "secrets");
    let why = on("Secret/acme/creds", refused(403, "Forbidden", &rbac));
    assert!(why.to_string().contains("cannot patch resource"), "{why}");
}

#[test]
fn a_thousand_failures_are_one_bounded_message() {
    let long = "x".repeat(10_000);
    let all = (0..1000)
        .map(|n| {
            on(
                &format!("ConfigMap/acme/c{n}"),
                refused(422, "Invalid", &long),
            )
        })
        .collect();
    let told = Failures::of(all).unwrap().to_string();
    assert!(told.len() < 25_000, "{}", told.len());
    assert!(told.contains("ConfigMap/acme/c0") && told.ends_with("and 990 more objects failed"));
}

#[test]
fn one_passing_fault_among_lasting_ones_is_tried_again_soon() {
    let lasting = on("A/a", refused(422, "Invalid", "no"));
    let passing = on("B/b", CallError::Unreachable("gone".into()));
    let turn = |all: &[&ObjectError]| {
        Failures::of(all.iter().map(|one| (*one).clone()).collect())
            .unwrap()
            .turn()
    };
    assert_eq!(turn(&[&lasting]), Turn::NextRevision);
    assert_eq!(turn(&[&lasting, &passing]), Turn::Ours);
    let (soon, late) = (Duration::from_secs(3), Duration::from_secs(9));
    let [soon, late] = [soon, late].map(|wait| on("C/c", CallError::Throttled(wait)));
    let later = Turn::Later(Duration::from_secs(9));
    assert_eq!(turn(&[&soon, &passing, &late, &lasting]), later);
    assert!(Failures::of(Vec::new()).is_none());
}
