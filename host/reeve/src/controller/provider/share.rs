//! How often a tenant has a forge asked with a login that others have too, and has a key made anew.
//!
//! A forge counts what a login asks, and turns all away who have it once that is too much: GitHub 5,000 requests an hour and 900 a
//! minute, or 500 things made an hour. So each tenant has a share: as much at once as a Receiver of the most repositories needs,
//! and from then on a task every two seconds, which is what 500 repositories want that are looked at every half an hour, with
//! room to spare. What is taken away is never waited for, since objects go only after it. What it deliberately doesn't: count
//! requests, which a provider makes one to three of for a task, or the platform's own.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use reeve_api::name::NamespacedName;
use reeve_api::reason::Reason;
use reeve_core::failure::{Explained, Turn};
use reeve_core::webhook::{Allowance, Rates};

use crate::forge::words::Task;

/// The tasks of one tenant with one login.
const TASKS: Allowance = Allowance {
    burst: 300.0,
    each_second: 0.5,
};
/// The keys that are made anew for one object: some at once for whoever tries it out, then one every ten minutes.
const ROTATIONS: Allowance = Allowance {
    burst: 6.0,
    each_second: 1.0 / 600.0,
};
/// How many are told apart.
const MOST: usize = 4096;

/// What tenants have used of their shares.
pub(crate) struct Shares {
    /// By tenant, and the entry that the login is from.
    tasks: Mutex<Rates<(String, String)>>,
    rotations: Mutex<Rates<NamespacedName>>,
}

impl Shares {
    /// Nobody has used anything.
    pub(crate) fn new(now: Instant) -> Self {
        Self {
            tasks: Mutex::new(Rates::new(TASKS, MOST, now)),
            rotations: Mutex::new(Rates::new(ROTATIONS, MOST, now)),
        }
    }

    /// Takes a task from a tenant's share of a login; why not, if it has used that up.
    pub(super) fn take(
        &self,
        (tenant, from): (&str, &str),
        task: &Task,
        now: Instant,
    ) -> Result<(), Explained> {
        if takes_away(task) {
            return Ok(());
        }
        let who = (tenant.to_owned(), from.to_owned());
        taken(&self.tasks, who, now).map_err(|wait| {
            let message = format!(
                "{tenant} has had the forge asked more often with {from} than is its share: it goes on in {} s",
                seconds(wait)
            );
            Explained::new(Reason::PluginFailed, Turn::Later(wait), message)
        })
    }

    /// Lets another key be made for an object; why not, if that was so often of late.
    pub(in crate::controller) fn rotate(
        &self,
        id: &NamespacedName,
        now: Instant,
    ) -> Result<(), Explained> {
        taken(&self.rotations, id.clone(), now).map_err(|wait| {
            let message = format!(
                "its key was made anew so often that the next is made in {} s",
                seconds(wait)
            );
            Explained::new(Reason::PluginFailed, Turn::Later(wait), message)
        })
    }
}

fn takes_away(task: &Task) -> bool {
    match task {
        Task::DeployKeyAbsent(_) | Task::WebhookAbsent(_) | Task::PullRequestAbsent(_) => true,
        Task::GitCredential(_)
        | Task::DeployKeyPresent(_)
        | Task::WebhookPresent(_)
        | Task::WebhookCheck(_)
        | Task::CommitStatus(_)
        | Task::PullRequest(_)
        | Task::PullRequestsOpen(_)
        | Task::CommentPresent(_)
        | Task::DeployKeysTitled(_) => false,
    }
}

fn taken<K: Ord>(of: &Mutex<Rates<K>>, who: K, now: Instant) -> Result<(), Duration> {
    // A panic under the lock leaves a count behind that is off by one.
    let mut rates = of.lock().unwrap_or_else(PoisonError::into_inner);
    rates.take(who, now)
}

fn seconds(wait: Duration) -> u64 {
    wait.as_secs() + u64::from(wait.subsec_nanos() > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOGIN: &str = "gitHubAuths[0] (acme/*) of global";

    /// How many tasks of these a tenant has done in so many seconds, which it wants done without end.
    fn done(shares: &Shares, tenant: &str, task: &Task, begun: Instant, time: u64) -> usize {
        let tried = (0..time * 10).filter(|tenth| {
            let now = begun + Duration::from_millis(tenth * 100);
            shares.take((tenant, LOGIN), task, now).is_ok()
        });
        tried.count()
    }

    #[test]
    fn a_tenant_that_asks_without_end_leaves_a_forges_limits_to_the_others() {
        let begun = Instant::now();
        let shares = Shares::new(begun);
        let look = Task::WebhookCheck("https://hooks.example/hook/0".to_owned());
        let minute = done(&shares, "evil", &look, begun, 60);
        assert!((300..=331).contains(&minute), "{minute}");
        let hour = done(&shares, "evil", &look, begun, 3600);
        assert!(minute + hour < 2_200, "{hour}");
        let now = begun + Duration::from_secs(3600);
        let take = |_| shares.take(("evil", LOGIN), &look, now).err();
        let why = (0..2).find_map(take).unwrap();
        assert!(matches!(why.turn, Turn::Later(_)), "{why:?}");
        // All others have theirs, and so has whoever is let in by something else.
        assert!(shares.take(("acme", LOGIN), &look, now).is_ok());
        assert!(shares.take(("evil", "another"), &look, now).is_ok());
        let gone = Task::WebhookAbsent("https://hooks.example/hook/0".to_owned());
        assert_eq!(
            done(&shares, "evil", &gone, now, 1),
            10,
            "nothing is left behind"
        );
    }

    #[test]
    fn a_key_is_made_anew_some_times_at_once_and_seldom_from_then_on() {
        let begun = Instant::now();
        let shares = Shares::new(begun);
        let id: NamespacedName = "acme/shop".parse().unwrap();
        let made = (0..3600).filter(|second| {
            let now = begun + Duration::from_secs(*second);
            shares.rotate(&id, now).is_ok()
        });
        assert!((11..=12).contains(&made.count()));
        let other: NamespacedName = "acme/web".parse().unwrap();
        assert!(shares.rotate(&other, begun).is_ok());
    }
}
