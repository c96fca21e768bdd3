//! Whether the API server keeps reeve's accounts to what they need: by a ValidatingAdmissionPolicy for each, bound so that it denies.
//!
//! Which one fences an account is known by whom its condition names, whatever it is called. What its rules say is deliberately not
//! looked at: they are the chart's, and `helm upgrade` makes them what they should be.

use serde_json::Value;

use super::Finding;
use super::installed::is_ours;
use crate::cluster::{Cluster, Fences};

/// How the chart labels what runs under an account of ours, and what that is.
const RUN: [(&str, &str); 2] = [
    (
        "app.kubernetes.io/component=controller",
        "the controller's account",
    ),
    (
        "app.kubernetes.io/component=landlord",
        "the landlord's account",
    ),
];
const AGAIN: &str = "`helm upgrade` of the chart reeve, by an administrator, makes and binds it";

/// An account that something runs under.
struct Account {
    namespace: String,
    name: String,
    what: &'static str,
}

pub(super) async fn look(cluster: &Cluster) -> Vec<Finding> {
    let mut accounts = Vec::new();
    for (labels, what) in RUN {
        match cluster.deployments(labels).await {
            Ok(all) => {
                let ours = all.iter().filter(|one| is_ours(one));
                accounts.extend(ours.map(|one| account(one, what)));
            }
            Err(why) => return vec![Finding::unasked("listing Deployments", &why)],
        }
    }
    if accounts.is_empty() {
        let message = "without a Deployment nobody knows which accounts have to be fenced";
        return vec![Finding::skipped(message)];
    }
    match cluster.fences().await {
        Ok(Some(fences)) => accounts.iter().map(|one| judge(one, &fences)).collect(),
        Ok(None) => vec![Finding::skipped(
            "this Kubernetes has no ValidatingAdmissionPolicy of v1 (1.30 has): what the controller's account may do is held by RBAC alone",
        )],
        Err(why) => vec![Finding::unasked(
            "listing ValidatingAdmissionPolicies",
            &why,
        )],
    }
}

fn account(deployment: &Value, what: &'static str) -> Account {
    let name = match text(deployment, "/spec/template/spec/serviceAccountName") {
        "" => "default",
        name => name,
    };
    Account {
        namespace: text(deployment, "/metadata/namespace").to_owned(),
        name: name.to_owned(),
        what,
    }
}

fn judge(account: &Account, fences: &Fences) -> Finding {
    let (namespace, name, what) = (&account.namespace, &account.name, account.what);
    let whose =
        format!("request.userInfo.username == \"system:serviceaccount:{namespace}:{name}\"");
    let names_it = |policy: &&Value| {
        let mut conditions = list(policy, "/spec/matchConditions").iter();
        conditions.any(|one| text(one, "/expression").trim() == whose)
    };
    let mut flaw = None;
    for policy in fences.policies.iter().filter(names_it) {
        let called = text(policy, "/metadata/name");
        match wrong(policy, &fences.bindings) {
            None => {
                return Finding::passed(format!(
                    "{namespace}/{name}, {what}, is fenced by ValidatingAdmissionPolicy {called}"
                ));
            }
            Some(says) => flaw = Some((called, says)),
        }
    }
    match flaw {
        None => Finding::failed(
            format!("no ValidatingAdmissionPolicy fences {namespace}/{name}, {what}"),
            AGAIN,
        ),
        Some((called, says)) => Finding::failed(
            format!(
                "ValidatingAdmissionPolicy {called}, which is to fence {namespace}/{name}, {what}, {says}"
            ),
            AGAIN,
        ),
    }
}

/// Why the policy does not stop all that it is about.
fn wrong(policy: &Value, bindings: &[Value]) -> Option<&'static str> {
    if text(policy, "/spec/failurePolicy") == "Ignore" {
        return Some("lets through what it cannot judge");
    }
    if list(policy, "/spec/matchConditions").len() > 1 {
        return Some("has further conditions, and so judges a part only");
    }
    let called = text(policy, "/metadata/name");
    let of_it = bindings
        .iter()
        .filter(|one| text(one, "/spec/policyName") == called);
    let mut denying = of_it
        .filter(|one| list(one, "/spec/validationActions").contains(&Value::from("Deny")))
        .peekable();
    if denying.peek().is_none() {
        return Some("is not bound so that it denies");
    }
    let is_whole = |one: &Value| {
        let part = one.pointer("/spec/matchResources");
        part.is_none_or(Value::is_null)
    };
    let whole = denying.any(is_whole);
    (!whole).then_some("is bound for a part only")
}

