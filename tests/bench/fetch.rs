//! A fetch beside `git fetch`: the same commits of the same repositories from the same server over http, by turns.
//!
//! Theirs is `git fetch --depth=1` into a bare repository, which is what a mirror of ours is; ours lists the commit's files
//! too. First fetches begin with nothing each time, further ones with what the one before has left, after one file was
//! changed. A poll is one before which nothing was changed: ours ends when the reference is where it was, as a source's run
//! does. The requests that the server saw are counted.

use std::io::Write as _;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use rand::Rng as _;
use reeve::git::{
    Content, Egress, KnownHosts, Limits, Mirrors, Remote, credential, fetch, resolve,
};
use reeve_api::name::RemoteUrl;
use reeve_core::artifact::Revision;
use reeve_core::source::Reference;
use reeve_tests::git::{HttpServer, Repo, Served, git};

use crate::spread::Spread;

/// What one fetch may take.
const PATIENCE: Duration = Duration::from_secs(600);
/// The goal: at most so much longer than git takes.
const GOAL: f64 = 1.2;

/// A repository.
struct Size {
    name: &'static str,
    files: usize,
    /// Of each file, and none of it can be compressed.
    bytes: usize,
    rounds: usize,
}

const SIZES: [Size; 3] = [
    Size {
        name: "1 MB",
        files: 100,
        bytes: 10 << 10,
        rounds: 15,
    },
    Size {
        name: "100 MB",
        files: 100,
        bytes: 1 << 20,
        rounds: 5,
    },
    Size {
        name: "50,000 files",
        files: 50_000,
        bytes: 200,
        rounds: 5,
    },
];

pub(crate) async fn bench() -> anyhow::Result<()> {
    say(&format!(
        "| fetch beside `git fetch --depth=1` | ours p50 | theirs p50 | ratio (goal {GOAL}) | requests, ours and theirs |\n|---|---|---|---|---|"
    ))?;
    for size in &SIZES {
        compare(size).await?;
    }
    Ok(())
}

async fn compare(size: &Size) -> anyhow::Result<()> {
    let served = tempfile::tempdir()?;
    let repo = fill(served.path(), size)?;
    let server = HttpServer::start(served.path(), Served::default()).await?;
    let url = server.url("bench.git");
    let mut first = Pair::new(&server);
    for round in 0..size.rounds {
        let (mut ours, theirs) = (Ours::new(&url)?, Theirs::new(&url)?);
        first.round(round, &mut ours, &theirs).await?;
    }
    first.tell(&format!("{}, first", size.name))?;
    let (mut ours, theirs) = (Ours::new(&url)?, Theirs::new(&url)?);
    let (mut further, mut polls) = (Pair::new(&server), Pair::new(&server));
    Pair::new(&server).round(0, &mut ours, &theirs).await?;
    for round in 0..size.rounds {
        repo.publish("changed.yaml", format!("round: {round}\n"))?;
        further.round(round, &mut ours, &theirs).await?;
        polls.round(round, &mut ours, &theirs).await?;
    }
    further.tell(&format!("{}, one file changed", size.name))?;
    polls.tell(&format!("{}, nothing changed", size.name))
}

/// A repository of that size, as one commit.
fn fill(root: &Path, size: &Size) -> anyhow::Result<Repo> {
    let repo = Repo::create(root, "bench.git")?;
    let mut content = vec![0; size.bytes];
    for number in 0..size.files {
        rand::rng().fill_bytes(&mut content);
        repo.write(&format!("d{}/f{number}.bin", number / 250), &content)?;
    }
    repo.publish("changed.yaml", "round: none\n")?;
    Ok(repo)
}

/// Times of both, and the requests of the last round.
struct Pair<'a> {
    server: &'a HttpServer,
    ours: Vec<Duration>,
    theirs: Vec<Duration>,
    requests: (usize, usize),
}

impl<'a> Pair<'a> {
    fn new(server: &'a HttpServer) -> Self {
        Self {
            server,
            ours: Vec::new(),
            theirs: Vec::new(),
            requests: (0, 0),
        }
    }

