//! Waits for what a policy answers, and not for ever.
//!
//! regorus looks at the time between two steps, and one step may take for ever: it multiplies whole numbers of any length,
//! and compares lists that hold themselves many times over. No thread can be stopped from outside, so each question is asked
//! on one that can be given up. The policy that it belongs to is then not asked again by anybody, as long as this process
//! lives: what is lost is [`AT_ONCE`] threads for a policy and [`LOST`] in all. It deliberately looks at no clock, and
//! knows nothing of Rego; what somebody who gets no answer says is `error`'s.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use super::room;

/// What a step may take beyond the time after which regorus ends a question.
const GRACE: Duration = Duration::from_secs(1);
/// In so many parts the time is waited for: when everything here stood still meanwhile, only one of them is over.
const LOOKS: u32 = 20;
/// The most questions that are put to one policy at a time: others wait for these.
const AT_ONCE: usize = 4;
/// The most threads that are given up.
const LOST: usize = 16;
/// The most threads that are kept for the next question, with the patterns that they have compiled.
const KEPT: usize = 4;

static STATE: Mutex<State> = Mutex::new(State {
    turns: 0,
    policies: BTreeMap::new(),
    lost: BTreeSet::new(),
    idle: Vec::new(),
});
static FREED: Condvar = Condvar::new();

/// Why there is no answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Silence {
    /// It did not end, now or before.
    Endless,
    /// So many questions never ended that no more are asked.
    Crowded,
    /// There was no thread, or what was asked ended it.
    Failed,
}

type Work = Box<dyn FnOnce() + Send>;

struct State {
    turns: u64,
    /// By their digests.
    policies: BTreeMap<String, Asked>,
    /// The turns that were given up and are not over.
    lost: BTreeSet<u64>,
    idle: Vec<Sender<Work>>,
}

#[derive(Default)]
struct Asked {
    turns: BTreeSet<u64>,
    is_given_up: bool,
}

/// A question that is being asked. Dropped where it was asked, when it is over.
struct Turn {
    digest: String,
    number: u64,
}

/// What the work comes to, if it does within `limit` and a little more. It is for the policy of this digest.
pub(super) fn answer<T: Send + 'static>(
    digest: &str,
    limit: Duration,
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, Silence> {
    let turn = Turn::take(digest)?;
    let number = turn.number;
    let (told, heard) = mpsc::sync_channel(1);
    start(Box::new(move || {
        let answer = work();
        // Nobody hears it who has given up.
        let _unheard = told.send(answer);
        drop(turn);
    }))?;
    for _ in 0..LOOKS {
        match heard.recv_timeout(limit.saturating_add(GRACE) / LOOKS) {
            Ok(answer) => return Ok(answer),
            Err(RecvTimeoutError::Disconnected) => return Err(Silence::Failed),
            Err(RecvTimeoutError::Timeout) => {}
        }
    }
    match state().give_up(digest, number) {
        true => Err(Silence::Endless),
        // It ended in the last moment.
        false => heard.try_recv().map_err(|_| Silence::Failed),
    }
}

impl Turn {
    /// Waits while the policy is asked enough. Each of those ends or is given up in time, so this does too.
    fn take(digest: &str) -> Result<Self, Silence> {
        let mut state = state();
        loop {
            if state.is_given_up(digest) {
                return Err(Silence::Endless);
            }
            if state.lost.len() >= LOST {
                return Err(Silence::Crowded);
            }
            if state.asked(digest) < AT_ONCE {
                return Ok(state.begin(digest));
            }
            let waited = FREED.wait_timeout(state, GRACE);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        state().end(&self.digest, self.number);
    }
}

impl State {
    fn is_given_up(&self, digest: &str) -> bool {
        let asked = self.policies.get(digest);
        asked.is_some_and(|asked| asked.is_given_up)
    }

    fn asked(&self, digest: &str) -> usize {
        let asked = self.policies.get(digest);
        asked.map_or(0, |asked| asked.turns.len())
    }

