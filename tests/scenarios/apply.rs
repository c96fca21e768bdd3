//! What applying does to a real cluster: stage by stage, as the tenant, and nothing when anything is refused.
//!
//! Plans are made as the controller makes them: parsed, rendered, proposed and admitted by `core`.

use std::sync::Arc;
use std::time::Duration;

use crate::ground::{Ground, Wish, config_map, diary};
use anyhow::{Context as _, bail, ensure};
use kube::api::{DeleteParams, Patch, PatchParams};
use reeve::cluster::{Action, ApplyError, Cause};
use reeve_core::failure::{Explain as _, Turn};
use reeve_tests::scenario;
use serde_json::json;
use tokio::sync::Notify;

#[test]
fn what_is_in_git_arrives_and_costs_no_write_when_nothing_changed() {
    scenario(async {
        let ground = Ground::new("arrives").await?;
        let web = r#"{apiVersion: v1, kind: Service, metadata: {name: web}, spec: {selector: {app: web}, ports: [{port: 80}]}}"#;
        let deployment = r#"{apiVersion: apps/v1, kind: Deployment, metadata: {name: web}, spec: {replicas: 1,
            selector: {matchLabels: {app: web}}, template: {metadata: {labels: {app: web}}, spec: {containers: [{name: web, image: "registry.local/web:1"}]}}}}"#;
        let wish = Wish::of(&[
            ("a.yaml", &config_map("a", "1")),
            ("b.yaml", web),
            ("c.yaml", deployment),
        ]);

        let (first, story) = ground.apply(&wish).await?;
        ensure!(
            first
                .entries
                .iter()
                .all(|(_, action)| *action == Action::Created),
            "{first:?}"
        );
        ensure!(
            first
                .changes()
                .contains(&format!("Service/{}/web created", ground.namespace))
        );
        ensure!(story.recorded == [3], "{story:?}");
        let labels = ground
            .get("ConfigMap", "a")
            .await?
            .context("it is there")?
            .metadata
            .labels;
        ensure!(labels.context("labels")?["kustomize.toolkit.fluxcd.io/name"] == "app");

        let before = ground.versions(&["a"]).await?;
        let (second, story) = ground.apply(&wish).await?;
        ensure!(
            second
                .entries
                .iter()
                .all(|(_, action)| *action == Action::Unchanged),
            "{second:?}"
        );
        ensure!(
            story.recorded.is_empty(),
            "nothing is recorded when nothing is written: {story:?}"
        );
        ensure!(ground.versions(&["a"]).await? == before);

        let changed = wish.with("a.yaml", &config_map("a", "2"));
        let (third, _) = ground.apply(&changed).await?;
        ensure!(
            third.changes() == [format!("ConfigMap/{}/a configured", ground.namespace)],
            "{third:?}"
        );
        Ok(())
    });
}

#[test]
fn what_was_changed_by_hand_is_changed_back_even_what_kubectl_once_owned() {
    scenario(async {
        let ground = Ground::new("by-hand").await?;
        let maps = ground.api("ConfigMap").await?;
        // Made long ago with kubectl, with a key that git does not have.
        let old = json!({"apiVersion": "v1", "kind": "ConfigMap",
            "metadata": {"name": "a", "annotations": {"kubectl.kubernetes.io/last-applied-configuration": "{}"}},
            "data": {"k": "old", "stray": "x"}});
        let by = |manager: &str| PatchParams {
            field_manager: Some(manager.into()),
            ..Default::default()
        };
        maps.patch(
            "a",
            &PatchParams::apply("kubectl-client-side-apply"),
            &Patch::Apply(&old),
        )
        .await?;

        let wish = Wish::of(&[("a.yaml", &config_map("a", "1"))]);
        ground.apply(&wish).await?;
        let a = ground.get("ConfigMap", "a").await?.context("it is there")?;
        ensure!(a.data["data"] == json!({"k": "1"}), "{}", a.data);
        ensure!(a.metadata.annotations.unwrap_or_default().is_empty());

        let edit = json!({"data": {"k": "edited", "more": "y"}});
        maps.patch("a", &by("kubectl-edit"), &Patch::Merge(&edit))
            .await?;
        let (done, _) = ground.apply(&wish).await?;
        ensure!(done.entries[0].1 == Action::Configured, "{done:?}");
        let a = ground.get("ConfigMap", "a").await?.context("it is there")?;
        ensure!(a.data["data"] == json!({"k": "1"}), "{}", a.data);

        // Another controller's own field stays.
        let theirs = json!({"data": {"theirs": "z"}});
        maps.patch("a", &by("some-operator"), &Patch::Merge(&theirs))
            .await?;
        ground.apply(&wish).await?;
        let a = ground.get("ConfigMap", "a").await?.context("it is there")?;
        ensure!(
            a.data["data"] == json!({"k": "1", "theirs": "z"}),
            "{}",
            a.data
        );
        Ok(())
    });
}

