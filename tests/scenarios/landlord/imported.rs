//! Tenants of what another landlord, or Flux's guides, left behind.

use std::path::Path;

use anyhow::ensure;
use reeve_tests::{install, objects, scenario};
use serde_json::json;

use super::{Manor, OURS};
use crate::command::get::{asked, said};
use crate::command::reeve;

const VALUES: &str = "\
tenants:
  shop:
    domains: [shop.example, '*.shop.example']
    rbac:
      - {group: shop.devs, exec: true}
      - {group: shop.staff}
    flux: {branch: main, path: ./}
    quotas: {cpu: 2, memory: 4Gi}
    logging: {splunkIndex: shop}
    tolerations: [{key: shop, operator: Exists}]
  blog: {}
";

const TENANT: &str = "\
apiVersion: v1
kind: Namespace
metadata: {name: apps, labels: {toolkit.fluxcd.io/tenant: dev-team}}
---
apiVersion: v1
kind: ServiceAccount
metadata: {name: dev-team, namespace: apps, labels: {toolkit.fluxcd.io/tenant: dev-team}}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {name: dev-team-reconciler, namespace: apps, labels: {toolkit.fluxcd.io/tenant: dev-team}}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: cluster-admin}
subjects:
  - {apiGroup: rbac.authorization.k8s.io, kind: User, name: 'gotk:apps:reconciler'}
  - {kind: ServiceAccount, name: dev-team, namespace: apps}
";

/// Writes files below a directory.
fn put(root: &Path, files: &[(&str, &str)]) -> anyhow::Result<()> {
    for (path, text) in files {
        let path = root.join(path);
        if let Some(dir) = path.parent() {
            std::fs::create_dir_all(dir)?;
        }
        std::fs::write(path, text)?;
    }
    Ok(())
}

/// Flux's layout: a base for each tenant, and an overlay that patches them.
const LAYOUT: [(&str, &str); 4] = [
    ("tenants/base/dev-team/rbac.yaml", TENANT),
    (
        "tenants/base/dev-team/kustomization.yaml",
        "resources: [rbac.yaml]\n",
    ),
    (
        "tenants/staging/kustomization.yaml",
        "resources: [../base/dev-team]\n",
    ),
    ("values.yaml", VALUES),
];

#[test]
fn tenants_of_another_landlord_and_of_flux_become_tenants_on_the_cluster() {
    scenario(async {
        let manor = Manor::open().await?;
        let room = manor.estate.plane.room("imported")?;
        put(&room, &LAYOUT)?;
        manor.repository("shop")?;
        let url = manor.estate.git.url("{tenant}");
        let words = ["tenant", "import", "values.yaml", "--apply", "--url", &url];
        let told = said(&asked(&manor.estate, &room, &words).await?, 0)?;
        for words in [
            "Tenant shop created",
            "Tenant blog created",
            "tolerations is not taken over",
            "spec.containerDefaults",
        ] {
            ensure!(told.contains(words), "{words}: {told}");
        }
        manor.told("shop", "Succeeded").await?;
        manor
            .ready("shop", "ReconciliationSucceeded", "Applied revision")
            .await?;
        let shop = manor.api(OURS, "Tenant", None).get("shop").await?;
        let memory = objects::text(&shop.data, "/spec/quota/memory");
        ensure!(memory == Some("4Gi"), "{memory:?}");
        manor.bindings("shop").get("reeve-tenant-exec").await?;

        let again = said(&asked(&manor.estate, &room, &words).await?, 1)?;
        ensure!(again.contains("there is a Tenant blog already"), "{again}");

        install::kubectl(&manor.estate.plane, &["create", "namespace", "apps"]).await?;
        let words = ["tenant", "import", "tenants/staging", "--apply", "--adopt"];
        let told = said(&asked(&manor.estate, &room, &words).await?, 0)?;
        for words in [
            "namespace apps adopted for Tenant dev-team",
            "cluster-admin",
        ] {
            ensure!(told.contains(words), "{words}: {told}");
        }
        manor.told("dev-team", "Succeeded").await?;
        manor.bindings("apps").get("reeve-admin").await?;
        Ok(())
    });
}

