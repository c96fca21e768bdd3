//! Sources that another controller keeps: what their status offers is applied, and nothing that only looks like it.
//!
//! The other controller is the scenario itself: it defines the kinds, writes into their status what source-controller would, and
//! serves the archives.

pub(crate) mod shelf;

use anyhow::ensure;
use kube::api::{Api, DeleteParams, DynamicObject, ListParams, Patch, PatchParams};
use reeve_api::reason::Reason;
use reeve_tests::install::CONFIG;
use reeve_tests::tenant::{Tenant, says};
use reeve_tests::{Estate, objects, scenario, wait};
use serde_json::{Value, json};
use tar::EntryType;

use self::shelf::{Shelf, archive, digest, odd_archive};
use crate::flux_cli::{has_line, run};
use crate::rules::{policy, ready};

const SOURCE: &str = "source.toolkit.fluxcd.io/v1";
const DEFINITION: &str = "apiextensions.k8s.io/v1";
const KINDS: [(&str, &str); 3] = [
    ("OCIRepository", "ocirepositories"),
    ("Bucket", "buckets"),
    ("ExternalArtifact", "externalartifacts"),
];

/// As much of a definition as who reads the status needs.
pub(crate) fn definition(kind: &str, plural: &str) -> Value {
    let names = json!({
        "kind": kind, "listKind": format!("{kind}List"), "plural": plural, "singular": kind.to_lowercase(),
    });
    let schema = json!({"type": "object", "x-kubernetes-preserve-unknown-fields": true});
    json!({
        "apiVersion": DEFINITION, "kind": "CustomResourceDefinition",
        "metadata": {"name": format!("{plural}.source.toolkit.fluxcd.io")},
        "spec": {"group": "source.toolkit.fluxcd.io", "scope": "Namespaced", "names": names, "versions": [{
            "name": "v1", "served": true, "storage": true, "subresources": {"status": {}},
            "schema": {"openAPIV3Schema": schema},
        }]},
    })
}

async fn define(estate: &Estate, tenant: &Tenant<'_>, kind: (&str, &str)) -> anyhow::Result<()> {
    tenant.apply(&definition(kind.0, kind.1)).await?;
    let all = objects::api(estate.admin(), SOURCE, kind.0, None);
    wait::until(wait::PATIENCE, "the kind is listed", || async {
        all.list(&ListParams::default().limit(1)).await.ok()
    })
    .await?;
    Ok(())
}

/// A map with a colour, and nothing else.
fn coloured(colour: &str) -> Vec<u8> {
    let map = format!(
        "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: elsewhere\ndata:\n  colour: {colour}\n"
    );
    archive(&[("deploy/map.yaml", &map)])
}

async fn colour(tenant: &Tenant<'_>) -> anyhow::Result<Option<String>> {
    let map = tenant.api("v1", "ConfigMap").get_opt("elsewhere").await?;
    Ok(map.and_then(|map| objects::text(&map.data, "/data/colour").map(str::to_owned)))
}

/// What the other controller says of an archive.
pub(crate) fn artifact(url: &str, revision: &str, bytes: &[u8]) -> Value {
    json!({
        "url": url, "path": "a/b.tar.gz", "revision": revision, "digest": digest(bytes), "size": bytes.len(),
        "lastUpdateTime": "2026-01-01T00:00:00Z", "metadata": {"org.opencontainers.image.source": "x"},
    })
}

/// A source, and what is said of it.
pub(crate) async fn offer(
    estate: &Estate,
    (namespace, kind, name): (&str, &str, &str),
    artifact: Value,
) -> anyhow::Result<()> {
    let object = json!({
        "apiVersion": SOURCE, "kind": kind, "metadata": {"name": name, "namespace": namespace},
        "spec": {"interval": "1h"},
    });
    let all = objects::api(estate.admin(), SOURCE, kind, Some(namespace));
    let how = PatchParams::apply("elsewhere").force();
    all.patch(name, &how, &Patch::Apply(&object)).await?;
    let status = json!({"status": {"artifact": artifact}});
    let (how, status) = (PatchParams::default(), Patch::Merge(&status));
    all.patch_status(name, &how, &status).await?;
    Ok(())
}

/// A Kustomization of the tenant's that applies it.
async fn apply(tenant: &Tenant<'_>, name: &str, source: Value) -> anyhow::Result<()> {
    let object = json!({
        "apiVersion": "kustomize.toolkit.fluxcd.io/v1", "kind": "Kustomization",
        "metadata": {"name": name, "namespace": tenant.name()},
        "spec": {
            "interval": "1h", "retryInterval": "1h", "path": "./deploy", "prune": true,
            "serviceAccountName": "flux", "targetNamespace": tenant.name(), "sourceRef": source,
        },
    });
    tenant.apply(&object).await
}

