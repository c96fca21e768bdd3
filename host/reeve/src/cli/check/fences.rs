//! Whether the API server keeps reeve's accounts to what they need: by a ValidatingAdmissionPolicy for each, and by those beside them
//! that are about more than one, all bound so that they deny.
//!
//! Which one fences an account is known by whom its condition names, whatever it is called; the others by the names that the chart
//! gives them, since no condition of theirs names whom they are about. What rules say is deliberately not looked at: they are the
//! chart's, and `helm upgrade` makes them what they should be.

use serde_json::Value;

use super::Finding;
use super::installed::is_ours;
use crate::cluster::{Cluster, Fences};

/// How the chart labels what runs under an account of ours, what that is, and which fences beside its own it has.
const RUN: [(&str, &str, &[Shipped]); 2] = [
    (
        "app.kubernetes.io/component=controller",
        "the controller's account",
        &SHIPPED,
    ),
    (
        "app.kubernetes.io/component=landlord",
        "the landlord's account",
        &[],
    ),
];
/// What fences others than one account.
const SHIPPED: [Shipped; 2] = [
    Shipped {
        suffix: "onboarding",
        what: "keeps others from letting reeve act in a namespace",
        conditions: &[
            (
                "others",
                "request.userInfo.username != \"system:serviceaccount:",
            ),
            ("elsewhere", "!(request.namespace in ["),
        ],
    },
    Shipped {
        suffix: "leases",
        what: "keeps reeve's accounts to the Leases that are theirs",
        conditions: &[(
            "ours",
            "request.userInfo.username == \"system:serviceaccount:",
        )],
    },
];
const AGAIN: &str = "`helm upgrade` of the chart reeve, by an administrator, makes and binds it";

/// An account that something runs under.
struct Account {
    namespace: String,
    name: String,
    what: &'static str,
}

/// A policy of the chart that is about more than one account.
struct Shipped {
    /// Behind what everything of the release is called, which its Deployment is, too.
    suffix: &'static str,
    what: &'static str,
    /// The conditions that it may have, and how they begin: with any other it judges a part only.
    conditions: &'static [(&'static str, &'static str)],
}

