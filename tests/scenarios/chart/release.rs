//! Installing, upgrading, rolling back and uninstalling, and what tenants notice of it.

use std::time::Duration;

use anyhow::{Context as _, ensure};
use kube::api::DynamicObject;
use reeve_api::reason::Reason;
use reeve_tests::chart::Release;
use reeve_tests::controller::Controller;
use reeve_tests::install::{self, CONFIG, PLATFORM, SYSTEM};
use reeve_tests::plane::Plane;
use reeve_tests::tenant::Tenant;
use reeve_tests::{Estate, objects, root, scenario, wait};
use serde_json::{Value, json};

use super::with;
use crate::flux_cli::run_with;

/// Longer than judging a tenant anew takes, and shorter than anything that is looked at by the clock.
const AT_ONCE: Duration = Duration::from_secs(15);

/// No pod answers at the admission port here: the controller runs beside the cluster.
fn values(more: &Value) -> Value {
    let mut values = with(&json!({"admission": {"enabled": false}}));
    super::merge(&mut values, more);
    values
}

/// A line of helm's, as it is typed in the repository's root.
async fn helm(plane: &Plane, line: &str, values: Option<&Value>) -> anyhow::Result<String> {
    let words: Vec<&str> = line.split_whitespace().collect();
    install::helm(plane, &words, values).await
}

/// Installs or upgrades the controller's chart, and waits until its pods are ready and its policies in force. What `kubectl`
/// has put there is taken over.
async fn release(plane: &Plane, namespace: &str, values: &Value) -> anyhow::Result<String> {
    let line = format!(
        "upgrade --install reeve charts/reeve --namespace={namespace} --take-ownership --force-conflicts \
         --wait --timeout=60s"
    );
    helm(plane, &line, Some(values)).await
}

async fn release_kinds(plane: &Plane) -> anyhow::Result<()> {
    let line = format!(
        "upgrade --install reeve-crds charts/reeve-crds --namespace={SYSTEM} --create-namespace \
         --take-ownership --wait --timeout=60s"
    );
    helm(plane, &line, None).await.map(drop)
}

async fn replicas(plane: &Plane) -> anyhow::Result<Option<Value>> {
    let api = objects::api(plane.admin(), "apps/v1", "Deployment", Some(SYSTEM));
    let found = api.get_opt("reeve").await?;
    Ok(found.and_then(|found| found.data.pointer("/status/readyReplicas").cloned()))
}

/// A file of the tenant's, with something that was not in it before.
pub(super) fn settings(colour: &str) -> String {
    format!(
        "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: settings\ndata:\n  colour: {colour}\n"
    )
}

/// What is nobody's release any more, and stays.
async fn stays(plane: &Plane, tenant: &Tenant<'_>) -> anyhow::Result<()> {
    let changes = tenant.changes().await?;
    let only = changes
        .iter()
        .all(|change| change.starts_with("changed ConfigMap./"));
    ensure!(only, "{changes:#?}");
    tenant.kustomizations().get(tenant.name()).await?;
    let definitions = objects::api(
        plane.admin(),
        "apiextensions.k8s.io/v1",
        "CustomResourceDefinition",
        None,
    );
    for definition in reeve_api::crds() {
        let name = definition
            .metadata
            .name
            .context("a definition has a name")?;
        definitions.get(&name).await?;
    }
    let namespaces = objects::api(plane.admin(), "v1", "Namespace", None);
    for namespace in [PLATFORM, CONFIG] {
        let found = namespaces.get(namespace).await?;
        ensure!(
            found.metadata.deletion_timestamp.is_none(),
            "{namespace} goes"
        );
    }
    Ok(())
}

