//! What somebody changes on the cluster stays until it is committed, where a WriteBack says so; what changes in git alone is
//! applied all the same.
//!
//! The WriteBacks here wait for an hour before they write anything: what is told is what applying does meanwhile.

mod begun;
mod truth;

use anyhow::ensure;
use kube::api::{Api, DeleteParams, DynamicObject, Patch, PatchParams};
use reeve_api::reason::Reason;
use reeve_tests::install::CONFIG;
use reeve_tests::tenant::Tenant;
use reeve_tests::{Estate, objects, scenario, wait};
use serde_json::{Value, json};

use crate::rules::{policy, ready};

/// Every container has an image, and none is of version 7.
const IMAGES: &str = r#"# METADATA
# title: Images
# description: Containers have images, and none of version 7.
# custom:
#   hint: choose another image
package platform.images

deny contains {"message": "no image"} if {
	some container in containers
	not container.image
}

deny contains {"message": "seven"} if {
	some container in containers
	endswith(container.image, ":7")
}

containers contains container if {
	some planned in input.objects
	planned.object.kind == "Deployment"
	some container in planned.object.spec.template.spec.containers
}
"#;

const IMAGE: &str = "/spec/template/spec/containers/0/image";

/// A Deployment in git.
fn manifest(image: u8, replicas: u8) -> String {
    format!(
        "apiVersion: apps/v1\nkind: Deployment\nmetadata:\n  name: web\nspec:\n  replicas: {replicas}\n  selector:\n    matchLabels: {{app: web}}\n  template:\n    metadata:\n      labels: {{app: web}}\n    spec:\n      containers:\n        - name: web\n          image: registry.local/web:{image}\n"
    )
}

async fn write_back(tenant: &Tenant<'_>, rules: Value) -> anyhow::Result<()> {
    tenant
        .apply(&json!({
            "apiVersion": "reeve.dev/v1alpha1", "kind": "WriteBack",
            "metadata": {"name": "back", "namespace": tenant.name()},
            "spec": {
                "sourceRef": {"name": tenant.name(), "namespace": CONFIG}, "serviceAccountName": "flux",
                "debounce": "1h", "rules": rules,
            },
        }))
        .await?;
    let backs = tenant.api("reeve.dev/v1alpha1", "WriteBack");
    let is_seen = |back: &DynamicObject| back.data["status"]["conditions"][0].is_object();
    wait::for_object(&backs, "back", "it was seen", is_seen).await?;
    Ok(())
}

fn by(manager: &str) -> PatchParams {
    PatchParams {
        field_manager: Some(manager.to_owned()),
        ..PatchParams::default()
    }
}

/// Somebody gives the Deployment another image, as `kubectl set image` does.
async fn set_image(tenant: &Tenant<'_>, manager: &str, image: u8) -> anyhow::Result<()> {
    let image = format!("registry.local/web:{image}");
    let containers = json!([{"name": "web", "image": image}]);
    let change = json!({"spec": {"template": {"spec": {"containers": containers}}}});
    let webs = tenant.api("apps/v1", "Deployment");
    webs.patch("web", &by(manager), &Patch::Strategic(&change))
        .await?;
    Ok(())
}

/// Waits until the Deployment has that image and so many replicas.
async fn is(tenant: &Tenant<'_>, image: u8, replicas: u8) -> anyhow::Result<DynamicObject> {
    let webs = tenant.api("apps/v1", "Deployment");
    let want = format!("registry.local/web:{image}");
    let what = format!("image {image} and {replicas} replicas");
    wait::for_object(&webs, "web", &what, |web| {
        objects::text(&web.data, IMAGE) == Some(want.as_str())
            && web.data["spec"]["replicas"] == replicas
    })
    .await
}

/// Whether the controller's own claim holds the image.
fn claims_image(web: &DynamicObject) -> bool {
    let claims = web.metadata.managed_fields.iter().flatten();
    let mut ours = claims.filter(|claim| {
        claim.manager.as_deref() == Some("kustomize-controller")
            && claim.operation.as_deref() == Some("Apply")
    });
    ours.any(|claim| {
        let fields = claim.fields_v1.as_ref().map(|fields| fields.0.to_string());
        fields.is_some_and(|fields| fields.contains("f:image"))
    })
}

