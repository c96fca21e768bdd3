//! What the controller may do by its own rights: asked of the API server with its own token, and read from what is rendered.

use std::collections::BTreeSet;

use anyhow::{Context as _, ensure};
use kube::Client;
use kube::api::PostParams;
use reeve_tests::chart::Release;
use reeve_tests::install::SYSTEM;
use reeve_tests::landlord::LANDLORD;
use reeve_tests::plane::{self, Plane};
use reeve_tests::{Estate, objects, scenario};
use serde_json::{Value, json};

use super::everything;
use crate::flux_cli::has_line;

/// Asks whether one may do something: `verb resource[/subresource][.group] [@namespace] [=name]`.
async fn may(client: &Client, deed: &str) -> anyhow::Result<bool> {
    let mut words = deed.split(' ');
    let verb = words.next().context("a deed has a verb")?;
    let resource = words.next().context("a deed has a resource")?;
    let (resource, group) = resource.split_once('.').unwrap_or((resource, ""));
    let (resource, subresource) = resource.split_once('/').unwrap_or((resource, ""));
    let rest: Vec<&str> = words.collect();
    let of = |sign: char| rest.iter().find_map(|word| word.strip_prefix(sign));
    let kind = ("authorization.k8s.io/v1", "SelfSubjectAccessReview");
    let review = json!({
        "apiVersion": kind.0, "kind": kind.1, "metadata": {},
        "spec": {"resourceAttributes": {
            "verb": verb, "group": group, "resource": resource, "subresource": subresource,
            "namespace": of('@'), "name": of('='),
        }},
    });
    let api = objects::api(client.clone(), kind.0, kind.1, None);
    let review = serde_json::from_value(review)?;
    let told = api.create(&PostParams::default(), &review).await?;
    let allowed = told.data.pointer("/status/allowed");
    let allowed = allowed.and_then(Value::as_bool);
    allowed.context("the API server says whether")
}

async fn own(plane: &Plane, namespace: &str, account: &str) -> anyhow::Result<Client> {
    plane::client(&plane.kubeconfig_of(namespace, account).await?).await
}

/// Whether the controller, installed in that namespace, may act as the accounts of another.
pub(super) async fn may_act_as(
    plane: &Plane,
    namespace: &str,
) -> anyhow::Result<impl Fn(&str) -> bool + use<>> {
    let client = own(plane, namespace, "reeve").await?;
    let mut held = BTreeSet::new();
    let namespaces = objects::api(plane.admin(), "v1", "Namespace", None);
    for one in namespaces.list(&Default::default()).await? {
        let name = one.metadata.name.context("a namespace has a name")?;
        // In its own namespace as the platform's account and no other.
        for account in ["flux", "kustomize-controller"] {
            let deed = format!("impersonate serviceaccounts @{name} ={account}");
            if may(&client, &deed).await? {
                held.insert(name.clone());
            }
        }
    }
    Ok(move |name: &str| held.contains(name))
}

/// What it needs.
const NEEDED: &str = "\
get secrets @flux-system
list secrets @platform-flux-tenant-config
get secrets @reeve-system
update secrets @reeve-system =reeve-admission
update leases.coordination.k8s.io @reeve-system =reeve-leader
patch configmaps @reeve-system =reeve-left-at-forges
patch kustomizations/status.kustomize.toolkit.fluxcd.io @TENANT
patch kustomizations.kustomize.toolkit.fluxcd.io @TENANT
delete policies.reeve.dev
list configmaps @kube-system
create events @TENANT
watch deployments.apps
impersonate serviceaccounts @TENANT =flux
impersonate serviceaccounts @flux-system =kustomize-controller
patch validatingwebhookconfigurations.admissionregistration.k8s.io =reeve";

