//! What a tenant may not do by a WriteBack: read what its account may not, or write what is not its own.

use anyhow::ensure;
use reeve_tests::git::git;
use reeve_tests::install::PLATFORM;
use reeve_tests::{Estate, objects, scenario};
use serde_json::json;

use super::*;

/// One attempt, and what `Ready` says to it.
struct Row {
    says: &'static str,
    /// The change; the text is the neighbour's name, which is also its namespace and its source.
    change: fn(&mut Value, &str),
    reason: &'static str,
    words: &'static str,
}

const ROWS: &[Row] = &[
    Row {
        says: "the neighbour's source among those of the platform",
        change: |back, other| back["spec"]["sourceRef"]["name"] = json!(other),
        reason: "AccessDenied",
        words: "cross-namespace references have been blocked",
    },
    Row {
        says: "a source in the neighbour's namespace",
        change: |back, other| {
            back["spec"]["sourceRef"] = json!({"name": other, "namespace": other});
        },
        reason: "AccessDenied",
        words: "cross-namespace references have been blocked",
    },
    Row {
        says: "a source of the platform's own",
        change: |back, _| {
            back["spec"]["sourceRef"] = json!({"name": "platform", "namespace": PLATFORM});
        },
        reason: "AccessDenied",
        words: "cross-namespace references have been blocked",
    },
    Row {
        says: "no account",
        change: |back, _| {
            if let Some(spec) = back["spec"].as_object_mut() {
                spec.remove("serviceAccountName");
            }
        },
        reason: "InvalidSpec",
        words: "names no ServiceAccount",
    },
    Row {
        says: "an account of another namespace",
        change: |back, other| back["spec"]["serviceAccountName"] = json!(format!("{other}:flux")),
        reason: "InvalidSpec",
        words: "spec.serviceAccountName",
    },
    Row {
        says: "a path that leads up",
        change: |back, _| back["spec"]["path"] = json!("../other"),
        reason: "InvalidSpec",
        words: "spec.path",
    },
    Row {
        says: "git's own directory",
        change: |back, _| {
            back["spec"]["newObjects"] = json!({"path": ".git/{namespace}/{kind}-{name}.yaml"});
        },
        reason: "InvalidSpec",
        words: "spec.newObjects.path",
    },
    Row {
        says: "the forge's own directory",
        change: |back, _| back["spec"]["path"] = json!(".github/workflows"),
        reason: "InvalidSpec",
        words: "spec.path",
    },
    Row {
        says: "another branch of the repository, with the login that the platform has lent",
        change: |back, _| back["spec"]["branch"] = json!("dev"),
        reason: "AccessDenied",
        words: "branch dev is not the one that GitRepository",
    },
    Row {
        says: "the same by way of a request",
        change: |back, _| {
            back["spec"]["propose"] = json!("pullRequest");
            back["spec"]["pullRequest"] = json!({"branch": "dev"});
        },
        reason: "AccessDenied",
        words: "branch dev of requests may be another's",
    },
    Row {
        says: "another branch by a name that is none",
        change: |back, _| back["spec"]["branch"] = json!("../main"),
        reason: "InvalidSpec",
        words: "spec.branch",
    },
];

#[test]
fn a_tenant_can_name_no_repository_account_or_path_that_is_not_its_own() {
    scenario(async {
        let estate = Estate::shared().await?;
        let (one, other) = (
            tenant(estate, "wb-one").await?,
            tenant(estate, "wb-other").await?,
        );
        for (n, row) in ROWS.iter().enumerate() {
            let name = format!("row-{n}");
            let mut back = writeback(&one, &name, &everything());
            (row.change)(&mut back, other.name());
            one.apply(&back).await?;
            let found = told(&one, &name, "False", row.reason).await;
            let found = found.map_err(|why| why.context(row.says))?;
            let ready = objects::condition(&found.data, "Ready").unwrap_or_default();
            ensure!(
                ready.message.contains(row.words),
                "{}: {}",
                row.says,
                ready.message
            );
        }
        Ok(())
    });
}

