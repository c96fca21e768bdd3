//! Tenants made, changed, taken away and adopted by the landlord, delivered by a controller that may act as nobody else's
//! accounts; and the fence around both, with their own tokens.

mod delivery;
mod fence;
mod holding;
mod imported;
mod leaving;
mod moves;
mod onboarding;
mod rights;

use std::path::Path;

use anyhow::ensure;
use kube::api::{Api, DeleteParams, DynamicObject, Patch, PatchParams};
use reeve_tests::chart::Release;
use reeve_tests::git::Repo;
use reeve_tests::install::{self, CONFIG, SYSTEM};
use reeve_tests::landlord::{LANDLORD, Landlord};
use reeve_tests::tenant::MANIFESTS;
use reeve_tests::{Estate, objects, plane, scenario, wait};
use serde_json::{Value, json};

use crate::command::get::{asked, said};

const RBAC: &str = "rbac.authorization.k8s.io/v1";
const OURS: &str = "reeve.dev/v1alpha1";
const KUSTOMIZE: &str = "kustomize.toolkit.fluxcd.io/v1";

/// An estate with a landlord, and what the stories look at.
struct Manor {
    estate: Estate,
    landlord: Landlord,
}

impl Manor {
    async fn open() -> anyhow::Result<Self> {
        let estate = Estate::start().await?;
        let landlord = Landlord::start(&estate.plane).await?;
        Ok(Self { estate, landlord })
    }

    fn api(&self, version: &str, kind: &str, namespace: Option<&str>) -> Api<DynamicObject> {
        objects::api(self.estate.admin(), version, kind, namespace)
    }

    fn bindings(&self, namespace: &str) -> Api<DynamicObject> {
        self.api(RBAC, "RoleBinding", Some(namespace))
    }

    fn repository(&self, name: &str) -> anyhow::Result<Repo> {
        let repo = self.estate.repo(name)?;
        for (path, text) in MANIFESTS {
            repo.write(path, text)?;
        }
        repo.commit("What the tenant has")?;
        repo.push()?;
        Ok(repo)
    }

    /// Runs the command as an administrator, and returns what it said when it ended with that code.
    async fn reeve(&self, line: &str, code: i32) -> anyhow::Result<String> {
        let words: Vec<&str> = line.split(' ').collect();
        said(&asked(&self.estate, Path::new("/"), &words).await?, code)
    }

    /// An administrator writes a Tenant.
    async fn tenant(&self, name: &str, spec: Value) -> anyhow::Result<()> {
        let tenant =
            json!({"apiVersion": OURS, "kind": "Tenant", "metadata": {"name": name}, "spec": spec});
        let api = self.api(OURS, "Tenant", None);
        let how = PatchParams::apply("estate").force();
        api.patch(name, &how, &Patch::Apply(&tenant)).await?;
        Ok(())
    }

    /// Waits until the Tenant says this of its onboarding, in its newest generation.
    async fn told(&self, name: &str, reason: &str) -> anyhow::Result<String> {
        let api = self.api(OURS, "Tenant", None);
        let what = format!("it is onboarded or not: {reason}");
        let found = wait::for_object(&api, name, &what, |tenant| {
            let told = objects::condition(&tenant.data, "Onboarded").unwrap_or_default();
            told.reason == reason && told.observed_generation == tenant.metadata.generation
        });
        let found = found.await?;
        let told = objects::condition(&found.data, "Onboarded").unwrap_or_default();
        Ok(told.message)
    }

    /// Waits until the Kustomization of that name says this.
    async fn ready(&self, name: &str, reason: &str, words: &str) -> anyhow::Result<()> {
        let api = self.api(KUSTOMIZE, "Kustomization", Some(name));
        let what = format!("{reason} with {words:?}");
        wait::for_object(&api, name, &what, |one| {
            let ready = objects::condition(&one.data, "Ready").unwrap_or_default();
            ready.reason == reason && ready.message.contains(words)
        })
        .await?;
        Ok(())
    }

    /// Waits until the landlord, which acts, counts one Tenant that stands so.
    async fn counts(&self, state: &str) -> anyhow::Result<()> {
        let wanted = format!("reeve_landlord_tenants{{state=\"{state}\"}} 1");
        let what = format!("the landlord says {wanted}");
        wait::until(wait::PATIENCE, &what, || async {
            let told = self.landlord.metrics().await.ok()?;
            let has = |wanted: &str| told.lines().any(|line| line == wanted);
            (has("reeve_landlord_leader 1") && has(&wanted)).then_some(())
        })
        .await
    }

