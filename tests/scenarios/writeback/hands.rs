//! Changes of what is applied: by another tool, in an emergency, in git alone, on both sides.

use anyhow::{Context as _, ensure};
use reeve_tests::git::git;
use reeve_tests::{Estate, objects, scenario, wait};
use serde_json::json;

use super::*;

#[test]
fn an_image_that_another_tool_sets_becomes_a_commit_and_is_not_reverted() {
    scenario(async {
        let estate = Estate::shared().await?;
        let tenant = tenant(estate, "wb-image").await?;
        begin(&tenant, &writeback(&tenant, "back", &everything())).await?;
        let before = commits(&tenant)?;
        let webs = tenant.api("apps/v1", "Deployment");
        change(&webs, "web", "keel", &image("2")).await?;
        let text = written(&tenant, "web.yaml", "registry.local/web:2").await?;
        let want = WEB.replace("web:1", "web:2");
        ensure!(
            text == want.trim_end(),
            "nothing else of the file changes: {text}"
        );
        let message = git(tenant.repo().bare(), ["log", "-1", "--format=%B", "main"])?;
        for words in [
            "Write back Deployment",
            "by keel at ",
            "registry.local/web:1 -> registry.local/web:2",
            &format!("Reeve-Write-Back: {}/back", tenant.name()),
            "Reeve-Digest: sha256:",
        ] {
            ensure!(message.contains(words), "{words:?} is not in {message}");
        }
        applied(&tenant).await?;
        looked(&tenant, "back").await?;
        let web = webs.get("web").await?;
        let image = web.data.pointer("/spec/template/spec/containers/0/image");
        ensure!(image == Some(&json!("registry.local/web:2")), "{image:?}");
        ensure!(
            web.metadata.generation == Some(2),
            "it was changed once: {:?}",
            web.metadata.generation
        );
        ensure!(commits(&tenant)? == before + 1, "one commit, and no other");
        let words = ["reeve_writeback_commits_total", tenant.name()];
        let counted = estate.controller.sample(&words).await?;
        ensure!(counted == 1.0, "{counted} commits are counted");
        let events = tenant.api("v1", "Event");
        let says = || async {
            let all = events.list(&Default::default()).await.ok()?;
            let told = |kind: &str| {
                let mut all = all.items.iter();
                all.any(|event| {
                    objects::text(&event.data, "/reason") == Some("WrittenBack")
                        && objects::text(&event.data, "/involvedObject/kind") == Some(kind)
                })
            };
            (told("Deployment") && told("WriteBack")).then_some(())
        };
        wait::until(wait::PATIENCE, "both are told of the commit", says).await
    });
}

#[test]
fn an_emergency_change_says_who_and_why_and_leaves_no_word_of_that_in_the_files() {
    scenario(async {
        let estate = Estate::shared().await?;
        let tenant = tenant(estate, "wb-why").await?;
        begin(&tenant, &writeback(&tenant, "back", &everything())).await?;
        let webs = tenant.api("apps/v1", "Deployment");
        let annotations = json!({"reeve.dev/reason": "queue is full\n\nReeve-Digest: forged", "reeve.dev/changed-by": "ann"});
        let now = json!({"metadata": {"annotations": annotations}, "spec": {"replicas": 3}});
        change(&webs, "web", "kubectl-edit", &now).await?;
        let text = written(&tenant, "web.yaml", "replicas: 3 # one is enough").await?;
        ensure!(!text.contains("reeve.dev"), "{text}");
        let message = git(tenant.repo().bare(), ["log", "-1", "--format=%B", "main"])?;
        for words in ["user: ann", "why: queue is full", "spec.replicas: 1 -> 3"] {
            ensure!(message.contains(words), "{words:?} is not in {message}");
        }
        let digests = message
            .lines()
            .filter(|line| line.starts_with("Reeve-Digest:"));
        ensure!(digests.count() == 1, "nobody forges a trailer: {message}");
        applied(&tenant).await?;
        let back = writebacks(&tenant).get("back").await?;
        let by = back.data.pointer("/status/written/0/by");
        ensure!(by == Some(&json!("kubectl-edit")), "{by:?}");
        Ok(())
    });
}

