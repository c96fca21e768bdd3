//! What others change of what was applied is changed back at once, or only told; and nothing else costs a run.

mod crowded;

use std::time::Duration;

use anyhow::{Context as _, ensure};
use kube::api::{Api, DeleteParams, DynamicObject, Patch, PatchParams};
use reeve_api::reason::Reason;
use reeve_tests::install::CONFIG;
use reeve_tests::tenant::Tenant;
use reeve_tests::{Estate, objects, scenario, secrecy, wait};
use serde_json::{Value, json};

const DEPLOYMENT: &str = "apiVersion: apps/v1\nkind: Deployment\nmetadata:\n  name: web\nspec:\n  replicas: 1\n  selector:\n    matchLabels: {app: web}\n  template:\n    metadata:\n      labels: {app: web}\n    spec:\n      containers:\n        - name: web\n          image: registry.local/web:1\n";

fn settings(colour: &str) -> String {
    format!(
        "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: settings\ndata:\n  colour: {colour}\n"
    )
}

fn painter() -> PatchParams {
    PatchParams {
        field_manager: Some("painter".to_owned()),
        ..PatchParams::default()
    }
}

/// Somebody changes an object by hand.
async fn edit(api: &Api<DynamicObject>, name: &str, change: Value) -> anyhow::Result<()> {
    api.patch(name, &painter(), &Patch::Merge(&change)).await?;
    Ok(())
}

/// Waits until the tenant's setting is this.
async fn coloured(tenant: &Tenant<'_>, colour: &str) -> anyhow::Result<DynamicObject> {
    let maps = tenant.api("v1", "ConfigMap");
    wait::for_object(&maps, "settings", colour, |map| {
        objects::text(&map.data, "/data/colour") == Some(colour)
    })
    .await
}

async fn paint(tenant: &Tenant<'_>, colour: &str) -> anyhow::Result<()> {
    let maps = tenant.api("v1", "ConfigMap");
    edit(&maps, "settings", json!({"data": {"colour": colour}})).await
}

/// Waits for an Event about the tenant's Kustomization, and returns what it says.
async fn told(tenant: &Tenant<'_>, reason: Reason, words: &str) -> anyhow::Result<String> {
    let events = tenant.api("v1", "Event");
    let what = format!("{reason}: {words}");
    wait::until(wait::PATIENCE, &what, || async {
        let all = events.list(&Default::default()).await.ok()?;
        let said = |event: DynamicObject| {
            let is = objects::text(&event.data, "/reason") == Some(reason.as_str());
            let says = objects::text(&event.data, "/message").unwrap_or_default();
            (is && says.contains(words)).then(|| says.to_owned())
        };
        all.items.into_iter().find_map(said)
    })
    .await
}

/// How many runs of Kustomizations have ended.
async fn runs(estate: &Estate) -> anyhow::Result<f64> {
    let words = ["controller_runtime_reconcile_total", "\"kustomization\""];
    estate.controller.sample(&words).await
}

/// Waits until so many have, and says if there were more.
async fn ran(estate: &Estate, wanted: f64) -> anyhow::Result<()> {
    let there = || async { (runs(estate).await.ok()? >= wanted).then_some(()) };
    wait::until(wait::PATIENCE, "the runs have ended", there).await?;
    let now = runs(estate).await?;
    ensure!(now == wanted, "{now} runs instead of {wanted}");
    Ok(())
}

#[test]
fn what_is_changed_deleted_or_disowned_by_hand_is_put_right_at_once() {
    scenario(async {
        let estate = Estate::shared().await?;
        let tenant = estate.healthy_tenant("drifts").await?;
        paint(&tenant, "red").await?;
        coloured(&tenant, "green").await?;

        let services = tenant.api("v1", "Service");
        services.delete("web", &DeleteParams::default()).await?;
        wait::for_object(&services, "web", "it is back", |_| true).await?;

        let (owner, maps) = (
            "kustomize.toolkit.fluxcd.io/name",
            tenant.api("v1", "ConfigMap"),
        );
        edit(
            &maps,
            "settings",
            json!({"metadata": {"labels": {owner: null}}}),
        )
        .await?;
        wait::for_object(&maps, "settings", "its label is back", |map| {
            map.metadata
                .labels
                .iter()
                .flatten()
                .any(|(key, _)| key == owner)
        })
        .await?;
        Ok(())
    });
}

