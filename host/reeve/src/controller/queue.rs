//! Whose run is next: each key at most once at a time, woken now or later.
//!
//! A key that is woken while it runs runs again afterwards, so that nothing told in between is missed; one that is woken
//! twice before it runs, runs once. It deliberately knows nothing of what a run does. A run that panics is told and
//! tried again later: one object never stops the others.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::fmt::Debug;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Mutex, mpsc};
use tokio::task::{Id, JoinError, JoinSet};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use reeve_core::schedule::Next;

use crate::observe::WorkQueue;

/// The way to wake a key.
#[derive(Debug)]
pub(crate) struct Queue<K> {
    wakes: mpsc::UnboundedSender<K>,
}

impl<K> Clone for Queue<K> {
    fn clone(&self) -> Self {
        Self {
            wakes: self.wakes.clone(),
        }
    }
}

/// The end of a queue that [`work`] empties: once for each time that this process leads.
pub(crate) type Inbox<K> = Arc<Mutex<mpsc::UnboundedReceiver<K>>>;

impl<K> Queue<K> {
    /// A queue, and its other end.
    pub(crate) fn new() -> (Self, Inbox<K>) {
        let (wakes, inbox) = mpsc::unbounded_channel();
        (Self { wakes }, Arc::new(Mutex::new(inbox)))
    }

    /// Runs `key` as soon as a worker is free. What is waiting is at most one entry a key.
    pub(crate) fn wake(&self, key: K) {
        // Without a worker the process is on its way out, and nobody needs the wake.
        let _gone = self.wakes.send(key);
    }
}

/// How many keys run at once, and how soon one runs again that panicked.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Pace {
    pub(crate) workers: usize,
    /// How many of one owner run at once: fewer than there are workers, so that whoever holds all of his up for as long
    /// as he can holds up nobody else.
    pub(crate) of_one: usize,
    pub(crate) after_panic: Duration,
}

/// How work ends.
#[derive(Debug, Clone)]
pub(crate) struct Halt {
    /// Nothing new is begun, and what runs finishes.
    pub(crate) after_these: CancellationToken,
    /// What runs ends where it is.
    pub(crate) at_once: CancellationToken,
}

impl Halt {
    /// Resolves when nothing new may begin.
    pub(crate) async fn begun(&self) {
        tokio::select! {
            () = self.after_these.cancelled() => {}
            () = self.at_once.cancelled() => {}
        }
    }

    fn is_begun(&self) -> bool {
        self.after_these.is_cancelled() || self.at_once.is_cancelled()
    }
}

/// Forgets what was woken and not yet run: who begins anew lists everything anyway.
pub(crate) async fn drain<K>(inbox: &Inbox<K>) {
    let mut inbox = inbox.lock().await;
    while inbox.try_recv().is_ok() {}
}

/// Runs keys as they are woken, at this pace, until it is halted.
pub(crate) async fn work<K, F, R, O>(
    inbox: Inbox<K>,
    pace: Pace,
    halt: Halt,
    seen: WorkQueue,
    owner: O,
    run: R,
) where
    K: Clone + Ord + Debug + Send + 'static,
    F: Future<Output = Next> + Send + 'static,
    R: Fn(K) -> F,
    O: Fn(&K) -> String,
{
    let mut inbox = inbox.lock().await;
    let mut shares: BTreeMap<String, usize> = BTreeMap::new();
    let mut agenda = Agenda::<K>::default();
    let mut running = JoinSet::new();
    let mut ids: HashMap<Id, (K, String)> = HashMap::new();
    loop {
        while running.len() < pace.workers && !halt.is_begun() {
            let fits = |key: &K| shares.get(&owner(key)).copied().unwrap_or_default() < pace.of_one;
            let Some((key, since)) = agenda.take(fits) else {
                break;
            };
            let whose = owner(&key);
            *shares.entry(whose.clone()).or_default() += 1;
            let ticket = seen.taken(since.elapsed());
            let work = run(key.clone());
            let handle = running.spawn(async move {
                let _ticket = ticket;
                work.await
            });
            ids.insert(handle.id(), (key, whose));
        }
        seen.holds(agenda.ready.len());
        tokio::select! {
            biased;
            () = halt.begun() => break,
            Some(ended) = running.join_next_with_id() => {
                if let Some((key, whose, next)) = settle(&mut ids, ended, pace.after_panic, &seen) {
                    release(&mut shares, &whose);
                    agenda.ended(key, next, Instant::now());
                }
            }
            woken = inbox.recv() => match woken {
                Some(key) => {
                    if agenda.wake(key, Instant::now()) {
                        seen.added();
                    }
                }
                None => break,
            },
            () = until(agenda.due()) => (0..agenda.ripen(Instant::now())).for_each(|_| seen.added()),
        }
    }
    seen.holds(0);
    end(running, &halt).await;
}