#[test]
fn what_the_account_may_not_read_is_not_written_and_that_is_told() {
    scenario(async {
        let estate = Estate::shared().await?;
        let tenant = tenant(estate, "wb-blind").await?;
        let namespace = tenant.name();
        let meta = json!({"name": "blind", "namespace": namespace});
        tenant
            .apply(&json!({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": meta}))
            .await?;
        let mut back = writeback(&tenant, "back", &everything());
        back["spec"]["serviceAccountName"] = json!("blind");
        begin(&tenant, &back).await?;
        let before = commits(&tenant)?;
        let entry = refused(
            &tenant,
            "back",
            &format!("deployments.apps in namespace {namespace}"),
        )
        .await?;
        let hint = objects::text(&entry, "/hint").unwrap_or_default();
        let want =
            format!("grant system:serviceaccount:{namespace}:blind the verbs get, list and watch");
        ensure!(hint.starts_with(&want), "{entry}");
        // It may look, and not compare: that takes a dry run.
        let rules = json!([{"apiGroups": ["apps"], "resources": ["deployments"], "verbs": ["get", "list", "watch"]}]);
        let rbac = "rbac.authorization.k8s.io";
        tenant.apply(&json!({"apiVersion": format!("{rbac}/v1"), "kind": "Role", "metadata": meta, "rules": rules})).await?;
        tenant
            .apply(&json!({
                "apiVersion": format!("{rbac}/v1"), "kind": "RoleBinding", "metadata": meta,
                "roleRef": {"apiGroup": rbac, "kind": "Role", "name": "blind"},
                "subjects": [{"kind": "ServiceAccount", "name": "blind", "namespace": namespace}],
            }))
            .await?;
        let webs = tenant.api("apps/v1", "Deployment");
        change(&webs, "web", "keel", &image("2")).await?;
        // The API server may learn of the role a little later.
        let subject = format!("Deployment {namespace}/web");
        let told = || async {
            looked(&tenant, "back").await.ok()?;
            let back = writebacks(&tenant).get("back").await.ok()?;
            let mut all = back.data.pointer("/status/refused")?.as_array()?.iter();
            let entry = all.find(|one| objects::text(one, "/object") == Some(&subject))?;
            Some(entry.clone())
        };
        let entry = wait::until(wait::PATIENCE, "the dry run is refused", told).await?;
        let hint = objects::text(&entry, "/hint").unwrap_or_default();
        ensure!(
            hint.contains("the verb patch on deployments.apps"),
            "{entry}"
        );
        ensure!(commits(&tenant)? == before, "nothing is written");
        Ok(())
    });
}

#[test]
fn a_rule_over_everything_concerns_nothing_of_a_neighbour() {
    scenario(async {
        let estate = Estate::shared().await?;
        let (one, other) = (
            tenant(estate, "wb-near").await?,
            tenant(estate, "wb-far").await?,
        );
        // Even with an account that may do everything.
        let subject = json!([{"kind": "ServiceAccount", "name": "flux", "namespace": one.name()}]);
        let rbac = "rbac.authorization.k8s.io";
        one.apply(&json!({
            "apiVersion": format!("{rbac}/v1"), "kind": "ClusterRoleBinding", "metadata": {"name": format!("{}-mighty", one.name())},
            "roleRef": {"apiGroup": rbac, "kind": "ClusterRole", "name": "cluster-admin"}, "subjects": subject,
        })).await?;
        let namespaces = json!([one.name(), other.name()]);
        let rules = json!([{"resources": ["deployments", "configmaps", "clusterroles"], "namespaces": namespaces, "syncTo": "git"}]);
        begin(&one, &writeback(&one, "back", &rules)).await?;
        refused(&one, "back", "clusterroles").await?;
        let before = commits(&one)?;
        let maps = other.api("v1", "ConfigMap");
        change(
            &maps,
            "settings",
            "painter",
            &json!({"data": {"theirs": "hunter-of-two"}}),
        )
        .await?;
        // Neither by the labels of a Kustomization that is another's.
        let labels = json!({"kustomize.toolkit.fluxcd.io/name": other.name(), "kustomize.toolkit.fluxcd.io/namespace": other.name()});
        one.apply(&json!({
            "apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "theirs", "namespace": one.name(), "labels": labels},
        })).await?;
        let entry = refused(&one, "back", &format!("ConfigMap {}/theirs", one.name())).await?;
        let reason = objects::text(&entry, "/reason").unwrap_or_default();
        ensure!(reason.contains("which is not of this tenant"), "{reason}");
        looked(&one, "back").await?;
        ensure!(commits(&one)? == before, "nothing is written");
        let found = git(one.repo().bare(), ["grep", "hunter-of-two", "main"]);
        ensure!(found.is_err(), "{found:?}");
        Ok(())
    });
}

#[test]
fn nothing_is_written_where_a_neighbour_of_the_same_repository_builds() {
    scenario(async {
        let estate = Estate::shared().await?;
        let (one, other) = (
            tenant(estate, "wb-near").await?,
            tenant(estate, "wb-theirs").await?,
        );
        let source = one.sources().get(one.name()).await?;
        let url = objects::text(&source.data, "/spec/url").unwrap_or_default();
        let settings =
            "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: theirs\ndata:\n  colour: green\n";
        one.after(|draft| {
            draft.commit("mine/theirs/settings.yaml", settings);
            draft.set("path", json!("./mine"));
        })
        .await?;
        all_may_go(&one).await?;
        all_may_go(&other).await?;
        other
            .after(|draft| {
                draft.set_source("url", json!(url));
                draft.set("path", json!("./mine/theirs"));
            })
            .await?;
        is_given(&one, "mine").await?;
        let mut back = writeback(&one, "back", &everything());
        back["spec"]["path"] = json!("mine");
        back["spec"]["newObjects"] =
            json!({"path": "theirs/{namespace}-{kind}.{group}-{name}.yaml"});
        begin(&one, &back).await?;
        let before = commits(&one)?;
        let map = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "evil"}, "data": {"a": "b"}});
        let map: DynamicObject = serde_json::from_value(map)?;
        let maps = one.api("v1", "ConfigMap");
        maps.create(&Default::default(), &map).await?;
        let subject = format!("ConfigMap {}/evil", one.name());
        let entry = refused(&one, "back", &subject).await?;
        let reason = objects::text(&entry, "/reason").unwrap_or_default();
        ensure!(reason.contains("not of this tenant"), "{entry}");
        ensure!(commits(&one)? == before, "nothing is written");
        Ok(())
    });
}