#[test]
fn one_refused_object_keeps_its_whole_stage_unwritten_and_all_refused_are_named() {
    scenario(async {
        let ground = Ground::new("refused").await?;
        let typo = r#"{apiVersion: apps/v1, kind: Deployment, metadata: {name: typo}, spec: {replicaz: 1}}"#;
        let wrong = r#"{apiVersion: v1, kind: Service, metadata: {name: wrong}, spec: {ports: [{port: 99999999}]}}"#;
        let wish = Wish::of(&[
            ("a.yaml", &config_map("a", "1")),
            ("b.yaml", typo),
            ("c.yaml", wrong),
        ]);
        let why = ground.apply(&wish).await.unwrap_err();
        let ApplyError::Refused { failures, done } = &why else {
            bail!("{why}")
        };
        ensure!(done.entries.is_empty(), "{done:?}");
        let told = why.to_string();
        ensure!(failures.each().len() == 2, "{told}");
        ensure!(
            told.contains("/typo dry-run failed") && told.contains("replicaz"),
            "{told}"
        );
        ensure!(told.contains("/wrong dry-run failed"), "{told}");
        ensure!(
            why.turn() == Turn::NextRevision,
            "a typo is nobody's to retry soon: {told}"
        );
        ensure!(
            ground.get("ConfigMap", "a").await?.is_none(),
            "nothing of the stage is written"
        );
        Ok(())
    });
}

#[test]
fn a_right_the_account_lacks_is_named_with_the_command_that_shows_it() {
    scenario(async {
        let ground = Ground::new("forbidden").await?;
        for (file, kind) in [
            (
                r#"{apiVersion: scheduling.k8s.io/v1, kind: PriorityClass, metadata: {name: mine}, value: 1}"#,
                "priorityclasses",
            ),
            (
                r#"{apiVersion: rbac.authorization.k8s.io/v1, kind: ClusterRoleBinding, metadata: {name: mine},
                roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: cluster-admin},
                subjects: [{kind: ServiceAccount, name: deployer, namespace: x}]}"#,
                "clusterrolebindings",
            ),
        ] {
            let wish = Wish::of(&[("a.yaml", &config_map("a", "1")), ("b.yaml", file)]);
            let why = ground.apply(&wish).await.unwrap_err();
            let account = format!("system:serviceaccount:{}:deployer", ground.namespace);
            ensure!(
                why.to_string()
                    .contains(&format!("User \"{account}\" cannot")),
                "{why}"
            );
            let hint = why.hint().context("a hint")?;
            ensure!(
                hint.contains(&account)
                    && hint.contains("kubectl auth can-i")
                    && hint.contains(kind),
                "{hint}"
            );
            ensure!(why.turn() == Turn::Retry);
            ensure!(ground.get("ConfigMap", "a").await?.is_none());
        }
        Ok(())
    });
}