/// Lets what runs finish, or drops it where it waits: what is left of it holds nothing that others need.
async fn end(mut running: JoinSet<Next>, halt: &Halt) {
    let finish = async { while running.join_next().await.is_some() {} };
    tokio::select! {
        () = halt.at_once.cancelled() => {}
        () = finish => {}
    }
    running.shutdown().await;
}

/// Which key's run ended, and when its next one is.
fn settle<K: Debug>(
    ids: &mut HashMap<Id, (K, String)>,
    ended: Result<(Id, Next), JoinError>,
    after_panic: Duration,
    seen: &WorkQueue,
) -> Option<(K, String, Next)> {
    match ended {
        Ok((id, next)) => {
            let (key, whose) = ids.remove(&id)?;
            if matches!(next, Next::After(_)) {
                seen.later();
            }
            Some((key, whose, next))
        }
        Err(why) => {
            let (key, whose) = ids.remove(&why.id())?;
            seen.panicked();
            tracing::error!(?key, "a run panicked; it is tried again in {after_panic:?}");
            Some((key, whose, Next::After(after_panic)))
        }
    }
}

fn release(shares: &mut BTreeMap<String, usize>, whose: &str) {
    if let Some(share) = shares.get_mut(whose) {
        *share -= 1;
        if *share == 0 {
            shares.remove(whose);
        }
    }
}

async fn until(due: Option<Instant>) {
    match due {
        Some(due) => tokio::time::sleep_until(due).await,
        None => std::future::pending().await,
    }
}

/// What runs, what waits for a worker, and what waits for its time.
struct Agenda<K> {
    ready: VecDeque<K>,
    /// Since when each of them waits.
    waiting: BTreeMap<K, Instant>,
    running: BTreeSet<K>,
    again: BTreeMap<K, Instant>,
    later: BTreeSet<(Instant, K)>,
    times: BTreeMap<K, Instant>,
}

impl<K> Default for Agenda<K> {
    fn default() -> Self {
        Self {
            ready: VecDeque::new(),
            waiting: BTreeMap::new(),
            running: BTreeSet::new(),
            again: BTreeMap::new(),
            later: BTreeSet::new(),
            times: BTreeMap::new(),
        }
    }
}

impl<K: Clone + Ord> Agenda<K> {
    /// Whether that made it wait: it may do so already.
    fn wake(&mut self, key: K, now: Instant) -> bool {
        self.forget_time(&key);
        let already = self.again.contains_key(&key) || self.waiting.contains_key(&key);
        if already {
            return false;
        }
        if self.running.contains(&key) {
            self.again.insert(key, now);
        } else {
            self.waiting.insert(key.clone(), now);
            self.ready.push_back(key);
        }
        true
    }

    /// The first that waits and fits, and since when it does.
    fn take(&mut self, fits: impl Fn(&K) -> bool) -> Option<(K, Instant)> {
        let at = self.ready.iter().position(fits)?;
        let key = self.ready.remove(at)?;
        let since = self.waiting.remove(&key)?;
        self.running.insert(key.clone());
        Some((key, since))
    }

    fn ended(&mut self, key: K, next: Next, now: Instant) {
        self.running.remove(&key);
        if let Some(since) = self.again.remove(&key) {
            let _was_counted = self.wake(key, since);
        } else if let Next::After(wait) = next {
            let due = now + wait;
            self.times.insert(key.clone(), due);
            self.later.insert((due, key));
        }
    }

    fn due(&self) -> Option<Instant> {
        self.later.first().map(|(due, _)| *due)
    }

    /// Wakes all whose time has come, and says how many did not wait already.
    fn ripen(&mut self, now: Instant) -> usize {
        let mut woken = 0;
        while let Some((due, _)) = self.later.first()
            && *due <= now
        {
            if let Some((_, key)) = self.later.pop_first() {
                woken += usize::from(self.wake(key, now));
            }
        }
        woken
    }