#[test]
fn install_upgrade_rollback_and_uninstall_leave_tenants_their_objects() {
    scenario(async {
        let estate = Estate::start().await?;
        let (plane, tenant) = (&estate.plane, estate.healthy_tenant("stays").await?);
        release_kinds(plane).await?;
        let told = release(plane, SYSTEM, &values(&json!({}))).await?;
        ensure!(told.contains("Onboard a tenant"), "{told}");
        ensure!(replicas(plane).await? == Some(json!(1)));
        tenant
            .push(&[("settings.yaml", Some(&settings("installed")))])
            .await?;

        release(plane, SYSTEM, &values(&json!({"replicas": 2}))).await?;
        ensure!(replicas(plane).await? == Some(json!(2)));
        tenant
            .push(&[("settings.yaml", Some(&settings("upgraded")))])
            .await?;

        let at = format!("--namespace={SYSTEM} --wait --timeout=60s");
        helm(plane, &format!("rollback reeve 1 {at}"), None).await?;
        ensure!(replicas(plane).await? == Some(json!(1)));
        tenant
            .push(&[("settings.yaml", Some(&settings("rolled-back")))])
            .await?;

        for release in ["reeve", "reeve-crds"] {
            helm(plane, &format!("uninstall {release} {at}"), None).await?;
        }
        ensure!(replicas(plane).await?.is_none());
        stays(plane, &tenant).await?;

        // Its account is gone, and its token with it: the next one starts where this one was.
        estate.controller.kill();
        let commit = tenant.commit([("settings.yaml", Some(settings("again")))])?;
        release_kinds(plane).await?;
        release(plane, SYSTEM, &values(&json!({}))).await?;
        let _next = Controller::start_as("reeve-next", plane, &["--leader-elect=false"]).await?;
        tenant.applied(&commit).await?;
        stays(plane, &tenant).await
    });
}

/// Which namespaces of the platform there are: those of before, or others of the same name.
async fn platforms(plane: &Plane) -> anyhow::Result<[Option<String>; 2]> {
    let namespaces = objects::api(plane.admin(), "v1", "Namespace", None);
    let mut uids = [PLATFORM, CONFIG].map(|_| None);
    for (uid, name) in uids.iter_mut().zip([PLATFORM, CONFIG]) {
        let found = namespaces.get_opt(name).await?;
        *uid = found.and_then(|found| found.metadata.uid);
    }
    Ok(uids)
}

#[test]
fn on_an_empty_cluster_its_namespaces_are_made_and_stay_when_it_goes() {
    scenario(async {
        let plane = Plane::start().await?;
        ensure!(platforms(&plane).await? == [None, None], "it is not empty");
        release_kinds(&plane).await?;
        release(&plane, SYSTEM, &json!({})).await?;
        let made = platforms(&plane).await?;
        ensure!(made.iter().all(Option::is_some), "{made:?}");
        let line = format!("uninstall reeve --namespace={SYSTEM} --wait --timeout=60s");
        for values in [json!({"replicas": 2}), json!({"createNamespaces": false})] {
            release(&plane, SYSTEM, &values).await?;
            ensure!(platforms(&plane).await? == made, "with {values}");
        }
        helm(&plane, &line, None).await?;
        release(&plane, SYSTEM, &json!({})).await?;
        ensure!(platforms(&plane).await? == made, "installed again");
        Ok(())
    });
}

/// The words of the README's `helm install` lines.
fn commands() -> anyhow::Result<Vec<String>> {
    let readme = std::fs::read_to_string(root().join("README.md"))?.replace("\\\n", " ");
    let lines = readme
        .lines()
        .filter(|line| line.starts_with("helm install "));
    Ok(lines.map(str::to_owned).collect())
}

#[test]
fn the_commands_of_the_readme_install_it() {
    scenario(async {
        let estate = Estate::start().await?;
        let commands = commands()?;
        ensure!(commands.len() == 2, "{commands:?}");
        for command in commands {
            let command = command.strip_prefix("helm").unwrap_or_default();
            // The controller is here already, by the same chart: a helm that waits for policies needs one that runs.
            let line = format!("{command} --take-ownership");
            helm(&estate.plane, &line, None).await?;
        }
        ensure!(replicas(&estate.plane).await? == Some(json!(1)));
        let policies = objects::api(estate.admin(), "reeve.dev/v1alpha1", "Policy", None);
        let policy = policies.get("pod-security").await?;
        let ready = objects::condition(&policy.data, "Ready").unwrap_or_default();
        ensure!(ready.status == "True", "{ready:?}");
        let ingresses = objects::api(
            estate.admin(),
            "networking.k8s.io/v1",
            "Ingress",
            Some(SYSTEM),
        );
        let ingress = ingresses.get("webhook-receiver").await?;
        let host = objects::text(&ingress.data, "/spec/rules/0/host");
        ensure!(host == Some("flux-webhooks.localhost"), "{host:?}");
        Ok(())
    });
}