#[test]
fn neither_a_status_nor_the_echo_of_a_write_costs_a_run() {
    scenario(async {
        let estate = Estate::start().await?;
        let tenant = estate.healthy_tenant("quiet").await?;
        tenant.push(&[("web.yaml", Some(DEPLOYMENT))]).await?;
        let webs = tenant.api("apps/v1", "Deployment");
        let is_up = |web: &DynamicObject| web.data["status"]["availableReplicas"] == 1;
        wait::for_object(&webs, "web", "it is up", is_up).await?;
        let before = runs(&estate).await?;

        for n in 1..=10 {
            let condition = json!({"type": "Busy", "status": "True", "message": n.to_string()});
            let status = json!({"status": {"conditions": [condition]}});
            webs.patch_status("web", &painter(), &Patch::Merge(&status))
                .await?;
        }
        // Seen by the same watch, and later: what came before has been judged by then.
        for time in [1.0, 2.0] {
            edit(&webs, "web", json!({"spec": {"replicas": 3}})).await?;
            let is_back = |web: &DynamicObject| web.data["spec"]["replicas"] == 1;
            wait::for_object(&webs, "web", "it has one replica", is_back).await?;
            ran(&estate, before + time).await?;
        }
        let green = settings("blue");
        tenant.push(&[("settings.yaml", Some(&green))]).await?;
        paint(&tenant, "red").await?;
        coloured(&tenant, "blue").await?;
        ran(&estate, before + 4.0).await
    });
}

#[test]
fn what_was_changed_while_nobody_looked_is_put_right_at_the_start() {
    scenario(async {
        let estate = Estate::start().await?;
        let tenant = estate.healthy_tenant("away").await?;
        estate.controller.kill();
        paint(&tenant, "red").await?;
        estate.controller.restart().await?;
        coloured(&tenant, "green").await?;
        paint(&tenant, "blue").await?;
        coloured(&tenant, "green").await?;
        Ok(())
    });
}

#[test]
fn a_difference_that_is_only_reported_stays_until_git_says_otherwise() {
    scenario(async {
        let estate = Estate::shared().await?;
        let tenant = estate.healthy_tenant("reported").await?;
        tenant.annotate("reeve.dev/drift", Some("report")).await?;
        tenant.reconcile(None).await?;
        paint(&tenant, "red").await?;
        let words = format!("ConfigMap/{}/settings (data.colour)", tenant.name());
        let says = told(&tenant, Reason::DriftDetected, &words).await?;
        ensure!(!says.contains("red") && !says.contains("green"), "{says}");

        let service = "apiVersion: v1\nkind: Service\nmetadata:\n  name: web\nspec:\n  selector: {app: web}\n  ports: [{port: 81}]\n";
        let after = tenant.push(&[("service.yaml", Some(service))]).await?;
        ensure!(after.ready.status == "True", "{:?}", after.ready);
        coloured(&tenant, "red").await?;
        let metric = ["reeve_drift_objects_total", "\"reported\"", tenant.name()];
        ensure!(
            estate.controller.sample(&metric).await? == 1.0,
            "it is told once"
        );

        tenant
            .api("v1", "Service")
            .delete("web", &DeleteParams::default())
            .await?;
        let gone = format!("Service/{}/web (deleted)", tenant.name());
        told(&tenant, Reason::DriftDetected, &gone).await?;

        let blue = settings("blue");
        tenant.push(&[("settings.yaml", Some(&blue))]).await?;
        coloured(&tenant, "blue").await?;
        tenant.annotate("reeve.dev/drift", None).await?;
        let services = tenant.api("v1", "Service");
        wait::for_object(&services, "web", "it is back", |_| true).await?;
        Ok(())
    });
}

