//! The estate itself: what the other scenarios stand on.

use k8s_openapi::api::apps::v1::Deployment;
use kube::api::{Api, Patch, PatchParams};
use reeve_tests::{Plane, scenario, wait};
use serde_json::json;

#[test]
fn a_deployment_becomes_available_on_a_control_plane_of_our_own() {
    scenario(async {
        let plane = Plane::start().await?;
        let api: Api<Deployment> = Api::namespaced(plane.admin(), "default");
        let web = json!({
            "apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web"},
            "spec": {
                "replicas": 2,
                "selector": {"matchLabels": {"app": "web"}},
                "template": {
                    "metadata": {"labels": {"app": "web"}},
                    "spec": {"containers": [{"name": "web", "image": "registry.local/web:1"}]},
                },
            },
        });
        api.patch("web", &PatchParams::apply("test"), &Patch::Apply(&web))
            .await?;
        wait::for_object(&api, "web", "two replicas are available", |web| {
            web.status
                .as_ref()
                .and_then(|status| status.available_replicas)
                == Some(2)
        })
        .await?;
        Ok(())
    });
}
