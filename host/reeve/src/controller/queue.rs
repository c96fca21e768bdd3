//! Whose run is next: each key at most once at a time, woken now or later, the owners by turns and by what they cost.
//!
//! A key that is woken while it runs runs again afterwards, so that nothing told in between is missed; one that is woken
//! twice before it runs, runs once. It deliberately knows nothing of what a run does. A run that panics is told and
//! tried again later: one object never stops the others.

mod agenda;
mod slots;
mod turns;

use std::collections::HashMap;
use std::fmt::Debug;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Mutex, mpsc};
use tokio::task::{Id, JoinError, JoinSet};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use agenda::Agenda;
use reeve_core::schedule::Next;
pub(crate) use slots::{Pace, most};
use slots::{Slot, Slots};
pub(super) use turns::Whose;

use crate::observe::WorkQueue;

/// What a run is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Errand {
    /// Something it depends on may have changed: everything is looked at.
    Run,
    /// What it waited for has come to its end: nothing else has happened, and only that is told.
    Tell,
}

/// The way to wake a key.
#[derive(Debug)]
pub(crate) struct Queue<K> {
    wakes: mpsc::UnboundedSender<(K, Errand)>,
}

impl<K> Clone for Queue<K> {
    fn clone(&self) -> Self {
        Self {
            wakes: self.wakes.clone(),
        }
    }
}

/// The end of a queue that [`work`] empties: once for each time that this process leads.
pub(crate) type Inbox<K> = Arc<Mutex<mpsc::UnboundedReceiver<(K, Errand)>>>;

impl<K> Queue<K> {
    /// A queue, and its other end.
    pub(crate) fn new() -> (Self, Inbox<K>) {
        let (wakes, inbox) = mpsc::unbounded_channel();
        (Self { wakes }, Arc::new(Mutex::new(inbox)))
    }

    /// Runs `key` as soon as a worker is free. What is waiting is at most one entry a key.
    pub(crate) fn wake(&self, key: K) {
        // Without a worker the process is on its way out, and nobody needs the wake.
        let _gone = self.wakes.send((key, Errand::Run));
    }

    /// The same of each of these.
    pub(crate) fn wake_all(&self, keys: impl IntoIterator<Item = K>) {
        keys.into_iter().for_each(|key| self.wake(key));
    }

    /// Runs `key` as soon as a worker is free, only to tell what it waited for; a whole run that waits already does that.
    pub(crate) fn nudge(&self, key: K) {
        let _gone = self.wakes.send((key, Errand::Tell));
    }
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
    R: Fn(K, Errand) -> F,
    O: Fn(&K) -> Whose,
{
    let mut inbox = inbox.lock().await;
    let mut agenda = Agenda::<K>::default();
    let mut slots = Slots::new(pace);
    let mut running = JoinSet::new();
    let mut ids: HashMap<Id, (K, Slot)> = HashMap::new();
    loop {
        while slots.have_room(Instant::now()) && !halt.is_begun() {
            let now = Instant::now();
            let Some(taken) = agenda.take(|whose| slots.admit(whose), now) else {
                break;
            };
            let slot = slots.begin(taken.whose, now);
            let ticket = seen.taken(taken.since.elapsed());
            let work = run(taken.key.clone(), taken.errand);
            ids.insert(begin(&mut running, work, ticket), (taken.key, slot));
        }
        let full = slots.full_until(Instant::now());
        let full = full.filter(|_| agenda.waiting() > 0);
        seen.holds(agenda.waiting(), full.is_some());
        tokio::select! {
            biased;
            () = halt.begun() => break,
            Some(ended) = running.join_next_with_id() => {
                if let Some((key, slot, next)) = settle(&mut ids, ended, pace.after_panic, &seen) {
                    slots.end(&slot);
                    agenda.ended(key, &owner, next, Instant::now());
                }
            }
            woken = inbox.recv() => match woken {
                Some((key, errand)) => {
                    if agenda.rouse(key, errand, &owner, Instant::now()) {
                        seen.added();
                    }
                }
                None => break,
            },
            () = until(agenda.due()) => {
                (0..agenda.ripen(&owner, Instant::now())).for_each(|_| seen.added());
            }
            () = until(full) => {}
        }
    }
    seen.holds(0, false);
    end(running, &halt).await;
}

/// Begins a run, which is seen from outside (by its ticket) for as long as it goes on.
fn begin(
    running: &mut JoinSet<Next>,
    run: impl Future<Output = Next> + Send + 'static,
    ticket: impl Send + 'static,
) -> Id {
    let work = async move {
        let _ticket = ticket;
        run.await
    };
    running.spawn(work).id()
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
    ids: &mut HashMap<Id, (K, Slot)>,
    ended: Result<(Id, Next), JoinError>,
    after_panic: Duration,
    seen: &WorkQueue,
) -> Option<(K, Slot, Next)> {
    match ended {
        Ok((id, next)) => {
            let (key, slot) = ids.remove(&id)?;
            if matches!(next, Next::After(_)) {
                seen.later();
            }
            Some((key, slot, next))
        }
        Err(why) => {
            let (key, slot) = ids.remove(&why.id())?;
            seen.panicked();
            tracing::error!(?key, "a run panicked; it is tried again in {after_panic:?}");
            Some((key, slot, Next::After(after_panic)))
        }
    }
}

async fn until(due: Option<Instant>) {
    match due {
        Some(due) => tokio::time::sleep_until(due).await,
        None => std::future::pending().await,
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;
    use crate::observe::{Kind, Metrics};

    fn told() -> WorkQueue {
        Metrics::new().queue(Kind::Kustomization, 2)
    }

    fn until() -> Halt {
        Halt {
            after_these: CancellationToken::new(),
            at_once: CancellationToken::new(),
        }
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
                most: 2,
                hangs_after: Duration::from_secs(1),
            },
            halt.clone(),
            told(),
            |_: &&str| Whose::plain(String::new()),
            move |key: &'static str, _| {
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
    async fn owners_who_hold_all_of_theirs_up_hold_up_nobody_else() {
        let (queue, inbox) = Queue::new();
        let halt = until();
        let (seen, mut ran) = mpsc::unbounded_channel();
        let pace = Pace {
            workers: 2,
            of_one: 1,
            most: 4,
            hangs_after: Duration::from_millis(10),
            after_panic: Duration::from_secs(1),
        };
        let owner =
            |key: &&'static str| Whose::plain(key.split('/').next().unwrap_or_default().to_owned());
        let hold = halt.after_these.clone();
        let working = tokio::spawn(work(
            inbox,
            pace,
            halt.clone(),
            told(),
            owner,
            move |key: &'static str, _| {
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
        ["slow/a", "slow/b", "slow2/a", "slow3/a", "quick/a"]
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
            most: 1,
            hangs_after: Duration::from_secs(1),
            after_panic: Duration::from_secs(1),
        };
        let owner = |_: &&'static str| Whose::plain(String::new());
        let (first, second) = (until(), until());
        let (begun, mut runs) = mpsc::unbounded_channel();
        let for_ever = begun.clone();
        let term = tokio::spawn(work(
            Arc::clone(&inbox),
            pace,
            first.clone(),
            told(),
            owner,
            move |key: &'static str, _| {
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
            move |key: &'static str, _| {
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
