//! Many tenants, each with a repository that its people push to, whose changes on the cluster are written back.
//!
//! The server's hooks hold or refuse what comes by HTTP, as long as a file in the repository says so: people, who push to the
//! directory, are let through.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use futures::{StreamExt as _, TryStreamExt as _};
use kube::Client;
use kube::api::{Api, DeleteParams, DynamicObject, ListParams, Patch, PatchParams, PostParams};
use reeve_tests::git::{HttpServer, Repo, Served, git};
use reeve_tests::install::CONFIG;
use reeve_tests::{Plane, objects, wait};
use serde_json::json;
use tokio::sync::Mutex;
use tokio::time::{Instant, Interval};

use super::super::crowd::{KUSTOMIZE, SOURCE, apply, ground};
use super::super::is_soak;
use super::ledger;

/// How long all changes of a round may take to be in git, on a busy machine with a fault in it.
const PATIENCE: Duration = Duration::from_secs(300);
/// How many calls are under way at once.
const AT_ONCE: usize = 8;
/// How often somebody tries who is outrun.
const TRIES: usize = 100;
const WRITEBACK: &str = "reeve.dev/v1alpha1";
/// What all ConfigMaps are found by.
const OURS: &str = "town=yes";

/// Asked before a commit is taken. It ends by itself, whatever becomes of who waits.
const BEFORE: &str = "#!/bin/sh
[ -z \"$REMOTE_ADDR\" ] && exit 0
if [ -e hold-before ]; then
  : > held
  n=0
  while [ -e hold-before ] && [ $n -lt 1200 ]; do sleep 0.05; n=$((n + 1)); done
fi
refused=0
[ -e refuse ] && refused=1
rm -f held
[ $refused = 0 ] || echo 'the town is closed' >&2
exit $refused
";
/// Told when it was taken; the one who pushed hears of that afterwards.
const AFTER: &str = "#!/bin/sh
[ -z \"$REMOTE_ADDR\" ] && exit 0
[ -e hold-after ] || exit 0
: > held
n=0
while [ -e hold-after ] && [ $n -lt 1200 ]; do sleep 0.05; n=$((n + 1)); done
rm -f held
";

/// What the hooks of all repositories go by.
#[derive(Clone, Copy)]
pub(super) enum Mark {
    HoldBefore,
    HoldAfter,
    Refuse,
}

impl Mark {
    fn file(self) -> &'static str {
        match self {
            Self::HoldBefore => "hold-before",
            Self::HoldAfter => "hold-after",
            Self::Refuse => "refuse",
        }
    }
}

/// All of them.
pub(super) struct Town {
    client: Client,
    pub(super) git: HttpServer,
    homes: Vec<Arc<Home>>,
}

/// One tenant.
pub(super) struct Home {
    pub(super) name: String,
    /// With the work tree of its people.
    pub(super) repo: Repo,
    /// Up to where its history was looked at.
    seen: Mutex<String>,
}

/// How many changes of each there are in a round.
fn maps() -> usize {
    if is_soak() { 10 } else { 3 }
}

/// How many ConfigMaps of each people have written to be deleted, one a round while there are any.
fn outs() -> usize {
    if is_soak() { 20 } else { 8 }
}

/// What is made in a round, and deleted in the next: its file is the WriteBack's own.
fn own(round: usize) -> String {
    format!("own-{round}")
}

/// What is deleted in a round of what people have written.
fn out(round: usize) -> String {
    format!("out-{round}")
}

/// The files that go in a round.
fn going(home: &str, round: usize) -> Vec<String> {
    let own = (round > 1).then(|| format!("made/{home}/configmap-{}.yaml", own(round - 1)));
    let out = (round <= outs()).then(|| format!("app/{}.yaml", out(round)));
    own.into_iter().chain(out).collect()
}

/// What a change in a round brings; nothing else in the town is like it.
fn token(home: &str, round: usize, map: usize) -> String {
    format!("{home}-r{round}-m{map}")
}

/// All that one round brings there; the last is of what is made.
fn tokens(home: &str, round: usize) -> Vec<String> {
    (0..=maps()).map(|map| token(home, round, map)).collect()
}

fn manifest(name: &str) -> String {
    format!(
        "# notes: none\napiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: {name}\n  labels:\n    town: \"yes\"\ndata:\n  value: start\n"
    )
}

impl Town {
    pub(super) async fn build(plane: &Plane, number: usize) -> anyhow::Result<Self> {
        let root = plane.room("git")?;
        let git = HttpServer::start(&root, Served::default()).await?;
        let homes = (0..number).map(|at| Home::build(&root, format!("town-{at:02}")).map(Arc::new));
        let town = Self {
            client: plane.admin(),
            homes: homes.collect::<anyhow::Result<_>>()?,
            git,
        };
        town.each(|home| town.settle(home)).await?;
        town.until_all("WriteBack", WRITEBACK).await?;
        Ok(town)
    }

    /// One call for each, several at once.
    async fn each<T, F>(&self, call: impl Fn(Arc<Home>) -> F) -> anyhow::Result<Vec<T>>
    where
        F: Future<Output = anyhow::Result<T>>,
    {
        let calls = futures::stream::iter(self.homes.iter().map(Arc::clone)).map(call);
        calls.buffered(AT_ONCE).try_collect().await
    }

    /// The same with work that may block.
    async fn each_aside<T: Send + 'static>(
        &self,
        work: impl Fn(&Home) -> anyhow::Result<T> + Clone + Send + 'static,
    ) -> anyhow::Result<Vec<T>> {
        self.each(|home| {
            let work = work.clone();
            async move { tokio::task::spawn_blocking(move || work(&home)).await? }
        })
        .await
    }

    /// All that the platform has of one.
    async fn settle(&self, home: Arc<Home>) -> anyhow::Result<()> {
        let name = &home.name;
        for object in ground(name) {
            apply(&self.client, &object).await?;
        }
        let source = json!({"kind": "GitRepository", "name": name, "namespace": CONFIG});
        let rules = json!([
            {"resources": ["configmaps"], "labels": OURS, "syncTo": "git", "onDelete": "delete"},
        ]);
        for object in [
            json!({
                "apiVersion": SOURCE, "kind": "GitRepository", "metadata": {"name": name, "namespace": CONFIG},
                "spec": {"interval": "1h", "url": self.git.url(name), "ref": {"branch": "main"}},
            }),
            json!({
                "apiVersion": KUSTOMIZE, "kind": "Kustomization",
                "metadata": {
                    "name": name, "namespace": name, "annotations": {"reeve.dev/prune-budget": "100%"},
                },
                "spec": {
                    "interval": "1h", "path": "./app", "prune": true, "serviceAccountName": "flux",
                    "targetNamespace": name, "sourceRef": source,
                },
            }),
        ] {
            apply(&self.client, &object).await?;
        }
        let kustomizations = self.api(KUSTOMIZE, "Kustomization", Some(name));
        wait::within(PATIENCE, &kustomizations, name, "it is applied", ready).await?;
        apply(
            &self.client,
            &json!({
                "apiVersion": WRITEBACK, "kind": "WriteBack", "metadata": {"name": name, "namespace": name},
                "spec": {
                    "interval": "1h", "debounce": "100ms", "serviceAccountName": "flux", "rules": rules,
                    "sourceRef": source,
                    "newObjects": {"path": "made/{namespace}/{kind}.{group}-{name}.yaml"},
                },
            }),
        )
        .await
    }

    fn api(&self, version: &str, kind: &str, namespace: Option<&str>) -> Api<DynamicObject> {
        objects::api(self.client.clone(), version, kind, namespace)
    }

    /// How many changes a round brings.
    pub(super) fn changes(&self, round: usize) -> usize {
        let homes = self.homes.iter();
        let each = homes.map(|home| maps() + 1 + going(&home.name, round).len());
        each.sum()
    }

    /// Has somebody make a ConfigMap of each, and delete what was made the last time and what people have written to be deleted.
    async fn make_and_delete(&self, round: usize, ticks: &mut Interval) -> anyhow::Result<()> {
        for home in &self.homes {
            let api = self.api("v1", "ConfigMap", Some(&home.name));
            let made: DynamicObject = serde_json::from_value(json!({
                "apiVersion": "v1", "kind": "ConfigMap",
                "metadata": {"name": own(round), "namespace": home.name, "labels": {"town": "yes"}},
                "data": {"value": token(&home.name, round, maps())},
            }))?;
            ticks.tick().await;
            api.create(&PostParams::default(), &made).await?;
            let own = (round > 1).then(|| own(round - 1));
            let out = (round <= outs()).then(|| out(round));
            for name in own.into_iter().chain(out) {
                ticks.tick().await;
                api.delete(&name, &DeleteParams::default()).await?;
            }
        }
        Ok(())
    }

    /// Has somebody make, delete and change ConfigMaps, one after the other in so long.
    pub(super) async fn change(&self, round: usize, within: Duration) -> anyhow::Result<()> {
        let pause = within.div_f64(self.changes(round) as f64);
        let mut ticks = tokio::time::interval(pause.max(Duration::from_millis(1)));
        self.make_and_delete(round, &mut ticks).await?;
        let by = PatchParams {
            field_manager: Some("by-hand".to_owned()),
            ..PatchParams::default()
        };
        for map in 0..maps() {
            for home in &self.homes {
                ticks.tick().await;
                let change = json!({"data": {"value": token(&home.name, round, map)}});
                let api = self.api("v1", "ConfigMap", Some(&home.name));
                let name = format!("map-{map}");
                api.patch(&name, &by, &Patch::Merge(&change)).await?;
            }
        }
        Ok(())
    }

    /// Has the people of each push so often in so long; how often they were refused, since another was quicker.
    pub(super) async fn people(
        &self,
        round: usize,
        pushes: usize,
        within: Duration,
    ) -> anyhow::Result<usize> {
        let pause = within.div_f64(pushes.max(1) as f64);
        let (begun, number) = (Instant::now(), self.homes.len() as f64);
        let each = self.homes.iter().enumerate().map(async |(at, home)| {
            let first = begun + pause.mul_f64(at as f64 / number);
            let mut ticks = tokio::time::interval_at(first, pause);
            let mut refused = 0;
            for nth in 0..pushes {
                ticks.tick().await;
                let home = Arc::clone(home);
                refused += tokio::task::spawn_blocking(move || home.push(round, nth)).await??;
            }
            anyhow::Ok(refused)
        });
        let refused = futures::future::try_join_all(each).await?;
        Ok(refused.into_iter().sum())
    }

    /// Waits until all that a round brought is in git.
    pub(super) async fn arrive(&self, round: usize) -> anyhow::Result<()> {
        let deadline = Instant::now() + PATIENCE;
        let mut ticks = tokio::time::interval(Duration::from_millis(250));
        loop {
            ticks.tick().await;
            let missing = self.each_aside(move |home| home.missing(round)).await?;
            let missing: Vec<String> = missing.into_iter().flatten().collect();
            if missing.is_empty() {
                return Ok(());
            }
            if Instant::now() > deadline {
                let first = missing.iter().take(5).map(String::as_str);
                let first = first.collect::<Vec<_>>().join(", ");
                let told = self.told().await?;
                bail!(
                    "{} changes are not in git after {PATIENCE:?}: {first}; {told}",
                    missing.len()
                );
            }
        }
    }

    /// All are well, and have on the cluster what that round brought.
    pub(super) async fn stands(&self, round: usize) -> anyhow::Result<()> {
        self.until_all("WriteBack", WRITEBACK).await?;
        self.until_all("Kustomization", KUSTOMIZE).await?;
        let all = ListParams::default().labels(OURS);
        let maps = self.api("v1", "ConfigMap", None).list(&all).await?;
        let mut is: Vec<&str> = maps
            .iter()
            .filter_map(|map| objects::text(&map.data, "/data/value"))
            .collect();
        let homes = self.homes.iter();
        let left = outs().saturating_sub(round);
        let mut want: Vec<String> = homes
            .flat_map(|home| {
                let left = std::iter::repeat_n("start".to_owned(), left);
                tokens(&home.name, round).into_iter().chain(left)
            })
            .collect();
        is.sort_unstable();
        want.sort_unstable();
        ensure!(is == want, "the cluster has {is:?}, and not {want:?}");
        // What a server was asked is nobody's to remember for long.
        drop(self.git.seen());
        Ok(())
    }

    /// Looks through what has come into git since the last time; how many commits of ours there are.
    pub(super) async fn audit(&self, round: usize, pushes: usize) -> anyhow::Result<usize> {
        let ours = self
            .each(|home| async move {
                let mut seen = home.seen.lock().await;
                let (again, since) = (Arc::clone(&home), seen.clone());
                let looked = tokio::task::spawn_blocking(move || {
                    let want = tokens(&again.name, round);
                    let gone = going(&again.name, round).len();
                    ledger::look(&again.repo, &since, (&want, gone), (round, pushes))
                        .with_context(|| again.name.clone())
                });
                let looked = looked.await??;
                *seen = looked.head;
                Ok(looked.ours)
            })
            .await?;
        Ok(ours.into_iter().sum())
    }

    /// Waits until all objects of a kind say that they are well.
    async fn until_all(&self, kind: &str, version: &str) -> anyhow::Result<()> {
        let api = self.api(version, kind, None);
        wait::until(PATIENCE, &format!("each {kind} is Ready"), || async {
            let all = api.list(&ListParams::default()).await.ok()?;
            let is_all = all.items.len() == self.homes.len();
            (is_all && all.iter().all(ready)).then_some(())
        })
        .await
    }

    /// Waits until a WriteBack is told so; whose.
    pub(super) async fn until_somebody_is_told(&self, reason: &str) -> anyhow::Result<String> {
        let api = self.api(WRITEBACK, "WriteBack", None);
        wait::until(PATIENCE, &format!("somebody is told {reason}"), || async {
            let all = api.list(&ListParams::default()).await.ok()?;
            let is = |back: &&DynamicObject| {
                objects::condition(&back.data, "Ready").is_some_and(|it| it.reason == reason)
            };
            let found = all.iter().find(is)?;
            found.metadata.name.clone()
        })
        .await
    }

    /// What WriteBacks say that are not well.
    async fn told(&self) -> anyhow::Result<String> {
        let api = self.api(WRITEBACK, "WriteBack", None);
        let all = api.list(&ListParams::default()).await?;
        let unwell = all.iter().filter(|back| !ready(back));
        let told = unwell.map(|back| {
            let ready = objects::condition(&back.data, "Ready").unwrap_or_default();
            format!("{:?}: {}", back.metadata.name, ready.message)
        });
        Ok(told.collect::<Vec<_>>().join("\n"))
    }

    /// The hooks of all go by it from now on.
    pub(super) fn mark(&self, mark: Mark) -> anyhow::Result<()> {
        for home in &self.homes {
            fs::write(home.repo.bare().join(mark.file()), "")?;
        }
        Ok(())
    }

    /// They do not any more.
    pub(super) fn unmark(&self, mark: Mark) -> anyhow::Result<()> {
        for home in &self.homes {
            fs::remove_file(home.repo.bare().join(mark.file()))?;
        }
        Ok(())
    }

    /// In how many repositories a push is held.
    pub(super) fn held(&self) -> usize {
        let held = |home: &&Arc<Home>| home.repo.bare().join("held").exists();
        self.homes.iter().filter(held).count()
    }

    pub(super) async fn until_nobody_waits(&self) -> anyhow::Result<()> {
        wait::until(wait::PATIENCE, "nobody waits any more", || async {
            (self.held() == 0).then_some(())
        })
        .await
    }
}

