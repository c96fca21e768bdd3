//! What is changed on the cluster, at a real Gitea: proposed by one request that people merge or close, and refused in its words.

mod asked;

use anyhow::{Context as _, ensure};
use kube::api::{Api, DynamicObject};
use reeve_api::PROVIDER;
use reeve_tests::gitea::OWNER;
use reeve_tests::objects::{condition, text};
use reeve_tests::{scenario, wait};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use super::{ASKED, OURS, SOURCE, Shop, annotated, change, is};

const WEB: &str = "# The shop.\napiVersion: apps/v1\nkind: Deployment\nmetadata:\n  name: web\nspec:\n  replicas: 1 # one is enough\n  selector:\n    matchLabels: {app: web}\n  template:\n    metadata:\n      labels: {app: web}\n    spec:\n      containers:\n        - name: web\n          image: registry.local/web:1 # pinned by hand\n";
/// How the WriteBack is called.
const BACK: &str = "back";

/// A tenant whose Deployment lies at Gitea, and a WriteBack of it.
struct Back {
    shop: Shop,
}

impl Back {
    /// By `commit` or `pullRequest`.
    async fn open(name: &str, propose: &str) -> anyhow::Result<Self> {
        let back = Self {
            shop: Shop::open(name).await?,
        };
        back.put("web.yaml", WEB).await?;
        let (shop, own) = (&back.shop, back.shop.tenant.name());
        let tenant = json!({
            "apiVersion": OURS, "kind": "Tenant", "metadata": {"name": own},
            "spec": {
                "namespaces": [own], "sources": [own], "pluginHosts": [shop.desk.forge.gitea.host()],
            },
        });
        let mut about = shop.named("own");
        about["annotations"] = json!({PROVIDER: "forge"});
        let source = json!({
            "apiVersion": SOURCE, "kind": "GitRepository", "metadata": about,
            "spec": {"interval": "1h", "url": shop.desk.url(), "ref": {"branch": "main"}},
        });
        shop.tenant.apply(&tenant).await?;
        shop.tenant.apply(&source).await?;
        shop.source_is_there().await?;
        // What it had from elsewhere goes.
        let budget = ("reeve.dev/prune-budget", Some("100%"));
        shop.tenant.annotate(budget.0, budget.1).await?;
        let from = json!({"kind": "GitRepository", "name": "own"});
        shop.tenant
            .after(|draft| draft.set("sourceRef", from))
            .await?;
        back.applied().await?;
        let mut object = json!({
            "apiVersion": OURS, "kind": "WriteBack", "metadata": shop.named(BACK),
            "spec": {
                "interval": "3s", "debounce": "100ms", "serviceAccountName": "flux", "sourceRef": {"name": "own"},
                "rules": [{"resources": ["deployments"], "syncTo": "git", "filters": ["/spec"]}],
                "propose": propose,
            },
        });
        if propose == "pullRequest" {
            object["spec"]["pullRequest"] =
                json!({"labels": ["cluster"], "branch": "reeve/{namespace}-{name}"});
        }
        shop.tenant.apply(&object).await?;
        back.told("True", "Succeeded", "").await?;
        shop.tenant.reconcile(None).await?;
        Ok(back)
    }

    /// Somebody writes a file of `main`.
    async fn put(&self, file: &str, content: &str) -> anyhow::Result<String> {
        self.put_to("main", file, content).await
    }

    async fn put_to(&self, branch: &str, file: &str, content: &str) -> anyhow::Result<String> {
        let gitea = &self.shop.desk.forge.gitea;
        let repo = &self.shop.desk.name;
        gitea.put(repo, branch, file, content, OWNER).await
    }

    /// Asks Gitea for something of the repository.
    async fn ask(
        &self,
        method: Method,
        path: &str,
        body: Option<Value>,
    ) -> anyhow::Result<(StatusCode, Value)> {
        let path = format!("repos/{OWNER}/{}{path}", self.shop.desk.name);
        self.shop.desk.forge.gitea.ask(method, &path, body).await
    }

    /// The same, and it is done.
    async fn done(&self, method: Method, path: &str, body: Option<Value>) -> anyhow::Result<Value> {
        let (status, said) = self.ask(method, path, body).await?;
        ensure!(status.is_success(), "{path}: {status} {said}");
        Ok(said)
    }