    /// Asks for a fetch of the source of that name.
    async fn fetch(&self, name: &str) -> anyhow::Result<()> {
        let api = self.api("source.toolkit.fluxcd.io/v1", "GitRepository", Some(CONFIG));
        let patch =
            json!({"metadata": {"annotations": {"reconcile.fluxcd.io/requestedAt": "now"}}});
        api.patch_metadata(name, &PatchParams::default(), &Patch::Merge(&patch))
            .await?;
        Ok(())
    }
}

#[test]
fn a_tenant_is_onboarded_by_one_object_and_let_go_without_losing_anything() {
    scenario(async {
        let manor = Manor::open().await?;
        let repo = manor.repository("acme")?;
        let url = manor.estate.git.url("acme");
        let line = format!("tenant create acme --url {url} --owner acme-devs");
        let told = manor.reeve(&line, 0).await?;
        ensure!(
            told.contains("Tenant acme is onboarded"),
            "{told}\n{}",
            manor.landlord.tail()
        );
        manor
            .ready("acme", "ReconciliationSucceeded", "Applied revision")
            .await?;
        let maps = manor.api("v1", "ConfigMap", Some("acme"));
        maps.get("settings").await?;
        let binding = manor.bindings("acme").get("reeve-admin").await?;
        let owner = objects::text(&binding.data, "/subjects/1/name");
        ensure!(owner == Some("acme-devs"), "{binding:?}");
        let told = manor.reeve("tenant show acme", 0).await?;
        ensure!(told.contains("1 namespace is made and kept"), "{told}");
        let told = manor.reeve("tenant list", 0).await?;
        ensure!(told.contains("acme"), "{told}");

        let told = manor.reeve("tenant remove acme", 0).await?;
        ensure!(told.contains("what was made of it stays: acme"), "{told}");
        wait::until_gone(&manor.bindings("acme"), "reeve-delivery").await?;
        maps.get("settings").await?;
        manor.bindings("acme").get("reeve-admin").await?;
        repo.publish("settings.yaml", MANIFESTS[0].1.replace("green", "blue"))?;
        manor.fetch("acme").await?;
        manor
            .ready("acme", "AccessDenied", "`reeve tenant adopt acme`")
            .await?;

        let told = manor.reeve("tenant adopt acme", 0).await?;
        ensure!(told.contains("Tenant acme is onboarded"), "{told}");
        manor
            .ready("acme", "ReconciliationSucceeded", "Applied revision")
            .await?;
        let settings = maps.get("settings").await?;
        ensure!(objects::text(&settings.data, "/data/colour") == Some("blue"));
        Ok(())
    });
}

/// A Tenant that says most of what it can.
fn furnished() -> Value {
    json!({
        "namespaces": ["acme", "acme-dev"], "podSecurity": "restricted", "quota": {"pods": "20"},
        "networkPolicy": "OwnNamespaces", "namespaceMetadata": {"labels": {"team": "a"}},
    })
}

#[test]
fn what_is_made_of_a_tenant_follows_its_spec_and_is_made_again() {
    scenario(async {
        let manor = Manor::open().await?;
        manor.tenant("acme", furnished()).await?;
        let message = manor.told("acme", "Succeeded").await?;
        ensure!(message.contains("2 namespaces"), "{message}");
        let namespace = manor.api("v1", "Namespace", None).get("acme-dev").await?;
        let labels = namespace.metadata.labels.unwrap_or_default();
        let level = "pod-security.kubernetes.io/enforce";
        for (key, value) in [
            ("reeve.dev/tenant", "acme"),
            ("team", "a"),
            (level, "restricted"),
        ] {
            ensure!(labels.get(key).is_some_and(|is| is == value), "{labels:?}");
        }
        let bindings = manor.bindings("acme");
        let how = DeleteParams::default();
        bindings.delete("reeve-admin", &how).await?;
        wait::for_object(&bindings, "reeve-admin", "it is made again", |_| true).await?;
        let made = [
            manor.api("v1", "ResourceQuota", Some("acme")),
            manor.api("networking.k8s.io/v1", "NetworkPolicy", Some("acme")),
        ];
        for api in &made {
            api.get("reeve-tenant").await?;
        }

        let less = json!({"namespaces": ["acme"], "role": "edit"});
        manor.tenant("acme", less).await?;
        manor.told("acme", "Succeeded").await?;
        bindings.get("reeve-edit").await?;
        let former = bindings.get_opt("reeve-admin").await?;
        ensure!(former.is_none(), "the former role stays");
        for api in &made {
            let there = api.get_opt("reeve-tenant").await?;
            ensure!(there.is_none(), "{there:?}");
        }
        // What it has no more stays as it is, but nothing is delivered there.
        let left = manor.bindings("acme-dev");
        let acts = left.get_opt("reeve-delivery").await?;
        ensure!(acts.is_none(), "the right stays");
        left.get("reeve-admin").await?;

        let all = json!({"namespaces": ["acme"], "role": "cluster-admin"});
        manor.tenant("acme", all).await?;
        let message = manor.told("acme", "InvalidSpec").await?;
        ensure!(message.contains("cluster-admin"), "{message}");
        bindings.get("reeve-edit").await?;
        Ok(())
    });
}

