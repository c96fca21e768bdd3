//! Kustomizations that are carried out on another cluster: there and nothing of it here, with what the kubeconfig says and
//! nothing of ours, and nobody waits for a cluster that does not answer.

mod asked;
mod edge;
mod gone;
mod itself;
mod jobs;
mod moves;

use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use kube::api::{DynamicObject, Patch, PatchParams};
use reeve_api::reason::Reason;
use reeve_core::caution::CONFIRM;
use reeve_tests::tenant::Tenant;
use reeve_tests::{Estate, objects, scenario, wait};
use serde_json::{Value, json};

use edge::{Edge, gives, may_reach, moves};

const DONE: Reason = Reason::ReconciliationSucceeded;
const ALL: &[&str] = &["*"];

fn settings(colour: &str) -> String {
    format!(
        "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: settings\ndata:\n  colour: {colour}\n"
    )
}

fn colour(settings: &DynamicObject) -> &str {
    objects::text(&settings.data, "/data/colour").unwrap_or_default()
}

/// A tenant that may reach the other cluster, and do everything in its namespace there.
async fn guest<'e>(estate: &'e Estate, edge: &Edge, name: &str) -> anyhow::Result<Tenant<'e>> {
    let tenant = estate.healthy_tenant(name).await?;
    may_reach(&tenant, &["127.0.0.1"]).await?;
    edge.room(&tenant).await?;
    edge.allows(&tenant, ALL).await?;
    gives(&tenant, &edge.guest(tenant.name()).await?).await?;
    Ok(tenant)
}

/// What a confirmation must say.
fn digest(message: &str) -> anyhow::Result<&str> {
    let (_, digest) = message.split_once("confirm-prune: ").context("a digest")?;
    digest.get(..16).context("a whole digest")
}

/// It points at another place: what is here stays here, and that is said before anything is written there.
async fn confirms(tenant: &Tenant<'_>, edge: &Edge) -> anyhow::Result<()> {
    tenant
        .change(|draft| draft.set("kubeConfig", json!({"secretRef": {"name": "edge"}})))
        .await?;
    let moves = format!(
        "the cluster at {} and no longer at this cluster",
        edge.url()
    );
    let told = tenant.told_of(Reason::PruneHeld, &moves).await?;
    let message = told.ready.message;
    ensure!(message.contains("stays there"), "{message}");
    let maps = edge.api(tenant, "v1", "ConfigMap");
    let there = maps.get_opt("settings").await?;
    ensure!(there.is_none(), "nothing is written yet");
    tenant.annotate(CONFIRM, Some(digest(&message)?)).await?;
    tenant.reconcile(None).await?;
    let told = tenant.told_of(DONE, "Applied revision").await?;
    let at = told.kustomization.pointer("/status/inventoryCluster");
    ensure!(at == Some(&json!(edge.url())), "{:#}", told.kustomization);
    Ok(())
}

#[test]
fn what_is_carried_out_on_another_cluster_is_there_and_nothing_of_it_here() {
    scenario(async {
        let (estate, edge) = (Estate::shared().await?, Edge::shared().await?);
        let tenant = guest(estate, &edge, "abroad").await?;
        let maps = edge.api(&tenant, "v1", "ConfigMap");
        confirms(&tenant, &edge).await?;
        let there = maps.get("settings").await?;
        ensure!(colour(&there) == "green");
        let owner = "/metadata/labels/kustomize.toolkit.fluxcd.io~1name";
        let labelled = serde_json::to_value(&there)?;
        ensure!(objects::text(&labelled, owner) == Some(tenant.name()));

        let red = settings("red");
        tenant
            .push(&[("settings.yaml", Some(&red)), ("service.yaml", None)])
            .await?;
        ensure!(colour(&maps.get("settings").await?) == "red");
        let web = edge.api(&tenant, "v1", "Service").get_opt("web").await?;
        ensure!(web.is_none(), "it is pruned there");
        let mut here = tenant.changes().await?;
        here.retain(|change| !change.starts_with("added Secret."));
        ensure!(here.is_empty(), "nothing of it here: {here:?}");

        // Somebody changes it there: seen when everything is compared.
        let white = Patch::Merge(json!({"data": {"colour": "white"}}));
        maps.patch("settings", &PatchParams::default(), &white)
            .await?;
        tenant.reconcile(None).await?;
        let now = maps.get("settings").await?;
        ensure!(colour(&now) == "red", "it is put right");

        let kustomizations = tenant.kustomizations();
        kustomizations
            .delete(tenant.name(), &Default::default())
            .await?;
        wait::until_gone(&kustomizations, tenant.name()).await?;
        ensure!(maps.get_opt("settings").await?.is_none(), "it went before");
        let here = tenant.api("v1", "ConfigMap").get("settings").await?;
        ensure!(colour(&here) == "green", "what is here is not its any more");
        Ok(())
    });
}

