//! A push to many tenants at once, and everything that goes wrong around it: each at a random moment of the push, and the end
//! is that of a push to which nothing happened.
//!
//! Nothing is lost, nothing that git still has is pruned or made anew, and each hook is made once. One plane is kept for all of
//! it, and its controller reaches the API server through a gate that can fail. Each blow strikes once, twelve tenants; with
//! `REEVE_SOAK` 20 times (`REEVE_ROUNDS`), and fifty. Each round has a seed of its own, and a line in `target/storm.tsv`
//! (`record.rs`); `REEVE_SEED` repeats the moments of one. A round that fails does not keep the next from being played.

mod back;
mod blow;
mod crowd;
mod ends;
mod leaders;
mod record;
mod tally;

use std::time::{Duration, Instant};

use anyhow::Context as _;
use reeve_tests::controller::{Controller, Surroundings};
use reeve_tests::dice::Dice;
use reeve_tests::disk::Disk;
use reeve_tests::gate::Gate;
use reeve_tests::skew::Skew;
use reeve_tests::{Plane, install, scenario, wait};
use tokio::sync::Mutex;

use blow::Blow;
use crowd::Crowd;
use ends::Ends;
use tally::Tally;

/// Room for the mirrors and archives of all.
const DISK: u64 = 64 << 20;

/// Everything a push needs, and how the last one ended.
struct Storm {
    controller: Controller,
    gate: Gate,
    skew: Skew,
    /// None where the machine lets nobody mount one.
    disk: Option<Disk>,
    crowd: Crowd,
    tally: Tally,
    /// How long a push takes to which nothing happens.
    length: Duration,
    version: usize,
    /// How such a push ends.
    want: Ends,
    /// How the last one ended.
    last: Ends,
    plane: Plane,
}

/// What became of a push.
struct Pushed {
    ends: Ends,
    /// How many were not there yet when the blow struck.
    behind: usize,
    /// How long it took until all were there.
    took: Duration,
}

/// The one that is kept; gone after a failure, which may have left anything behind.
static STORM: Mutex<Option<Storm>> = Mutex::const_new(None);

fn is_soak() -> bool {
    std::env::var_os("REEVE_SOAK").is_some()
}

/// How many tenants there are.
fn number() -> usize {
    if is_soak() { 50 } else { 12 }
}