#[test]
fn a_namespace_that_goes_to_another_tenant_keeps_nobody_of_the_first() {
    scenario(async {
        let manor = Manor::open().await?;
        let first = json!({
            "namespaces": ["shared", "acme"], "role": "edit", "owners": ["acme-devs"],
            "readers": [{"group": "acme-ops", "exec": true}], "quota": {"pods": "20"},
            "networkPolicy": "OwnNamespaces",
        });
        manor.tenant("acme", first).await?;
        manor.told("acme", "Succeeded").await?;
        let bindings = manor.bindings("shared");
        for name in ["reeve-edit", "reeve-tenant-readers", "reeve-tenant-exec"] {
            bindings.get(name).await?;
        }
        let less = json!({"namespaces": ["acme"]});
        manor.tenant("acme", less).await?;
        manor.told("acme", "Succeeded").await?;
        bindings.get("reeve-edit").await?;

        manor
            .tenant("beta", json!({"namespaces": ["shared"]}))
            .await?;
        manor.told("beta", "NamespaceNotAdopted").await?;
        let told = manor.reeve("tenant adopt shared --tenant beta", 0).await?;
        ensure!(told.contains("1 namespace is made and kept"), "{told}");
        let there = bindings.list(&Default::default()).await?.items;
        let mut names: Vec<String> = there
            .into_iter()
            .filter_map(|one| one.metadata.name)
            .collect();
        names.sort();
        ensure!(names == ["reeve-admin", "reeve-delivery"], "{names:?}");
        for api in [
            manor.api("v1", "ResourceQuota", Some("shared")),
            manor.api("networking.k8s.io/v1", "NetworkPolicy", Some("shared")),
        ] {
            let left = api.get_opt("reeve-tenant").await?;
            ensure!(left.is_none(), "{left:?}");
        }
        // What is the other's still is as it was.
        manor.bindings("acme").get("reeve-delivery").await?;
        Ok(())
    });
}

#[test]
fn a_namespace_that_was_there_before_is_left_alone_until_it_is_adopted() {
    scenario(async {
        let manor = Manor::open().await?;
        let namespaces = manor.api("v1", "Namespace", None);
        install::kubectl(&manor.estate.plane, &["create", "namespace", "old"]).await?;
        let before = namespaces.get("old").await?;
        manor
            .tenant("acme", json!({"namespaces": ["old", "fresh"]}))
            .await?;
        let message = manor.told("acme", "NamespaceNotAdopted").await?;
        let hint = "`reeve tenant adopt old --tenant acme`";
        ensure!(message.contains(hint), "{message}");
        ensure!(namespaces.get("old").await?.metadata.labels == before.metadata.labels);
        let made = manor.bindings("old").list(&Default::default()).await?;
        ensure!(made.items.is_empty(), "{made:?}");
        manor.bindings("fresh").get("reeve-admin").await?;
        manor.counts("waiting").await?;
        let tenants = manor.api(OURS, "Tenant", None);
        wait::for_object(&tenants, "acme", "it is not ready", |tenant| {
            let ready = objects::condition(&tenant.data, "Ready").unwrap_or_default();
            ready.status == "False" && ready.reason == "NamespaceNotAdopted"
        })
        .await?;

        let told = manor.reeve("tenant adopt old --tenant acme", 0).await?;
        ensure!(told.contains("2 namespaces are made and kept"), "{told}");
        manor.bindings("old").get("reeve-delivery").await?;
        manor.counts("onboarded").await?;
        wait::for_object(&tenants, "acme", "it is ready", |tenant| {
            let ready = objects::condition(&tenant.data, "Ready").unwrap_or_default();
            ready.status == "True"
        })
        .await?;

        manor
            .tenant("other", json!({"namespaces": ["old", CONFIG]}))
            .await?;
        let message = manor.told("other", "NamespaceTaken").await?;
        ensure!(message.contains("belongs to"), "{message}");
        let told = manor.reeve("tenant adopt old --tenant other", 1).await?;
        ensure!(
            told.contains("namespace old belongs to Tenant acme"),
            "{told}"
        );
        let whose = namespaces
            .get("old")
            .await?
            .metadata
            .labels
            .unwrap_or_default();
        ensure!(whose.get("reeve.dev/tenant").map(String::as_str) == Some("acme"));
        let config = namespaces
            .get(CONFIG)
            .await?
            .metadata
            .labels
            .unwrap_or_default();
        ensure!(!config.contains_key("reeve.dev/tenant"), "{config:?}");
        Ok(())
    });
}