#[test]
fn where_the_api_server_refuses_one_tenant_none_is_made_and_no_namespace_labelled() {
    scenario(async {
        let manor = Manor::open().await?;
        let room = manor.estate.plane.room("refused")?;
        let groups: Vec<String> = (0..65).map(|n| format!("{{group: group-{n}}}")).collect();
        let values = format!(
            "tenants:\n  alpha: {{}}\n  zoo: {{rbac: [{}]}}\n",
            groups.join(", ")
        );
        put(&room, &[("values.yaml", &values)])?;
        install::kubectl(&manor.estate.plane, &["create", "namespace", "alpha"]).await?;
        let words = ["tenant", "import", "values.yaml", "--apply", "--adopt"];
        let told = said(&asked(&manor.estate, &room, &words).await?, 1)?;
        for words in ["creating Tenant zoo failed", "nothing was written"] {
            ensure!(told.contains(words), "{words}: {told}");
        }
        let tenants = manor.api(OURS, "Tenant", None);
        for name in ["alpha", "zoo"] {
            ensure!(tenants.get_opt(name).await?.is_none(), "Tenant {name}");
        }
        let alpha = manor.api("v1", "Namespace", None).get("alpha").await?;
        let labels = alpha.metadata.labels.unwrap_or_default();
        ensure!(!labels.contains_key("reeve.dev/tenant"), "{labels:?}");
        Ok(())
    });
}

#[test]
fn a_namespace_that_is_adopted_brings_no_source_of_another_tenant() {
    scenario(async {
        let manor = Manor::open().await?;
        manor.repository("web")?;
        let url = manor.estate.git.url("web");
        let web = json!({"namespaces": ["web-a"], "source": {"url": url}});
        manor.tenant("web", web).await?;
        manor.told("web", "Succeeded").await?;
        manor
            .tenant("acme", json!({"namespaces": ["acme"]}))
            .await?;
        manor.told("acme", "Succeeded").await?;
        install::kubectl(&manor.estate.plane, &["create", "namespace", "web"]).await?;
        let told = manor.reeve("tenant adopt web --tenant acme", 0).await?;
        ensure!(told.contains("is Tenant web's"), "{told}");
        let acme = manor.api(OURS, "Tenant", None).get("acme").await?;
        let namespaces = acme.data.pointer("/spec/namespaces");
        ensure!(
            namespaces == Some(&json!(["acme", "web"])),
            "{namespaces:?}"
        );
        let sources = acme.data.pointer("/spec/sources");
        let none = sources.is_none_or(|sources| *sources == json!([]));
        ensure!(none, "{sources:?}");
        Ok(())
    });
}

/// What somebody writes by mistake or to come by more than is theirs, and words of what stops it.
const RAIDS: [(&str, &str); 9] = [
    (
        "tenants: {shop: {}, shop: {rbac: [{group: evil, exec: true}]}}",
        "reading the values failed",
    ),
    (
        "tenants: {flux-system: {}}",
        "namespace flux-system is the platform's",
    ),
    (
        "tenants: {kube-system: {}}",
        "namespace kube-system is the platform's",
    ),
    ("tenants: {'../shop': {}}", "not taken over"),
    (
        "tenants: {shop: {rbac: [{group: 'system:masters', exec: true}]}}",
        "no group of people",
    ),
    (
        "tenants: {shop: {rbac: [{group: devs, exec: 'false'}]}}",
        "neither true nor false",
    ),
    ("tenants: {shop: {domains: ['*']}}", "domains[0]"),
    ("tenants: [shop]", "holds no values of a landlord"),
    (
        "tenants: {shop: {}}\n---\ntenants: {blog: {}}",
        "is not one document",
    ),
];

#[test]
fn values_that_could_be_misunderstood_make_no_tenant() {
    scenario(async {
        let room = tempfile::tempdir()?;
        for (text, words) in RAIDS {
            put(room.path(), &[("values.yaml", text)])?;
            let told = said(
                &reeve(&["tenant", "import", "values.yaml"], room.path())?,
                1,
            )?;
            ensure!(told.contains(words), "{words}: {text}: {told}");
            ensure!(!told.contains("kind: Tenant"), "{text}: {told}");
        }
        let bomb = "a: &a [x, x, x, x, x, x, x, x, x]\n".to_owned()
            + &('b'..='k')
                .scan('a', |before, next| {
                    let item = format!("*{before}");
                    *before = next;
                    Some(format!(
                        "{next}: &{next} [{}]\n",
                        [item.as_str(); 9].join(", ")
                    ))
                })
                .collect::<String>();
        put(room.path(), &[("values.yaml", &bomb)])?;
        let told = said(
            &reeve(&["tenant", "import", "values.yaml"], room.path())?,
            1,
        )?;
        ensure!(told.contains("reading the values failed"), "{told}");
        put(room.path(), &[("none/base.yaml", TENANT)])?;
        let told = said(&reeve(&["tenant", "import", "none"], room.path())?, 1)?;
        ensure!(told.contains("tenants/production"), "{told}");
        Ok(())
    });
}