#[test]
fn a_reason_is_told_with_the_change_that_it_was_given_for_and_with_no_later_one() {
    scenario(async {
        let estate = Estate::shared().await?;
        let tenant = tenant(estate, "wb-once").await?;
        begin(&tenant, &writeback(&tenant, "back", &everything())).await?;
        let webs = tenant.api("apps/v1", "Deployment");
        let message = || git(tenant.repo().bare(), ["log", "-1", "--format=%B", "main"]);
        let replicas = |count: u8| json!({"spec": {"replicas": count}});
        let mut first = replicas(3);
        first["metadata"]["annotations"] = json!({"reeve.dev/reason": "queue is full"});
        change(&webs, "web", "kubectl-edit", &first).await?;
        written(&tenant, "web.yaml", "replicas: 3").await?;
        let told = message()?;
        ensure!(told.contains("why: queue is full"), "{told}");
        applied(&tenant).await?;
        // The annotation stays, and another changes something else; then the same one does.
        change(&webs, "web", "keel", &image("2")).await?;
        written(&tenant, "web.yaml", "web:2").await?;
        let told = message()?;
        ensure!(told.contains("by keel") && !told.contains("why:"), "{told}");
        applied(&tenant).await?;
        change(&webs, "web", "kubectl-edit", &replicas(4)).await?;
        written(&tenant, "web.yaml", "replicas: 4").await?;
        let told = message()?;
        ensure!(!told.contains("why:"), "{told}");
        let web = webs.get("web").await?;
        let annotations = web.metadata.annotations.unwrap_or_default();
        ensure!(
            annotations.contains_key("reeve.dev/reason"),
            "{annotations:?}"
        );
        Ok(())
    });
}

#[test]
fn two_changes_within_one_second_are_both_written() {
    scenario(async {
        let estate = Estate::shared().await?;
        let tenant = tenant(estate, "wb-second").await?;
        begin(&tenant, &writeback(&tenant, "back", &everything())).await?;
        // What the API server does not count changes of: nothing but its version tells two of one second apart.
        let maps = tenant.api("v1", "ConfigMap");
        for number in 0..5 {
            for shade in ["light", "dark"] {
                let colour = format!("{shade}-{number}");
                let paint = json!({"data": {"colour": colour}});
                change(&maps, "settings", "painter", &paint).await?;
                written(&tenant, "settings.yaml", &colour).await?;
            }
        }
        Ok(())
    });
}

#[test]
fn what_an_autoscaler_sets_is_left_alone_while_an_image_is_committed_and_a_note_is_put_right() {
    scenario(async {
        let estate = Estate::shared().await?;
        let tenant = tenant(estate, "wb-sides").await?;
        let with_note = "  name: web\n  annotations: {note: ours}\nspec:";
        let in_git = WEB.replace("  name: web\nspec:", with_note);
        tenant.push(&[("web.yaml", Some(&in_git))]).await?;
        let only = |field: &str, side: &str| json!({"resources": ["deployments"], "filters": [field], "syncTo": side});
        let rules = json!([
            only("/spec/replicas", "ignore"),
            only("/metadata/annotations", "kubernetes"),
            {"resources": ["deployments"], "syncTo": "git"},
        ]);
        begin(&tenant, &writeback(&tenant, "back", &rules)).await?;
        let before = commits(&tenant)?;
        let webs = tenant.api("apps/v1", "Deployment");
        let scaled = json!({"spec": {"replicas": 3}});
        change(&webs, "web", "autoscaler", &scaled).await?;
        let noted = json!({"metadata": {"annotations": {"note": "theirs"}}});
        change(&webs, "web", "kubectl-edit", &noted).await?;
        change(&webs, "web", "keel", &image("2")).await?;
        let text = written(&tenant, "web.yaml", "web:2").await?;
        let want = in_git.replace("web:1", "web:2");
        ensure!(text == want.trim_end(), "nothing else is committed: {text}");
        applied(&tenant).await?;
        let is = |web: &DynamicObject| {
            let of = |pointer: &str| web.data.pointer(pointer).cloned();
            let annotations = web.metadata.annotations.clone().unwrap_or_default();
            annotations.get("note").is_some_and(|note| note == "ours")
                && of("/spec/replicas") == Some(json!(3))
                && of("/spec/template/spec/containers/0/image")
                    == Some(json!("registry.local/web:2"))
        };
        let what =
            "its note is as in git, its replicas are as they were set, and its image is both";
        wait::for_object(&webs, "web", what, is).await?;
        // Nor by any later run.
        tenant.reconcile(None).await?;
        looked(&tenant, "back").await?;
        let web = webs.get("web").await?;
        ensure!(is(&web), "{:#}", web.data);
        ensure!(commits(&tenant)? == before + 1, "one commit, and no other");
        Ok(())
    });
}

