//! A forge with many repositories, each with a hook of its own: while nothing is pushed nobody asks it for anything, a storm of
//! calls fetches each repository once or twice, and where nobody is let in any more it is asked again.
//!
//! Fifty repositories, and two calls for each within two seconds; with `REEVE_SOAK` five hundred, and within ten. The calls come
//! through a proxy that the controller is told of.

use std::collections::{BTreeMap, BTreeSet};
use std::pin::pin;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail, ensure};
use futures::{StreamExt as _, TryStreamExt as _, stream};
use kube::ResourceExt as _;
use kube::api::{Api, DynamicObject, Patch, PatchParams};
use kube::runtime::{WatchStreamExt as _, watcher};
use reeve_tests::git::import;
use reeve_tests::install::CONFIG;
use reeve_tests::{Estate, objects, scenario, wait};
use serde_json::{Value, json};

use super::caller::{API, hmac, secret};

const SOURCE: &str = "source.toolkit.fluxcd.io/v1";
/// How long all of them may take for something.
const PATIENCE: Duration = Duration::from_secs(300);
/// How many calls are under way at once where nobody measures.
const AT_ONCE: usize = 16;
/// The Secret that all hooks are signed with; their paths differ by their names.
const TOKEN: &str = "forge-hooks";

/// How much there is of it.
struct Size {
    repositories: usize,
    /// How long two calls for each of them take.
    storm: Duration,
    /// What the median of the answers may be, on a machine that does the rest, too.
    median: Duration,
    interval: &'static str,
    /// Longer than that interval.
    quiet: Duration,
}

fn size() -> Size {
    match std::env::var_os("REEVE_SOAK") {
        None => Size {
            repositories: 50,
            storm: Duration::from_secs(2),
            median: Duration::from_millis(250),
            interval: "5s",
            quiet: Duration::from_secs(12),
        },
        Some(_) => Size {
            repositories: 500,
            storm: Duration::from_secs(10),
            median: Duration::from_millis(50),
            interval: "1m",
            quiet: Duration::from_secs(70),
        },
    }
}

fn name(at: usize) -> String {
    format!("pushed-{at}")
}

/// The forge, and what calls of it are signed with.
struct Forge {
    estate: Estate,
    size: Size,
    key: String,
}

impl Forge {
    async fn start() -> anyhow::Result<Self> {
        let flags = ["--leader-elect=false", "--trusted-proxies=127.0.0.1"];
        let forge = Self {
            estate: Estate::start_with(&flags).await?,
            size: size(),
            key: secret(),
        };
        let token = json!({
            "apiVersion": "v1", "kind": "Secret", "metadata": {"name": TOKEN, "namespace": CONFIG},
            "stringData": {"token": forge.key},
        });
        forge.apply(&token).await?;
        let heads = forge.commits(0).await?;
        forge.each(|at| forge.onboard(at)).await?;
        let done = |at: usize, source: &DynamicObject| is_at(source, &heads[at]);
        forge.all(SOURCE, "GitRepository", done).await?;
        Ok(forge)
    }

    /// One call for each, several at once.
    async fn each<T, F>(&self, call: impl Fn(usize) -> F) -> anyhow::Result<Vec<T>>
    where
        F: Future<Output = anyhow::Result<T>>,
    {
        let calls = stream::iter(0..self.size.repositories).map(call);
        calls.buffered(AT_ONCE).try_collect().await
    }

    fn api(&self, version: &str, kind: &str) -> Api<DynamicObject> {
        objects::api(self.estate.admin(), version, kind, Some(CONFIG))
    }

    async fn apply(&self, object: &Value) -> anyhow::Result<()> {
        let text = |pointer| objects::text(object, pointer).unwrap_or_default();
        let api = self.api(text("/apiVersion"), text("/kind"));
        let how = PatchParams::apply("storm").force();
        api.patch(text("/metadata/name"), &how, &Patch::Apply(object))
            .await?;
        Ok(())
    }

    /// A source, and whom its forge calls.
    async fn onboard(&self, at: usize) -> anyhow::Result<()> {
        let metadata = json!({"name": name(at), "namespace": CONFIG});
        self.apply(&json!({
            "apiVersion": SOURCE, "kind": "GitRepository", "metadata": metadata,
            "spec": {
                "interval": self.size.interval, "url": self.estate.git.url(&name(at)),
                "ref": {"branch": "main"},
            },
        }))
        .await?;
        self.apply(&json!({
            "apiVersion": API, "kind": "Receiver", "metadata": metadata,
            "spec": {
                "type": "github", "secretRef": {"name": TOKEN},
                "resources": [{"kind": "GitRepository", "name": name(at)}],
            },
        }))
        .await
    }