/// The platform gives directories of a repository to a tenant.
async fn is_given(tenant: &Tenant<'_>, paths: &str) -> anyhow::Result<()> {
    let given = json!({"metadata": {"annotations": {"reeve.dev/write-back-paths": paths}}});
    let sources = tenant.sources();
    let params = PatchParams::default();
    sources
        .patch(tenant.name(), &params, &Patch::Merge(&given))
        .await?;
    Ok(())
}

/// A tenant makes Kustomizations over whatever it likes: that gives it no directory.
async fn makes_its_own(tenant: &Tenant<'_>, path: &str) -> anyhow::Result<()> {
    let name = tenant.name();
    let meta = json!({"name": "mine", "namespace": name});
    let source = json!({"kind": "GitRepository", "name": name, "namespace": CONFIG});
    let spec = json!({
        "interval": "1h", "path": path, "prune": true, "serviceAccountName": "flux", "suspend": true, "sourceRef": source,
    });
    let api = "kustomize.toolkit.fluxcd.io/v1";
    tenant
        .apply(&json!({"apiVersion": api, "kind": "Kustomization", "metadata": meta, "spec": spec}))
        .await
}

#[test]
fn in_a_repository_of_several_tenants_a_lent_login_writes_where_the_platform_says_alone() {
    scenario(async {
        let estate = Estate::shared().await?;
        let (one, other) = (
            tenant(estate, "wb-lent").await?,
            tenant(estate, "wb-beside").await?,
        );
        for tenant in [&one, &other] {
            all_may_go(tenant).await?;
        }
        let source = one.sources().get(one.name()).await?;
        let url = objects::text(&source.data, "/spec/url").unwrap_or_default();
        let settings = "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: settings\ndata:\n  colour: green\n";
        one.after(|draft| {
            draft.commit("tenants/one/settings.yaml", settings);
            draft.commit("tenants/other/settings.yaml", settings);
            draft.set("path", json!("./tenants/one"));
        })
        .await?;
        other
            .after(|draft| {
                draft.set_source("url", json!(url));
                draft.set("path", json!("./tenants/other"));
            })
            .await?;
        makes_its_own(&one, "./ci").await?;
        is_given(&one, "docs, ./tenants/one/").await?;
        let before = commits(&one)?;
        for (n, path) in ["", "tenants", "tenants/other", "tenants/one-more", "ci"]
            .into_iter()
            .enumerate()
        {
            let name = format!("elsewhere-{n}");
            let mut back = writeback(&one, &name, &everything());
            back["spec"]["path"] = json!(path);
            one.apply(&back).await?;
            let found = told(&one, &name, "False", "AccessDenied").await;
            let found = found.map_err(|why| why.context(path))?;
            let ready = objects::condition(&found.data, "Ready").unwrap_or_default();
            ensure!(
                ready.message.contains("is no directory of this tenant"),
                "{path}: {}",
                ready.message
            );
        }
        let mut back = writeback(&one, "back", &everything());
        back["spec"]["path"] = json!("tenants/one");
        begin(&one, &back).await?;
        let maps = one.api("v1", "ConfigMap");
        let blue = json!({"data": {"colour": "blue"}});
        change(&maps, "settings", "painter", &blue).await?;
        written(&one, "tenants/one/settings.yaml", "colour: blue").await?;
        ensure!(commits(&one)? == before + 1, "nothing else is written");
        Ok(())
    });
}