impl Home {
    fn build(root: &Path, name: String) -> anyhow::Result<Self> {
        let repo = Repo::create(root, &name)?;
        for (key, value) in [
            ("http.receivepack", "true"),
            ("core.logAllRefUpdates", "always"),
            ("gc.auto", "0"),
            ("receive.autogc", "false"),
        ] {
            git(repo.bare(), ["config", key, value])?;
        }
        for (hook, text) in [("pre-receive", BEFORE), ("post-receive", AFTER)] {
            let path = repo.bare().join("hooks").join(hook);
            fs::create_dir_all(repo.bare().join("hooks"))?;
            fs::write(&path, text)?;
            fs::set_permissions(&path, fs::Permissions::from_mode(0o755))?;
        }
        let maps = (0..maps()).map(|map| format!("map-{map}"));
        for name in maps.chain((1..=outs()).map(out)) {
            repo.write(&format!("app/{name}.yaml"), manifest(&name))?;
        }
        let head = repo.publish_all("What there is at first")?;
        Ok(Self {
            name,
            repo,
            seen: Mutex::new(head),
        })
    }

    /// What of a round is not at the head, or is still there though it was deleted.
    fn missing(&self, round: usize) -> anyhow::Result<Vec<String>> {
        let found = git(self.repo.bare(), ["grep", "-h", "^  value: ", "main"])?;
        let there = |token: &String| found.lines().any(|line| line.ends_with(token.as_str()));
        let mut want = tokens(&self.name, round);
        want.retain(|token| !there(token));
        let files = git(self.repo.bare(), ["ls-tree", "-r", "--name-only", "main"])?;
        let files: Vec<&str> = files.lines().collect();
        let left = going(&self.name, round).into_iter();
        let left = left.filter(|file| files.contains(&file.as_str()));
        Ok(want.into_iter().chain(left).collect())
    }

    /// Somebody writes a note, and a comment into a file that is written back to, and pushes that on top of whatever came between;
    /// how often that was refused.
    fn push(&self, round: usize, nth: usize) -> anyhow::Result<usize> {
        let note = ledger::note(round, nth);
        let text = fs::read_to_string(self.repo.work().join("app/map-0.yaml"))?;
        let (_, rest) = text.split_once('\n').context("a comment")?;
        self.repo
            .write("app/map-0.yaml", format!("# notes: {note}\n{rest}"))?;
        self.repo.write(&format!("notes/{note}.txt"), "by hand\n")?;
        self.repo.commit(&note)?;
        let mut refused = 0;
        let to = ["push", "--quiet", "origin", "HEAD:main"];
        while let Err(why) = self.repo.run(to) {
            refused += 1;
            if refused > TRIES {
                return Err(why.context(format!("{} is never let in", self.name)));
            }
            self.repo
                .run(["pull", "--quiet", "--rebase", "origin", "main"])?;
        }
        Ok(refused)
    }
}

fn ready(object: &DynamicObject) -> bool {
    objects::condition(&object.data, "Ready").is_some_and(|ready| ready.status == "True")
}
