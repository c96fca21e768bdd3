//! What is told at a real Gitea of commits and of pull requests, in the cluster: it is asked of Gitea, and the cluster is as it was.

mod lent;
mod named;
mod unheard;

use anyhow::{Context as _, ensure};
use kube::api::DynamicObject;
use reeve_tests::gitea::OWNER;
use reeve_tests::objects::{condition, text};
use reeve_tests::{Estate, objects, scenario, secrecy, wait};
use reqwest::Method;
use serde_json::{Value, json};

use super::{Shop, change, receiver};

const SOURCE: &str = "source.toolkit.fluxcd.io/v1";
const KUSTOMIZATION: &str = "kustomize.toolkit.fluxcd.io/v1";
const SETTINGS: &str = "deploy/settings.yaml";
/// A ConfigMap that a variable from a Secret is put into.
const USED: &str = "deploy/used.yaml";
/// Who has a fork.
const STRANGER: &str = "eve";

fn settings(colour: &str) -> String {
    format!("apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: plan\ndata:\n  colour: {colour}\n")
}

fn used(word: &str) -> String {
    format!("apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: used\ndata:\n  word: {word}\n")
}

impl Shop {
    /// Has `main` applied, from a source that asks for these, every `interval`. The account is the tenant's.
    async fn open_for_business(&self, interval: &str, asks: &Value) -> anyhow::Result<String> {
        let gitea = &self.desk.forge.gitea;
        let name = &self.desk.name;
        let commit = gitea
            .put(name, "main", SETTINGS, &settings("green"), OWNER)
            .await?;
        let mut annotations = asks.clone();
        annotations["reeve.dev/provider"] = json!("forge");
        let mut metadata = self.named("shop");
        metadata["annotations"] = annotations;
        let source = json!({
            "apiVersion": SOURCE, "kind": "GitRepository", "metadata": metadata,
            "spec": {"interval": interval, "url": self.desk.url(), "ref": {"branch": "main"}},
        });
        let kustomization = json!({
            "apiVersion": KUSTOMIZATION, "kind": "Kustomization", "metadata": self.named("shop"),
            "spec": {
                "interval": "1h", "path": "./deploy", "prune": true, "serviceAccountName": "flux",
                "targetNamespace": self.tenant.name(),
                "sourceRef": {"kind": "GitRepository", "name": "shop"},
                "postBuild": {"substituteFrom": [{"kind": "Secret", "name": "words"}]},
            },
        });
        let words = json!({
            "apiVersion": "v1", "kind": "Secret", "metadata": self.named("words"),
            "stringData": {"WORD": WORD},
        });
        for object in [words, source, kustomization] {
            self.tenant.apply(&object).await?;
        }
        self.applied(&commit).await?;
        Ok(commit)
    }

    async fn applied(&self, commit: &str) -> anyhow::Result<()> {
        let seen = |ks: &DynamicObject| {
            let revision = text(&ks.data, "/status/lastAppliedRevision");
            revision.is_some_and(|revision| revision.ends_with(commit))
        };
        let all = self.tenant.kustomizations();
        wait::for_object(&all, "shop", "it is applied", seen).await?;
        Ok(())
    }

    /// The marks beside a commit of this context: state and description, the last one first.
    async fn marks(&self, commit: &str, context: &str) -> anyhow::Result<Vec<(String, String)>> {
        let all = self
            .desk
            .gitea(&format!("commits/{commit}/statuses"))
            .await?;
        let all = all.as_array().cloned().unwrap_or_default();
        let ours = all.iter().filter(|mark| mark["context"] == *context);
        let mut ours: Vec<&Value> = ours.collect();
        ours.sort_by_key(|mark| std::cmp::Reverse(mark["id"].as_u64()));
        let text = |mark: &Value, name: &str| mark[name].as_str().unwrap_or_default().to_owned();
        let told = ours.iter();
        Ok(told
            .map(|mark| (text(mark, "status"), text(mark, "description")))
            .collect())
    }

    async fn marked(&self, commit: &str, context: &str, state: &str) -> anyhow::Result<String> {
        let what = format!("{context} of {commit} is {state}");
        let seen = || async {
            let marks = self.marks(commit, context).await.ok()?;
            let (is, said) = marks.into_iter().next()?;
            (is == state).then_some(said)
        };
        wait::until(wait::PATIENCE, &what, seen).await
    }

    /// Proposes a file on a branch; the request's number, and its head.
    async fn propose(
        &self,
        branch: &str,
        file: &str,
        content: &str,
    ) -> anyhow::Result<(u64, String)> {
        let gitea = &self.desk.forge.gitea;
        let head = gitea
            .put(&self.desk.name, branch, file, content, OWNER)
            .await?;
        let number = self.request(branch, OWNER).await?;
        Ok((number, head))
    }