fn text<'a>(object: &'a Value, pointer: &str) -> &'a str {
    let text = object.pointer(pointer).and_then(Value::as_str);
    text.unwrap_or_default()
}

fn list<'a>(object: &'a Value, pointer: &str) -> &'a [Value] {
    let list = object.pointer(pointer).and_then(Value::as_array);
    list.map(Vec::as_slice).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::Outcome;
    use super::*;

    fn controller() -> Account {
        let deployment = json!({
            "metadata": {"namespace": "reeve-system", "name": "reeve"},
            "spec": {"template": {"spec": {"serviceAccountName": "reeve"}}},
        });
        account(&deployment, "the controller's account")
    }

    fn fences() -> Value {
        json!({
            "policy": {
                "metadata": {"name": "reeve-delivery"},
                "spec": {
                    "failurePolicy": "Fail",
                    "matchConditions": [{
                        "name": "delivery",
                        "expression": "request.userInfo.username == \"system:serviceaccount:reeve-system:reeve\"",
                    }],
                },
            },
            "binding": {
                "metadata": {"name": "any"},
                "spec": {"policyName": "reeve-delivery", "validationActions": ["Deny"]},
            },
        })
    }

    fn judged(change: impl FnOnce(&mut Value)) -> Finding {
        let mut all = fences();
        change(&mut all);
        let fences = Fences {
            policies: vec![all["policy"].take()],
            bindings: vec![all["binding"].take()],
        };
        judge(&controller(), &fences)
    }

    #[test]
    fn an_account_is_fenced_by_a_policy_that_names_it_fails_closed_and_denies_everywhere() {
        let found = judged(|_| {});
        assert_eq!(found.outcome, Outcome::Passed, "{found:?}");
        assert!(found.message.contains("reeve-delivery"), "{found:?}");
        for (pointer, value, says) in [
            (
                "/policy/spec/matchConditions/0/expression",
                json!(
                    "request.userInfo.username == \"system:serviceaccount:reeve-system:reeve-2\""
                ),
                "no ValidatingAdmissionPolicy",
            ),
            (
                "/policy/spec/failurePolicy",
                json!("Ignore"),
                "lets through what it cannot judge",
            ),
            (
                "/policy/spec/matchConditions",
                json!([
                    {"expression": "false"},
                    {"expression": "request.userInfo.username == \"system:serviceaccount:reeve-system:reeve\""},
                ]),
                "has further conditions",
            ),
            ("/binding/spec/policyName", json!("another"), "is not bound"),
            (
                "/binding/spec/validationActions",
                json!(["Warn", "Audit"]),
                "is not bound",
            ),
            (
                "/binding/spec",
                json!({
                    "policyName": "reeve-delivery", "validationActions": ["Deny"],
                    "matchResources": {"namespaceSelector": {"matchLabels": {"a": "b"}}},
                }),
                "for a part only",
            ),
        ] {
            let found = judged(|all| *all.pointer_mut(pointer).unwrap() = value);
            assert_eq!(found.outcome, Outcome::Failed, "{pointer}: {found:?}");
            assert!(found.message.contains(says), "{pointer}: {found:?}");
            assert!(found.remedy.is_some(), "{pointer}");
        }
    }

    #[test]
    fn the_charts_fences_name_their_accounts_so() {
        let rendered = "/../../tests/cases/chart/usual.yaml";
        let rendered = [env!("CARGO_MANIFEST_DIR"), rendered].concat();
        let rendered = std::fs::read_to_string(rendered).unwrap();
        for name in ["reeve", "reeve-landlord"] {
            let line = format!(
                "expression: request.userInfo.username == \"system:serviceaccount:reeve-system:{name}\""
            );
            assert!(rendered.contains(&line), "no {line}");
        }
    }
}
