//! Many changes on the cluster at once, which are written back to many repositories that people push to as well; and everything that
//! goes wrong around it.
//!
//! Fields are changed, objects are made that get files of their own, and such and others are deleted. At the end of each round every
//! change is in git exactly once, nothing else is, no commit of anybody's is lost, history is one line on which nobody has gone back,
//! and nothing on the cluster was put right. There are two replicas, of which one leads. Six
//! tenants with six changes each, and each blow strikes once; with `REEVE_SOAK` fifty with thirteen, 20 times (`REEVE_ROUNDS`). Each
//! round has a line in `target/storm.tsv`, as those of the storm have.

mod blow;
mod ledger;
mod town;

use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use reeve_tests::controller::Controller;
use reeve_tests::dice::Dice;
use reeve_tests::{Plane, install, scenario};
use tokio::sync::Mutex;

use super::{is_soak, leaders, record};
use blow::Blow;
use town::Town;

/// Over how long the changes of a round are spread.
fn spread() -> Duration {
    Duration::from_secs(if is_soak() { 20 } else { 4 })
}

/// How many tenants there are.
fn number() -> usize {
    if is_soak() { 50 } else { 6 }
}

/// Two replicas, their tenants, and how far these are.
struct Squall {
    replicas: [Controller; 2],
    town: Town,
    round: usize,
    _plane: Plane,
}

/// The one that is kept; gone after a failure, which may have left anything behind.
static SQUALL: Mutex<Option<Squall>> = Mutex::const_new(None);

impl Squall {
    async fn begin() -> anyhow::Result<Self> {
        let plane = Plane::start().await?;
        install::install(&plane).await?;
        let replicas = [
            Controller::start_as("reeve", &plane, &[]).await?,
            Controller::start_as("reeve-other", &plane, &[]).await?,
        ];
        leaders::leader(&replicas).await?;
        let town = Town::build(&plane, number()).await?;
        let mut squall = Self {
            replicas,
            town,
            round: 0,
            _plane: plane,
        };
        let none = &mut Dice::new(0);
        let calm = squall.play(Blow::None, none).await;
        calm.context("a round in which nothing happens")?;
        Ok(squall)
    }

    /// One round, and what is to be told of it.
    async fn play(&mut self, blow: Blow, dice: &mut Dice) -> anyhow::Result<String> {
        self.round += 1;
        let begun = Instant::now();
        let changes = self.town.change(self.round, spread());
        let people = self.town.people(self.round, blow.pushes(), spread());
        let (changed, refused, felt) = tokio::join!(changes, people, blow.strike(self, dice));
        let felt = felt.context("the blow")?;
        let refused = refused.context("what people push")?;
        changed.context("the changes")?;
        self.town.arrive(self.round).await?;
        let took = begun.elapsed();
        self.town.stands(self.round).await?;
        let ours = self.town.audit(self.round, blow.pushes()).await?;
        let pushes = blow.pushes() * number();
        ensure!(
            blow != Blow::People || refused > 0,
            "nobody was ever in the way of another"
        );
        let changes = self.town.changes(self.round);
        Ok(format!(
            "{felt}{changes} changes in {ours} commits, beside {pushes} of people, who were refused {refused} times; all there after {took:.1?}"
        ))
    }
}

/// Has one blow strike as often as is asked for.
fn strikes(blow: Blow) {
    scenario(async move {
        let mut turn = SQUALL.lock().await;
        let name = format!("WriteBack{blow:?}");
        record::rounds(&name, number(), async |seed| {
            once(&mut turn, blow, seed).await.map(Some)
        })
        .await
    });
}

/// One round of the town that is kept, or of another one; it goes with a round that fails.
async fn once(turn: &mut Option<Squall>, blow: Blow, seed: u64) -> anyhow::Result<String> {
    let mut squall = match turn.take() {
        Some(squall) => squall,
        None => Squall::begin().await.context("before the blow")?,
    };
    let how = squall.play(blow, &mut Dice::new(seed)).await?;
    *turn = Some(squall);
    Ok(how)
}

#[test]
fn a_controller_killed_before_its_push_has_each_change_written_once() {
    strikes(Blow::KilledBefore);
}

#[test]
fn a_controller_killed_after_its_push_and_before_it_says_so_has_each_change_written_once() {
    strikes(Blow::KilledAfter);
}

#[test]
fn a_remote_that_rejects_for_a_while_is_given_each_change_once() {
    strikes(Blow::Rejected);
}

#[test]
fn a_slow_remote_is_given_each_change_once() {
    strikes(Blow::Slow);
}

#[test]
fn a_leader_that_stops_in_its_push_and_wakes_when_another_leads_has_each_change_written_once() {
    strikes(Blow::Zombie);
}

#[test]
fn people_who_push_all_the_while_lose_nothing_by_what_is_written_back() {
    strikes(Blow::People);
}
