//! A few processes that read policies, one after the other each, by turns.
//!
//! One that has answered is kept for a moment, so that many policies at once start few processes; one that has answered
//! often, or not at all, is not. Whatever ends a process that has read others before is asked once more in a fresh one: what
//! those left behind is nobody's fault. A policy that takes longer than most gives its place to others, and takes one of
//! those for such.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use reeve_wasm::process::{End, Ended, Process, Program};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, sleep, timeout};

use super::Bounds;
use super::wire::{ANSWER, Said};

/// How long a policy keeps a place that others wait for.
const SHORT: Duration = Duration::from_secs(1);
/// How long a process is kept that nothing is asked of.
const KEPT: Duration = Duration::from_secs(2);
/// How many policies one process reads.
const MOST: usize = 64;

/// Why there is no answer.
#[derive(Debug)]
pub(super) enum Silent {
    /// It was waited for long enough.
    Late,
    /// There was no process.
    Unstarted(std::io::Error),
    /// The process ended.
    Ended(Ended),
}

/// The processes of those who share some.
#[derive(Debug)]
pub(super) struct Lane {
    program: Program,
    bounds: Bounds,
    places: Arc<Semaphore>,
    /// For policies that take long.
    spare: Arc<Semaphore>,
    has_spare: bool,
    idle: Arc<Mutex<Vec<Seat>>>,
}

/// A process, and what it has done.
#[derive(Debug)]
struct Seat {
    process: Process,
    answers: usize,
    since: Instant,
    /// Whether it took long with something: everything else goes before it since.
    slowed: bool,
}

impl Lane {
    /// So many processes at a time, and so many more for policies that take long.
    pub(super) fn new(program: Program, bounds: Bounds, places: usize, spare: usize) -> Self {
        Self {
            program,
            bounds,
            places: Arc::new(Semaphore::new(places)),
            spare: Arc::new(Semaphore::new(spare)),
            has_spare: spare > 0,
            idle: Arc::default(),
        }
    }

    /// Waits for a place, and for the answer. Whoever stops waiting stops the process. What is known to take long has one of
    /// the places for such from the beginning, where there are any.
    pub(super) async fn ask(&self, question: &[u8], takes_long: bool) -> Result<Said, Silent> {
        let places = match takes_long && self.has_spare {
            true => &self.spare,
            false => &self.places,
        };
        let mut place = Arc::clone(places).acquire_owned().await.ok();
        if let Some(seat) = self.take() {
            match self.answer(seat, question, &mut place).await {
                Err(Silent::Ended(ended)) if ended.how != End::Time => {}
                said => return said,
            }
        }
        let process = Process::start(&self.program, self.bounds.rights);
        let seat = Seat {
            process: process.map_err(Silent::Unstarted)?,
            answers: 0,
            since: Instant::now(),
            slowed: false,
        };
        self.answer(seat, question, &mut place).await
    }

    async fn answer(
        &self,
        mut seat: Seat,
        question: &[u8],
        place: &mut Option<OwnedSemaphorePermit>,
    ) -> Result<Said, Silent> {
        let (parts, brake) = ([question], seat.process.brake());
        let slowed = &mut seat.slowed;
        let aside = || {
            brake.pull();
            *slowed = true;
        };
        let asked = self.moving(seat.process.ask(&parts, ANSWER), place, aside);
        let Ok(answer) = timeout(self.bounds.patience, asked).await else {
            seat.process.kill().await;
            return Err(Silent::Late);
        };
        let answer = answer.map_err(Silent::Ended)?;
        match Said::decode(&answer) {
            Some(said) => {
                self.keep(seat);
                Ok(said)
            }
            None => Err(Silent::Ended(seat.process.misunderstood().await)),
        }
    }

    /// Work that steps `aside` when it takes long: it gives its place to others as soon as there is one for such.
    async fn moving<T>(
        &self,
        work: impl Future<Output = T>,
        place: &mut Option<OwnedSemaphorePermit>,
        aside: impl FnOnce(),
    ) -> T {
        let mut work = std::pin::pin!(work);
        let another = async {
            sleep(SHORT).await;
            aside();
            Arc::clone(&self.spare).acquire_owned().await.ok()
        };
        let another = tokio::select! {
            biased;
            done = &mut work => return done,
            another = another => another,
        };
        *place = another;
        work.await
    }

    fn take(&self) -> Option<Seat> {
        lock(&self.idle).pop()
    }

    /// Keeps a process for whoever comes next, for a moment.
    fn keep(&self, mut seat: Seat) {
        seat.answers += 1;
        if seat.answers >= MOST || seat.slowed {
            return;
        }
        seat.since = Instant::now();
        lock(&self.idle).push(seat);
        let idle = Arc::clone(&self.idle);
        tokio::spawn(async move {
            sleep(KEPT).await;
            let forgotten = |seat: &mut Seat| seat.since.elapsed() >= KEPT;
            let over: Vec<Seat> = lock(&idle).extract_if(.., forgotten).collect();
            drop(over);
        });
    }
}

fn lock(idle: &Mutex<Vec<Seat>>) -> std::sync::MutexGuard<'_, Vec<Seat>> {
    idle.lock().unwrap_or_else(PoisonError::into_inner)
}