#[test]
fn a_definition_a_namespace_and_objects_of_both_arrive_in_one_run() {
    scenario(async {
        let ground = Ground::platform("new-kind").await?;
        let (kind, plural) = ("Gizmo", "gizmos");
        let group = format!("{}.example", ground.namespace);
        let definition = json!({"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
            "metadata": {"name": format!("{plural}.{group}")},
            "spec": {"group": group, "scope": "Namespaced", "names": {"kind": kind, "plural": plural},
                "versions": [{"name": "v1", "served": true, "storage": true,
                    "schema": {"openAPIV3Schema": {"type": "object", "properties": {"size": {"type": "integer"}}}}}]}});
        let there = format!("{}-there", ground.namespace);
        let namespace =
            json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": there}});
        let gizmo = json!({"apiVersion": format!("{group}/v1"), "kind": kind, "metadata": {"name": "g", "namespace": there}, "size": 3});
        let wish = Wish::of(&[
            ("crd.yaml", &definition.to_string()),
            ("ns.yaml", &namespace.to_string()),
            ("g.yaml", &gizmo.to_string()),
        ]);
        let (done, story) = ground.apply(&wish).await?;
        ensure!(
            done.entries.len() == 3 && done.changes().len() == 3,
            "{done:?}"
        );
        ensure!(story.recorded == [3], "once, for the whole run: {story:?}");
        let (again, _) = ground.apply(&wish).await?;
        ensure!(again.changes().is_empty(), "{again:?}");

        // The definition gone, its object cannot be found any more, and is gone with it.
        let crds = ground.api("CustomResourceDefinition").await?;
        crds.delete(&format!("{plural}.{group}"), &DeleteParams::default())
            .await?;
        reeve_tests::wait::until_gone(&crds, &format!("{plural}.{group}")).await?;
        let pruned = ground
            .prune(&wish, &Wish::of(&[("ns.yaml", &namespace.to_string())]))
            .await?;
        ensure!(pruned.done.entries.len() == 2, "{pruned:?}");
        Ok(())
    });
}

#[test]
fn a_kind_that_nobody_serves_is_told_in_kubectls_words_and_tried_again() {
    scenario(async {
        let ground = Ground::new("unknown-kind").await?;
        let wish = Wish::of(&[(
            "a.yaml",
            "{apiVersion: nowhere.example/v1, kind: Gizmo, metadata: {name: g}}",
        )]);
        let why = ground.apply(&wish).await.unwrap_err();
        let want = r#"no matches for kind "Gizmo" in version "nowhere.example/v1""#;
        ensure!(why.to_string().contains(want), "{why}");
        ensure!(why.turn() == Turn::Retry);
        Ok(())
    });
}

#[test]
fn what_cannot_be_changed_is_made_anew_only_when_that_is_asked_for() {
    scenario(async {
        let ground = Ground::new("immutable").await?;
        let fixed = |value: &str, more: &str| {
            format!(
                "{{apiVersion: v1, kind: ConfigMap, metadata: {{name: a{more}}}, immutable: true, data: {{k: \"{value}\"}}}}"
            )
        };
        ground
            .apply(&Wish::of(&[("a.yaml", &fixed("1", ""))]))
            .await?;
        let before = ground
            .get("ConfigMap", "a")
            .await?
            .context("it is there")?
            .metadata
            .uid;

        let why = ground
            .apply(&Wish::of(&[("a.yaml", &fixed("2", ""))]))
            .await
            .unwrap_err();
        let ApplyError::Refused { failures, .. } = &why else {
            bail!("{why}")
        };
        ensure!(
            failures.each()[0].source.cause() == Cause::Immutable,
            "{why}"
        );
        ensure!(why.hint().context("a hint")?.contains("spec.force"));
        ensure!(
            ground
                .get("ConfigMap", "a")
                .await?
                .context("untouched")?
                .metadata
                .uid
                == before
        );

        let asks = ", annotations: {kustomize.toolkit.fluxcd.io/force: enabled}";
        let (done, _) = ground
            .apply(&Wish::of(&[("a.yaml", &fixed("3", asks))]))
            .await?;
        ensure!(done.entries[0].1 == Action::Created, "{done:?}");
        let made = ground.get("ConfigMap", "a").await?.context("made anew")?;
        ensure!(made.metadata.uid != before && made.data["data"]["k"] == "3");

        let forced = Wish::of(&[("a.yaml", &fixed("4", ""))]).forced();
        ground.apply(&forced).await?;
        ensure!(
            ground
                .get("ConfigMap", "a")
                .await?
                .context("made anew")?
                .data["data"]["k"]
                == "4"
        );
        Ok(())
    });
}