async fn told(
    tenant: &Tenant<'_>,
    name: &str,
    reason: Reason,
    words: &str,
) -> anyhow::Result<DynamicObject> {
    says(
        wait::PATIENCE,
        &tenant.kustomizations(),
        name,
        reason,
        words,
    )
    .await
}

fn events(estate: &Estate, tenant: &Tenant<'_>) -> Api<DynamicObject> {
    objects::api(estate.admin(), "v1", "Event", Some(tenant.name()))
}

#[test]
fn a_kind_without_a_definition_is_said_to_be_missing_and_is_applied_from_once_it_is_there() {
    scenario(async {
        let estate = Estate::start().await?;
        let (tenant, shelf) = (
            estate.healthy_tenant("defined").await?,
            Shelf::start().await?,
        );
        apply(
            &tenant,
            "web",
            json!({"kind": "OCIRepository", "name": "web"}),
        )
        .await?;
        let failed = Reason::ArtifactFailed;
        let nothing = "no matches for kind \"OCIRepository\"";
        told(&tenant, "web", failed, nothing).await?;

        define(&estate, &tenant, KINDS[0]).await?;
        let missing = "OCIRepository.source.toolkit.fluxcd.io \"web\" not found";
        told(&tenant, "web", failed, missing).await?;
        let web = (tenant.name(), "OCIRepository", "web");
        offer(&estate, web, Value::Null).await?;
        let empty = "Source artifact not found, retrying in";
        told(&tenant, "web", failed, empty).await?;
        let green = coloured("green");
        let revision = format!("latest@{}", digest(b"the image"));
        let said = artifact(&shelf.lay("green.tar.gz", &green), &revision, &green);
        offer(&estate, web, said).await?;
        let succeeded = Reason::ReconciliationSucceeded;
        told(&tenant, "web", succeeded, &revision).await?;
        ensure!(colour(&tenant).await?.as_deref() == Some("green"));

        // What goes with its definition takes nothing along.
        let all = objects::api(estate.admin(), DEFINITION, "CustomResourceDefinition", None);
        let name = "ocirepositories.source.toolkit.fluxcd.io";
        all.delete(name, &DeleteParams::default()).await?;
        told(&tenant, "web", failed, nothing).await?;
        ensure!(colour(&tenant).await?.as_deref() == Some("green"));
        Ok(())
    });
}

#[test]
fn what_another_controller_offers_is_applied_with_each_new_revision_and_told_as_its_own() {
    scenario(async {
        let estate = Estate::start().await?;
        let (tenant, shelf) = (
            estate.healthy_tenant("offered").await?,
            Shelf::start().await?,
        );
        let succeeded = Reason::ReconciliationSucceeded;
        for (kind, plural) in KINDS {
            define(&estate, &tenant, (kind, plural)).await?;
            let name = kind.to_lowercase();
            let at = (tenant.name(), kind, name.as_str());
            apply(&tenant, &name, json!({"kind": kind, "name": name})).await?;
            for (colour_now, revision) in [("green", "v1.0.0"), ("blue", "v1.1.0")] {
                let bytes = coloured(colour_now);
                let url = shelf.lay(&format!("{name}/{colour_now}.tar.gz"), &bytes);
                offer(&estate, at, artifact(&url, revision, &bytes)).await?;
                let seen = told(&tenant, &name, succeeded, revision).await?;
                for field in ["lastAppliedRevision", "lastAttemptedRevision"] {
                    let is = objects::text(&seen.data, &format!("/status/{field}"));
                    ensure!(is == Some(revision), "{field}: {is:?}");
                }
                ensure!(colour(&tenant).await?.as_deref() == Some(colour_now));
            }
            shows(&estate, &tenant, &name).await?;
            let objects = tenant.kustomizations();
            objects.delete(&name, &DeleteParams::default()).await?;
            wait::until_gone(&objects, &name).await?;
            ensure!(
                colour(&tenant).await?.is_none(),
                "{kind}: it is deleted with it"
            );
        }
        let fetched = shelf.asked();
        ensure!(fetched.len() == 6, "each archive once: {fetched:?}");
        namesake(&estate, &tenant, &shelf).await
    });
}