    async fn request(&self, head: &str, whose: &str) -> anyhow::Result<u64> {
        let wanted = json!({"title": head, "head": head, "base": "main"});
        let path = format!("repos/{OWNER}/{}/pulls?sudo={whose}", self.desk.name);
        let gitea = &self.desk.forge.gitea;
        let (status, made) = gitea.ask(Method::POST, &path, Some(wanted)).await?;
        ensure!(status.is_success(), "{path}: {status} {made}");
        made["number"].as_u64().context("a request has a number")
    }

    /// Id and text of the comments at a request.
    async fn comments(&self, number: u64) -> anyhow::Result<Vec<(u64, String)>> {
        let all = self
            .desk
            .gitea(&format!("issues/{number}/comments"))
            .await?;
        let all = all.as_array().cloned().unwrap_or_default().into_iter();
        let told = all.map(|one| {
            let body = one["body"].as_str().unwrap_or_default().to_owned();
            (one["id"].as_u64().unwrap_or_default(), body)
        });
        Ok(told.collect())
    }

    /// The one comment, once it says all this.
    async fn planned(&self, number: u64, words: &[&str]) -> anyhow::Result<(u64, String)> {
        let what = format!("request {number} is told {words:?}");
        let seen = || async {
            let all = self.comments(number).await.ok()?;
            let [(id, told)] = &all[..] else { return None };
            let all = words.iter().all(|word| told.contains(word));
            all.then(|| (*id, told.clone()))
        };
        let waited = wait::until(wait::PATIENCE, &what, seen).await;
        match waited {
            Ok(found) => Ok(found),
            Err(why) => Err(why.context(format!("{:?}", self.comments(number).await?))),
        }
    }

    /// Proposes a guess at what is in a Secret, in each place where that could show: instead of the variable, in a new object, with
    /// its beginning as what is cut would show it, and in the Secret itself. All that is told of it, without the guess.
    async fn guessed(&self, branch: &str, guess: &str) -> anyhow::Result<String> {
        let begun = guess.get(..5).context("a guess is long enough")?;
        let gitea = &self.desk.forge.gitea;
        gitea
            .put(&self.desk.name, branch, USED, &used(guess), OWNER)
            .await?;
        let guesses = format!(
            "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: guess\ndata:\n  whole: {guess}\n  begun: {begun}…\n---\napiVersion: v1\nkind: Secret\nmetadata:\n  name: words\nstringData:\n  WORD: {guess}\n"
        );
        let (number, head) = self.propose(branch, "deploy/guess.yaml", &guesses).await?;
        let short = head.get(..12).context("a commit")?;
        let (_, told) = self.planned(number, &[short]).await?;
        let context = self.context(true);
        let said = self.marked(&head, &context, "success").await?;
        let told = format!("{told}\n{said}");
        ensure!(told.contains(&format!("whole: {guess}")), "{told}");
        ensure!(told.contains(&format!("{begun}…")), "{told}");
        let told = told.replace(guess, "GUESS").replace(begun, "BEGUN");
        Ok(told.replace(short, "HEAD"))
    }

    /// The platform lets nothing of the tenant's lie outside of namespaces.
    async fn forbid_cluster_scope(&self) -> anyhow::Result<()> {
        let name = self.tenant.name();
        let policy = json!({
            "apiVersion": "reeve.dev/v1alpha1", "kind": "Policy", "metadata": {"name": name},
            "spec": {"shipped": "no-cluster-scope", "scope": {"namespaces": [name]}},
        });
        self.tenant.apply(&policy).await?;
        let admin = Estate::shared().await?.admin();
        let policies = objects::api(admin, "reeve.dev/v1alpha1", "Policy", None);
        let ready = |policy: &DynamicObject| {
            condition(&policy.data, "Ready").is_some_and(|ready| ready.status == "True")
        };
        wait::for_object(&policies, name, "the policy is in force", ready).await?;
        Ok(())
    }

    fn context(&self, plan: bool) -> String {
        let of = if plan { "plan/" } else { "" };
        format!("reeve/{of}{}/shop", self.tenant.name())
    }
}

/// What a variable comes to, which nobody may be told any of.
const WORD: &str = "q7w-5ecret-w0rd";