#[test]
fn a_namespace_whose_tenant_cannot_be_written_bears_no_label_of_it() {
    scenario(async {
        let manor = Manor::open().await?;
        install::kubectl(&manor.estate.plane, &["create", "namespace", "old"]).await?;
        // It names as many as there may be, and nothing is made of it.
        let many: Vec<String> = (0..256).map(|n| format!("full-{n}")).collect();
        let full = json!({"namespaces": many, "role": "cluster-admin"});
        manor.tenant("full", full).await?;
        manor.told("full", "InvalidSpec").await?;
        let told = manor.reeve("tenant adopt old --tenant full", 1).await?;
        ensure!(told.contains("writing Tenant full failed"), "{told}");
        let namespaces = manor.api("v1", "Namespace", None);
        let labels = namespaces.get("old").await?.metadata.labels;
        let labels = labels.unwrap_or_default();
        ensure!(!labels.contains_key("reeve.dev/tenant"), "{labels:?}");
        Ok(())
    });
}

/// The landlord's rights are there, and its fence is not, as after an installation that ended before it.
#[test]
fn namespaces_of_the_platform_and_of_kubernetes_are_labelled_for_nobody() {
    scenario(async {
        let manor = Manor::open().await?;
        let namespaces = manor.api("v1", "Namespace", None);
        let tenants = manor.api(OURS, "Tenant", None);
        for (name, says) in [
            ("kube-public", "Kubernetes' own"),
            (SYSTEM, "the platform's own"),
            (CONFIG, "the platform's own"),
        ] {
            let told = manor.reeve(&format!("tenant adopt {name}"), 1).await?;
            ensure!(told.contains(says), "{name}: {told}");
            let labels = namespaces.get(name).await?.metadata.labels;
            let labels = labels.unwrap_or_default();
            ensure!(!labels.contains_key("reeve.dev/tenant"), "{labels:?}");
            ensure!(tenants.get_opt(name).await?.is_none(), "Tenant {name}");
        }
        Ok(())
    });
}

#[test]
fn a_landlord_that_nothing_fences_makes_nothing_until_it_is_fenced() {
    scenario(async {
        let estate = Estate::start().await?;
        let release = Release::estate().await?;
        let kind = "ValidatingAdmissionPolicyBinding";
        let version = "admissionregistration.k8s.io/v1";
        let bindings = objects::api(estate.admin(), version, kind, None);
        bindings.delete(LANDLORD, &DeleteParams::default()).await?;
        wait::until_gone(&bindings, LANDLORD).await?;
        unfenced(&estate).await?;

        let landlord = Landlord::launch(release, &estate.plane).await?;
        let manor = Manor { estate, landlord };
        manor
            .tenant("acme", json!({"namespaces": ["acme"]}))
            .await?;
        wait::until(wait::PATIENCE, "it says why it waits", || async {
            let says = manor.landlord.tail();
            says.contains("the landlord makes nothing yet")
                .then_some(())
        })
        .await?;
        let namespaces = manor.api("v1", "Namespace", None);
        let there = namespaces.get_opt("acme").await?;
        ensure!(there.is_none(), "it was made: {there:?}");

        let binding = release.object(kind, LANDLORD)?.to_string();
        install::apply(&manor.estate.plane, &binding).await?;
        manor.landlord.is_ready().await?;
        manor.told("acme", "Succeeded").await?;
        Ok(())
    });
}

/// Waits until the API server lets the landlord's account do what its fence refuses.
async fn unfenced(estate: &Estate) -> anyhow::Result<()> {
    let kubeconfig = estate.plane.kubeconfig_of(SYSTEM, LANDLORD).await?;
    let client = plane::client(&kubeconfig).await?;
    let namespaces = objects::api(client, "v1", "Namespace", None);
    let bare = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "bare"}});
    let how = PatchParams::apply("landlord").force().dry_run();
    wait::until(wait::PATIENCE, "nothing fences it", || async {
        let made = namespaces.patch("bare", &how, &Patch::Apply(&bare)).await;
        made.is_ok().then_some(())
    })
    .await
}
