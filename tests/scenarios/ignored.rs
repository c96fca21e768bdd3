//! Fields that a Kustomization leaves to others: no difference in them is one, and nothing written beside them moves them.

use anyhow::ensure;
use kube::api::{DynamicObject, Patch, PatchParams};
use reeve_tests::tenant::Tenant;
use reeve_tests::{Estate, scenario};
use serde_json::{Value, json};

async fn settings(tenant: &Tenant<'_>) -> anyhow::Result<DynamicObject> {
    Ok(tenant.api("v1", "ConfigMap").get("settings").await?)
}

fn colour(settings: &DynamicObject) -> &Value {
    &settings.data["data"]["colour"]
}

/// Whether the controller's own claim holds the field.
fn is_claimed(settings: &DynamicObject, field: &str) -> bool {
    let claims = settings.metadata.managed_fields.iter().flatten();
    let ours = claims.filter(|claim| claim.manager.as_deref() == Some("kustomize-controller"));
    let fields = ours.filter_map(|claim| claim.fields_v1.as_ref());
    let mut held = fields.map(|fields| fields.0["f:data"].get(format!("f:{field}")).is_some());
    held.any(|held| held)
}

const WITH_SHAPE: &str = "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: settings\ndata:\n  colour: green\n  shape: SHAPE\n";

#[test]
fn an_ignored_field_stays_as_others_set_it() {
    scenario(async {
        let estate = Estate::shared().await?;
        let tenant = estate.healthy_tenant("ignored").await?;
        let maps = tenant.api("v1", "ConfigMap");
        let rules =
            json!([{"paths": ["/data/colour"], "target": {"kind": "ConfigMap", "name": "sett.*"}}]);
        tenant.after(|draft| draft.set("ignore", rules)).await?;

        let red = json!({"data": {"colour": "red"}});
        let by = PatchParams {
            field_manager: Some("painter".to_owned()),
            ..PatchParams::default()
        };
        maps.patch("settings", &by, &Patch::Merge(&red)).await?;
        let version = settings(&tenant).await?.metadata.resource_version;
        tenant.after(|_| {}).await?;
        let now = settings(&tenant).await?;
        ensure!(colour(&now) == "red" && now.metadata.resource_version == version);

        let round = WITH_SHAPE.replace("SHAPE", "round");
        tenant
            .after(|draft| draft.commit("settings.yaml", round))
            .await?;
        let now = settings(&tenant).await?;
        ensure!(colour(&now) == "red", "{:?}", now.data);
        ensure!(now.data["data"]["shape"] == "round", "{:?}", now.data);

        let blue = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "settings"}, "data": {"colour": "blue"}});
        maps.patch(
            "settings",
            &PatchParams::apply("painter").force(),
            &Patch::Apply(&blue),
        )
        .await?;
        let oval = WITH_SHAPE.replace("SHAPE", "oval");
        tenant
            .after(|draft| draft.commit("settings.yaml", oval))
            .await?;
        let now = settings(&tenant).await?;
        ensure!(
            colour(&now) == "blue" && !is_claimed(&now, "colour") && is_claimed(&now, "shape"),
            "who applies a field owns it: {:?}",
            now.metadata.managed_fields
        );

        tenant
            .after(|draft| draft.set("ignore", Value::Null))
            .await?;
        ensure!(colour(&settings(&tenant).await?) == "green");
        Ok(())
    });
}
