//! What a tenant cannot do by it: leave its directory, write where it is nobody, tell a Secret, or pass by a policy.

use anyhow::ensure;
use reeve_api::reason::Reason;
use reeve_core::deliver::{DELIVER, PATH, PROPOSE, TO};
use reeve_tests::{scenario, secrecy};
use serde_json::{Value, json};

use super::{Desk, nothing};

/// Annotations beside `reeve.dev/deliver: git`, and what is said of them.
fn rows() -> Vec<(Value, Reason, &'static str)> {
    // Neighbours say different things, so that what is read is about the row.
    vec![
        (
            json!({TO: "live", PATH: "../elsewhere"}),
            Reason::InvalidSpec,
            "deliver-path",
        ),
        (json!({TO: "nobodys"}), Reason::NotFound, "not found"),
        (
            json!({TO: "live", PATH: "/etc"}),
            Reason::InvalidSpec,
            "begins with a slash",
        ),
        // With another's login nothing is written.
        (
            json!({TO: "open"}),
            Reason::AuthenticationFailed,
            "names no Secret",
        ),
        (
            json!({TO: "live", PATH: "a/.git/hooks"}),
            Reason::InvalidSpec,
            "deliver-path",
        ),
        (
            json!({TO: "tagged"}),
            Reason::InvalidSpec,
            "follows no branch",
        ),
        (
            json!({TO: "live", PATH: ".github/workflows"}),
            Reason::InvalidSpec,
            "deliver-path",
        ),
        (json!({TO: "wrong"}), Reason::AuthenticationFailed, ""),
        (json!({TO: "other/live"}), Reason::InvalidSpec, "deliver-to"),
        (
            json!({TO: "live", PROPOSE: "pull-request"}),
            Reason::InvalidSpec,
            "names no provider",
        ),
        (
            json!({}),
            Reason::InvalidSpec,
            "nothing says which repository",
        ),
    ]
}

#[test]
fn a_tenant_delivers_to_no_place_that_is_not_its_own() {
    scenario(async {
        let desk = Desk::open("attacks").await?;
        let url = desk.server.url(&format!("{}-live", desk.tenant.name()));
        let mut open = desk.source("open", &url);
        open["spec"]
            .as_object_mut()
            .map(|spec| spec.remove("secretRef"));
        let mut tagged = desk.source("tagged", &url);
        tagged["spec"]["ref"] = json!({"tag": "v1"});
        tagged["spec"]["secretRef"] = json!({"name": "live"});
        let password = format!("{:032x}", rand::random::<u128>());
        secrecy::used(&password);
        let login = [("username", "eve"), ("password", password.as_str())];
        for object in [
            open,
            tagged,
            desk.secret("wrong", &login),
            desk.source("wrong", &url),
        ] {
            desk.tenant.apply(&object).await?;
        }
        let head = desk.head()?;
        for (mut annotations, reason, words) in rows() {
            annotations[DELIVER] = json!("git");
            for name in [TO, PATH, PROPOSE] {
                if annotations.get(name).is_none() {
                    annotations[name] = Value::Null;
                }
            }
            desk.ask(&annotations).await?;
            let told = desk.told(reason, words).await;
            let told = told.map_err(|why| why.context(annotations.to_string()))?;
            ensure!(told.kustomization["status"]["delivered"].is_null());
        }
        ensure!(desk.head()? == head, "something was written");
        ensure!(
            desk.tenant.changes().await?.is_empty(),
            "something was applied"
        );
        Ok(())
    });
}

#[test]
fn nothing_of_a_secret_is_ever_delivered() {
    scenario(async {
        let desk = Desk::open("secretive").await?;
        desk.deliver().await?;
        let head = desk.head()?;
        let value = format!("{:032x}", rand::random::<u128>());
        secrecy::used(&value);
        let secret = format!(
            "apiVersion: v1\nkind: Secret\nmetadata:\n  name: key\nstringData:\n  key: {value}\n"
        );
        desk.tenant.commit([("secret.yaml", Some(&secret))])?;
        desk.tenant.call_hook().await?;
        let own = desk.tenant.name();
        let words = format!("Secret/{own}/key is not delivered");
        let told = desk.told(Reason::DeliveryFailed, &words).await?;
        ensure!(
            told.ready.message.contains("SealedSecret"),
            "{:?}",
            told.ready
        );

        // By another way: a variable whose value is in a Secret.
        desk.tenant
            .apply(&desk.secret("words", &[("WORD", &value)]))
            .await?;
        let used =
            "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: used\ndata:\n  word: ${WORD}\n";
        desk.tenant
            .commit([("secret.yaml", None), ("used.yaml", Some(used))])?;
        desk.tenant.call_hook().await?;
        let from = json!({"substituteFrom": [{"kind": "Secret", "name": "words"}]});
        desk.tenant
            .change(|draft| draft.set("postBuild", from))
            .await?;
        desk.told(
            Reason::DeliveryFailed,
            "holds a value that comes from a Secret",
        )
        .await?;
        ensure!(desk.head()? == head, "something was written");
        Ok(())
    });
}

#[test]
fn a_file_of_another_kustomization_is_never_written_over() {
    scenario(async {
        let desk = Desk::open("neighbours").await?;
        desk.deliver().await?;
        let (own, head) = (desk.tenant.name(), desk.head()?);
        desk.tenant
            .apply(&json!({
                "apiVersion": "kustomize.toolkit.fluxcd.io/v1", "kind": "Kustomization",
                "metadata": {"name": "greedy", "namespace": own, "annotations": {
                    DELIVER: "git", TO: "live", PATH: format!("{own}/{own}"),
                }},
                "spec": {
                    "interval": "1h", "path": "./", "prune": true, "serviceAccountName": "flux",
                    "targetNamespace": own,
                    "sourceRef": {"kind": "GitRepository", "name": own, "namespace": reeve_tests::install::CONFIG},
                },
            }))
            .await?;
        let (all, patience) = (desk.tenant.kustomizations(), reeve_tests::wait::PATIENCE);
        let words = format!("of Kustomization {own}/{own}");
        reeve_tests::tenant::says(patience, &all, "greedy", Reason::DeliveryFailed, &words).await?;
        ensure!(desk.head()? == head, "something was written");
        desk.ask(&nothing()).await?;
        Ok(())
    });
}

#[test]
fn what_policy_denies_is_not_delivered() {
    scenario(async {
        let desk = Desk::open("denied-git").await?;
        desk.deliver().await?;
        let head = desk.head()?;
        // A place that is not the tenant's.
        desk.tenant
            .change(|draft| draft.set("targetNamespace", json!("kube-system")))
            .await?;
        desk.told(Reason::PolicyDenied, "").await?;
        ensure!(desk.head()? == head, "something was written");
        Ok(())
    });
}
