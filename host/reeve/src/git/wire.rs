//! One conversation with a server: how long it may last, how much may come, and what went wrong first.
//!
//! gix speaks git's protocol over blocking readers and writers and folds every error into text. Below it, ours are
//! asynchronous; each wait passes through [`Wire::wait`], which knows the deadline and the cap, and keeps the first
//! cause in its own words, so that what gix makes of it doesn't matter.
//!
//! What it deliberately doesn't: open a connection.

use std::io;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::runtime::Handle;
use tokio_util::sync::CancellationToken;

use super::Cause;
use super::shelf::Payment;

/// How many complaints of a server are kept.
const COMPLAINTS: usize = 3;

/// The bounds of a conversation. [`Wire::rearm`] gives new ones to a conversation that goes on.
#[derive(Debug, Clone)]
pub(super) struct Terms {
    deadline: Instant,
    given: Duration,
    stop: CancellationToken,
    flag: Arc<AtomicBool>,
}

/// What one conversation shares among its layers.
#[derive(Debug)]
pub(super) struct Wire {
    runtime: Handle,
    url: String,
    terms: Mutex<Terms>,
    left: AtomicU64,
    /// What comes is written, and this pays for it.
    payment: Mutex<Option<Payment>>,
    cap: Mutex<(&'static str, u64)>,
    cause: Mutex<Option<Cause>>,
    heard: Mutex<Vec<String>>,
    failed: AtomicBool,
}

impl Terms {
    pub(super) fn new(deadline: Instant) -> (Self, tokio_util::sync::DropGuard) {
        let stop = CancellationToken::new();
        let given = deadline.saturating_duration_since(Instant::now());
        let flag = Arc::new(AtomicBool::new(false));
        let guard = stop.clone().drop_guard();
        (
            Self {
                deadline,
                given,
                stop,
                flag,
            },
            guard,
        )
    }

    /// The flag that long computations look at; [`Self::watch`] sets it.
    pub(super) fn flag(&self) -> Arc<AtomicBool> {
        Arc::clone(&self.flag)
    }

    /// Resolves at the deadline, or when nobody waits any more, having set the flag.
    pub(super) async fn watch(self) {
        tokio::select! {
            () = tokio::time::sleep_until(self.deadline.into()) => {}
            () = self.stop.cancelled() => {}
        }
        self.flag.store(true, Ordering::Relaxed);
    }

    /// What it is when a long computation gave up.
    pub(super) fn expired(&self, doing: &'static str) -> Option<Cause> {
        if self.deadline <= Instant::now() {
            return Some(Cause::Deadline {
                doing,
                after: rounded(self.given),
            });
        }
        self.stop.is_cancelled().then_some(Cause::Cancelled)
    }
}

impl Wire {
    pub(super) fn new(runtime: Handle, url: String, terms: Terms) -> Self {
        Self {
            runtime,
            url,
            terms: Mutex::new(terms),
            left: AtomicU64::new(0),
            payment: Mutex::new(None),
            cap: Mutex::new(("more data came", 0)),
            cause: Mutex::new(None),
            heard: Mutex::default(),
            failed: AtomicBool::new(false),
        }
    }

    /// The URL without secrets, for errors.
    pub(super) fn url(&self) -> String {
        self.url.clone()
    }

    /// Gives the conversation new bounds.
    pub(super) fn rearm(&self, terms: Terms) {
        *self.terms.lock().unwrap_or_else(PoisonError::into_inner) = terms;
    }

    pub(super) fn terms(&self) -> Terms {
        self.terms
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// Takes at most `cap` bytes from now on; `what` begins the sentence that says so.
    pub(super) fn accept(&self, what: &'static str, cap: u64) {
        *self.cap.lock().unwrap_or_else(PoisonError::into_inner) = (what, cap);
        self.left.store(cap, Ordering::Relaxed);
    }

    /// What comes from now on is written; or nothing is any more.
    pub(super) fn pay_with(&self, payment: Option<Payment>) {
        *self.payment.lock().unwrap_or_else(PoisonError::into_inner) = payment;
    }

    /// So many bytes are written, beside those that come.
    pub(super) fn pay(&self, bytes: u64) -> io::Result<()> {
        let mut payment = self.payment.lock().unwrap_or_else(PoisonError::into_inner);
        let paid = payment.as_mut().map_or(Ok(()), |it| it.pay(bytes));
        drop(payment);
        paid.map_err(|over| self.fail(Cause::Storage(Box::new(over))))
    }

    /// Counts bytes that came.
    pub(super) fn received(&self, bytes: usize) -> io::Result<()> {
        let bytes = u64::try_from(bytes).unwrap_or(u64::MAX);
        let took = |left: u64| left.checked_sub(bytes);
        match self
            .left
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, took)
        {
            Ok(_) => self.pay(bytes),
            Err(_) => {
                let (what, cap) = *self.cap.lock().unwrap_or_else(PoisonError::into_inner);
                Err(self.fail(Cause::TooMuch {
                    what,
                    cap: in_bytes(cap),
                }))
            }
        }
    }