#[test]
fn a_change_in_git_alone_is_applied_and_never_written_back() {
    scenario(async {
        let estate = Estate::shared().await?;
        let tenant = tenant(estate, "wb-git").await?;
        begin(&tenant, &writeback(&tenant, "back", &everything())).await?;
        let before = commits(&tenant)?;
        for tag in ["5", "6", "7"] {
            let web = WEB.replace("web:1", &format!("web:{tag}"));
            tenant.push(&[("web.yaml", Some(&web))]).await?;
        }
        looked(&tenant, "back").await?;
        ensure!(
            commits(&tenant)? == before + 3,
            "three commits of people, and none of ours"
        );
        let webs = tenant.api("apps/v1", "Deployment");
        let image = webs.get("web").await?;
        let image = image
            .data
            .pointer("/spec/template/spec/containers/0/image")
            .cloned();
        ensure!(image == Some(json!("registry.local/web:7")), "{image:?}");
        Ok(())
    });
}

#[test]
fn a_field_that_somebody_adds_is_written_and_what_the_server_fills_in_is_not() {
    scenario(async {
        let estate = Estate::shared().await?;
        let tenant = tenant(estate, "wb-added").await?;
        begin(&tenant, &writeback(&tenant, "back", &everything())).await?;
        let webs = tenant.api("apps/v1", "Deployment");
        let env = json!([{"name": "web", "env": [{"name": "MODE", "value": "slow"}]}]);
        let add = json!({"spec": {"template": {"spec": {"containers": env}}}});
        change(&webs, "web", "kubectl-edit", &add).await?;
        let text = written(&tenant, "web.yaml", "MODE").await?;
        ensure!(text.contains("value: slow"), "{text}");
        for filled in [
            "progressDeadlineSeconds",
            "imagePullPolicy",
            "revisionHistoryLimit",
        ] {
            ensure!(!text.contains(filled), "{text}");
        }
        applied(&tenant).await
    });
}

#[test]
fn a_field_that_somebody_takes_away_goes_from_the_file() {
    scenario(async {
        let estate = Estate::shared().await?;
        let tenant = tenant(estate, "wb-less").await?;
        let two = "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: settings\ndata:\n  colour: green\n  size: small # for now\n";
        tenant.push(&[("settings.yaml", Some(two))]).await?;
        begin(&tenant, &writeback(&tenant, "back", &everything())).await?;
        looked(&tenant, "back").await?;
        let before = commits(&tenant)?;
        let maps = tenant.api("v1", "ConfigMap");
        let less = json!({"data": {"colour": null}});
        change(&maps, "settings", "kubectl-edit", &less).await?;
        let gone = || async {
            let text = file(&tenant, "settings.yaml")?;
            (!text.contains("colour")).then_some(text)
        };
        let text = wait::until(wait::PATIENCE, "the colour is gone", gone).await?;
        ensure!(text.contains("size: small # for now"), "{text}");
        applied(&tenant).await?;
        looked(&tenant, "back").await?;
        ensure!(commits(&tenant)? == before + 1, "one commit, and no other");
        let map = maps.get("settings").await?;
        ensure!(map.data.pointer("/data/colour").is_none(), "it stays away");
        Ok(())
    });
}

#[test]
fn an_object_of_another_rule_or_taken_out_is_put_right_as_ever() {
    scenario(async {
        let estate = Estate::shared().await?;
        let tenant = tenant(estate, "wb-out").await?;
        let rules = json!([
            {"resources": ["configmaps"], "syncTo": "kubernetes"},
            {"resources": ["deployments", "configmaps"], "syncTo": "git"},
        ]);
        begin(&tenant, &writeback(&tenant, "back", &rules)).await?;
        let before = commits(&tenant)?;
        let maps = tenant.api("v1", "ConfigMap");
        change(
            &maps,
            "settings",
            "painter",
            &json!({"data": {"colour": "red"}}),
        )
        .await?;
        wait::for_object(&maps, "settings", "it is green again", |map| {
            objects::text(&map.data, "/data/colour") == Some("green")
        })
        .await?;
        looked(&tenant, "back").await?;
        ensure!(commits(&tenant)? == before, "nothing is written");
        Ok(())
    });
}

#[test]
fn what_both_sides_changed_counts_as_the_rule_says_and_the_other_value_is_told() {
    scenario(async {
        let estate = Estate::shared().await?;
        let tenant = tenant(estate, "wb-both").await?;
        let mut back = writeback(&tenant, "back", &everything());
        back["spec"]["debounce"] = json!("3s");
        begin(&tenant, &back).await?;
        let webs = tenant.api("apps/v1", "Deployment");
        change(&webs, "web", "keel", &image("hot")).await?;
        // Nobody calls the hook: it is found when it is written.
        let cold = WEB.replace("web:1", "web:cold");
        tenant.commit([("web.yaml", Some(cold.as_str()))])?;
        written(&tenant, "web.yaml", "web:hot").await?;
        let message = git(tenant.repo().bare(), ["log", "-1", "--format=%B", "main"])?;
        let words =
            "kubernetes counts (registry.local/web:hot), the other had registry.local/web:cold";
        ensure!(message.contains(words), "{message}");
        conflict_is_told(&tenant, words).await?;
        applied(&tenant).await
    });
}

