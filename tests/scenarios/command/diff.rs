//! `reeve diff`: what a run would change is said before it does, nothing is written, and no value of a Secret is shown.

use anyhow::ensure;
use kube::api::{Patch, PatchParams};
use reeve_tests::tenant::{MANIFESTS, Tenant};
use reeve_tests::{Estate, scenario, secrecy};
use serde_json::{Value, json};

use super::files;
use super::get::{asked, said};
use crate::rules::minds;

/// Asks what the tenant's Kustomization would change.
async fn diff(
    estate: &Estate,
    tenant: &Tenant<'_>,
    more: &[&str],
    code: i32,
) -> anyhow::Result<String> {
    let name = tenant.name();
    let arguments = [&["diff", "ks", name, "-n", name][..], more].concat();
    let here = std::env::temp_dir();
    said(&asked(estate, &here, &arguments).await?, code)
}

/// A Secret of one value.
fn secret(value: &str) -> String {
    format!(
        "apiVersion: v1\nkind: Secret\nmetadata:\n  name: token\nstringData:\n  token: {value}\n"
    )
}

/// A value that must not be shown.
fn token() -> String {
    let token = format!("{:032x}", rand::random::<u128>());
    secrecy::used(&token);
    token
}

/// What is said of a directory with another colour, another token, one object more and one less.
const CHANGES: [&str; 8] = [
    "ConfigMap/TENANT/settings configured\n",
    "-   colour: green\n",
    "+   colour: red\n",
    "ConfigMap/TENANT/more created\n",
    "Secret/TENANT/token configured\n",
    "+   token: '*** (after)'\n",
    "Service/TENANT/web deleted\n",
    ": 1 created, 2 configured, 1 deleted, 0 unchanged",
];

#[test]
fn what_a_run_would_change_is_told_object_by_object_and_nothing_of_it_is_done() {
    scenario(async {
        let estate = Estate::shared().await?;
        let tenant = estate.healthy_tenant("differs").await?;
        let [(settings, green), _] = MANIFESTS;
        let commit = tenant.commit([("token.yaml", Some(secret(&token())))])?;
        tenant.call_hook().await?;
        tenant.applied(&commit).await?;
        let before = tenant.objects().await?;

        let told = diff(estate, &tenant, &[], 0).await?;
        let none = ": 0 created, 0 configured, 0 deleted, 3 unchanged";
        ensure!(told.contains(none), "{told}");

        let dir = tempfile::tempdir()?;
        let (red, more) = (
            green.replace("green", "red"),
            green.replace("settings", "more"),
        );
        let token = secret(&token());
        files(
            dir.path(),
            &[
                (settings, &*red),
                ("more.yaml", &*more),
                ("token.yaml", &*token),
            ],
        )?;
        let path = dir.path().display().to_string();
        let account = format!("system:serviceaccount:{}:flux", tenant.name());
        for more in [
            &["--path", &*path][..],
            &["--path", &*path, "--as", &*account],
        ] {
            let told = diff(estate, &tenant, more, 1).await?;
            for words in CHANGES {
                let words = words.replace("TENANT", tenant.name());
                ensure!(told.contains(&words), "{words}: {told}");
            }
        }
        for form in ["table", "json", "yaml"] {
            let told = diff(estate, &tenant, &["--path", &path, "-o", form], 1).await?;
            let leaks = secrecy::leaks(form, &told);
            ensure!(leaks.is_empty(), "{leaks:#?}");
        }
        let changes = tenant.objects().await?.changes_since(&before);
        ensure!(changes.is_empty(), "something was written: {changes:#?}");
        Ok(())
    });
}