#[test]
fn what_is_only_wrong_is_not_deleted_however_much_it_may_be_made_anew() {
    scenario(async {
        let ground = Ground::new("wrong-forced").await?;
        let deployment = |selector: &str, label: &str, image: &str| {
            let text = format!(
                "{{apiVersion: apps/v1, kind: Deployment, metadata: {{name: web}}, spec: {{replicas: 0, \
                 selector: {{matchLabels: {{app: {selector}}}}}, template: {{metadata: {{labels: {{app: {label}}}}}, \
                 spec: {{containers: [{{name: web{image}}}]}}}}}}}}"
            );
            Wish::of(&[("a.yaml", text.as_str())]).forced()
        };
        let uid = async || {
            let there = ground.get("Deployment", "web").await?;
            anyhow::Ok(there.context("it is there")?.metadata.uid)
        };
        let image = ", image: web:1";
        ground.apply(&deployment("web", "web", image)).await?;
        let before = uid().await?;
        // Wrong alone, and wrong beside a field that cannot be changed.
        for (wish, field) in [
            (
                deployment("web", "other", image),
                "spec.template.metadata.labels",
            ),
            (deployment("web", "web", ""), "image"),
            (deployment("new", "new", ""), "image"),
        ] {
            let why = ground.apply(&wish).await.unwrap_err();
            ensure!(why.to_string().contains(field), "{why}");
            ensure!(uid().await? == before, "it was deleted: {why}");
        }
        ground.apply(&deployment("new", "new", image)).await?;
        ensure!(uid().await? != before, "it was not made anew");
        Ok(())
    });
}

#[test]
fn what_stands_on_the_cluster_does_not_ask_to_be_made_anew() {
    scenario(async {
        let ground = Ground::new("immutable-live").await?;
        let asks = ", annotations: {kustomize.toolkit.fluxcd.io/force: enabled}";
        let fixed = |value: &str, more: &str| {
            let text = format!(
                "{{apiVersion: v1, kind: ConfigMap, metadata: {{name: a{more}}}, immutable: true, data: {{k: \"{value}\"}}}}"
            );
            Wish::of(&[("a.yaml", text.as_str())])
        };
        ground.apply(&fixed("1", asks)).await?;
        let uid = async || {
            let there = ground.get("ConfigMap", "a").await?.context("it is there")?;
            anyhow::Ok(there.metadata.uid)
        };
        let before = uid().await?;
        let why = ground.apply(&fixed("2", "")).await.unwrap_err();
        let failures = why.failures().context("it is refused")?;
        ensure!(
            failures.each()[0].source.cause() == Cause::Immutable,
            "{why}"
        );
        ensure!(uid().await? == before, "it was made anew");
        Ok(())
    });
}

