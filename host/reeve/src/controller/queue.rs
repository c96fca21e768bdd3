//! Whose run is next: each key at most once at a time, woken now or later.
//!
//! A key that is woken while it runs runs again afterwards, so that nothing told in between is missed; one that is woken
//! twice before it runs, runs once. It deliberately knows nothing of what a run does. A run that panics is told and
//! tried again later: one object never stops the others.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::fmt::Debug;
use std::future::Future;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::task::{Id, JoinError, JoinSet};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use reeve_core::schedule::Next;

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

impl<K> Queue<K> {
    /// A queue, and the end that [`work`] empties.
    pub(crate) fn new() -> (Self, mpsc::UnboundedReceiver<K>) {
        let (wakes, inbox) = mpsc::unbounded_channel();
        (Self { wakes }, inbox)
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

/// Runs keys as they are woken, at this pace, until `stop`; then lets those that run finish.
pub(crate) async fn work<K, F, R, O>(
    mut inbox: mpsc::UnboundedReceiver<K>,
    pace: Pace,
    stop: CancellationToken,
    owner: O,
    run: R,
) where
    K: Clone + Ord + Debug + Send + 'static,
    F: Future<Output = Next> + Send + 'static,
    R: Fn(K) -> F,
    O: Fn(&K) -> String,
{
    let mut shares: BTreeMap<String, usize> = BTreeMap::new();
    let mut agenda = Agenda::<K>::default();
    let mut running = JoinSet::new();
    let mut ids: HashMap<Id, (K, String)> = HashMap::new();
    loop {
        while running.len() < pace.workers && !stop.is_cancelled() {
            let fits = |key: &K| shares.get(&owner(key)).copied().unwrap_or_default() < pace.of_one;
            let Some(key) = agenda.take(fits) else { break };
            let whose = owner(&key);
            *shares.entry(whose.clone()).or_default() += 1;
            let handle = running.spawn(run(key.clone()));
            ids.insert(handle.id(), (key, whose));
        }
        tokio::select! {
            biased;
            () = stop.cancelled() => break,
            Some(ended) = running.join_next_with_id() => {
                if let Some((key, whose, next)) = settle(&mut ids, ended, pace.after_panic) {
                    release(&mut shares, &whose);
                    agenda.ended(key, next, Instant::now());
                }
            }
            woken = inbox.recv() => match woken {
                Some(key) => agenda.wake(key),
                None => break,
            },
            () = until(agenda.due()) => agenda.ripen(Instant::now()),
        }
    }
    while running.join_next().await.is_some() {}
}

/// Which key's run ended, and when its next one is.
fn settle<K: Debug>(
    ids: &mut HashMap<Id, (K, String)>,
    ended: Result<(Id, Next), JoinError>,
    after_panic: Duration,
) -> Option<(K, String, Next)> {
    match ended {
        Ok((id, next)) => {
            let (key, whose) = ids.remove(&id)?;
            Some((key, whose, next))
        }
        Err(why) => {
            let (key, whose) = ids.remove(&why.id())?;
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
    waiting: BTreeSet<K>,
    running: BTreeSet<K>,
    again: BTreeSet<K>,
    later: BTreeSet<(Instant, K)>,
    times: BTreeMap<K, Instant>,
}

impl<K> Default for Agenda<K> {
    fn default() -> Self {
        Self {
            ready: VecDeque::new(),
            waiting: BTreeSet::new(),
            running: BTreeSet::new(),
            again: BTreeSet::new(),
            later: BTreeSet::new(),
            times: BTreeMap::new(),
        }
    }
}

impl<K: Clone + Ord> Agenda<K> {
    fn wake(&mut self, key: K) {
        self.forget_time(&key);
        if self.running.contains(&key) {
            self.again.insert(key);
        } else if self.waiting.insert(key.clone()) {
            self.ready.push_back(key);
        }
    }

    /// The first that waits and fits.
    fn take(&mut self, fits: impl Fn(&K) -> bool) -> Option<K> {
        let at = self.ready.iter().position(fits)?;
        let key = self.ready.remove(at)?;
        self.waiting.remove(&key);
        self.running.insert(key.clone());
        Some(key)
    }

    fn ended(&mut self, key: K, next: Next, now: Instant) {
        self.running.remove(&key);
        if self.again.remove(&key) {
            self.wake(key);
        } else if let Next::After(wait) = next {
            let due = now + wait;
            self.times.insert(key.clone(), due);
            self.later.insert((due, key));
        }
    }

    fn due(&self) -> Option<Instant> {
        self.later.first().map(|(due, _)| *due)
    }

    /// Wakes all whose time has come.
    fn ripen(&mut self, now: Instant) {
        while let Some((due, _)) = self.later.first()
            && *due <= now
        {
            if let Some((_, key)) = self.later.pop_first() {
                self.wake(key);
            }
        }
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

    #[test]
    fn a_key_woken_twice_before_it_runs_runs_once() {
        let mut agenda = Agenda::default();
        agenda.wake("a");
        agenda.wake("a");
        assert_eq!(agenda.take(|_| true), Some("a"));
        assert_eq!(agenda.take(|_| true), None);
    }

    #[test]
    fn a_key_woken_while_it_runs_runs_again() {
        let mut agenda = Agenda::default();
        agenda.wake("a");
        assert_eq!(agenda.take(|_| true), Some("a"));
        agenda.wake("a");
        assert_eq!(agenda.take(|_| true), None);
        agenda.ended("a", Next::After(Duration::from_secs(3600)), Instant::now());
        assert_eq!(agenda.take(|_| true), Some("a"));
        assert_eq!(agenda.due(), None);
    }

    #[test]
    fn a_wake_replaces_the_time_that_was_set() {
        let mut agenda = Agenda::default();
        let now = Instant::now();
        agenda.wake("a");
        agenda.take(|_| true);
        agenda.ended("a", Next::After(Duration::from_secs(10)), now);
        assert_eq!(agenda.due(), Some(now + Duration::from_secs(10)));
        agenda.wake("a");
        assert_eq!(agenda.due(), None);
        assert_eq!(agenda.take(|_| true), Some("a"));
    }

    #[tokio::test]
    async fn one_that_panics_stops_no_other_and_is_tried_again() {
        let (queue, inbox) = Queue::new();
        let stop = CancellationToken::new();
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
            stop.clone(),
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
        stop.cancel();
        working.await.unwrap();
    }

    #[tokio::test]
    async fn who_holds_all_his_runs_up_holds_up_nobody_else() {
        let (queue, inbox) = Queue::new();
        let stop = CancellationToken::new();
        let (seen, mut ran) = mpsc::unbounded_channel();
        let pace = Pace {
            workers: 2,
            of_one: 1,
            after_panic: Duration::from_secs(1),
        };
        let owner = |key: &&'static str| key.split('/').next().unwrap_or_default().to_owned();
        let hold = stop.clone();
        let working = tokio::spawn(work(
            inbox,
            pace,
            stop.clone(),
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
        stop.cancel();
        working.await.unwrap();
    }
}