    fn forget_time(&mut self, key: &K) {
        if let Some(due) = self.times.remove(key) {
            self.later.remove(&(due, key.clone()));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;
    use crate::observe::{Kind, Metrics};

    fn now() -> Instant {
        Instant::now()
    }

    fn taken(agenda: &mut Agenda<&'static str>) -> Option<&'static str> {
        agenda.take(|_| true).map(|(key, _)| key)
    }

    fn told() -> WorkQueue {
        Metrics::new().queue(Kind::Kustomization, 2)
    }

    fn until() -> Halt {
        Halt {
            after_these: CancellationToken::new(),
            at_once: CancellationToken::new(),
        }
    }

    #[test]
    fn a_key_woken_twice_before_it_runs_runs_once() {
        let mut agenda = Agenda::default();
        agenda.wake("a", now());
        agenda.wake("a", now());
        assert_eq!(taken(&mut agenda), Some("a"));
        assert_eq!(taken(&mut agenda), None);
    }

    #[test]
    fn a_key_woken_while_it_runs_runs_again() {
        let mut agenda = Agenda::default();
        agenda.wake("a", now());
        assert_eq!(taken(&mut agenda), Some("a"));
        agenda.wake("a", now());
        assert_eq!(taken(&mut agenda), None);
        agenda.ended("a", Next::After(Duration::from_secs(3600)), now());
        assert_eq!(taken(&mut agenda), Some("a"));
        assert_eq!(agenda.due(), None);
    }

    #[test]
    fn a_wake_replaces_the_time_that_was_set() {
        let mut agenda = Agenda::default();
        let ended = now();
        agenda.wake("a", ended);
        taken(&mut agenda);
        agenda.ended("a", Next::After(Duration::from_secs(10)), ended);
        assert_eq!(agenda.due(), Some(ended + Duration::from_secs(10)));
        agenda.wake("a", now());
        assert_eq!(agenda.due(), None);
        assert_eq!(taken(&mut agenda), Some("a"));
    }

    #[tokio::test]
    async fn one_that_panics_stops_no_other_and_is_tried_again() {
        let (queue, inbox) = Queue::new();
        let halt = until();
        let runs = Arc::new(AtomicUsize::new(0));
        let (seen, mut ran) = mpsc::unbounded_channel();
        let counter = Arc::clone(&runs);
        let working = tokio::spawn(work(
            inbox,
            Pace {
                workers: 2,
                after_panic: Duration::from_millis(10),
                of_one: 2,
            },
            halt.clone(),
            told(),
            |_: &&str| String::new(),
            move |key: &'static str| {
                let (counter, seen) = (Arc::clone(&counter), seen.clone());
                async move {
                    if key == "bad" && counter.fetch_add(1, Ordering::SeqCst) == 0 {
                        panic!("as a test");
                    }
                    seen.send(key).unwrap();
                    Next::Watch
                }
            },
        ));
        queue.wake("bad");
        queue.wake("good");
        assert_eq!(ran.recv().await, Some("good"));
        assert_eq!(ran.recv().await, Some("bad"));
        halt.after_these.cancel();
        working.await.unwrap();
    }

    #[tokio::test]
    async fn who_holds_all_his_runs_up_holds_up_nobody_else() {
        let (queue, inbox) = Queue::new();
        let halt = until();
        let (seen, mut ran) = mpsc::unbounded_channel();
        let pace = Pace {
            workers: 2,
            of_one: 1,
            after_panic: Duration::from_secs(1),
        };
        let owner = |key: &&'static str| key.split('/').next().unwrap_or_default().to_owned();
        let hold = halt.after_these.clone();
        let working = tokio::spawn(work(
            inbox,
            pace,
            halt.clone(),
            told(),
            owner,
            move |key: &'static str| {
                let (seen, hold) = (seen.clone(), hold.clone());
                async move {
                    if key.starts_with("slow") {
                        hold.cancelled().await;
                    }
                    seen.send(key).unwrap();
                    Next::Watch
                }
            },
        ));
        ["slow/a", "slow/b", "slow/c", "quick/a"]
            .into_iter()
            .for_each(|key| queue.wake(key));
        assert_eq!(ran.recv().await, Some("quick/a"));
        halt.after_these.cancel();
        working.await.unwrap();
    }

    #[tokio::test]
    async fn a_run_is_cut_off_where_it_waits_and_the_next_term_begins_with_an_empty_queue() {
        let (queue, inbox) = Queue::new();
        let pace = Pace {
            workers: 1,
            of_one: 1,
            after_panic: Duration::from_secs(1),
        };
        let owner = |_: &&'static str| String::new();
        let (first, second) = (until(), until());
        let (begun, mut runs) = mpsc::unbounded_channel();
        let for_ever = begun.clone();
        let term = tokio::spawn(work(
            Arc::clone(&inbox),
            pace,
            first.clone(),
            told(),
            owner,
            move |key: &'static str| {
                for_ever.send(key).unwrap();
                std::future::pending::<Next>()
            },
        ));
        queue.wake("held");
        assert_eq!(runs.recv().await, Some("held"));
        queue.wake("waiting");
        first.at_once.cancel();
        term.await.unwrap();

        queue.wake("late");
        drain(&inbox).await;
        let term = tokio::spawn(work(
            Arc::clone(&inbox),
            pace,
            second.clone(),
            told(),
            owner,
            move |key: &'static str| {
                begun.send(key).unwrap();
                std::future::ready(Next::Watch)
            },
        ));
        queue.wake("fresh");
        assert_eq!(runs.recv().await, Some("fresh"));
        second.after_these.cancel();
        term.await.unwrap();
        assert_eq!(runs.recv().await, None);
    }
}