#[test]
fn objects_that_ask_to_be_left_alone_are() {
    scenario(async {
        let ground = Ground::new("left-alone").await?;
        let once = "{apiVersion: v1, kind: ConfigMap, metadata: {name: once, annotations: {kustomize.toolkit.fluxcd.io/ssa: IfNotPresent}}, data: {k: \"VALUE\"}}";
        let wish = |value: &str| {
            Wish::of(&[
                ("a.yaml", &config_map("a", value)),
                ("b.yaml", &once.replace("VALUE", value)),
            ])
        };
        ground.apply(&wish("1")).await?;
        ground
            .annotate("a", "kustomize.toolkit.fluxcd.io/reconcile", "Disabled")
            .await?;
        let (done, story) = ground.apply(&wish("2")).await?;
        ensure!(
            done.entries.len() == 2 && done.changes().is_empty(),
            "{done:?}"
        );
        ensure!(story.recorded.is_empty(), "{story:?}");
        for name in ["a", "once"] {
            let object = ground
                .get("ConfigMap", name)
                .await?
                .context("it is there")?;
            ensure!(object.data["data"]["k"] == "1", "{name}");
        }
        Ok(())
    });
}

#[test]
fn nothing_is_written_when_what_would_be_left_behind_cannot_be_recorded() {
    scenario(async {
        let ground = Ground::new("unrecorded").await?;
        let wish = Wish::of(&[("a.yaml", &config_map("a", "1"))]);
        let why = ground
            .apply_told(&wish, diary().refusing())
            .await
            .unwrap_err();
        ensure!(matches!(why, ApplyError::Unrecorded { .. }), "{why}");
        ensure!(ground.get("ConfigMap", "a").await?.is_none());
        Ok(())
    });
}

#[test]
fn a_secrets_value_is_in_no_error_about_it() {
    scenario(async {
        let ground = Ground::new("secret-error").await?;
        let value = "hunter2-in-the-clear";
        for secret in [
            format!(
                "{{apiVersion: v1, kind: Secret, metadata: {{name: s}}, type: kubernetes.io/dockerconfigjson, stringData: {{.dockerconfigjson: \"{value}\"}}}}"
            ),
            format!(
                "{{apiVersion: v1, kind: Secret, metadata: {{name: s}}, data: {{token: \"{value}\"}}}}"
            ),
            format!(
                "{{apiVersion: v1, kind: Secret, metadata: {{name: s}}, data: {{token: {{{value}: 1}}}}}}"
            ),
        ] {
            let Err(why) = ground.apply(&Wish::of(&[("s.yaml", &secret)])).await else {
                bail!("it was taken");
            };
            ensure!(!format!("{why} {why:?}").contains(value), "{why}");
            ensure!(why.to_string().contains("Secret/"), "{why}");
        }
        Ok(())
    });
}

#[test]
fn an_api_server_that_restarts_in_the_middle_changes_nothing_about_the_outcome() {
    scenario(async {
        let ground = Ground::alone("restart").await?;
        let files: Vec<(String, String)> = (0..40)
            .map(|n| (format!("{n}.yaml"), config_map(&format!("c{n}"), "1")))
            .collect();
        let files: Vec<(&str, &str)> = files
            .iter()
            .map(|(file, text)| (file.as_str(), text.as_str()))
            .collect();
        let wish = Wish::of(&files);
        let (plane, stopped) = (ground.plane(), Arc::new(Notify::new()));
        let (stops, tells) = (ground.plane(), Arc::clone(&stopped));
        let stopping = diary().on_writing(move || {
            stops.stop_api();
            tells.notify_one();
        });
        let cut = ground.apply_told(&wish, stopping);
        let restarted = async {
            tokio::time::timeout(Duration::from_secs(60), stopped.notified()).await?;
            plane.restart_api().await
        };
        let (cut, restarted) = tokio::join!(cut, restarted);
        if let Err(why) = cut {
            ensure!(why.turn() == Turn::Ours, "it passes by itself: {why}");
        }
        restarted?;
        let (after, _) = ground.apply(&wish).await?;
        ensure!(after.entries.len() == 40, "{after:?}");
        let (quiet, _) = ground.apply(&wish).await?;
        ensure!(quiet.changes().is_empty(), "{quiet:?}");
        Ok(())
    });
}