#[test]
fn an_object_may_ask_by_itself_to_have_it_only_reported() {
    scenario(async {
        let estate = Estate::shared().await?;
        let tenant = estate.healthy_tenant("reported-one").await?;
        let asks = settings("green").replace(
            "  name: settings\n",
            "  name: settings\n  annotations: {reeve.dev/drift: report}\n",
        );
        tenant.push(&[("settings.yaml", Some(&asks))]).await?;
        paint(&tenant, "red").await?;
        told(&tenant, Reason::DriftDetected, "settings (data.colour)").await?;
        let services = tenant.api("v1", "Service");
        services.delete("web", &DeleteParams::default()).await?;
        wait::for_object(&services, "web", "it is back", |_| true).await?;
        coloured(&tenant, "red").await?;
        Ok(())
    });
}

#[test]
fn who_fights_over_a_field_is_named_and_answered_ever_more_seldom() {
    scenario(async {
        let estate = Estate::shared().await?;
        let tenant = estate.healthy_tenant("fought").await?;
        for _ in 0..6 {
            paint(&tenant, "red").await?;
            coloured(&tenant, "green").await?;
        }
        let words = format!(
            "painter has changed ConfigMap/{}/settings 5 times",
            tenant.name()
        );
        told(&tenant, Reason::DriftDisputed, &words).await?;
        Ok(())
    });
}

#[test]
fn a_secret_is_watched_as_the_tenant_and_where_that_may_not_the_interval_is_left() {
    scenario(async {
        let estate = Estate::start().await?;
        let tenant = estate.healthy_tenant("secretive").await?;
        let value = format!("{:032x}", rand::random::<u128>());
        secrecy::used(&value);
        let secret = format!(
            "apiVersion: v1\nkind: Secret\nmetadata:\n  name: login\nstringData:\n  password: \"{value}\"\n"
        );
        tenant.push(&[("login.yaml", Some(&secret))]).await?;
        let secrets = tenant.api("v1", "Secret");
        let before = secrets.get("login").await?.data["data"].clone();
        let change = || edit(&secrets, "login", json!({"data": {"password": "eA=="}}));
        change().await?;
        let is_back = |secret: &DynamicObject| secret.data["data"] == before;
        wait::for_object(&secrets, "login", "it is back", is_back).await?;

        let all = ["get", "create", "patch", "delete"];
        let rules = json!([{"apiGroups": ["*"], "resources": ["*"], "verbs": all}]);
        blind(&tenant, rules).await?;
        tenant
            .after(|draft| draft.set("serviceAccountName", json!("blind")))
            .await?;
        let what = "it is told that it is not watched";
        wait::until(wait::PATIENCE, what, || async {
            let lines = estate.controller.log_lines().ok()?;
            let mut lines = lines.iter().map(Value::to_string);
            let says = |line: String| {
                line.contains("not watched, what others change") && line.contains(":blind")
            };
            lines.any(says).then_some(())
        })
        .await?;
        let refused = ["reeve_drift_watches", "\"refused\""];
        ensure!(estate.controller.sample(&refused).await? == 1.0);
        change().await?;
        let after = tenant.after(|_| {}).await?;
        ensure!(after.ready.status == "True", "{:?}", after.ready);
        wait::for_object(&secrets, "login", "it is back", is_back).await?;
        Ok(())
    });
}

