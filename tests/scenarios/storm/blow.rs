//! What befalls a push.
//!
//! Each blow is over when it says so, or lasts until everybody is there. One that did nothing is an error: it would prove
//! nothing.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use anyhow::ensure;
use jiff::{SignedDuration, Timestamp};
use kube::api::{Api, DeleteParams, DynamicObject};
use reeve_tests::dice::Dice;
use reeve_tests::wait;
use serde_json::Value;

use super::Storm;
use super::crowd::{TIDE, TIDES, name};
use super::ends::Excuse;

/// One of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Blow {
    /// Nothing at all.
    None,
    ControllerKilled,
    EtcdStopped,
    ApiServerRestarted,
    EachThirdRequestFails,
    WatchesCut,
    ClockJumps,
    DiskFull,
    NamespaceDeleted,
    KindRemoved,
}

/// For how long etcd is away.
const WITHOUT_ETCD: Duration = Duration::from_secs(10);
/// For how long the disk is full.
const FULL: Duration = Duration::from_secs(3);
/// For how long requests fail; in a soak until everybody is there, unless each takes longer than a client waits.
const FAILING: Duration = Duration::from_secs(8);
const FAILING_LONG: Duration = Duration::from_secs(90);
/// How far the clock jumps: further than any timeout or interval there is.
const JUMP: SignedDuration = SignedDuration::from_hours(2);
/// How long a request without an answer is held; and longer than a client waits.
const HELD: Duration = Duration::from_secs(2);
const HELD_LONG: Duration = Duration::from_secs(35);
/// How long a namespace may take to go.
const GOING: Duration = Duration::from_secs(120);

impl Blow {
    /// Strikes, and returns what need not be as it was before.
    pub(super) async fn strike(self, storm: &Storm, dice: &mut Dice) -> anyhow::Result<Excuse> {
        let mut excuse = Excuse::default();
        match self {
            Self::None => {}
            Self::ControllerKilled => {
                storm.controller.kill();
                storm.controller.restart().await?;
            }
            Self::EtcdStopped => {
                storm.plane.stop_etcd();
                pass(WITHOUT_ETCD).await;
                storm.plane.restart_etcd().await?;
            }
            Self::ApiServerRestarted => {
                storm.plane.stop_api();
                storm.plane.restart_api().await?;
            }
            Self::EachThirdRequestFails => {
                let long = super::is_soak() && dice.chance(20);
                let held = if long { HELD_LONG } else { HELD };
                storm.gate.fail_each_third(held);
                if long || !super::is_soak() {
                    pass(if long { FAILING_LONG } else { FAILING }).await;
                    storm.gate.let_all_through();
                }
            }
            Self::WatchesCut => {
                ensure!(storm.gate.cut_watches() > 0, "nothing was watched");
                for _ in 0..2 {
                    pass(up_to(Duration::from_secs(1), dice)).await;
                    storm.gate.cut_watches();
                }
            }
            Self::ClockJumps => {
                storm.skew.jump(JUMP)?;
                // Not for long: some of the push is still to be told when it goes back.
                pass(up_to(Duration::from_millis(300), dice)).await;
                storm.skew.jump(-JUMP)?;
            }
            Self::DiskFull => fill(storm).await?,
            Self::NamespaceDeleted => {
                let victim = dice.below(storm.crowd.number);
                delete_namespace(storm, victim).await?;
                excuse.tenants = BTreeSet::from([name(victim)]);
            }
            Self::KindRemoved => {
                let kinds = storm.crowd.kinds();
                kinds.delete(TIDES, &DeleteParams::default()).await?;
                until_gone(&kinds, TIDES).await?;
                pass(up_to(Duration::from_secs(2), dice)).await;
                storm.crowd.bring_kind().await?;
                excuse.kind = Some(TIDE.1);
            }
        }
        Ok(excuse)
    }

    /// Sees that it was felt, before it ends; `logged` is how long the log was before the push.
    pub(super) fn felt(self, storm: &Storm, logged: usize) -> anyhow::Result<()> {
        match self {
            Self::EachThirdRequestFails => {
                ensure!(storm.gate.failed() > 0, "no request failed");
            }
            Self::ClockJumps => {
                let behind = Timestamp::now().saturating_sub(JUMP / 2)?;
                let log = storm.controller.log()?;
                let new = log.get(logged..).unwrap_or_default().lines();
                let times = new.filter_map(|line| {
                    let line = serde_json::from_str::<Value>(line).ok()?;
                    line.get("ts")?.as_str()?.parse::<Timestamp>().ok()
                });
                let went_back = times.into_iter().any(|at| at < behind);
                ensure!(went_back, "the controller's time of day never went back");
            }
            _ => {}
        }
        Ok(())
    }

    /// Ends what lasts until everybody is there.
    pub(super) fn relent(self, storm: &Storm) -> anyhow::Result<()> {
        match self {
            Self::EachThirdRequestFails => storm.gate.let_all_through(),
            Self::ClockJumps => storm.skew.jump(SignedDuration::ZERO)?,
            _ => {}
        }
        Ok(())
    }
}

/// A part of that time.
fn up_to(time: Duration, dice: &mut Dice) -> Duration {
    time.mul_f64(dice.share())
}

/// Lets so much time pass: that is what is asked for.
pub(super) async fn pass(time: Duration) {
    let mut window = tokio::time::interval(time.max(Duration::from_millis(1)));
    window.tick().await;
    window.tick().await;
}

async fn fill(storm: &Storm) -> anyhow::Result<()> {
    let Some(disk) = &storm.disk else {
        return Ok(());
    };
    ensure!(disk.fill()? > 0, "the disk was full already");
    pass(FULL).await;
    disk.empty()
}

/// The whole tenant goes, whatever is being applied, and comes back.
async fn delete_namespace(storm: &Storm, victim: usize) -> anyhow::Result<()> {
    let (crowd, namespaces) = (&storm.crowd, storm.crowd.namespaces());
    let how = DeleteParams::default();
    namespaces.delete(&name(victim), &how).await?;
    until_gone(&namespaces, &name(victim)).await?;
    crowd.settle(victim).await?;
    crowd.onboard(victim).await
}

async fn until_gone(api: &Api<DynamicObject>, name: &str) -> anyhow::Result<()> {
    let begun = Instant::now();
    let what = format!("{name} is gone");
    let gone = wait::until(GOING, &what, || async {
        matches!(api.get_opt(name).await, Ok(None)).then_some(())
    });
    gone.await
        .map_err(|why| why.context(format!("{:?} after its deletion", begun.elapsed())))
}