/// A number that the environment sets.
fn set(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

impl Storm {
    /// Brings everybody in, and pushes once without any blow: that is what every other push is compared with.
    async fn begin() -> anyhow::Result<Self> {
        let plane = Plane::start_audited().await?;
        install::install(&plane).await?;
        let gate = Gate::open(&plane).await?;
        let skew = Skew::new(&plane.room("skew")?)?;
        let disk = match Disk::mount(&plane, "small-disk", DISK).await {
            Ok(disk) => Some(disk),
            Err(why) => {
                eprintln!("SKIPPED: a full disk: {why:#}");
                None
            }
        };
        let around = Surroundings {
            server: Some(gate.url()),
            storage: disk.as_ref().map(|disk| disk.path().join("storage")),
            through: match &disk {
                Some(disk) => disk.through()?,
                None => Vec::new(),
            },
            env: skew.env(),
            program: None,
        };
        let flags = ["--leader-elect=false"];
        let controller = Controller::start_in(around, "reeve", &plane, &flags).await?;
        let crowd = Crowd::new(&plane, number()).await?;
        let heads = crowd.commits(0).await?;
        crowd.onboard_all().await?;
        crowd.arrive(&heads).await.context("bringing them in")?;
        let mut storm = Self {
            controller,
            gate,
            skew,
            disk,
            last: Ends::look(&crowd, 0, &heads).await?,
            crowd,
            tally: Tally::new(plane.audit()),
            length: Duration::ZERO,
            version: 0,
            want: Ends::default(),
            plane,
        };
        storm.tally.since()?;
        storm.calm().await.context("a push without a blow")?;
        Ok(storm)
    }

    /// A push to which nothing happens.
    async fn calm(&mut self) -> anyhow::Result<()> {
        let none = &mut Dice::new(0);
        let pushed = self.push(Blow::None, Duration::ZERO, none).await?;
        self.length = pushed.took;
        self.last = pushed.ends.clone();
        self.want = pushed.ends;
        Ok(())
    }

    /// A push, and a blow that long after its beginning.
    async fn push(
        &mut self,
        blow: Blow,
        moment: Duration,
        dice: &mut Dice,
    ) -> anyhow::Result<Pushed> {
        self.version += 1;
        let heads = self.crowd.commits(self.version).await?;
        let logged = self.controller.log()?.len();
        let begun = Instant::now();
        self.crowd.call(&self.controller).await?;
        blow::pass(moment).await;
        let behind = self.crowd.behind(&heads).await?.len();
        let excuse = blow.strike(self, dice).await?;
        let arrived = self.crowd.arrive(&heads).await;
        let took = begun.elapsed();
        if behind > 0 {
            blow.felt(self, logged)?;
        }
        blow.relent(self)?;
        arrived?;
        let now = self.settled(&heads).await?;
        let jobs = self.tally.since()?;
        now.stayed(&self.last, &excuse)?;
        tally::ran_once(self.crowd.number, jobs, (&self.last, &now), &excuse)?;
        Ok(Pushed {
            ends: now,
            behind,
            took,
        })
    }

    /// How it ended: as the push without a blow, or as it still is when there was time to come to an end. Who was told of
    /// again, after a restart say, is under way for a moment more.
    async fn settled(&self, heads: &[String]) -> anyhow::Result<Ends> {
        let deadline = Instant::now() + wait::PATIENCE;
        let mut ticks = tokio::time::interval(Duration::from_millis(250));
        loop {
            ticks.tick().await;
            let now = Ends::look(&self.crowd, self.version, heads).await?;
            let is_settled = self.want.is_nothing() || now.are(&self.want).is_ok();
            if is_settled || Instant::now() > deadline {
                return Ok(now);
            }
        }
    }

    /// One push with a blow at a random moment, compared with the one without.
    async fn round(&mut self, blow: Blow, dice: &mut Dice) -> anyhow::Result<String> {
        let moment = self.length.mul_f64(dice.share());
        let Pushed { ends, behind, took } = self.push(blow, moment, dice).await?;
        ends.are(&self.want)?;
        self.last = ends;
        let (length, number) = (self.length, self.crowd.number);
        Ok(format!(
            "after {moment:.1?} of {length:.1?}, {behind} of {number} not there yet; all there after {took:.1?}"
        ))
    }

    /// What the log says last about who is named first in a failure, and how the API server has its Jobs: who waits for one
    /// that has not ended is not to blame.
    async fn about(&self, why: &str) -> String {
        let name = why.find("storm-");
        let name = name.and_then(|at| why.get(at..at + "storm-00".len()));
        let Some(name) = name else {
            return String::new();
        };
        let log = self.controller.log().unwrap_or_default();
        let about: Vec<&str> = log.lines().filter(|line| line.contains(name)).collect();
        let from = about.len().saturating_sub(12);
        let about = about.get(from..).unwrap_or_default().join("\n");
        format!("{}\n{about}", self.crowd.jobs_of(name).await)
    }
}

/// Has one blow strike as often as is asked for.
fn strikes(blow: Blow) {
    scenario(async move {
        let mut turn = STORM.lock().await;
        let name = format!("{blow:?}");
        record::rounds(&name, number(), async |seed| {
            play(&mut turn, blow, seed).await
        })
        .await
    });
}

/// One round of the storm that is kept, or of another one; None: this machine cannot play it. A storm goes with a round that
/// fails.
async fn play(turn: &mut Option<Storm>, blow: Blow, seed: u64) -> anyhow::Result<Option<String>> {
    let mut storm = match turn.take() {
        Some(storm) => storm,
        None => Storm::begin().await.context("before the blow")?,
    };
    if blow == Blow::DiskFull && storm.disk.is_none() {
        *turn = Some(storm);
        return Ok(None);
    }
    match storm.round(blow, &mut Dice::new(seed)).await {
        Ok(how) => {
            *turn = Some(storm);
            Ok(Some(how))
        }
        Err(why) => {
            let about = storm.about(&format!("{why:#}")).await;
            Err(why.context(about))
        }
    }
}

#[test]
fn a_controller_killed_in_a_push_to_many_ends_as_if_it_had_not_been() {
    strikes(Blow::ControllerKilled);
}

#[test]
fn ten_seconds_without_etcd_in_a_push_to_many_change_nothing_of_its_end() {
    strikes(Blow::EtcdStopped);
}

#[test]
fn an_api_server_restarted_in_a_push_to_many_changes_nothing_of_its_end() {
    strikes(Blow::ApiServerRestarted);
}

#[test]
fn a_push_to_many_of_which_each_third_request_fails_ends_as_one_of_which_none_does() {
    strikes(Blow::EachThirdRequestFails);
}

#[test]
fn watches_cut_in_a_push_to_many_change_nothing_of_its_end() {
    strikes(Blow::WatchesCut);
}

#[test]
fn a_clock_that_jumps_in_a_push_to_many_changes_nothing_of_its_end() {
    strikes(Blow::ClockJumps);
}

#[test]
fn a_disk_that_is_full_for_a_while_in_a_push_to_many_changes_nothing_of_its_end() {
    strikes(Blow::DiskFull);
}

#[test]
fn a_namespace_deleted_in_a_push_to_many_costs_nobody_else_anything_and_comes_back_whole() {
    strikes(Blow::NamespaceDeleted);
}

#[test]
fn a_kind_removed_in_a_push_to_many_is_made_good_when_it_returns() {
    strikes(Blow::KindRemoved);
}