    /// A new version of every repository; their heads.
    async fn commits(&self, version: usize) -> anyhow::Result<Vec<String>> {
        self.each(async |at| {
            let path = self.estate.repositories().join(name(at));
            let files = [("README.md".to_owned(), format!("{version} of {at}\n"))];
            tokio::task::spawn_blocking(move || import(&path, &files, version)).await?
        })
        .await
    }

    /// Waits until all of a kind are as `done` says, and gives them in their order.
    async fn all(
        &self,
        version: &str,
        kind: &str,
        done: impl Fn(usize, &DynamicObject) -> bool,
    ) -> anyhow::Result<Vec<DynamicObject>> {
        let events = watcher(self.api(version, kind), watcher::Config::default());
        let mut events = events.default_backoff().applied_objects().boxed();
        let mut found = BTreeMap::new();
        let wait = async {
            while found.len() < self.size.repositories {
                let Some(object) = events.try_next().await.unwrap_or(None) else {
                    continue;
                };
                let at = object.name_any().strip_prefix("pushed-").map(str::parse);
                if let Some(Ok(at)) = at
                    && done(at, &object)
                {
                    found.insert(at, object);
                }
            }
        };
        let ended = tokio::time::timeout(PATIENCE, wait).await;
        ended.with_context(|| format!("only {} of all {kind}s are so", found.len()))?;
        Ok(found.into_values().collect())
    }

    /// Where each is called.
    async fn hooks(&self) -> anyhow::Result<Vec<String>> {
        let path = |receiver: &DynamicObject| {
            objects::text(&receiver.data, "/status/webhookPath").map(str::to_owned)
        };
        let has_path = |_: usize, receiver: &DynamicObject| path(receiver).is_some();
        let all = self.all(API, "Receiver", has_path).await?;
        let paths = all.iter().filter_map(path);
        Ok(paths
            .map(|path| self.estate.controller.hook_url(&path))
            .collect())
    }

    /// Waits until each is at its head, and it is known that a call told of it.
    async fn told(&self, heads: &[String]) -> anyhow::Result<()> {
        let told = |at: usize, source: &DynamicObject| {
            let announced = source.data.pointer("/status/upstream/announced");
            is_at(source, &heads[at]) && announced == Some(&json!(true))
        };
        self.all(SOURCE, "GitRepository", told).await.map(drop)
    }
}

fn is_at(source: &DynamicObject, head: &str) -> bool {
    let revision = objects::text(&source.data, "/status/artifact/revision");
    revision.is_some_and(|revision| revision.ends_with(head))
}

impl Forge {
    /// Calls each hook so many times by turns, within a time; how long the answers took, the quickest first.
    async fn call(
        &self,
        hooks: &[String],
        heads: &[String],
        times: usize,
        within: Duration,
    ) -> anyhow::Result<Vec<Duration>> {
        let client = reqwest::Client::new();
        let number = u32::try_from(hooks.len() * times)?;
        let mut ticks = tokio::time::interval(within / number);
        let mut calls = tokio::task::JoinSet::new();
        for (at, hook, head) in (0..times).flat_map(|_| by_turns(hooks, heads)) {
            ticks.tick().await;
            let body = json!({
                "ref": "refs/heads/main", "after": head, "repository": {"full_name": name(at)},
                "number": rand::random::<u64>(),
            });
            let body = body.to_string();
            let digits = hex::encode(hmac(self.key.as_bytes(), &[body.as_bytes()]));
            let call = client
                .post(hook.as_str())
                .header("content-type", "application/json")
                .header("x-github-event", "push")
                .header("x-hub-signature-256", format!("sha256={digits}"))
                .header("x-forwarded-for", format!("192.0.2.{}", at % 250))
                .body(body);
            calls.spawn(async move {
                let begun = Instant::now();
                let code = call.send().await.map(|answer| answer.status().as_u16());
                (code, begun.elapsed())
            });
        }
        let mut took = Vec::new();
        for (code, time) in calls.join_all().await {
            let code = code?;
            ensure!(code == 200, "all are let in: {code}");
            took.push(time);
        }
        took.sort_unstable();
        Ok(took)
    }