    fn branch(&self) -> String {
        format!("reeve/{}-{BACK}", self.shop.tenant.name())
    }

    /// Where the request's branch is.
    async fn tip(&self) -> anyhow::Result<Option<String>> {
        let path = format!("/branches/{}", self.branch());
        let (status, branch) = self.ask(Method::GET, &path, None).await?;
        let commit = branch.pointer("/commit/id").and_then(Value::as_str);
        Ok(commit.filter(|_| status.is_success()).map(str::to_owned))
    }

    /// A file of a branch.
    async fn file(&self, branch: &str, file: &str) -> anyhow::Result<String> {
        use base64::Engine as _;
        let path = format!("/contents/{file}?ref={branch}");
        let (_, found) = self.ask(Method::GET, &path, None).await?;
        let text = found["content"].as_str().unwrap_or_default();
        let bytes = base64::engine::general_purpose::STANDARD.decode(text)?;
        Ok(String::from_utf8(bytes)?)
    }

    /// The open requests.
    async fn requests(&self) -> anyhow::Result<Vec<Value>> {
        let all = self.done(Method::GET, "/pulls?state=open", None).await?;
        Ok(all.as_array().cloned().unwrap_or_default())
    }

    /// Waits until there is one request, and it is like this.
    async fn request(&self, what: &str, like: impl Fn(&Value) -> bool) -> anyhow::Result<Value> {
        let seen = || async {
            let all = self.requests().await.ok()?;
            match &all[..] {
                [one] if like(one) => Some(one.clone()),
                _ => None,
            }
        };
        wait::until(wait::PATIENCE, what, seen).await
    }

    /// Somebody changes the Deployment as the manager `keel`.
    async fn change(&self, spec: Value) -> anyhow::Result<()> {
        use kube::api::{Patch, PatchParams};
        let how = PatchParams {
            field_manager: Some("keel".to_owned()),
            ..PatchParams::default()
        };
        let webs = self.shop.tenant.api("apps/v1", "Deployment");
        let patch = json!({"spec": spec});
        webs.patch("web", &how, &Patch::Strategic(&patch)).await?;
        Ok(())
    }

    fn backs(&self) -> Api<DynamicObject> {
        self.shop.tenant.api(OURS, "WriteBack")
    }

    /// Waits until the WriteBack says so.
    async fn told(&self, status: &str, reason: &str, words: &str) -> anyhow::Result<DynamicObject> {
        let what = format!("it is {status}, {reason}, and says {words:?}");
        let seen = |back: &DynamicObject| {
            is(back, "Ready", status, words)
                && condition(&back.data, "Ready").is_some_and(|ready| ready.reason == reason)
        };
        wait::for_object(&self.backs(), BACK, &what, seen).await
    }

    /// Somebody asks for it.
    async fn ask_again(&self) -> anyhow::Result<()> {
        let word = format!("{:016x}", rand::random::<u64>());
        change(&self.backs(), BACK, &annotated(ASKED, &word)).await
    }

    /// Waits until `main` is applied.
    async fn applied(&self) -> anyhow::Result<()> {
        let head = self.done(Method::GET, "/branches/main", None).await?;
        let head = head["commit"]["id"].as_str().context("a head")?.to_owned();
        let sources = self.shop.sources();
        change(&sources, "own", &annotated(ASKED, &head)).await?;
        let what = format!("{head} is applied");
        let tenant = &self.shop.tenant;
        let is = |one: &DynamicObject| {
            let revision = text(&one.data, "/status/lastAppliedRevision");
            revision.is_some_and(|revision| revision.ends_with(&head))
        };
        wait::for_object(&tenant.kustomizations(), tenant.name(), &what, is).await?;
        Ok(())
    }

    /// Waits until nothing is proposed any more, and the branch is gone.
    async fn is_over(&self) -> anyhow::Result<()> {
        let none = |back: &DynamicObject| back.data.pointer("/status/request").is_none();
        wait::for_object(&self.backs(), BACK, "nothing is left to propose", none).await?;
        let open = self.requests().await?;
        ensure!(open.is_empty(), "{open:?}");
        let tip = self.tip().await?;
        ensure!(tip.is_none(), "{tip:?}");
        Ok(())
    }