#[test]
fn an_account_has_the_rights_there_that_it_was_given_there() {
    scenario(async {
        let (estate, edge) = (Estate::shared().await?, Edge::shared().await?);
        let tenant = guest(estate, &edge, "abroad-rights").await?;
        edge.allows(&tenant, &["get"]).await?;
        moves(&tenant).await?;
        let failed = Reason::ReconciliationFailed;
        let words = format!("on the cluster at {}: ", edge.url());
        let told = tenant.told_of(failed, &words).await?;
        let may_not = format!("ServiceAccount {}/flux may not:", tenant.name());
        ensure!(told.ready.message.contains(&may_not), "{:?}", told.ready);
        edge.allows(&tenant, ALL).await?;
        tenant.told_of(DONE, "Applied revision").await?;
        let there = edge.api(&tenant, "v1", "ConfigMap").get("settings").await?;
        ensure!(colour(&there) == "green");

        // The Secret is the account's to read, or nobody's.
        tenant
            .apply(&json!({"apiVersion": "v1", "kind": "ServiceAccount",
                "metadata": {"name": "blind", "namespace": tenant.name()}}))
            .await?;
        tenant
            .change(|draft| draft.set("serviceAccountName", json!("blind")))
            .await?;
        let words = format!(
            "spec.kubeConfig: reading secret '{}/edge' failed",
            tenant.name()
        );
        tenant.told_of(Reason::AuthenticationFailed, &words).await?;
        Ok(())
    });
}

/// Which field of a good kubeconfig is set to what, for which reason that is refused, and some of the words.
const REFUSALS: &str = r#"
    user    | exec                       | {"command": "touch", "args": ["/tmp/reeve-was-abroad"]} | InvalidProviderConfiguration | would run a program
    user    | tokenFile                  | "/var/run/secrets/token"   | InvalidProviderConfiguration | names a file of this machine
    user    | client-certificate         | "/etc/x"                   | InvalidProviderConfiguration | names a file of this machine
    user    | as                         | "system:admin"             | InvalidProviderConfiguration | impersonates somebody
    user    | token                      | "bad"                      | AuthenticationFailed         | refuses the kubeconfig's credentials
    cluster | insecure-skip-tls-verify   | true                       | InvalidProviderConfiguration | would let anybody answer
    cluster | proxy-url                  | "http://127.0.0.1:1"       | InvalidProviderConfiguration | would lead elsewhere
    cluster | certificate-authority      | "/etc/x"                   | InvalidProviderConfiguration | names a file of this machine
    cluster | certificate-authority-data | null                       | ReconciliationFailed         | does not answer
    cluster | server                     | "http://127.0.0.1:6443"    | InvalidProviderConfiguration | does not begin with https://
    cluster | server                     | "https://10.1.2.3:6443"    | AccessDenied                 | may not be connected to
    cluster | server                     | "https://api.example:6443" | AccessDenied                 | may not apply to the cluster at api.example
"#;

/// The row played on a tenant whose kubeconfig is good: nobody asks for a run, the Secret says that it wakes who names it.
async fn refused(tenant: &Tenant<'_>, good: &Value, row: &str) -> anyhow::Result<()> {
    let cells: Vec<&str> = row.split('|').map(str::trim).collect();
    let [of, field, value, reason, words] = cells[..] else {
        anyhow::bail!("{row}")
    };
    let mut bad = good.clone();
    let place = bad.pointer_mut(&format!("/{of}s/0/{of}"));
    let place = place.and_then(Value::as_object_mut).context("a place")?;
    place.insert(field.to_owned(), serde_json::from_str(value)?);
    gives(tenant, &bad).await?;
    let known = Reason::ALL.iter().find(|known| known.as_str() == reason);
    let known = *known.context("a reason")?;
    // What is wrong with the kubeconfig itself is told by its field.
    let words = match known == Reason::InvalidProviderConfiguration {
        true => format!("{of}s[0].{of}.{field} {words}"),
        false => words.to_owned(),
    };
    let told = tenant.told_of(known, &words).await;
    told.with_context(|| row.to_owned()).map(drop)
}

