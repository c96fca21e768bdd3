//! What befalls what is written back.
//!
//! The moments before and after a push are held open by hooks of the server (`town`), so that a blow strikes in them and not
//! somewhere near. One that did nothing is an error: it would prove nothing.

use std::time::Duration;

use anyhow::ensure;
use reeve_tests::dice::Dice;
use reeve_tests::git::Fault;
use reeve_tests::wait;

use super::super::{blow::pass, leaders};
use super::town::Mark;
use super::{Squall, spread};

/// One of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Blow {
    /// Nothing at all.
    None,
    /// Who leads is killed when the server has all of a commit, and has not taken it; nor does it then.
    KilledBefore,
    /// Who leads is killed when the server has taken a commit, and has not said so.
    KilledAfter,
    /// The server declines whatever is pushed.
    Rejected,
    /// Each answer of the server takes long.
    Slow,
    /// Who leads does nothing for a while, in the middle of a push, and does not know of it.
    Zombie,
    /// People push without a pause.
    People,
}

/// How long each answer takes.
const LATE: Duration = Duration::from_secs(1);
/// For how long a blow that lasts goes on at most once it was felt.
const LONGER: Duration = Duration::from_secs(2);
/// How long it may take until another leads, and until a blow is felt.
const PATIENCE: Duration = Duration::from_secs(90);

impl Blow {
    /// How often the people of each tenant push.
    pub(super) fn pushes(self) -> usize {
        match self {
            Self::People => 8,
            _ => 2,
        }
    }

    /// Strikes, and is over when it returns: what is to be told of it.
    pub(super) async fn strike(self, squall: &Squall, dice: &mut Dice) -> anyhow::Result<String> {
        let town = &squall.town;
        match self {
            Self::None | Self::People => Ok(String::new()),
            Self::KilledBefore => {
                let leader = held(squall, Mark::HoldBefore, dice).await?;
                squall.replicas[leader].kill();
                let held = town.held();
                town.mark(Mark::Refuse)?;
                town.unmark(Mark::HoldBefore)?;
                // Who waits at the server goes away with nothing done.
                town.until_nobody_waits().await?;
                town.unmark(Mark::Refuse)?;
                squall.replicas[leader].restart().await?;
                Ok(format!("killed with {held} pushes under way; "))
            }
            Self::KilledAfter => {
                let leader = held(squall, Mark::HoldAfter, dice).await?;
                let held = town.held();
                squall.replicas[leader].kill();
                town.unmark(Mark::HoldAfter)?;
                squall.replicas[leader].restart().await?;
                Ok(format!("killed with {held} commits taken; "))
            }
            Self::Rejected => {
                pass(spread().mul_f64(dice.share() / 2.0)).await;
                town.mark(Mark::Refuse)?;
                let rejected = town.until_somebody_is_told("PushRejected").await?;
                pass(LONGER.mul_f64(dice.share())).await;
                town.unmark(Mark::Refuse)?;
                Ok(format!("{rejected} was told first; "))
            }
            Self::Slow => {
                pass(spread().mul_f64(dice.share() / 2.0)).await;
                town.git.fault(Fault::Slow(LATE));
                drop(town.git.seen());
                wait::until(PATIENCE, "a push that is late", || async {
                    let mut seen = town.git.seen().into_iter();
                    let pushed = |path: &str| path.ends_with("/git-receive-pack");
                    seen.any(|one| pushed(&one.path)).then_some(())
                })
                .await?;
                pass(LONGER.mul_f64(dice.share())).await;
                town.git.fault(Fault::None);
                Ok(String::new())
            }
            Self::Zombie => stopped(squall, dice).await,
        }
    }
}

/// Stops who leads in the middle of a push, until another has led for a while.
async fn stopped(squall: &Squall, dice: &mut Dice) -> anyhow::Result<String> {
    let leader = held(squall, Mark::HoldBefore, dice).await?;
    squall.replicas[leader].pause();
    let held = squall.town.held();
    squall.town.unmark(Mark::HoldBefore)?;
    let other = &squall.replicas[1 - leader];
    let follows = wait::until(PATIENCE, "the other leads", || async {
        leaders::leads(other).await.then_some(())
    });
    let follows = follows.await;
    if follows.is_ok() {
        pass(LONGER.mul_f64(dice.share())).await;
    }
    squall.replicas[leader].resume();
    follows?;
    Ok(format!("stopped with {held} pushes under way; "))
}

/// Waits until somebody's push is held there, and a little for others; who leads.
async fn held(squall: &Squall, at: Mark, dice: &mut Dice) -> anyhow::Result<usize> {
    let town = &squall.town;
    let leader = leaders::leader(&squall.replicas).await?;
    town.mark(at)?;
    wait::until(PATIENCE, "a push is held", || async {
        (town.held() > 0).then_some(())
    })
    .await?;
    pass(Duration::from_secs(1).mul_f64(dice.share())).await;
    ensure!(town.held() > 0, "nothing is held any more");
    Ok(leader)
}