/// What a stolen token is good for: none of this.
const NEVER: &str = "\
update secrets @flux-system
update secrets @reeve-system =another
delete secrets @reeve-system =reeve-admission
get leases.coordination.k8s.io @reeve-system =another
update leases.coordination.k8s.io @reeve-system =reeve-shard-0
update leases.coordination.k8s.io @reeve-system =reeve-landlord
update leases.coordination.k8s.io @kube-system
patch validatingwebhookconfigurations.admissionregistration.k8s.io =another
create mutatingwebhookconfigurations.admissionregistration.k8s.io
impersonate serviceaccounts @default =flux
impersonate serviceaccounts @kube-system =default
impersonate serviceaccounts @flux-system =helm-controller
impersonate serviceaccounts @flux-system =default
impersonate serviceaccounts @reeve-system =reeve-landlord
impersonate users
impersonate groups =system:masters
create serviceaccounts @TENANT
create serviceaccounts/token @TENANT =flux
create serviceaccounts/token @reeve-system =reeve-landlord
create pods/exec @TENANT
get pods/log @TENANT
get nodes/proxy
approve signers.certificates.k8s.io
create policies.reeve.dev
patch policies.reeve.dev
update policies.reeve.dev
patch reports.openreports.io @TENANT =another
delete reports.openreports.io @TENANT =another
update customresourcedefinitions.apiextensions.k8s.io
patch namespaces
get configmaps @TENANT
create configmaps @reeve-system
patch configmaps @reeve-system =another
patch configmaps @TENANT =reeve-left-at-forges
* *.*";

/// The same, where there are many of a kind: what, on which, where.
const NEVER_ANY: [(&str, &str, &str); 5] = [
    (
        "get list watch create",
        "secrets",
        "@TENANT @kube-system @default",
    ),
    // What it is told by, it only reads.
    (
        "create update patch delete",
        "tenants.reeve.dev projects.reeve.dev clusterplugins.reeve.dev plugins.reeve.dev writebacks.reeve.dev",
        "@TENANT =acme",
    ),
    (
        "create update delete",
        "kustomizations.kustomize.toolkit.fluxcd.io gitrepositories.source.toolkit.fluxcd.io \
         receivers.notification.toolkit.fluxcd.io",
        "@TENANT @flux-system",
    ),
    (
        "create update patch delete",
        "pods deployments.apps daemonsets.apps jobs.batch",
        "@TENANT @reeve-system @flux-system",
    ),
    (
        "create update patch delete bind escalate",
        "roles.rbac.authorization.k8s.io rolebindings.rbac.authorization.k8s.io \
         clusterroles.rbac.authorization.k8s.io clusterrolebindings.rbac.authorization.k8s.io",
        "@TENANT @reeve-system",
    ),
];

fn never() -> Vec<String> {
    let mut deeds: Vec<String> = NEVER.lines().map(str::to_owned).collect();
    for (verbs, resources, places) in NEVER_ANY {
        for verb in verbs.split(' ') {
            for resource in resources.split(' ') {
                deeds.push(format!("{verb} {resource}"));
                for place in places.split(' ') {
                    deeds.push(format!("{verb} {resource} {place}"));
                }
            }
        }
    }
    deeds
}

/// What the pod takes from it has no test where there are no pods; this is what it takes from itself.
#[test]
fn the_controller_leaves_no_core_and_neither_it_nor_what_it_starts_gains_rights() {
    scenario(async {
        let estate = Estate::shared().await?;
        let pid = estate.controller.pid().context("it runs")?;
        let status = std::fs::read_to_string(format!("/proc/{pid}/status"))?;
        has_line(&status, &["NoNewPrivs:", "1"])?;
        let limits = std::fs::read_to_string(format!("/proc/{pid}/limits"))?;
        let core = limits
            .lines()
            .find(|line| line.starts_with("Max core file size"));
        let core: Vec<&str> = core.unwrap_or_default().split_whitespace().collect();
        ensure!(core[4..6] == ["0", "0"], "{core:?}");
        Ok(())
    });
}

#[test]
fn the_controllers_own_token_reads_no_other_secret_changes_no_role_and_makes_no_workload() {
    scenario(async {
        let estate = Estate::shared().await?;
        let tenant = estate.healthy_tenant("stolen").await?;
        let client = own(&estate.plane, SYSTEM, "reeve").await?;
        for deed in NEEDED.lines() {
            let deed = deed.replace("TENANT", tenant.name());
            ensure!(may(&client, &deed).await?, "it may not {deed}");
        }
        for deed in never() {
            let deed = deed.replace("TENANT", tenant.name());
            ensure!(!may(&client, &deed).await?, "it may {deed}");
        }
        Ok(())
    });
}