    fn begin(&mut self, digest: &str) -> Turn {
        self.turns += 1;
        let (digest, number) = (digest.to_owned(), self.turns);
        let asked = self.policies.entry(digest.clone()).or_default();
        asked.turns.insert(number);
        Turn { digest, number }
    }

    /// Whether it was still under way.
    fn give_up(&mut self, digest: &str, number: u64) -> bool {
        let Some(asked) = self.policies.get_mut(digest) else {
            return false;
        };
        let is_lost = asked.turns.remove(&number);
        if is_lost {
            asked.is_given_up = true;
            self.lost.insert(number);
            FREED.notify_all();
        }
        is_lost
    }

    fn end(&mut self, digest: &str, number: u64) {
        // What comes back after all costs no thread any more. Its policy would take as long the next time.
        self.lost.remove(&number);
        if let Some(asked) = self.policies.get_mut(digest) {
            asked.turns.remove(&number);
            if asked.turns.is_empty() && !asked.is_given_up {
                self.policies.remove(digest);
            }
        }
        FREED.notify_all();
    }
}

fn state() -> MutexGuard<'static, State> {
    STATE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Does it on a thread that has nothing else to do.
fn start(work: Work) -> Result<(), Silence> {
    let idle = state().idle.pop();
    let Some(idle) = idle else {
        return begin(work);
    };
    idle.send(work).or_else(|mpsc::SendError(work)| begin(work))
}

fn begin(work: Work) -> Result<(), Silence> {
    let (sender, works) = mpsc::channel();
    let thread = thread::Builder::new()
        .name("policy".to_owned())
        .stack_size(room::TAKEN);
    let begun = thread.spawn(move || serve(work, &sender, &works));
    begun.map(drop).map_err(|_| Silence::Failed)
}

fn serve(first: Work, own: &Sender<Work>, works: &Receiver<Work>) {
    let mut work = first;
    loop {
        work();
        {
            let mut state = state();
            if state.idle.len() >= KEPT {
                return;
            }
            state.idle.push(own.clone());
        }
        let Ok(next) = works.recv() else { return };
        work = next;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SOON: Duration = Duration::from_millis(1);

    #[test]
    fn who_does_not_end_is_not_asked_again_and_others_are() {
        let (end, ended) = mpsc::channel::<()>();
        let (back, came_back) = mpsc::channel();
        let hangs = move || {
            let _told = ended.recv();
            drop(back);
        };
        assert_eq!(answer("hangs", SOON, hangs), Err(Silence::Endless));
        let asked = answer("hangs", SOON, || panic!("it was asked again"));
        assert_eq!(asked, Err::<(), _>(Silence::Endless));
        assert_eq!(answer("changed", SOON, || 1), Ok(1));

        // One that comes back is asked no more either.
        drop(end);
        assert_eq!(came_back.recv(), Err::<(), _>(mpsc::RecvError));
        assert_eq!(answer("hangs", SOON, || 1), Err(Silence::Endless));
    }

    #[test]
    fn what_ends_its_thread_is_no_answer_and_is_asked_again() {
        let crashes = || panic!("on purpose");
        assert_eq!(
            answer("crashes", SOON, crashes),
            Err::<(), _>(Silence::Failed)
        );
        assert_eq!(answer("crashes", SOON, || 1), Ok(1));
    }

    #[test]
    fn many_who_ask_one_that_hangs_lose_a_few_threads() {
        let (end, ended) = mpsc::channel::<()>();
        let ended = std::sync::Arc::new(Mutex::new(ended));
        let (begun, begins) = mpsc::channel();
        thread::scope(|scope| {
            for _ in 0..3 * AT_ONCE {
                let (ended, begun) = (std::sync::Arc::clone(&ended), begun.clone());
                scope.spawn(move || {
                    let hangs = move || {
                        let _told = begun.send(());
                        let _told = ended.lock().map(|ended| ended.recv());
                    };
                    assert_eq!(answer("asked by many", SOON, hangs), Err(Silence::Endless));
                });
            }
        });
        assert_eq!(begins.try_iter().count(), AT_ONCE);
        drop(end);
    }
}