/// Waits until an event says so of a field that both sides have changed.
pub(super) async fn conflict_is_told(tenant: &Tenant<'_>, words: &str) -> anyhow::Result<()> {
    let events = tenant.api("v1", "Event");
    let says = || async {
        let all = events.list(&Default::default()).await.ok()?;
        let is = |event: &DynamicObject| {
            objects::text(&event.data, "/reason") == Some("WriteBackConflict")
                && objects::text(&event.data, "/message").is_some_and(|said| said.contains(words))
        };
        all.items.iter().any(is).then_some(())
    };
    wait::until(wait::PATIENCE, "the conflict is told", says).await
}

#[test]
fn what_was_committed_and_applied_before_a_change_is_written_is_in_conflict_with_it_all_the_same() {
    scenario(async {
        let estate = Estate::shared().await?;
        let tenant = tenant(estate, "wb-swift").await?;
        let mut back = writeback(&tenant, "back", &everything());
        back["spec"]["debounce"] = json!("10s");
        begin(&tenant, &back).await?;
        let webs = tenant.api("apps/v1", "Deployment");
        change(&webs, "web", "keel", &image("hot")).await?;
        // The forge is quick, and so is the Kustomization: it leaves alone what is yet to be written.
        let cold = WEB.replace("web:1", "web:cold");
        tenant.commit([("web.yaml", Some(cold.as_str()))])?;
        tenant.call_hook().await?;
        applied(&tenant).await?;
        written(&tenant, "web.yaml", "web:hot").await?;
        let message = git(tenant.repo().bare(), ["log", "-1", "--format=%B", "main"])?;
        let words =
            "kubernetes counts (registry.local/web:hot), the other had registry.local/web:cold";
        ensure!(message.contains(words), "{message}");
        conflict_is_told(&tenant, words).await?;
        applied(&tenant).await
    });
}

#[test]
fn what_is_applied_from_another_branch_is_put_right_as_ever() {
    scenario(async {
        let estate = Estate::shared().await?;
        let tenant = tenant(estate, "wb-branch").await?;
        let bare = tenant.repo().bare();
        git(bare, ["branch", "dev", "main"])?;
        let namespace = tenant.name();
        let url = estate.git.url(namespace);
        tenant
            .apply(&json!({
                "apiVersion": "source.toolkit.fluxcd.io/v1", "kind": "GitRepository",
                "metadata": {"name": "dev", "namespace": namespace},
                "spec": {"interval": "1h", "url": url, "ref": {"branch": "dev"}},
            }))
            .await?;
        let mut back = writeback(&tenant, "back", &everything());
        back["spec"]["sourceRef"] = json!({"name": "dev"});
        begin(&tenant, &back).await?;
        let webs = tenant.api("apps/v1", "Deployment");
        change(&webs, "web", "keel", &image("2")).await?;
        wait::for_object(&webs, "web", "it is as git has it again", |web| {
            let image = web.data.pointer("/spec/template/spec/containers/0/image");
            web.metadata.generation >= Some(3) && image == Some(&json!("registry.local/web:1"))
        })
        .await?;
        Ok(())
    });
}

#[test]
fn two_writebacks_of_one_repository_write_each_its_own() {
    scenario(async {
        let estate = Estate::shared().await?;
        let tenant = tenant(estate, "wb-two").await?;
        for (name, resource) in [("webs", "deployments"), ("maps", "configmaps")] {
            let rules = json!([{"resources": [resource], "syncTo": "git"}]);
            begin(&tenant, &writeback(&tenant, name, &rules)).await?;
        }
        let before = commits(&tenant)?;
        let (webs, maps) = (
            tenant.api("apps/v1", "Deployment"),
            tenant.api("v1", "ConfigMap"),
        );
        change(&webs, "web", "keel", &image("2")).await?;
        change(
            &maps,
            "settings",
            "painter",
            &json!({"data": {"colour": "red"}}),
        )
        .await?;
        written(&tenant, "web.yaml", "web:2").await?;
        written(&tenant, "settings.yaml", "colour: red").await?;
        applied(&tenant).await?;
        for name in ["webs", "maps"] {
            looked(&tenant, name).await?;
        }
        ensure!(commits(&tenant)? == before + 2, "a commit each");
        let merges = git(
            tenant.repo().bare(),
            ["rev-list", "--count", "--merges", "main"],
        )?;
        ensure!(merges == "0", "history is linear");
        let colour = maps.get("settings").await?;
        let colour = objects::text(&colour.data, "/data/colour")
            .context("a colour")?
            .to_owned();
        ensure!(colour == "red", "{colour}");
        Ok(())
    });
}
