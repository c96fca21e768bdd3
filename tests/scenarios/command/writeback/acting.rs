//! `--service-account`: both directions as the account that is named, with its rights and no others.

use anyhow::ensure;
use reeve_tests::{Estate, objects, scenario};
use serde_json::json;

use super::*;

/// An account of the namespace that may do everything with its ConfigMaps.
async fn keeper(estate: &Estate, namespace: &str) -> anyhow::Result<()> {
    let rbac = "rbac.authorization.k8s.io";
    let api = format!("{rbac}/v1");
    let meta = json!({"name": "keeper", "namespace": namespace});
    let rules = json!([{"apiGroups": [""], "resources": ["configmaps"], "verbs": ["*"]}]);
    let subject = json!({"kind": "ServiceAccount", "name": "keeper", "namespace": namespace});
    for object in [
        json!({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": meta}),
        json!({"apiVersion": api, "kind": "ClusterRole", "metadata": {"name": format!("{namespace}-keeper")}, "rules": rules}),
        json!({
            "apiVersion": api, "kind": "ClusterRoleBinding", "metadata": {"name": format!("{namespace}-keeper")},
            "roleRef": {"apiGroup": rbac, "kind": "ClusterRole", "name": format!("{namespace}-keeper")},
            "subjects": [subject],
        }),
    ] {
        apply(estate, &object).await?;
    }
    Ok(())
}

#[test]
fn both_directions_are_done_as_the_account_that_is_named_and_what_it_may_not_is_told() {
    scenario(async {
        let estate = Estate::shared().await?;
        let (name, repo) = ground(estate, "acting").await?;
        keeper(estate, &name).await?;
        repo.publish("kept.yaml", placed(&config_map("kept", "green"), &name))?;
        apply(estate, &green("made", &name)).await?;
        let (url, keeper) = (estate.git.url(&name), format!("{name}/keeper"));
        let as_keeper = ["--service-account", keeper.as_str(), url.as_str()];
        let told = once(estate, &maps(&name), &as_keeper, 0).await?;
        let api = objects::api(estate.admin(), "v1", "ConfigMap", Some(&name));
        colour(&api, "kept", "green").await?;
        let text = at_head(&repo, &format!("{name}/configmap-made.yaml"))?;
        ensure!(text.contains("colour: green"), "{text}");
        // It may see no Secrets, so that none is looked at.
        let user = format!("system:serviceaccount:{name}:keeper");
        has_line(&told, &["secrets are left out", &user])?;

        // What is in git and it may not apply is refused as a whole.
        let service = format!(
            "apiVersion: v1\nkind: Service\nmetadata:\n  name: web\n  namespace: {name}\nspec:\n  ports: [{{port: 80}}]\n"
        );
        repo.pull()?.publish("service.yaml", service)?;
        let config = format!(
            "rules:\n- {{resources: [services], namespaces: [{name}], syncTo: kubernetes}}\n"
        );
        let told = once(estate, &config, &as_keeper, 1).await?;
        ensure!(told.contains(&user), "{told}");
        let services = objects::api(estate.admin(), "v1", "Service", Some(&name));
        ensure!(services.get_opt("web").await?.is_none());
        Ok(())
    });
}