/// What flux and events tell of one that was applied.
async fn shows(estate: &Estate, tenant: &Tenant<'_>, name: &str) -> anyhow::Result<()> {
    let namespace = tenant.name();
    let line = format!("flux get kustomizations {name} -n {namespace}");
    let all = run(estate, &line).await?;
    has_line(&all, &[name, "v1.1.0", "True", "Applied revision"])?;
    let line = format!("flux tree kustomization {name} -n {namespace}");
    has_line(&run(estate, &line).await?, &["ConfigMap", "elsewhere"])?;
    let events = events(estate, tenant);
    let revision = "kustomize.toolkit.fluxcd.io/revision";
    wait::until(wait::PATIENCE, "an event with the revision", || async {
        let all = events.list(&ListParams::default()).await.ok()?;
        all.items.into_iter().find(|event| {
            let about = objects::text(&event.data, "/involvedObject/name") == Some(name);
            let annotations = event.metadata.annotations.as_ref();
            let of = annotations.and_then(|all| all.get(revision));
            about && of.is_some_and(|of| of == "v1.1.0")
        })
    })
    .await?;
    Ok(())
}

/// Denies what is from there.
fn not_from(url: &str) -> String {
    format!(
        r##"# METADATA
# title: Origin
# description: What is from git is refused.
package platform.origin

deny contains objection if {{
	startswith(input.source.url, "{url}")
	objection := {{"message": "it is from git"}}
}}
"##
    )
}

/// One that the platform keeps for the tenant is theirs to use as a GitRepository would be, and nobody takes it for the
/// GitRepository of the same name.
async fn namesake(estate: &Estate, tenant: &Tenant<'_>, shelf: &Shelf) -> anyhow::Result<()> {
    let rule = json!({"rego": not_from(&estate.git.url(""))});
    tenant.apply(&policy(tenant, &rule)).await?;
    ready(estate, tenant.name(), Reason::Succeeded, "in force").await?;
    let denied = Reason::PolicyDenied;
    told(tenant, tenant.name(), denied, "it is from git").await?;
    let (bytes, kind) = (coloured("green"), KINDS[1].0);
    let said = artifact(&shelf.lay("shared.tar.gz", &bytes), "shared", &bytes);
    offer(estate, (CONFIG, kind, tenant.name()), said).await?;
    let source = json!({"kind": kind, "name": tenant.name(), "namespace": CONFIG});
    apply(tenant, "shared", source).await?;
    told(tenant, "shared", Reason::ReconciliationSucceeded, "shared").await?;
    Ok(())
}

/// What is wrong with an artifact, and what is said of it.
fn wrong(shelf: &Shelf) -> Vec<(&'static str, Value)> {
    let red = coloured("red");
    let url = shelf.lay("red.tar.gz", &red);
    let good = |revision: &str| artifact(&url, revision, &red);
    let with = |revision: &str, field: &str, value: Value| {
        let mut artifact = good(revision);
        artifact[field] = value;
        artifact
    };
    let escaping = odd_archive(&[(b"../map.yaml", EntryType::Regular, &red)]);
    let words = b"apiVersion: v1\nkind: ConfigMap\n".to_vec();
    let elsewhere = url.replace("127.0.0.1", "localhost");
    let odd = |name: &str, bytes: &[u8]| artifact(&shelf.lay(name, bytes), name, bytes);
    vec![
        (
            "its digest is",
            with("w1", "digest", json!(digest(b"other"))),
        ),
        (
            "more bytes than the 268435456",
            with("w2", "size", json!(1_u64 << 40)),
        ),
        ("more bytes than the 10", with("w3", "size", json!(10))),
        ("it is relative", odd("escaping.tar.gz", &escaping)),
        ("it is no tar.gz", odd("words.tar.gz", &words)),
        (
            "no host that the platform names",
            with("w4", "url", json!(elsewhere)),
        ),
        ("answered 302", with("w5", "url", json!(shelf.url("moved")))),
        (
            "has a login in it",
            with("w6", "url", json!(url.replace("://", "://a:b@"))),
        ),
        (
            "Source artifact not found, retrying in",
            with("w7", "url", json!(shelf.url("nothing"))),
        ),
        ("is not a digest", with("w8", "digest", json!("sha512:00"))),
    ]
}

