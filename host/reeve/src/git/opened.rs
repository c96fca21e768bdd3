//! The repositories that are open: those that were read last, and no others.
//!
//! An open one holds its parsed configuration, room for the indices of its packs, and maps them: kept for each source, that is
//! more than all else that is kept of it. Opening one anew takes a fraction of a millisecond. What it deliberately doesn't: keep a
//! mirror from going; whoever reads it does.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// A few open ones, for all who read any.
pub(super) struct Opened<T> {
    most: usize,
    /// The one that was asked for last comes last.
    all: Mutex<VecDeque<(u64, Arc<T>)>>,
    names: AtomicU64,
}

impl<T> Opened<T> {
    pub(super) const fn new(most: usize) -> Self {
        Self {
            most,
            all: Mutex::new(VecDeque::new()),
            names: AtomicU64::new(0),
        }
    }

    /// A name that nobody else has.
    pub(super) fn name(&self) -> u64 {
        self.names.fetch_add(1, Ordering::Relaxed)
    }

    /// The one of that name, opened if it is not any more.
    pub(super) fn get<E>(
        &self,
        name: u64,
        open: impl FnOnce() -> Result<T, E>,
    ) -> Result<Arc<T>, E> {
        if let Some(known) = self.known(name) {
            return Ok(known);
        }
        // Nobody waits for it who reads another; two may open the same, and either will do.
        let opened = Arc::new(open()?);
        self.close(name);
        let mut all = self.all();
        all.push_back((name, Arc::clone(&opened)));
        let oldest = match all.len() > self.most {
            true => all.pop_front(),
            false => None,
        };
        drop(all);
        drop(oldest);
        Ok(opened)
    }

    /// Nobody will ask for it any more.
    pub(super) fn close(&self, name: u64) {
        let mut all = self.all();
        let at = all.iter().position(|(known, _)| *known == name);
        let closed = at.and_then(|at| all.remove(at));
        drop(all);
        drop(closed);
    }

    fn known(&self, name: u64) -> Option<Arc<T>> {
        let mut all = self.all();
        let at = all.iter().position(|(known, _)| *known == name)?;
        let known = all.remove(at)?;
        let open = Arc::clone(&known.1);
        all.push_back(known);
        Some(open)
    }

    fn all(&self) -> MutexGuard<'_, VecDeque<(u64, Arc<T>)>> {
        self.all.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_those_that_were_read_last_stay_open() {
        let opened = Opened::new(2);
        let get = |name: u64| {
            let mut anew = false;
            let got = opened.get(name, || {
                anew = true;
                Ok::<_, ()>(name)
            });
            assert_eq!(got.map(|got| *got), Ok(name));
            anew
        };
        let [a, b, c] = [(); 3].map(|()| opened.name());
        let asked = [a, b, a, c, a, b].map(get);
        assert_eq!(asked, [true, true, false, true, false, true]);
        opened.close(a);
        assert_eq!([b, a].map(get), [false, true]);
        assert!(opened.get(c, || Err(())).is_err());
        assert_eq!([a, b].map(get), [false, false]);
    }
}