#[test]
fn what_became_of_a_commit_is_told_beside_it_once() {
    scenario(async {
        secrecy::used(WORD);
        let shop = Shop::open("marks").await?;
        let asks = json!({"reeve.dev/commit-status": "enabled"});
        let first = shop.open_for_business("2s", &asks).await?;
        let context = shop.context(false);
        let said = shop.marked(&first, &context, "success").await?;
        ensure!(said == format!("applied main@sha1:{first}"), "{said}");

        let gitea = &shop.desk.forge.gitea;
        let broken = gitea
            .put(&shop.desk.name, "main", SETTINGS, "kind: [", OWNER)
            .await?;
        let said = shop.marked(&broken, &context, "failure").await?;
        ensure!(said.starts_with("BuildFailed: "), "{said}");
        let mended = gitea
            .put(&shop.desk.name, "main", SETTINGS, &settings("blue"), OWNER)
            .await?;
        shop.marked(&mended, &context, "success").await?;
        for commit in [first, broken, mended] {
            let marks = shop.marks(&commit, &context).await?;
            ensure!(marks.len() == 1, "{commit}: {marks:?}");
        }
        Ok(())
    });
}

#[test]
fn what_a_pull_request_would_change_is_told_at_it_and_nothing_is_applied() {
    scenario(async {
        let shop = Shop::open("plans").await?;
        let asks = json!({"reeve.dev/pull-request-plan": "enabled"});
        shop.open_for_business("1h", &asks).await?;
        // The forge calls: nobody looks for another hour.
        let _hook = receiver(&shop).await?;
        let before = shop.tenant.objects().await?;

        let (number, head) = shop.propose("paint", SETTINGS, &settings("blue")).await?;
        let (id, told) = shop.planned(number, &["+   colour: blue"]).await?;
        let counts = format!(
            "**{}/shop**: 0 created, 1 configured, 0 deleted, 0 unchanged",
            shop.tenant.name()
        );
        for words in ["-   colour: green", &counts, "Nothing was written."] {
            ensure!(told.contains(words), "{words}: {told}");
        }
        let context = shop.context(true);
        let said = shop.marked(&head, &context, "success").await?;
        ensure!(said == "1 object would be changed", "{said}");

        let gitea = &shop.desk.forge.gitea;
        let next = gitea
            .put(&shop.desk.name, "paint", SETTINGS, &settings("red"), OWNER)
            .await?;
        let (same, told) = shop.planned(number, &["+   colour: red"]).await?;
        ensure!(same == id && !told.contains("blue"), "{told}");
        shop.marked(&next, &context, "success").await?;
        let changes = shop.tenant.objects().await?.changes_since(&before);
        let ours = |change: &&String| change.contains("ConfigMap");
        let ours: Vec<&String> = changes.iter().filter(ours).collect();
        ensure!(ours.is_empty(), "{ours:?}");
        Ok(())
    });
}

#[test]
fn a_request_that_policy_denies_may_not_be_merged_and_no_secret_of_one_is_told() {
    scenario(async {
        let shop = Shop::open("denied-plans").await?;
        let asks = json!({"reeve.dev/pull-request-plan": "enabled"});
        shop.open_for_business("2s", &asks).await?;
        shop.forbid_cluster_scope().await?;
        let context = shop.context(true);

        let role = "apiVersion: rbac.authorization.k8s.io/v1\nkind: ClusterRole\nmetadata:\n  name: plan-everything\nrules: []\n";
        let (number, head) = shop.propose("role", "deploy/role.yaml", role).await?;
        let denied = ["Policies deny it", "ClusterRole"];
        shop.planned(number, &denied).await?;
        let said = shop.marked(&head, &context, "failure").await?;
        ensure!(said.contains("denied by policy"), "{said}");

        let password = format!("{:032x}", rand::random::<u128>());
        secrecy::used(&password);
        let secret = format!(
            "apiVersion: v1\nkind: Secret\nmetadata:\n  name: password\nstringData:\n  password: {password}\n"
        );
        let (number, head) = shop
            .propose("password", "deploy/password.yaml", &secret)
            .await?;
        let (_, told) = shop.planned(number, &["Secret/"]).await?;
        let left = "password: data is not compared in plans";
        ensure!(told.contains(left) && !told.contains(&password), "{told}");
        shop.marked(&head, &context, "success").await?;

        // Whoever proposes something takes a variable apart that they may not read.
        let map = "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: letters\ndata:\n  all: ${WORD}\n  first: ${WORD:0:1}\n  some: a${WORD:1:3}b\n";
        let (number, _) = shop.propose("letters", "deploy/letters.yaml", map).await?;
        let (_, told) = shop.planned(number, &["ConfigMap/", "letters"]).await?;
        for leaked in [WORD, "first: q", "7w-"] {
            ensure!(!told.contains(leaked), "{leaked}: {told}");
        }
        let all = shop.tenant.objects().await?;
        let theirs = |name: &&str| name.contains("password") || name.contains("letters");
        ensure!(all.names().filter(theirs).count() == 0, "it was applied");
        Ok(())
    });
}

