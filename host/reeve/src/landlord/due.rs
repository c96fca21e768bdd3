//! Who is due, and when: the longest first, so that whoever is due all the time keeps nobody else waiting.
//!
//! One that is attended to is due again only once that has ended, and at once if it was woken meanwhile. It deliberately doesn't know
//! why anybody is due.

use std::collections::{BTreeMap, BTreeSet};

use reeve_api::name::TenantName;
use tokio::time::Instant;

/// All who are due, now or later.
#[derive(Default)]
pub(super) struct Due {
    at: BTreeMap<TenantName, Instant>,
    /// The same in the order of time.
    order: BTreeSet<(Instant, TenantName)>,
    /// Those that are attended to, and when they are due after that.
    busy: BTreeMap<TenantName, Option<Instant>>,
}

impl Due {
    /// It is due then, or earlier if it is so already.
    pub(super) fn wake(&mut self, name: TenantName, at: Instant) {
        if let Some(after) = self.busy.get_mut(&name) {
            *after = Some(after.map_or(at, |before| before.min(at)));
            return;
        }
        if let Some(before) = self.at.get(&name).copied() {
            if before <= at {
                return;
            }
            self.order.remove(&(before, name.clone()));
        }
        self.order.insert((at, name.clone()));
        self.at.insert(name, at);
    }

    /// When the next one is due.
    pub(super) fn next(&self) -> Option<Instant> {
        self.order.first().map(|(at, _)| *at)
    }

    /// Whoever has been due the longest, if anybody is. It is attended to from now on.
    pub(super) fn take(&mut self, now: Instant) -> Option<TenantName> {
        self.next().filter(|at| *at <= now)?;
        let (_, name) = self.order.pop_first()?;
        self.at.remove(&name);
        self.busy.insert(name.clone(), None);
        Some(name)
    }

    /// It is attended to no more.
    pub(super) fn end(&mut self, name: &TenantName) {
        if let Some(Some(at)) = self.busy.remove(name) {
            self.wake(name.clone(), at);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn name(text: &str) -> TenantName {
        text.parse().unwrap()
    }

    #[test]
    fn whoever_is_attended_to_for_long_keeps_nobody_else_waiting_and_is_not_attended_to_twice() {
        let (mut due, now) = (Due::default(), Instant::now());
        let second = |number: u64| now + Duration::from_secs(number);
        due.wake(name("slow"), now);
        assert_eq!(due.take(now), Some(name("slow")));
        due.wake(name("slow"), second(1));
        due.wake(name("slow"), second(3));
        due.wake(name("other"), second(2));
        assert_eq!(due.next(), Some(second(2)));
        assert_eq!(due.take(second(9)), Some(name("other")));
        assert_eq!(due.take(second(9)), None);
        due.end(&name("slow"));
        assert_eq!(due.take(second(1)), Some(name("slow")));
        due.end(&name("slow"));
        due.end(&name("other"));
        assert_eq!(due.next(), None);
    }

    #[test]
    fn the_longest_due_goes_first_and_an_earlier_time_counts() {
        let (mut due, now) = (Due::default(), Instant::now());
        let second = |number: u64| now + Duration::from_secs(number);
        due.wake(name("a"), second(2));
        due.wake(name("b"), second(3));
        due.wake(name("b"), second(1));
        due.wake(name("a"), second(5));
        assert_eq!(due.take(now), None);
        assert_eq!(due.take(second(2)), Some(name("b")));
        assert_eq!(due.take(second(2)), Some(name("a")));
        assert_eq!(due.next(), None);
    }
}