/// An account that may do only this.
async fn blind(tenant: &Tenant<'_>, rules: Value) -> anyhow::Result<()> {
    let meta = json!({"name": "blind", "namespace": tenant.name()});
    let rbac = "rbac.authorization.k8s.io";
    let version = format!("{rbac}/v1");
    for object in [
        json!({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": meta}),
        json!({"apiVersion": version, "kind": "Role", "metadata": meta, "rules": rules}),
        json!({"apiVersion": version, "kind": "RoleBinding", "metadata": meta,
            "roleRef": {"apiGroup": rbac, "kind": "Role", "name": "blind"},
            "subjects": [{"kind": "ServiceAccount", "name": "blind", "namespace": tenant.name()}]}),
    ] {
        tenant.apply(&object).await?;
    }
    Ok(())
}

#[test]
fn what_variables_come_from_wakes_who_names_it_if_it_says_so() {
    scenario(async {
        let estate = Estate::shared().await?;
        let tenant = estate.healthy_tenant("woken").await?;
        for (kind, field) in [("ConfigMap", "data"), ("Secret", "stringData")] {
            let vars = |colour: &str| {
                let mut object = json!({"apiVersion": "v1", "kind": kind, "metadata": {
                    "name": "vars", "namespace": tenant.name(),
                    "labels": {"reconcile.fluxcd.io/watch": "Enabled"}}});
                object[field] = json!({"colour": colour});
                object
            };
            tenant.apply(&vars("pink")).await?;
            let from = json!({"substituteFrom": [{"kind": kind, "name": "vars"}]});
            tenant
                .after(|draft| {
                    draft.commit("settings.yaml", settings("${colour}"));
                    draft.set("postBuild", from);
                })
                .await?;
            coloured(&tenant, "pink").await?;
            let words = ["reeve_drift_watches", "\"kept\""];
            ensure!(estate.controller.sample(&words).await? > 0.0);
            let changed = tokio::time::timeout(Duration::from_secs(30), async {
                let mut shade = 0;
                loop {
                    // The first may come before the watch has begun: what was there by then was read already.
                    shade += 1;
                    let colour = format!("shade-{shade}");
                    tenant.apply(&vars(&colour)).await?;
                    let maps = tenant.api("v1", "ConfigMap");
                    let is = |map: &DynamicObject| map.data["data"]["colour"] == colour.as_str();
                    let soon = Duration::from_secs(5);
                    if wait::within(soon, &maps, "settings", &colour, is)
                        .await
                        .is_ok()
                    {
                        return anyhow::Ok(());
                    }
                }
            });
            changed.await.context("nobody was woken")??;
        }
        Ok(())
    });
}

#[test]
fn what_a_plugin_is_configured_with_wakes_whom_it_is_called_for_if_it_says_so() {
    scenario(async {
        let estate = Estate::shared().await?;
        let tenant = estate.healthy_tenant("reconfigured").await?;
        let config = |team: &str| {
            json!({
                "apiVersion": "v1", "kind": "ConfigMap",
                "metadata": {"name": "stamp", "namespace": tenant.name(),
                    "labels": {"reconcile.fluxcd.io/watch": "Enabled"}},
                "data": {"config.yaml": format!("labels: {{team: {team}}}\n")},
            })
        };
        tenant.apply(&config("first")).await?;
        let from = json!([{"kind": "ConfigMap", "name": "stamp", "key": "config.yaml"}]);
        tenant
            .apply(&json!({
                "apiVersion": "reeve.dev/v1alpha1", "kind": "Plugin",
                "metadata": {"name": "stamp", "namespace": tenant.name()},
                "spec": {"world": "transformer", "source": {"path": "stamp-labels.wasm"}, "configFrom": from},
            }))
            .await?;
        let maps = tenant.api("v1", "ConfigMap");
        let stamped = async |team: &str, within: Duration| {
            let is = |map: &DynamicObject| {
                let labels = map.metadata.labels.as_ref();
                labels.and_then(|all| all.get("team")).map(String::as_str) == Some(team)
            };
            wait::within(within, &maps, "settings", team, is).await
        };
        stamped("first", wait::PATIENCE).await?;
        let changed = tokio::time::timeout(Duration::from_secs(60), async {
            let mut nth = 0;
            loop {
                // The first may come before the watch has begun: what was there by then was read already.
                nth += 1;
                let team = format!("team-{nth}");
                tenant.apply(&config(&team)).await?;
                if stamped(&team, Duration::from_secs(5)).await.is_ok() {
                    return anyhow::Ok(());
                }
            }
        });
        changed.await.context("nobody was woken")?
    });
}

#[test]
fn a_token_that_changes_moves_its_hook_if_it_says_so() {
    scenario(async {
        let estate = Estate::shared().await?;
        let tenant = estate.healthy_tenant("moved-hook").await?;
        let before = tenant.hook_url().await?;
        let token = format!("{:032x}", rand::random::<u128>());
        secrecy::used(&token);
        tenant
            .apply(
                &json!({"apiVersion": "v1", "kind": "Secret", "stringData": {"token": token},
                "metadata": {"name": format!("{}-webhook", tenant.name()), "namespace": CONFIG,
                    "labels": {"reconcile.fluxcd.io/watch": "Enabled"}}}),
            )
            .await?;
        wait::until(wait::PATIENCE, "the hook has moved", || async {
            (tenant.hook_url().await.ok()? != before).then_some(())
        })
        .await
    });
}
