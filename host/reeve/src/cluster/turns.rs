//! Turns at the API server: so many requests under way at once, and of one account no more than its share of them.
//!
//! Each request needs a connection of its own, and more of them than the API server has processors only wait there. What is
//! free goes to the account that has the least of its share. A request that takes long gives its turn back, since the API
//! server waits for somebody else then, and counts only against its own account from there on: so an account whose requests
//! hang, behind a webhook that never answers, holds up itself. It deliberately refuses nobody: who has waited for a moment
//! goes all the same. Whom the API server itself asks to wait is [`throttle`](super::throttle)'s.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use http::HeaderValue;
use tokio::sync::oneshot;

/// How many requests are under way at once, as a rule.
const AT_ONCE: usize = 32;
/// How many of them are of one account at most: as many objects as a run compares at a time.
const OF_ONE: usize = 8;
/// How many are the controller's own: statuses, finalizers and Events are everybody's.
const OF_OURS: usize = AT_ONCE - OF_ONE;
/// How long a request waits for others to end.
const PATIENCE: Duration = Duration::from_millis(200);
/// How long a request is thought to be worked on: of a busy API server most take less than half of that.
const LONG: Duration = Duration::from_secs(1);

/// As whom a request is sent; None: as the controller.
pub(super) type Account = Option<HeaderValue>;

/// Who has how many turns, and who waits for one. Its clones are one.
#[derive(Clone, Default)]
pub(super) struct Turns(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    /// How many are held of [`AT_ONCE`].
    under_way: usize,
    /// Of each account, with those that were given back because they take long.
    held: HashMap<Account, usize>,
    waiting: VecDeque<Waiting>,
}

struct Waiting {
    account: Account,
    grant: oneshot::Sender<Turn>,
}

/// One turn, for as long as the request is under way.
pub(super) struct Turn {
    turns: Turns,
    account: Account,
    /// Whether it is one of [`AT_ONCE`] still.
    counts: bool,
}

impl Turns {
    /// Sends a request of that account in its turn, and waits for what comes of it.
    pub(super) async fn within<T>(&self, account: Account, work: impl Future<Output = T>) -> T {
        let mut turn = self.take(account).await;
        let mut work = std::pin::pin!(work);
        if let Ok(done) = tokio::time::timeout(LONG, work.as_mut()).await {
            return done;
        }
        if let Some(turn) = &mut turn {
            turn.lend();
        }
        work.await
    }

    /// A turn; None: it was waited for long enough.
    async fn take(&self, account: Account) -> Option<Turn> {
        match self.ask(account) {
            Ok(turn) => Some(turn),
            Err(grant) => tokio::time::timeout(PATIENCE, grant).await.ok()?.ok(),
        }
    }

    /// A turn, or where one will be given. Nobody who waits is passed over: they would have had it before.
    fn ask(&self, account: Account) -> Result<Turn, oneshot::Receiver<Turn>> {
        let mut state = self.state();
        if state.admits(&account) {
            state.begin(&account);
            return Ok(self.turn(account));
        }
        let (grant, granted) = oneshot::channel();
        state.waiting.push_back(Waiting { account, grant });
        Err(granted)
    }

    fn turn(&self, account: Account) -> Turn {
        Turn {
            turns: self.clone(),
            account,
            counts: true,
        }
    }