#[test]
fn a_plan_is_made_again_when_only_the_policies_are_others() {
    scenario(async {
        let shop = Shop::open("ruled-plans").await?;
        let asks = json!({"reeve.dev/pull-request-plan": "enabled"});
        shop.open_for_business("1h", &asks).await?;
        let _hook = receiver(&shop).await?;
        let role = "apiVersion: rbac.authorization.k8s.io/v1\nkind: ClusterRole\nmetadata:\n  name: plan-ruled\nrules: []\n";
        let (number, head) = shop.propose("role", "deploy/role.yaml", role).await?;
        let denied = "Policies deny it";
        let (id, told) = shop.planned(number, &["Nothing was written."]).await?;
        ensure!(!told.contains(denied), "{told}");

        // Nobody pushes, calls or applies anything from here on.
        shop.forbid_cluster_scope().await?;
        let (same, _) = shop.planned(number, &[denied, "ClusterRole"]).await?;
        ensure!(same == id, "another comment");
        let context = shop.context(true);
        let said = shop.marked(&head, &context, "failure").await?;
        ensure!(said.contains("denied by policy"), "{said}");

        let admin = Estate::shared().await?.admin();
        let policies = objects::api(admin, "reeve.dev/v1alpha1", "Policy", None);
        let how = kube::api::DeleteParams::default();
        policies.delete(shop.tenant.name(), &how).await?;
        let seen = || async {
            let all = shop.comments(number).await.ok()?;
            let mut ours = all.iter().filter(|(id, _)| *id == same);
            ours.next()
                .filter(|(_, told)| !told.contains(denied))
                .map(drop)
        };
        wait::until(wait::PATIENCE, "nothing denies it any more", seen).await?;
        Ok(())
    });
}

#[test]
fn a_guess_at_a_secret_looks_the_same_in_a_plan_whether_it_is_right_or_wrong() {
    scenario(async {
        let shop = Shop::open("guesses").await?;
        let asks = json!({"reeve.dev/pull-request-plan": "enabled"});
        shop.open_for_business("2s", &asks).await?;
        let gitea = &shop.desk.forge.gitea;
        let main = gitea
            .put(&shop.desk.name, "main", USED, &used("${WORD}"), OWNER)
            .await?;
        shop.applied(&main).await?;
        let right = shop.guessed("right", WORD).await?;
        let wrong = shop.guessed("wrong", "zzzz-5ecret-w0rd").await?;
        ensure!(right == wrong, "{right}\n---\n{wrong}");
        for words in [
            "/words: data is not compared in plans",
            "two builds are compared",
            "+   word: GUESS",
        ] {
            ensure!(right.contains(words), "{words}: {right}");
        }
        Ok(())
    });
}

#[test]
fn a_fork_is_planned_only_where_its_source_lets_it() {
    scenario(async {
        let shop = Shop::open("fork-plans").await?;
        let asks = json!({"reeve.dev/pull-request-plan": "enabled"});
        shop.open_for_business("2s", &asks).await?;
        let (gitea, name) = (&shop.desk.forge.gitea, &shop.desk.name);
        gitea.fork(name, STRANGER).await?;
        let fork = format!("{STRANGER}/{name}");
        let head = gitea
            .put_in(&fork, "paint", SETTINGS, &settings("black"), STRANGER)
            .await?;
        let theirs = shop.request(&format!("{STRANGER}:paint"), STRANGER).await?;
        let (ours, _) = shop.propose("paint", SETTINGS, &settings("white")).await?;
        shop.planned(ours, &["+   colour: white"]).await?;
        ensure!(shop.comments(theirs).await?.is_empty(), "it was planned");
        let context = shop.context(true);
        ensure!(shop.marks(&head, &context).await?.is_empty(), "it is told");

        let sources = shop.tenant.api(SOURCE, "GitRepository");
        let lets = json!({"metadata": {"annotations": {"reeve.dev/pull-request-forks": "allow"}}});
        change(&sources, "shop", &lets).await?;
        shop.planned(theirs, &["+   colour: black"]).await?;
        shop.marked(&head, &context, "success").await?;
        // Whoever writes our marker has not written our comment.
        let wanted = json!({"body": format!("<!-- reeve:plan {}/shop -->\nAll is well.", shop.tenant.name())});
        let path = format!("repos/{OWNER}/{name}/issues/{ours}/comments?sudo={STRANGER}");
        gitea.ask(Method::POST, &path, Some(wanted)).await?;
        gitea
            .put(name, "paint", SETTINGS, &settings("grey"), OWNER)
            .await?;
        let seen = || async {
            let all = shop.comments(ours).await.ok()?;
            let [(_, told), (_, elses)] = &all[..] else {
                return None;
            };
            (told.contains("+   colour: grey") && elses.ends_with("All is well.")).then_some(())
        };
        wait::until(wait::PATIENCE, "ours is changed, theirs is not", seen).await?;
        Ok(())
    });
}