/// Somebody paints the tenant's ConfigMap, and it is painted back: whatever came before that has been judged by then.
async fn is_judged(tenant: &Tenant<'_>) -> anyhow::Result<()> {
    is_painted_back(&tenant.api("v1", "ConfigMap")).await
}

async fn is_painted_back(maps: &Api<DynamicObject>) -> anyhow::Result<()> {
    let red = json!({"data": {"colour": "red"}});
    maps.patch("settings", &by("painter"), &Patch::Merge(&red))
        .await?;
    wait::for_object(maps, "settings", "it is green again", |map| {
        objects::text(&map.data, "/data/colour") == Some("green")
    })
    .await?;
    Ok(())
}

async fn rolled_out(tenant: &Tenant<'_>, image: u8, replicas: u8) -> anyhow::Result<()> {
    let web = manifest(image, replicas);
    tenant.push(&[("web.yaml", Some(&web))]).await?;
    Ok(())
}

#[test]
fn what_a_write_back_is_to_commit_stays_and_what_git_alone_changes_is_applied() {
    scenario(async {
        let estate = Estate::shared().await?;
        for (name, manager) in [("yields-kubectl", "kubectl-set"), ("yields-keel", "keel")] {
            let tenant = estate.healthy_tenant(name).await?;
            rolled_out(&tenant, 1, 1).await?;
            is(&tenant, 1, 1).await?;
            write_back(
                &tenant,
                json!([{"resources": ["deployments"], "syncTo": "git"}]),
            )
            .await?;

            set_image(&tenant, manager, 2).await?;
            // What no rule is about is put right as ever, by the same runs.
            is_judged(&tenant).await?;
            let web = is(&tenant, 2, 1).await?;
            ensure!(!claims_image(&web), "{:?}", web.metadata.managed_fields);

            // Another field changes in git alone.
            rolled_out(&tenant, 1, 0).await?;
            is(&tenant, 2, 0).await?;

            // The commit is there: both are the same, and the field is ours again.
            rolled_out(&tenant, 2, 0).await?;
            let web = is(&tenant, 2, 0).await?;
            ensure!(
                claims_image(&web),
                "{manager}: {:?}",
                web.metadata.managed_fields
            );

            // So the next change in git alone is one.
            rolled_out(&tenant, 3, 0).await?;
            is(&tenant, 3, 0).await?;
        }
        Ok(())
    });
}

#[test]
fn without_the_write_back_and_for_an_object_that_was_taken_out_it_is_drift() {
    scenario(async {
        let estate = Estate::shared().await?;
        let tenant = estate.healthy_tenant("yields-no-more").await?;
        rolled_out(&tenant, 1, 1).await?;
        write_back(
            &tenant,
            json!([{"syncTo": "git", "resources": ["deployments"]}]),
        )
        .await?;
        set_image(&tenant, "kubectl-set", 2).await?;
        is_judged(&tenant).await?;
        is(&tenant, 2, 1).await?;

        // Somebody takes it out: it is as git has it again, and what took it out stays.
        let webs = tenant.api("apps/v1", "Deployment");
        let pause = json!({"metadata": {"annotations": {"reeve.dev/write-back": "disabled"}}});
        webs.patch("web", &by("kubectl-annotate"), &Patch::Merge(&pause))
            .await?;
        is(&tenant, 1, 1).await?;
        is_judged(&tenant).await?;
        let annotations = webs.get("web").await?.metadata.annotations;
        let stays = |key: &str| annotations.iter().flatten().any(|(one, _)| one == key);
        ensure!(stays("reeve.dev/write-back"), "{annotations:?}");

        let resume = json!({"metadata": {"annotations": {"reeve.dev/write-back": null}}});
        webs.patch("web", &by("kubectl-annotate"), &Patch::Merge(&resume))
            .await?;
        set_image(&tenant, "keel", 4).await?;
        is_judged(&tenant).await?;
        is(&tenant, 4, 1).await?;
        let backs = tenant.api("reeve.dev/v1alpha1", "WriteBack");
        backs.delete("back", &DeleteParams::default()).await?;
        is(&tenant, 1, 1).await?;
        Ok(())
    });
}