    /// How many bytes came since [`Self::accept`].
    pub(super) fn taken(&self) -> u64 {
        let (_, cap) = *self.cap.lock().unwrap_or_else(PoisonError::into_inner);
        cap.saturating_sub(self.left.load(Ordering::Relaxed))
    }

    /// Waits for `future` on the runtime, but not past the deadline. Only for threads that may block.
    pub(super) fn wait<T>(
        &self,
        doing: &'static str,
        future: impl Future<Output = T>,
    ) -> io::Result<T> {
        let terms = self.terms();
        let waited = self.runtime.block_on(async {
            tokio::select! {
                biased;
                () = terms.stop.cancelled() => Err(Cause::Cancelled),
                out = future => Ok(out),
                () = tokio::time::sleep_until(terms.deadline.into()) => {
                    Err(Cause::Deadline { doing, after: rounded(terms.given) })
                }
            }
        });
        waited.map_err(|cause| self.fail(cause))
    }

    /// Keeps `cause` unless there is an earlier one, and gives the error that gix is to see.
    pub(super) fn fail(&self, cause: Cause) -> io::Error {
        let kind = match cause {
            Cause::AuthenticationRequired(_) | Cause::AuthenticationRefused { .. } => {
                io::ErrorKind::PermissionDenied
            }
            _ => io::ErrorKind::Other,
        };
        let told = cause.to_string();
        self.failed.store(true, Ordering::Relaxed);
        let mut first = self.cause.lock().unwrap_or_else(PoisonError::into_inner);
        first.get_or_insert(cause);
        io::Error::new(kind, told)
    }

    /// Keeps what the server complains of, for [`Self::cause`].
    pub(super) fn hear(&self, complaint: &str) {
        let mut heard = self.heard.lock().unwrap_or_else(PoisonError::into_inner);
        if heard.len() < COMPLAINTS {
            heard.push(printable(complaint));
        }
    }

    /// Whether something went wrong.
    pub(super) fn failed(&self) -> bool {
        self.failed.load(Ordering::Relaxed)
    }

    /// Does something that nobody waits for.
    pub(super) fn spawn(&self, future: impl Future<Output = ()> + Send + 'static) {
        drop(self.runtime.spawn(future));
    }

    /// The first cause, or else what the server says, or else what gix says.
    pub(super) fn cause(&self, doing: &'static str, error: &dyn std::error::Error) -> Cause {
        let first = self
            .cause
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        first
            .or_else(|| self.terms().expired(doing))
            .or_else(|| self.complaint())
            .unwrap_or_else(|| Cause::Protocol {
                url: self.url(),
                why: printable(&reeve_core::failure::chain(error)),
            })
    }

    fn complaint(&self) -> Option<Cause> {
        let mut heard = self.heard.lock().unwrap_or_else(PoisonError::into_inner);
        let said = std::mem::take(&mut *heard).join("; ");
        let url = self.url();
        (!said.is_empty()).then_some(Cause::GaveUp { url, said })
    }
}

/// Text from a server, fit for a condition: one line, no control characters, not endless.
pub(super) fn printable(text: &str) -> String {
    let clean = text
        .chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .take(500);
    clean
        .collect::<String>()
        .split_whitespace()
        .collect::<Vec<_>>()
        .join(" ")
}

/// A cap in the unit it was chosen in.
pub(super) fn in_bytes(bytes: u64) -> String {
    match bytes {
        b if b >= 1 << 30 && b % (1 << 30) == 0 => format!("{} GiB", b >> 30),
        b if b >= 1 << 20 && b % (1 << 20) == 0 => format!("{} MiB", b >> 20),
        b if b >= 1 << 10 && b % (1 << 10) == 0 => format!("{} KiB", b >> 10),
        b => format!("{b} bytes"),
    }
}

/// A time as it is told.
pub(super) fn rounded(time: Duration) -> Duration {
    // 59.9998 s were 60 s when they were given.
    let unit = if time > Duration::from_secs(1) {
        100
    } else {
        10
    };
    let millis = u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
    Duration::from_millis(millis.saturating_add(unit / 2) / unit * unit)
}