#[test]
fn an_artifact_that_is_not_as_it_should_be_is_refused_and_nothing_of_it_is_applied() {
    scenario(async {
        let estate = Estate::start().await?;
        let (tenant, shelf) = (
            estate.healthy_tenant("refused").await?,
            Shelf::start().await?,
        );
        let (kind, name) = (KINDS[1].0, "bucket");
        let at = (tenant.name(), kind, name);
        define(&estate, &tenant, KINDS[1]).await?;
        let green = coloured("green");
        let green = artifact(&shelf.lay("green.tar.gz", &green), "green", &green);
        offer(&estate, at, green.clone()).await?;
        apply(&tenant, name, json!({"kind": kind, "name": name})).await?;
        let succeeded = Reason::ReconciliationSucceeded;
        told(&tenant, name, succeeded, "green").await?;
        for (words, artifact) in wrong(&shelf) {
            offer(&estate, at, artifact).await?;
            told(&tenant, name, Reason::ArtifactFailed, words).await?;
            ensure!(
                colour(&tenant).await?.as_deref() == Some("green"),
                "{words}"
            );
        }
        linked(&estate, &tenant, &shelf).await?;
        others(&tenant, &shelf).await?;
        offer(&estate, at, green).await?;
        told(&tenant, name, succeeded, "green").await?;
        Ok(())
    });
}

/// A link is not followed, and whoever names it is told why it isn't there.
async fn linked(estate: &Estate, tenant: &Tenant<'_>, shelf: &Shelf) -> anyhow::Result<()> {
    let link = b"deploy/map.yaml".as_slice();
    let names = b"resources: [map.yaml]\n".as_slice();
    let bytes = odd_archive(&[
        (b"deploy/kustomization.yaml", EntryType::Regular, names),
        (link, EntryType::Symlink, b""),
    ]);
    let url = shelf.lay("linked.tar.gz", &bytes);
    let (kind, name) = (KINDS[1].0, "bucket");
    offer(
        estate,
        (tenant.name(), kind, name),
        artifact(&url, "linked", &bytes),
    )
    .await?;
    told(tenant, name, Reason::BuildFailed, "is a link").await?;
    Ok(())
}

/// What lies in another's namespace is not theirs to use, and is not fetched.
async fn others(tenant: &Tenant<'_>, shelf: &Shelf) -> anyhow::Result<()> {
    let source = json!({"kind": "Bucket", "name": "bucket", "namespace": CONFIG});
    let before = shelf.asked().len();
    apply(tenant, "theirs", source).await?;
    let denied = format!("can't access 'Bucket/{CONFIG}/bucket'");
    told(tenant, "theirs", Reason::AccessDenied, &denied).await?;
    ensure!(shelf.asked().len() == before, "{:?}", shelf.asked());
    Ok(())
}

#[test]
fn what_another_controller_keeps_for_a_tenant_is_on_that_ones_account() {
    scenario(async {
        let estate = Estate::start().await?;
        let (tenant, shelf) = (estate.healthy_tenant("bulky").await?, Shelf::start().await?);
        let (kind, name) = (KINDS[0].0, tenant.name());
        define(&estate, &tenant, KINDS[0]).await?;
        let limited = |mebibytes: u32| {
            json!({
                "apiVersion": "reeve.dev/v1alpha1", "kind": "Tenant", "metadata": {"name": name},
                "spec": {"namespaces": [name], "sources": [name], "limits": {"storageMebibytes": mebibytes}},
            })
        };
        tenant.apply(&limited(1)).await?;
        let map =
            "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: elsewhere\ndata:\n  colour: red\n";
        let filler = "x".repeat(4 << 20);
        let bytes = archive(&[("deploy/map.yaml", map), ("notes/filler.txt", &filler)]);
        let said = artifact(&shelf.lay("red.tar.gz", &bytes), "red", &bytes);
        offer(&estate, (name, kind, "bulky"), said).await?;
        apply(&tenant, "bulky", json!({"kind": kind, "name": "bulky"})).await?;
        let quota = Reason::StorageQuotaExceeded;
        let words = format!("tenant {name} may have 1 MiB of the controller's disk");
        let seen = told(&tenant, "bulky", quota, &words).await?;
        let why = objects::condition(&seen.data, "Ready").unwrap_or_default();
        let field = format!("raise spec.limits.storageMebibytes of Tenant {name}");
        ensure!(why.message.contains(&field), "{why:?}");
        ensure!(
            colour(&tenant).await?.is_none(),
            "nothing of it was applied"
        );

        tenant.apply(&limited(64)).await?;
        let asked =
            json!({"metadata": {"annotations": {"reconcile.fluxcd.io/requestedAt": "now"}}});
        let (how, asked) = (PatchParams::default(), Patch::Merge(&asked));
        tenant.kustomizations().patch("bulky", &how, &asked).await?;
        told(&tenant, "bulky", Reason::ReconciliationSucceeded, "red").await?;
        ensure!(colour(&tenant).await?.as_deref() == Some("red"));
        Ok(())
    });
}