#[test]
fn only_the_fields_of_its_rules_and_the_write_backs_of_the_tenant_count() {
    scenario(async {
        let estate = Estate::shared().await?;
        let tenant = estate.healthy_tenant("yields-fields").await?;
        let other = estate.healthy_tenant("yields-other").await?;
        for tenant in [&tenant, &other] {
            rolled_out(tenant, 1, 1).await?;
        }
        let image = "/spec/template/spec/containers/*/image";
        write_back(&tenant, json!([{"syncTo": "git", "filters": [image]}])).await?;
        // One that names what is another tenant's.
        let stranger = json!({
            "apiVersion": "reeve.dev/v1alpha1", "kind": "WriteBack",
            "metadata": {"name": "stranger", "namespace": tenant.name()},
            "spec": {
                "sourceRef": {"name": other.name(), "namespace": CONFIG},
                "debounce": "1h", "rules": [{"syncTo": "git"}],
            },
        });
        tenant.apply(&stranger).await?;
        let backs = tenant.api("reeve.dev/v1alpha1", "WriteBack");
        let is_seen = |back: &DynamicObject| back.data["status"]["conditions"][0].is_object();
        wait::for_object(&backs, "stranger", "it was seen", is_seen).await?;

        set_image(&tenant, "kubectl-edit", 2).await?;
        let webs = tenant.api("apps/v1", "Deployment");
        let scaled = json!({"spec": {"replicas": 3}});
        webs.patch("web", &by("kubectl-edit"), &Patch::Merge(&scaled))
            .await?;
        is(&tenant, 2, 1).await?;

        set_image(&other, "kubectl-set", 2).await?;
        is(&other, 1, 1).await?;
        Ok(())
    });
}

#[test]
fn policy_is_asked_about_what_will_be_and_not_about_what_is_sent() {
    scenario(async {
        let estate = Estate::shared().await?;
        let tenant = estate.healthy_tenant("yields-judged").await?;
        rolled_out(&tenant, 1, 1).await?;
        let spec = json!({"rego": IMAGES});
        tenant.apply(&policy(&tenant, &spec)).await?;
        ready(estate, tenant.name(), Reason::Succeeded, "in force").await?;
        write_back(
            &tenant,
            json!([{"syncTo": "git", "resources": ["deployments"]}]),
        )
        .await?;
        set_image(&tenant, "keel", 2).await?;
        rolled_out(&tenant, 1, 0).await?;
        is(&tenant, 2, 0).await?;

        set_image(&tenant, "keel", 7).await?;
        let web = manifest(1, 1);
        tenant.commit([("web.yaml", Some(&web))])?;
        tenant.call_hook().await?;
        let told = tenant.told_of(Reason::PolicyDenied, "seven").await?;
        let ready = &told.ready;
        ensure!(
            ready
                .message
                .contains("a WriteBack keeps fields of Deployment/"),
            "{ready:?}"
        );
        is(&tenant, 7, 0).await?;
        set_image(&tenant, "keel", 8).await?;
        tenant.after(|_| {}).await?;
        is(&tenant, 8, 1).await?;
        Ok(())
    });
}

const EXTRA: &str = "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: extra\ndata: {}\n";
const TWO: &str = "[{name: A, value: '1'}, {name: B, value: '1'}]";
const THREE: &str = "[{name: A, value: '1'}, {name: B, value: '1'}, {name: C, value: '1'}]";

/// The Deployment with this variable in the place of its other settings.
fn with_env(env: &str) -> String {
    format!("{}          env: {env}\n", manifest(1, 1))
}