pub(super) async fn look(cluster: &Cluster) -> Vec<Finding> {
    let (mut accounts, mut shipped) = (Vec::new(), Vec::new());
    for (labels, what, beside) in RUN {
        match cluster.deployments(labels).await {
            Ok(all) => {
                for one in all.iter().filter(|one| is_ours(one)) {
                    accounts.push(account(one, what));
                    let release = text(one, "/metadata/name").to_owned();
                    shipped.extend(beside.iter().map(|it| (release.clone(), it)));
                }
            }
            Err(why) => return vec![Finding::unasked("listing Deployments", &why)],
        }
    }
    if accounts.is_empty() {
        let message = "without a Deployment nobody knows which accounts have to be fenced";
        return vec![Finding::skipped(message)];
    }
    match cluster.fences().await {
        Ok(Some(fences)) => {
            let others = shipped.iter();
            let others = others.map(|(release, one)| stands(one, release, &fences));
            let own = accounts.iter().map(|one| judge(one, &fences));
            own.chain(others).collect()
        }
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
        let whole = list(policy, "/spec/matchConditions").len() == 1;
        match wrong(policy, whole, &fences.bindings) {
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

/// Whether a policy that the release has to have is there and stops all that it is about.
fn stands(shipped: &Shipped, release: &str, fences: &Fences) -> Finding {
    let (called, what) = (format!("{release}-{}", shipped.suffix), shipped.what);
    let mut policies = fences.policies.iter();
    let policy = policies.find(|one| text(one, "/metadata/name") == called);
    let Some(policy) = policy else {
        let message = format!("there is no ValidatingAdmissionPolicy {called}, which {what}");
        return Finding::failed(message, AGAIN);
    };
    let known = |condition: &Value| {
        let (name, expression) = (text(condition, "/name"), text(condition, "/expression"));
        let mut known = shipped.conditions.iter();
        known.any(|(one, start)| name == *one && expression.trim().starts_with(start))
    };
    let whole = list(policy, "/spec/matchConditions").iter().all(known);
    match wrong(policy, whole, &fences.bindings) {
        None => Finding::passed(format!("ValidatingAdmissionPolicy {called} {what}")),
        Some(says) => {
            let message = format!("ValidatingAdmissionPolicy {called}, which {what}, {says}");
            Finding::failed(message, AGAIN)
        }
    }
}

/// Why the policy does not stop all that it is about; `whole`: it has no conditions but those that it should have.
fn wrong(policy: &Value, whole: bool, bindings: &[Value]) -> Option<&'static str> {
    if text(policy, "/spec/failurePolicy") == "Ignore" {
        return Some("lets through what it cannot judge");
    }
    if !whole {
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

    /// What is said of one that is there with that specification, and is bound.
    fn standing(shipped: &Shipped, change: impl FnOnce(&mut Value)) -> Finding {
        let called = format!("gitops-{}", shipped.suffix);
        let conditions = shipped.conditions.iter().map(|(name, start)| {
            json!({"name": name, "expression": format!("{start}and whatever follows")})
        });
        let mut all = json!({
            "policy": {
                "metadata": {"name": called},
                "spec": {"failurePolicy": "Fail", "matchConditions": conditions.collect::<Vec<_>>()},
            },
            "binding": {
                "metadata": {"name": "any"},
                "spec": {"policyName": called, "validationActions": ["Deny"]},
            },
        });
        change(&mut all);
        let fences = Fences {
            policies: vec![all["policy"].take()],
            bindings: vec![all["binding"].take()],
        };
        stands(shipped, "gitops", &fences)
    }

    #[test]
    fn a_fence_that_is_about_more_than_one_account_is_there_and_denies_everywhere() {
        for shipped in &SHIPPED {
            let found = standing(shipped, |_| {});
            assert_eq!(found.outcome, Outcome::Passed, "{found:?}");
            for (pointer, value, says) in [
                ("/policy/metadata/name", json!("another"), "there is no"),
                (
                    "/policy/spec/failurePolicy",
                    json!("Ignore"),
                    "lets through what it cannot judge",
                ),
                (
                    "/policy/spec/matchConditions/0/expression",
                    json!("false"),
                    "has further conditions",
                ),
                (
                    "/policy/spec/matchConditions/0/name",
                    json!("mine"),
                    "has further conditions",
                ),
                ("/binding/spec/policyName", json!("another"), "is not bound"),
                (
                    "/binding/spec/validationActions",
                    json!(["Warn"]),
                    "is not bound",
                ),
            ] {
                let found = standing(shipped, |all| *all.pointer_mut(pointer).unwrap() = value);
                assert_eq!(found.outcome, Outcome::Failed, "{pointer}: {found:?}");
                assert!(found.message.contains(says), "{pointer}: {found:?}");
                assert_eq!(found.remedy.as_deref(), Some(AGAIN), "{pointer}");
            }
        }
    }

    /// The policy of that name, as the chart's golden has it.
    fn rendered(name: &str) -> String {
        let all = "/../../tests/cases/chart/usual.yaml";
        let all = [env!("CARGO_MANIFEST_DIR"), all].concat();
        let all = std::fs::read_to_string(all).unwrap();
        let line = format!("\n  name: {name}\n");
        let mut objects = all.split("\n---\n");
        let policy = objects
            .find(|one| one.contains("\nkind: ValidatingAdmissionPolicy\n") && one.contains(&line));
        policy.unwrap_or_else(|| panic!("no {name}")).to_owned()
    }

    #[test]
    fn the_charts_other_fences_are_called_so_and_have_those_conditions() {
        for shipped in &SHIPPED {
            let policy = rendered(&format!("reeve-{}", shipped.suffix));
            let (_, rest) = policy.split_once("  matchConditions:\n").unwrap();
            let conditions = rest.split("\n  variables:").next().unwrap();
            let conditions = conditions.split("\n  validations:").next().unwrap();
            let names = conditions.matches("- name: ").count();
            assert_eq!(names, shipped.conditions.len(), "{conditions}");
            for (name, start) in shipped.conditions {
                assert!(conditions.contains(&format!("- name: {name}\n")), "{name}");
                assert!(conditions.contains(start), "{name}: {conditions}");
            }
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