/// What the landlord needs; where, the fence sees to.
const LANDLORD_NEEDS: &str = "\
create namespaces
patch serviceaccounts @TENANT =flux
delete rolebindings.rbac.authorization.k8s.io @TENANT
bind clusterroles.rbac.authorization.k8s.io =admin
create roles.rbac.authorization.k8s.io @TENANT =reeve-delivery
patch gitrepositories.source.toolkit.fluxcd.io @platform-flux-tenant-config
delete namespaces =TENANT
delete kustomizations.kustomize.toolkit.fluxcd.io @TENANT
patch tenants.reeve.dev =acme
patch tenants/status.reeve.dev =acme";

/// What it has no right to, fenced or not.
const LANDLORD_NEVER: &str = "\
get secrets
get secrets @TENANT
get secrets @reeve-system
get configmaps @TENANT
create secrets @TENANT
impersonate serviceaccounts @TENANT =flux
impersonate serviceaccounts @flux-system =kustomize-controller
impersonate groups =system:masters
create serviceaccounts/token @TENANT =flux
create pods @TENANT
get kustomizations.kustomize.toolkit.fluxcd.io @TENANT
delete serviceaccounts @TENANT =flux
patch gitrepositories.source.toolkit.fluxcd.io @TENANT
bind clusterroles.rbac.authorization.k8s.io =cluster-admin
escalate clusterroles.rbac.authorization.k8s.io =admin
create roles.rbac.authorization.k8s.io @TENANT =another
escalate roles.rbac.authorization.k8s.io @TENANT =another
create clusterrolebindings.rbac.authorization.k8s.io
create tenants.reeve.dev
update tenants.reeve.dev
delete tenants.reeve.dev
delete validatingadmissionpolicies.admissionregistration.k8s.io
update validatingadmissionpolicies.admissionregistration.k8s.io
update leases.coordination.k8s.io @reeve-system =reeve-leader
* *.*";

#[test]
fn the_landlords_own_token_reads_no_secret_acts_as_nobody_and_gives_only_listed_roles() {
    scenario(async {
        let estate = Estate::shared().await?;
        let tenant = estate.healthy_tenant("rented").await?;
        let client = own(&estate.plane, SYSTEM, LANDLORD).await?;
        for deed in LANDLORD_NEEDS.lines() {
            let deed = deed.replace("TENANT", tenant.name());
            ensure!(may(&client, &deed).await?, "it may not {deed}");
        }
        for deed in LANDLORD_NEVER.lines() {
            let deed = deed.replace("TENANT", tenant.name());
            ensure!(!may(&client, &deed).await?, "it may {deed}");
        }
        Ok(())
    });
}

/// What a role lets do.
fn rules(role: &Value) -> impl Iterator<Item = &Value> {
    let kind = objects::text(role, "/kind").unwrap_or_default();
    let rules = role["rules"].as_array().into_iter().flatten();
    rules.filter(move |_| ["Role", "ClusterRole"].contains(&kind))
}

fn words(rule: &Value, field: &str) -> Vec<String> {
    let words = rule[field].as_array().into_iter().flatten();
    words.filter_map(Value::as_str).map(str::to_owned).collect()
}

#[test]
fn no_rule_of_the_chart_says_everything_and_no_secret_is_read_in_the_whole_cluster() {
    scenario(async {
        for values in [everything(), json!({})] {
            let release = Release::render(SYSTEM, &values, &[]).await?;
            let mut seen = 0;
            for role in release.objects() {
                for rule in rules(role) {
                    seen += 1;
                    for field in ["apiGroups", "resources", "verbs"] {
                        let said = words(rule, field);
                        let all = said.iter().any(|word| word.contains('*'));
                        ensure!(!said.is_empty() && !all, "{rule}");
                    }
                    let secrets = words(rule, "resources").iter().any(|it| it == "secrets");
                    ensure!(role["kind"] == "Role" || !secrets, "{rule}");
                }
            }
            ensure!(seen > 15, "{seen} rules");
        }
        Ok(())
    });
}