/// Every pod that the namespace takes keeps to the strictest of the Pod Security Standards.
async fn strict(plane: &Plane, namespace: &str) -> anyhow::Result<()> {
    let namespace = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {
        "name": namespace, "labels": {"pod-security.kubernetes.io/enforce": "restricted"},
    }});
    install::apply(plane, &namespace.to_string())
        .await
        .map(drop)
}

/// With the controller beside the cluster as that release's, which may act as the accounts of one tenant.
async fn installed_in(namespace: &str, tenant: &str) -> anyhow::Result<()> {
    let values = values(&json!({"impersonateIn": [tenant], "replicas": 2}));
    let rendered = Release::render(namespace, &values, &[]).await?;
    let estate = Estate::start_from(&rendered, &[]).await?;
    strict(&estate.plane, namespace).await?;
    let healthy = Tenant::healthy(&estate, tenant).await?;
    let may = super::rights::may_act_as(&estate.plane, namespace).await?;
    ensure!(may(tenant) && may(PLATFORM), "of {tenant} and {PLATFORM}");
    ensure!(!may("kube-system") && !may(CONFIG), "of too many");

    release(&estate.plane, namespace, &values).await?;
    let red = settings("red");
    healthy.push(&[("settings.yaml", Some(&red))]).await?;
    for (verb, words) in [
        ("check", "all checks passed"),
        ("check", "reeve: deployment ready"),
        ("version", "reeve: 0.1.0"),
    ] {
        let line = format!("flux {verb} --namespace={namespace}");
        let told = run_with(&estate, &estate.plane.kubeconfig(), &line).await?;
        ensure!(told.contains(words), "no {words:?} in {told}");
    }
    Ok(())
}

#[test]
fn the_chart_is_installed_in_any_namespace_and_held_to_the_tenants_that_it_names() {
    scenario(async {
        for (namespace, tenant) in [("flux-system", "one"), ("platform-flux-system", "other")] {
            let done = installed_in(namespace, tenant).await;
            done.with_context(|| format!("in {namespace}"))?;
        }
        Ok(())
    });
}

const PRIVILEGED: &str = "\
apiVersion: v1
kind: Pod
metadata:
  name: digs
spec:
  containers:
  - name: digs
    image: registry.example/digs:1
    securityContext:
      privileged: true
";

#[test]
fn the_switch_of_a_policy_denies_a_privileged_pod_at_once_and_lets_it_be_again() {
    scenario(async {
        let estate = Estate::start().await?;
        let (plane, tenant) = (&estate.plane, estate.healthy_tenant("digs").await?);
        tenant.push(&[("pod.yaml", Some(PRIVILEGED))]).await?;
        let to = async |policy: Value| {
            let values = values(&json!({"policies": {"pod-security": policy}}));
            release(plane, SYSTEM, &values).await
        };

        to(json!({"enabled": true})).await?;
        let denied = Reason::PolicyDenied;
        let told = tenant.told_within(AT_ONCE, denied, "privileged").await?;
        ensure!(
            told.ready.message.contains("Pod/"),
            "{}",
            told.ready.message
        );
        let neighbours = json!({"namespaces": ["neighbour"]});
        to(json!({"enabled": true, "scope": neighbours})).await?;
        tenant.told_of(Reason::ReconciliationSucceeded, "").await?;
        to(json!({"enabled": true, "scope": {"namespaces": []}})).await?;
        tenant.told_of(denied, "privileged").await?;
        // What was there before the rule may stay, and is told of.
        to(json!({"enabled": true, "ratchet": true})).await?;
        tenant.told_of(Reason::ReconciliationSucceeded, "").await?;
        to(json!({"enabled": true, "mode": "audit"})).await?;
        let policies = objects::api(plane.admin(), "reeve.dev/v1alpha1", "Policy", None);
        let counted = |policy: &DynamicObject| {
            policy.data.pointer("/status/whatIf/denied/count") == Some(&json!(1))
        };
        let what = "whom it would deny";
        wait::for_object(&policies, "pod-security", what, counted).await?;

        to(json!({"enabled": false})).await?;
        let left = policies.get_opt("pod-security").await?;
        ensure!(left.is_none(), "it is still there");
        let red = settings("red");
        tenant.push(&[("settings.yaml", Some(&red))]).await?;
        Ok(())
    });
}