#[test]
fn a_kubeconfig_that_asks_for_more_than_an_address_is_refused_by_its_field() {
    scenario(async {
        let (estate, edge) = (Estate::shared().await?, Edge::shared().await?);
        let tenant = guest(estate, &edge, "abroad-refused").await?;
        may_reach(&tenant, &["127.0.0.1", "10.1.2.3"]).await?;
        let good = edge.guest(tenant.name()).await?;
        moves(&tenant).await?;
        tenant.told_of(DONE, "Applied revision").await?;
        for row in REFUSALS.lines().filter(|row| row.contains('|')) {
            refused(&tenant, &good, row).await?;
        }
        ensure!(!std::path::Path::new("/tmp/reeve-was-abroad").exists());
        gives(&tenant, &good).await?;
        tenant.told_of(DONE, "Applied revision").await?;

        // Another credential is another connection: the one before is worth nothing any more.
        let next = edge.guest(&format!("{}-next", tenant.name())).await?;
        edge.dismiss(tenant.name()).await?;
        gives(&tenant, &next).await?;
        let red = settings("red");
        tenant.push(&[("settings.yaml", Some(&red))]).await?;
        let there = edge.api(&tenant, "v1", "ConfigMap").get("settings").await?;
        ensure!(colour(&there) == "red");
        Ok(())
    });
}

const WEB: &str = "apiVersion: apps/v1\nkind: Deployment\nmetadata:\n  name: web\nspec:\n  replicas: 1\n  selector:\n    matchLabels: {app: web}\n  template:\n    metadata:\n      labels: {app: web}\n    spec:\n      containers:\n        - name: web\n          image: registry.local/web:1\n";

#[test]
fn what_is_applied_there_is_waited_for_there() {
    scenario(async {
        let (estate, edge) = (Estate::shared().await?, Edge::shared().await?);
        let tenant = guest(estate, &edge, "abroad-waits").await?;
        moves(&tenant).await?;
        tenant
            .change(|draft| draft.set("wait", json!(true)))
            .await?;
        let commit = tenant.commit([("web.yaml", Some(WEB))])?;
        tenant.call_hook().await?;
        wait::for_object(&tenant.kustomizations(), tenant.name(), "it waits", |ks| {
            let healthy = objects::condition(&ks.data, "Healthy").unwrap_or_default();
            healthy.status == "Unknown" && healthy.message.contains(&commit)
        })
        .await?;
        let available = json!({"status": {
            "observedGeneration": 1, "replicas": 1, "updatedReplicas": 1, "readyReplicas": 1, "availableReplicas": 1,
            "conditions": [{"type": "Available", "status": "True"}, {"type": "Progressing", "status": "True", "reason": "NewReplicaSetAvailable"}],
        }});
        let webs = edge.api(&tenant, "apps/v1", "Deployment");
        let how = PatchParams::default();
        webs.patch_status("web", &how, &Patch::Merge(&available))
            .await?;
        let told = tenant.applied(&commit).await?;
        let healthy = objects::condition(&told.kustomization, "Healthy").unwrap_or_default();
        ensure!(healthy.status == "True", "{healthy:?}");
        Ok(())
    });
}

#[test]
fn a_cluster_that_does_not_answer_holds_nobody_but_who_is_carried_out_there() {
    scenario(async {
        let (estate, edge) = (Estate::shared().await?, Edge::alone().await?);
        let tenant = guest(estate, &edge, "abroad-down").await?;
        let other = estate.healthy_tenant("abroad-spared").await?;
        moves(&tenant).await?;
        tenant.told_of(DONE, "Applied revision").await?;
        // It takes connections, and answers nothing.
        edge.0.stall_api();
        let commit = tenant.commit([("settings.yaml", Some(settings("red")))])?;
        tenant.call_hook().await?;
        let begun = Instant::now();
        other
            .push(&[("settings.yaml", Some(&settings("blue")))])
            .await?;
        let took = begun.elapsed();
        ensure!(
            took < Duration::from_secs(8),
            "the other waited for {took:?}"
        );
        let words = "does not answer";
        tenant.told_of(Reason::ReconciliationFailed, words).await?;
        edge.0.resume_api();
        tenant.applied(&commit).await?;
        let there = edge.api(&tenant, "v1", "ConfigMap").get("settings").await?;
        ensure!(colour(&there) == "red");
        Ok(())
    });
}