    /// Gives what is free to those who wait.
    fn hand_on(&self) {
        loop {
            let next = self.state().next();
            let Some(Waiting { account, grant }) = next else {
                return;
            };
            // Who gives up waiting in this moment gives it back, and that hands it on.
            let _given_back = grant.send(self.turn(account));
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn admits(&self, account: &Account) -> bool {
        self.under_way < AT_ONCE && self.held(account) < share(account)
    }

    fn held(&self, account: &Account) -> usize {
        self.held.get(account).copied().unwrap_or_default()
    }

    fn begin(&mut self, account: &Account) {
        self.under_way += 1;
        *self.held.entry(account.clone()).or_default() += 1;
    }

    fn end(&mut self, account: &Account, counts: bool) {
        self.under_way = self.under_way.saturating_sub(usize::from(counts));
        if let Some(held) = self.held.get_mut(account) {
            *held = held.saturating_sub(1);
            if *held == 0 {
                self.held.remove(account);
            }
        }
    }

    /// Who is next, with a turn begun for it: who has the least of its share, and of these who waits the longest.
    fn next(&mut self) -> Option<Waiting> {
        self.waiting.retain(|one| !one.grant.is_closed());
        let all = self.waiting.iter().enumerate();
        let may = all.filter(|(_, one)| self.admits(&one.account));
        let (at, _) = may.min_by_key(|(_, one)| {
            let held = self.held(&one.account);
            held * AT_ONCE * AT_ONCE / share(&one.account)
        })?;
        let next = self.waiting.remove(at)?;
        self.begin(&next.account);
        Some(next)
    }
}

fn share(account: &Account) -> usize {
    match account {
        Some(_) => OF_ONE,
        None => OF_OURS,
    }
}

impl Turn {
    /// Lets others have it, though the request goes on.
    fn lend(&mut self) {
        if std::mem::take(&mut self.counts) {
            let mut state = self.turns.state();
            state.under_way = state.under_way.saturating_sub(1);
            drop(state);
            self.turns.hand_on();
        }
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        self.turns.state().end(&self.account, self.counts);
        self.turns.hand_on();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn account(name: &'static str) -> Account {
        Some(HeaderValue::from_static(name))
    }

    /// So many turns, which must be free.
    fn taken(turns: &Turns, account: &Account, many: usize) -> Vec<Turn> {
        let all = (0..many).map(|_| turns.ask(account.clone()).ok());
        all.collect::<Option<_>>().expect("free turns")
    }

    #[test]
    fn one_account_has_its_share_and_never_all() {
        let turns = Turns::default();
        let _all_of_one = taken(&turns, &account("a"), OF_ONE);
        assert!(turns.ask(account("a")).is_err());
        let _ours = taken(&turns, &None, OF_OURS);
        assert!(turns.ask(None).is_err());
    }

    #[test]
    fn a_turn_goes_to_who_has_the_least_of_its_share_and_not_to_who_came_first() {
        let turns = Turns::default();
        let ours = taken(&turns, &None, OF_OURS);
        let mut greedy = taken(&turns, &account("greedy"), OF_ONE - 1);
        greedy.extend(taken(&turns, &account("other"), 1));
        let mut again = turns.ask(account("greedy")).err().unwrap();
        let mut first = turns.ask(account("modest")).err().unwrap();
        let mut second = turns.ask(account("late")).err().unwrap();
        greedy.pop();
        let modest = first.try_recv().unwrap();
        assert!(second.try_recv().is_err() && again.try_recv().is_err());
        drop(modest);
        let _late = second.try_recv().unwrap();
        drop(ours);
        assert!(again.try_recv().is_ok(), "nobody else waits");
    }

    #[test]
    fn a_request_that_hangs_gives_its_turn_to_others_and_counts_against_its_own_account() {
        let turns = Turns::default();
        let names = ["a", "b", "c", "d"];
        let mut hanging: Vec<Turn> = names
            .into_iter()
            .flat_map(|name| taken(&turns, &account(name), OF_ONE))
            .collect();
        let mut other = turns.ask(account("other")).err().unwrap();
        assert!(other.try_recv().is_err());
        hanging.iter_mut().for_each(Turn::lend);
        let _other = other.try_recv().unwrap();
        assert!(
            turns.ask(account("a")).is_err(),
            "it has its share under way"
        );
        let _others = taken(&turns, &account("another"), OF_ONE);
        drop(hanging);
        assert_eq!(turns.state().under_way, 1 + OF_ONE);
        let _again = taken(&turns, &account("a"), OF_ONE);
    }

    #[test]
    fn who_gives_up_waiting_keeps_nothing_from_those_behind() {
        let turns = Turns::default();
        let mut all = taken(&turns, &None, OF_OURS);
        all.extend(taken(&turns, &account("a"), OF_ONE));
        let gone = turns.ask(account("b")).err().unwrap();
        let mut stays = turns.ask(account("c")).err().unwrap();
        let late = turns.ask(account("d")).err().unwrap();
        drop(gone);
        all.truncate(OF_OURS + OF_ONE - 2);
        assert!(stays.try_recv().is_ok());
        // what it was given and never took
        drop(late);
        drop(all);
        let state = turns.state();
        let nothing = (state.under_way, state.held.len(), state.waiting.len());
        assert_eq!(nothing, (0, 0, 0));
    }

    #[tokio::test]
    async fn who_has_waited_for_a_moment_goes_all_the_same() {
        let turns = Turns::default();
        let _ours = taken(&turns, &None, OF_OURS);
        assert!(turns.take(None).await.is_none());
        assert_eq!(turns.within(None, std::future::ready(7)).await, 7);
    }
}