    /// How many commits the request is ahead of `main`.
    async fn ahead(&self) -> anyhow::Result<Value> {
        let path = format!("/compare/main...{}", self.branch());
        let told = self.done(Method::GET, &path, None).await?;
        Ok(told["total_commits"].clone())
    }
}

impl Shop {
    /// Waits until the repository was fetched.
    async fn source_is_there(&self) -> anyhow::Result<()> {
        let ready = |source: &DynamicObject| is(source, "Ready", "True", "");
        wait::for_object(&self.sources(), "own", "it is fetched", ready).await?;
        Ok(())
    }
}

fn image(tag: &str) -> Value {
    let containers = json!([{"name": "web", "image": format!("registry.local/web:{tag}")}]);
    json!({"template": {"spec": {"containers": containers}}})
}

/// Whether the text of a request holds these words.
fn says<'w>(words: &'w [&'w str]) -> impl Fn(&Value) -> bool + 'w {
    move |one| {
        let body = one["body"].as_str().unwrap_or_default();
        words.iter().all(|words| body.contains(words))
    }
}

#[test]
fn a_change_is_proposed_by_one_request_that_follows_it_and_is_closed_when_it_went_back() {
    scenario(async {
        let back = Back::open("wb-pull", "pullRequest").await?;
        back.change(image("2")).await?;
        let words = ["registry.local/web:1 -> registry.local/web:2", "by keel"];
        // Labels are put onto it once it is there.
        let is_labelled = |one: &Value| one["labels"][0]["name"] == "cluster";
        let proposed = |one: &Value| says(&words)(one) && is_labelled(one);
        let first = back.request("the image is proposed", proposed).await?;
        ensure!(first["head"]["ref"] == back.branch(), "{first}");
        let title = first["title"].as_str().unwrap_or_default();
        ensure!(title.starts_with("Write back Deployment"), "{title}");
        ensure!(back.file("main", "web.yaml").await? == WEB);
        let proposed = WEB.replace("web:1", "web:2");
        ensure!(back.file(&back.branch(), "web.yaml").await? == proposed);

        back.change(json!({"replicas": 3})).await?;
        let words = ["web:1 -> registry.local/web:2", "spec.replicas: 1 -> 3"];
        let second = back.request("both are proposed", says(&words)).await?;
        ensure!(second["number"] == first["number"], "{second}");
        ensure!(back.ahead().await? == 1, "one commit of all of it");

        // Somebody puts another image below it: what loses is told, and the request fits again.
        let cold = WEB.replace("web:1", "web:cold");
        back.put("web.yaml", &cold).await?;
        back.applied().await?;
        back.ask_again().await?;
        let words = ["web:cold -> registry.local/web:2", "spec.replicas: 1 -> 3"];
        let third = back.request("what lost is told", says(&words)).await?;
        ensure!(third["number"] == first["number"], "{third}");
        ensure!(back.ahead().await? == 1, "it begins at the newest commit");
        ensure!(back.file("main", "web.yaml").await? == cold);

        back.change(image("cold")).await?;
        back.request("one is left", |one| {
            says(&["spec.replicas"])(one) && !says(&["image"])(one)
        })
        .await?;
        back.change(json!({"replicas": 1})).await?;
        back.is_over().await
    });
}

#[test]
fn a_request_that_is_merged_goes_with_its_branch_and_the_next_change_has_another() {
    scenario(async {
        let back = Back::open("wb-merged", "pullRequest").await?;
        back.change(image("2")).await?;
        let first = back.request("it is proposed", |_| true).await?;
        let path = format!("/pulls/{}/merge", first["number"]);
        // Its commit is no ancestor of what is there then.
        back.done(Method::POST, &path, Some(json!({"Do": "squash"})))
            .await?;
        ensure!(back.file("main", "web.yaml").await?.contains("web:2"));
        back.applied().await?;
        back.is_over().await?;
        back.change(image("3")).await?;
        let second = back.request("the next is proposed", |_| true).await?;
        ensure!(second["number"] != first["number"], "{second}");
        ensure!(
            back.ahead().await? == 1,
            "nothing of the first one is in it"
        );
        Ok(())
    });
}

#[test]
fn what_somebody_closes_is_proposed_again_when_it_is_another_or_somebody_asks() {
    scenario(async {
        let back = Back::open("wb-closed", "pullRequest").await?;
        back.change(image("2")).await?;
        let first = back.request("it is proposed", |_| true).await?;
        let close = async |one: &Value| {
            let path = format!("/pulls/{}", one["number"]);
            back.done(Method::PATCH, &path, Some(json!({"state": "closed"})))
                .await?;
            back.told("True", "ProposalClosed", ASKED).await
        };
        close(&first).await?;
        ensure!(back.requests().await?.is_empty(), "it stays closed");

        back.ask_again().await?;
        let second = back.request("it is asked for", |_| true).await?;
        ensure!(second["number"] != first["number"], "{second}");
        back.told("True", "Succeeded", "").await?;
        close(&second).await?;

        back.change(json!({"replicas": 3})).await?;
        let third = back
            .request("it is another", says(&["spec.replicas"]))
            .await?;
        ensure!(third["number"] != second["number"], "{third}");
        back.told("True", "Succeeded", "").await?;

        // Whoever takes its branch away closes it, too.
        let path = format!("/branches/{}", back.branch());
        back.done(Method::DELETE, &path, None).await?;
        back.told("True", "ProposalClosed", ASKED).await?;
        ensure!(back.requests().await?.is_empty() && back.tip().await?.is_none());
        Ok(())
    });
}

#[test]
fn what_people_put_on_the_branch_of_a_request_stays_and_nothing_is_lost_meanwhile() {
    scenario(async {
        let back = Back::open("wb-amended", "pullRequest").await?;
        back.change(image("2")).await?;
        back.request("it is proposed", |_| true).await?;
        let theirs = back.put_to(&back.branch(), "notes.txt", "seen\n").await?;
        back.change(json!({"replicas": 3})).await?;
        back.told("False", "PushRejected", "is left alone").await?;
        ensure!(back.tip().await?.as_ref() == Some(&theirs));
        let path = format!("/branches/{}", back.branch());
        back.done(Method::DELETE, &path, None).await?;
        let words = ["spec.replicas: 1 -> 3", "registry.local/web:2"];
        back.request("all of it is proposed", says(&words)).await?;
        Ok(())
    });
}

/// Each refusal in the forge's words, and what waited is written once the forge takes it, without anybody asking.
#[test]
fn what_a_forge_refuses_is_told_in_its_words_and_written_when_it_does_not() {
    scenario(async {
        let back = Back::open("wb-refused", "commit").await?;
        let written = async |tag: &str| {
            let words = format!("web:{tag}");
            let seen = || async {
                let text = back.file("main", "web.yaml").await.ok()?;
                text.contains(&words).then_some(())
            };
            wait::until(wait::PATIENCE, &format!("{words} is written"), seen).await?;
            back.told("True", "Succeeded", "").await
        };
        let rule = json!({"rule_name": "main", "branch_name": "main", "enable_push": false});
        back.done(Method::POST, "/branch_protections", Some(rule))
            .await?;
        back.change(image("2")).await?;
        back.told("False", "PushRejected", "protected branch")
            .await?;
        back.done(Method::DELETE, "/branch_protections/main", None)
            .await?;
        written("2").await?;

        back.done(Method::PATCH, "", Some(json!({"archived": true})))
            .await?;
        back.change(image("3")).await?;
        back.told("False", "ReadOnly", "may not be written to")
            .await?;
        back.done(Method::PATCH, "", Some(json!({"archived": false})))
            .await?;
        written("3").await?;

        let gitea = &back.shop.desk.forge.gitea;
        let full = "#!/bin/sh\necho 'the quota of ada is used up' >&2\nexit 1\n";
        gitea.hook(&back.shop.desk.name, Some(full))?;
        back.change(image("4")).await?;
        back.told("False", "PushRejected", "the quota of ada is used up")
            .await?;
        gitea.hook(&back.shop.desk.name, None)?;
        written("4").await?;
        Ok(())
    });
}