/// Somebody who knows no more of a repository than its address.
#[test]
fn who_only_names_a_repository_stops_nobody_who_writes_there() {
    scenario(async {
        let estate = Estate::shared().await?;
        let (one, other) = (
            tenant(estate, "wb-named").await?,
            tenant(estate, "wb-naming").await?,
        );
        let source = one.sources().get(one.name()).await?;
        let url = objects::text(&source.data, "/spec/url").unwrap_or_default();
        let meta = json!({"name": "theirs", "namespace": other.name()});
        let spec = json!({
            "interval": "1h", "path": "./", "prune": true, "serviceAccountName": "flux", "suspend": true,
            "postBuild": {"substitute": {"a": "b"}}, "sourceRef": {"kind": "GitRepository", "name": "theirs"},
        });
        let api = "kustomize.toolkit.fluxcd.io/v1";
        other
            .apply(&json!({"apiVersion": api, "kind": "Kustomization", "metadata": meta, "spec": spec}))
            .await?;
        let spec = json!({"interval": "1h", "url": url, "ref": {"tag": "there-is-none"}});
        let api = "source.toolkit.fluxcd.io/v1";
        other
            .apply(&json!({"apiVersion": api, "kind": "GitRepository", "metadata": meta, "spec": spec}))
            .await?;
        let theirs = other.api(api, "GitRepository");
        wait::for_object(&theirs, "theirs", "it has no files", |object| {
            objects::condition(&object.data, "Ready").is_some_and(|ready| ready.status == "False")
        })
        .await?;

        begin(&one, &writeback(&one, "back", &everything())).await?;
        let maps = one.api("v1", "ConfigMap");
        let colour = json!({"data": {"colour": "violet"}});
        change(&maps, "settings", "painter", &colour).await?;
        written(&one, "settings.yaml", "violet").await?;
        let map = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "fresh"}, "data": {"run": "echo ${HOME}"}});
        let map: DynamicObject = serde_json::from_value(map)?;
        maps.create(&Default::default(), &map).await?;
        let path = format!("{}/configmap-fresh.yaml", one.name());
        written(&one, &path, "echo ${HOME}").await?;
        Ok(())
    });
}