    /// Nobody asks the forge for anything, for longer than the interval.
    async fn is_left_alone(&self) -> anyhow::Result<()> {
        let asked = || async { Some(self.estate.git.seen()).filter(|seen| !seen.is_empty()) };
        match wait::until(self.size.quiet, "somebody asks", asked).await {
            Ok(seen) => {
                let paths: BTreeSet<String> = seen.into_iter().map(|one| one.path).collect();
                bail!("asked for: {paths:?}")
            }
            Err(_) => Ok(()),
        }
    }

    /// How often each was asked for its references, and for objects, since this was last called.
    fn asked(&self) -> BTreeMap<String, (usize, usize)> {
        let mut asked = BTreeMap::new();
        for one in self.estate.git.seen() {
            let repository = one.path.split('/').nth(1).unwrap_or_default();
            let body = String::from_utf8_lossy(&one.body);
            let (looks, fetches) = asked.entry(repository.to_owned()).or_insert((0, 0));
            *looks += usize::from(body.contains("command=ls-refs"));
            *fetches += usize::from(body.contains("command=fetch"));
        }
        asked
    }

    /// Where a Receiver lets nobody in any more, its source is asked as its interval says.
    async fn is_asked_again(&self) -> anyhow::Result<()> {
        let receivers = self.api(API, "Receiver");
        let suspend = Patch::Merge(json!({"spec": {"suspend": true}}));
        let how = PatchParams::default();
        receivers.patch(&name(0), &how, &suspend).await?;
        let mut looks = 0;
        let asked = || {
            let (more, _) = self.asked().remove(&name(0)).unwrap_or_default();
            looks += more;
            std::future::ready((looks >= 3).then_some(()))
        };
        wait::until(PATIENCE, "it is polled", asked).await
    }

    /// Who proves nothing is counted by the address that the proxy names, and nobody else with it.
    async fn are_told_apart(&self) -> anyhow::Result<()> {
        let (client, url) = (
            reqwest::Client::new(),
            self.estate.controller.hook_url("/hook/0"),
        );
        let call = |from: &'static str| {
            let call = client.post(&url).header("x-forwarded-for", from).send();
            async move { anyhow::Ok(call.await?.status().as_u16()) }
        };
        let many = stream::iter(0..8000).map(|_| call("203.0.113.5, 198.51.100.1"));
        let mut codes = pin!(many.buffer_unordered(32));
        let mut refused = false;
        while let Some(code) = codes.try_next().await? {
            ensure!(matches!(code, 404 | 429), "{code}");
            refused = code == 429;
            if refused {
                break;
            }
        }
        ensure!(refused, "nobody counts");
        let code = call("198.51.100.2").await?;
        ensure!(code == 404, "{code}");
        Ok(())
    }
}

/// All of them: which, where it is called and where it is.
fn by_turns<'h>(
    hooks: &'h [String],
    heads: &'h [String],
) -> impl Iterator<Item = (usize, &'h String, &'h String)> {
    let all = hooks.iter().zip(heads).enumerate();
    all.map(|(at, (hook, head))| (at, hook, head))
}

#[test]
fn a_forge_whose_hooks_tell_everything_is_left_alone_and_a_storm_fetches_once_or_twice() {
    scenario(async {
        let forge = Forge::start().await?;
        let hooks = forge.hooks().await?;
        // From now on it is known that hooks tell.
        let heads = forge.commits(1).await?;
        forge.call(&hooks, &heads, 1, forge.size.storm).await?;
        forge.told(&heads).await?;
        forge.asked();
        forge.is_left_alone().await.context("before the storm")?;

        let heads = forge.commits(2).await?;
        let took = forge.call(&hooks, &heads, 2, forge.size.storm).await?;
        forge.told(&heads).await?;
        let (half, most) = (took[took.len() / 2], took[took.len() * 99 / 100]);
        eprintln!("deliveries were answered in {half:.1?} (p50), {most:.1?} (p99)");
        ensure!(half < forge.size.median, "{half:?}");
        let asked = forge.asked();
        ensure!(asked.len() == hooks.len(), "{asked:?}");
        for (repository, (looks, fetches)) in asked {
            let said = format!("{looks} looks at {repository}, {fetches} fetches");
            ensure!((1..=3).contains(&looks), "{said}");
            ensure!((1..=2).contains(&fetches), "{said}");
        }
        forge.are_told_apart().await?;
        forge.is_asked_again().await
    });
}
