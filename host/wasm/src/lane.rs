//! Where a call goes on that takes longer than a moment: threads of its own, which give way to the controller's.
//!
//! Most calls end within microseconds, on the thread that made them. One that still runs at its first tick
//! goes on here: however long it takes, and however many there are, five sixths of the machine are everybody's.
//!
//! ```text
//! the controller's threads   |= call ==|   = others =   = others =   = others =   |= its answer =|
//! the lane's, for every two cores      |= 10 ms =| rests twice as long |= 10 ms =| rests … its end, or its deadline
//! ```

use std::num::NonZero;
use std::panic::resume_unwind;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Instant;

use tokio::runtime::{Builder, Runtime};
use tokio::task::JoinHandle;

use crate::error::Error;

/// How nice what a plugin keeps busy is: beside a thread of the controller it gets a tenth of a core. With 19
/// it would starve on a busy machine.
pub(crate) const YIELD: i32 = 10;

/// How many times as long as it worked a thread rests.
const REST: u32 = 2;

/// The threads of long calls.
#[derive(Debug)]
pub(crate) struct Lane(Option<Runtime>);

impl Lane {
    /// A thread for every two cores, which rests longer than it works. More, and what never ends slows down the whole
    /// machine, however nice it is: with one for each of two cores a neighbour's push took 1.4 times as long, with one
    /// for both that never rests 1.2 times, with one that rests as long as it works 1.11 times.
    pub(crate) fn start() -> Result<Self, Error> {
        let cores = std::thread::available_parallelism().map_or(1, NonZero::get);
        let runtime = Builder::new_multi_thread()
            .worker_threads((cores / 2).max(1))
            .thread_name("plugin-call")
            .on_thread_start(give_way)
            .build()
            .map_err(|why| Error::Engine(format!("its calls have no threads: {why}")))?;
        Ok(Self(Some(runtime)))
    }

    /// Begins `work` here and now; if it is not done when it first gives way, it goes on in the lane. It ends
    /// soon after whoever waits has gone away.
    pub(crate) async fn run<T: Send + 'static>(
        &self,
        work: impl Future<Output = T> + Send + 'static,
    ) -> Result<T, Error> {
        let mut work = Box::pin(work);
        let begun = std::future::poll_fn(|context| Poll::Ready(work.as_mut().poll(context)));
        if let Poll::Ready(done) = begun.await {
            return Ok(done);
        }
        let gone = || Error::Engine("it is being shut down".to_owned());
        let runtime = self.0.as_ref().ok_or_else(gone)?;
        match Awaited(runtime.spawn(Rested(work))).await {
            Ok(done) => Ok(done),
            Err(why) => match why.try_into_panic() {
                Ok(panic) => resume_unwind(panic),
                Err(_) => Err(gone()),
            },
        }
    }
}

impl Drop for Lane {
    fn drop(&mut self) {
        // It may be one of its own threads that lets go of it last.
        if let Some(runtime) = self.0.take() {
            runtime.shutdown_background();
        }
    }
}

/// Work after each stretch of which the thread that did it rests [`REST`] times as long.
struct Rested<F>(Pin<Box<F>>);

impl<F: Future> Future for Rested<F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let begun = Instant::now();
        let done = self.0.as_mut().poll(context);
        if done.is_pending() {
            // The thread, and with it all that waits for it: else the next call would take the same time.
            std::thread::sleep(begun.elapsed() * REST);
        }
        done
    }
}

/// A task that nobody needs when nobody waits for it.
struct Awaited<T>(JoinHandle<T>);

impl<T> Future for Awaited<T> {
    type Output = Result<T, tokio::task::JoinError>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        Pin::new(&mut self.0).poll(context)
    }
}

impl<T> Drop for Awaited<T> {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// On Linux it is a thread that is nice, elsewhere the whole process would be.
fn give_way() {
    #[cfg(target_os = "linux")]
    {
        #[expect(unsafe_code, reason = "nothing safe wraps nice(2)")]
        // SAFETY: it takes a number and changes nothing but this thread's priority.
        unsafe {
            libc::nice(YIELD);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::thread::current;

    use super::*;

    #[tokio::test]
    async fn what_is_done_at_once_stays_and_what_takes_long_leaves() {
        let lane = Lane::start().expect("threads");
        let here = current().id();
        let short = lane.run(async { current().id() }).await.expect("it runs");
        assert_eq!(short, here);
        let long = lane.run(async {
            tokio::task::yield_now().await;
            (current().id(), current().name().map(str::to_owned))
        });
        let (there, name) = long.await.expect("it runs");
        assert_ne!(there, here);
        assert_eq!(name.as_deref(), Some("plugin-call"));
    }

    #[tokio::test]
    async fn what_nobody_waits_for_ends() {
        let lane = Lane::start().expect("threads");
        let (held, gone) = tokio::sync::oneshot::channel::<()>();
        let work = lane.run(async move {
            let _held = held;
            std::future::pending::<()>().await;
        });
        let waited = tokio::time::timeout(std::time::Duration::from_millis(20), work).await;
        assert!(waited.is_err());
        gone.await.expect_err("nobody says anything");
    }

    #[tokio::test]
    async fn a_panic_is_the_callers() {
        let lane = std::sync::Arc::new(Lane::start().expect("threads"));
        let theirs = lane.clone();
        let task = tokio::spawn(async move {
            theirs
                .run(async {
                    tokio::task::yield_now().await;
                    assert!(std::env::args().count() > 1_000_000, "on purpose");
                })
                .await
        });
        assert!(task.await.expect_err("it panics").is_panic());
    }
}