#[test]
fn hooks_that_would_run_and_what_would_wait_for_a_confirmation_are_told() {
    scenario(async {
        let estate = Estate::shared().await?;
        let tenant = estate.healthy_tenant("foresees").await?;
        let name = tenant.name();
        let migrate = json!({"apiVersion": "batch/v1", "kind": "Job",
            "metadata": {"name": "migrate", "annotations": {"reeve.dev/hook": "PreSync"}},
            "spec": {"template": {"spec": {"restartPolicy": "Never",
                "containers": [{"name": "job", "image": "registry.local/job:1"}]}}}})
        .to_string();
        let map =
            |at| format!("apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: map-{at}\n---\n");
        let many: String = (0..24).map(map).collect();
        tenant
            .push(&[
                ("many.yaml", Some(&*many)),
                ("migrate.yaml", Some(&*migrate)),
            ])
            .await?;
        let told = diff(estate, &tenant, &[], 0).await?;
        ensure!(!told.contains("hook"), "it has run: {told}");

        let dir = tempfile::tempdir()?;
        let [settings, service] = MANIFESTS;
        files(
            dir.path(),
            &[settings, service, ("migrate.yaml", &*migrate)],
        )?;
        let path = dir.path().display().to_string();
        let told = diff(estate, &tenant, &["--path", &path], 1).await?;
        for words in [
            &*format!("hook PreSync Job/{name}/migrate would run\n"),
            "waits for confirmation: 24 objects would be pruned: deleting 24 of 27 objects",
            "reeve.dev/confirm-prune: ",
            "24 objects would be changed, 1 hook would run, it waits for confirmation",
        ] {
            ensure!(told.contains(words), "{words}: {told}");
        }

        // Elsewhere it would wait with all of it.
        tenant
            .change(|draft| draft.set("suspend", json!(true)))
            .await?;
        let spec = json!({"spec": {"path": "./elsewhere"}});
        let how = PatchParams::default();
        let kustomizations = tenant.kustomizations();
        kustomizations
            .patch(name, &how, &Patch::Merge(spec))
            .await?;
        tenant.commit([("elsewhere/settings.yaml", Some(settings.1))])?;
        let told = diff(estate, &tenant, &["--source", "main"], 1).await?;
        let words =
            "waits for confirmation: everything, and 26 objects would be pruned: it points at";
        ensure!(told.contains(words), "{told}");
        Ok(())
    });
}

#[test]
fn another_revision_is_asked_about_and_what_policy_denies_is_no_answer() {
    scenario(async {
        let estate = Estate::shared().await?;
        let tenant = estate.healthy_tenant("revises").await?;
        let (name, [(settings, green), _]) = (tenant.name(), MANIFESTS);
        tenant.repo().checkout("next")?;
        let commit = tenant
            .repo()
            .publish(settings, green.replace("green", "red"))?;
        tenant.repo().checkout("main")?;
        for revision in ["next", &commit] {
            let told = diff(estate, &tenant, &["--source", revision], 1).await?;
            ensure!(
                told.contains(&format!("ConfigMap/{name}/settings configured")),
                "{told}"
            );
            ensure!(told.contains(&commit), "{told}");
        }
        let here = std::env::temp_dir();
        let arguments = [
            "diff", "ks", name, "-n", name, "--source", "next", "-o", "json",
        ];
        let output = asked(estate, &here, &arguments).await?;
        said(&output, 1)?;
        let told: Value = serde_json::from_slice(&output.stdout)?;
        let field = &told["changes"][0]["fields"][0];
        ensure!(field["path"] == "data.colour", "{told:#}");
        ensure!(
            field["before"] == "green" && field["after"] == "red",
            "{told:#}"
        );

        let dir = tempfile::tempdir()?;
        files(dir.path(), &[("colours/policy.rego", &minds("red"))])?;
        let policy = dir.path().join("colours").display().to_string();
        let why = diff(
            estate,
            &tenant,
            &["--source", "next", "--policy", &policy],
            2,
        )
        .await?;
        ensure!(why.contains("denied by policy colours"), "{why}");
        let why = diff(estate, &tenant, &["--source", "nosuch"], 2).await?;
        ensure!(why.contains("fetching the source failed"), "{why}");
        Ok(())
    });
}

#[test]
fn a_plugin_that_a_run_would_call_is_named_and_called_where_its_component_is_given() {
    scenario(async {
        let estate = Estate::shared().await?;
        let tenant = estate.healthy_tenant("plugged").await?;
        let name = tenant.name();
        tenant
            .apply(&json!({
                "apiVersion": "reeve.dev/v1alpha1", "kind": "Plugin",
                "metadata": {"name": "stamp", "namespace": name},
                "spec": {"world": "transformer", "source": {"path": "nowhere.wasm"},
                    "config": {"labels": {"team": "web"}}},
            }))
            .await?;
        let told = diff(estate, &tenant, &[], 0).await?;
        ensure!(told.contains("plugin stamp was not called"), "{told}");
        let component = reeve_tests::root().join("target/plugins/stamp-labels.wasm");
        let given = format!("stamp={}", component.display());
        let told = diff(estate, &tenant, &["--plugin", &given], 1).await?;
        ensure!(told.contains("+     team: web"), "{told}");
        ensure!(told.contains(": 0 created, 2 configured"), "{told}");
        ensure!(!told.contains("was not called"), "{told}");
        Ok(())
    });
}