    /// Each goes first as often as the other.
    async fn round(
        &mut self,
        round: usize,
        ours: &mut Ours,
        theirs: &Theirs,
    ) -> anyhow::Result<()> {
        let is_odd = round % 2 == 1;
        if is_odd {
            self.theirs(theirs)?;
        }
        drop(self.server.seen());
        let begun = Instant::now();
        ours.fetch().await?;
        self.ours.push(begun.elapsed());
        self.requests.0 = self.server.seen().len();
        if !is_odd {
            self.theirs(theirs)?;
        }
        Ok(())
    }

    fn theirs(&mut self, theirs: &Theirs) -> anyhow::Result<()> {
        drop(self.server.seen());
        let begun = Instant::now();
        // The server answers on other threads of the runtime.
        tokio::task::block_in_place(|| theirs.fetch())?;
        self.theirs.push(begun.elapsed());
        self.requests.1 = self.server.seen().len();
        Ok(())
    }

    fn tell(self, name: &str) -> anyhow::Result<()> {
        let (ours, theirs) = (Spread::of(self.ours).p50, Spread::of(self.theirs).p50);
        let ratio = ours.as_secs_f64() / theirs.as_secs_f64();
        let (mine, others) = self.requests;
        let ms = |time: Duration| format!("{:.1} ms", time.as_secs_f64() * 1000.0);
        let (ours, theirs) = (ms(ours), ms(theirs));
        say(&format!(
            "| {name} | {ours} | {theirs} | {ratio:.2} | {mine}, {others} |"
        ))?;
        Ok(())
    }
}

struct Ours {
    _kept: tempfile::TempDir,
    mirrors: Mirrors,
    remote: Arc<Remote>,
    limits: Limits,
    /// Which revision was fetched last.
    had: Option<Revision>,
}

impl Ours {
    fn new(url: &str) -> anyhow::Result<Self> {
        let kept = tempfile::tempdir()?;
        let url: RemoteUrl = url.parse()?;
        let nothing = credential::Data::new();
        let (credential, tls) = credential::from_secret(&url, &nothing, &KnownHosts::default())?;
        let remote = Arc::new(Remote {
            url,
            credential,
            tls,
            proxy: None,
            egress: Arc::new(Egress::new(vec!["127.0.0.0/8".parse()?])),
        });
        Ok(Self {
            mirrors: Mirrors::open(kept.path(), 4)?,
            _kept: kept,
            remote,
            limits: Limits::default(),
            had: None,
        })
    }

    /// What a source does: where is the branch, and what are its files.
    async fn fetch(&mut self) -> anyhow::Result<()> {
        let (mirrors, remote, limits) = (&self.mirrors, &self.remote, &self.limits);
        let deadline = Instant::now() + PATIENCE;
        let main = Reference::Branch("main".to_owned());
        let found = resolve(mirrors, remote, &main, deadline, limits).await?;
        let revision = Some(found.revision().clone());
        if self.had == revision {
            return Ok(());
        }
        let content = Content {
            ignore: Some(String::new()),
            ..Content::default()
        };
        let snapshot = fetch(mirrors, remote, found, content, deadline, limits).await?;
        ensure!(snapshot.entries().count() > 1, "nothing came");
        self.had = revision;
        Ok(())
    }
}

struct Theirs {
    bare: tempfile::TempDir,
    url: String,
}

impl Theirs {
    fn new(url: &str) -> anyhow::Result<Self> {
        let bare = tempfile::tempdir()?;
        git(bare.path(), ["init", "--quiet", "--bare"])?;
        let url = url.to_owned();
        Ok(Self { bare, url })
    }

    fn fetch(&self) -> anyhow::Result<()> {
        let refs = "+refs/heads/main:refs/heads/main";
        let args = [
            "fetch",
            "--quiet",
            "--no-tags",
            "--depth=1",
            &self.url,
            refs,
        ];
        git(self.bare.path(), args).context("git fetch")?;
        Ok(())
    }
}

fn say(line: &str) -> std::io::Result<()> {
    writeln!(std::io::stdout().lock(), "{line}")
}