/// A tenant with a Deployment of two variables and a ConfigMap, of which the cluster is right.
async fn with_variables<'a>(estate: &'a Estate, name: &str) -> anyhow::Result<Tenant<'a>> {
    let tenant = estate.healthy_tenant(name).await?;
    let web = with_env(TWO);
    let files = [
        ("web.yaml", Some(web.as_str())),
        ("extra.yaml", Some(EXTRA)),
    ];
    tenant.push(&files).await?;
    let names = json!(["web", "extra"]);
    let rule = json!([{"names": names, "syncTo": "git", "onDelete": "delete"}]);
    write_back(&tenant, rule).await?;
    Ok(tenant)
}

/// The variables of the Deployment, by their names.
fn variables(web: &DynamicObject) -> Vec<&str> {
    let env = &web.data["spec"]["template"]["spec"]["containers"][0]["env"];
    let env = env.as_array().into_iter().flatten();
    env.filter_map(|one| one["name"].as_str()).collect()
}

/// Somebody takes a variable out, and the whole ConfigMap away.
async fn taken_out(tenant: &Tenant<'_>) -> anyhow::Result<()> {
    let taken = json!([{"name": "web", "env": [{"name": "B", "$patch": "delete"}]}]);
    let change = json!({"spec": {"template": {"spec": {"containers": taken}}}});
    let webs = tenant.api("apps/v1", "Deployment");
    webs.patch("web", &by("kubectl-edit"), &Patch::Strategic(&change))
        .await?;
    let maps = tenant.api("v1", "ConfigMap");
    maps.delete("extra", &DeleteParams::default()).await?;
    Ok(())
}

/// The Deployment has those variables, and the ConfigMap is not there.
async fn stays_so(tenant: &Tenant<'_>, about: &str, want: &[&str]) -> anyhow::Result<()> {
    let web = tenant.api("apps/v1", "Deployment").get("web").await?;
    let now = variables(&web);
    ensure!(now == want, "{about}: {now:?}");
    let extra = tenant.api("v1", "ConfigMap").get_opt("extra").await?;
    ensure!(extra.is_none(), "{about}: it was made again");
    Ok(())
}

#[test]
fn what_is_taken_out_or_deleted_on_the_cluster_stays_so_and_what_git_adds_is_applied() {
    scenario(async {
        let estate = Estate::shared().await?;
        let tenant = with_variables(estate, "yields-gone").await?;
        taken_out(&tenant).await?;
        is_judged(&tenant).await?;
        stays_so(&tenant, "put right", &["A"]).await?;

        let three = with_env(THREE);
        tenant.push(&[("web.yaml", Some(&three))]).await?;
        stays_so(&tenant, "pushed", &["A", "C"]).await?;

        let backs = tenant.api("reeve.dev/v1alpha1", "WriteBack");
        backs.delete("back", &DeleteParams::default()).await?;
        let (maps, webs) = (
            tenant.api("v1", "ConfigMap"),
            tenant.api("apps/v1", "Deployment"),
        );
        wait::for_object(&maps, "extra", "it is there", |_| true).await?;
        wait::for_object(&webs, "web", "it has all three", |web| {
            variables(web).len() == 3
        })
        .await?;
        Ok(())
    });
}

#[test]
fn a_process_that_begins_puts_nothing_right_that_is_yet_to_be_committed() {
    scenario(async {
        let estate = Estate::start().await?;
        let tenant = estate.healthy_tenant("yields-restart").await?;
        rolled_out(&tenant, 1, 1).await?;
        write_back(
            &tenant,
            json!([{"resources": ["deployments"], "syncTo": "git"}]),
        )
        .await?;
        set_image(&tenant, "kubectl-set", 2).await?;
        is_judged(&tenant).await?;
        let before = is(&tenant, 2, 1).await?.metadata.generation;

        estate.controller.restart().await?;
        is_judged(&tenant).await?;
        let after = is(&tenant, 2, 1).await?.metadata.generation;
        ensure!(before == after, "it was put right: {before:?} {after:?}");
        Ok(())
    });
}
