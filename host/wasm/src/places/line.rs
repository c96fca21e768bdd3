//! Whose turn it is: tenants one after the other, each with its own in the order they came.
//!
//! Pure. It deliberately knows no waiting and no clock: who joins, leaves and is next.

use std::collections::{BTreeMap, VecDeque};

/// Who holds a place and who waits for one.
#[derive(Debug)]
pub(super) struct Line {
    free: usize,
    each: usize,
    held: BTreeMap<String, usize>,
    /// Of each tenant those that wait, in order.
    waiting: BTreeMap<String, VecDeque<u64>>,
    /// The tenants in `waiting`, the next one first.
    turns: VecDeque<String>,
}

impl Line {
    /// At least one place, of which one tenant never holds all when there are more.
    pub(super) fn new(all: usize, each: usize) -> Self {
        let all = all.max(1);
        Self {
            free: all,
            each: each.clamp(1, all.saturating_sub(1).max(1)),
            held: BTreeMap::new(),
            waiting: BTreeMap::new(),
            turns: VecDeque::new(),
        }
    }

    pub(super) fn join(&mut self, tenant: &str, ticket: u64) {
        let own = self.waiting.entry(tenant.to_owned()).or_default();
        if own.is_empty() {
            self.turns.push_back(tenant.to_owned());
        }
        own.push_back(ticket);
    }

    /// The next one that may have a place; it has it now.
    pub(super) fn next(&mut self) -> Option<(u64, String)> {
        if self.free == 0 {
            return None;
        }
        let holds = |tenant| self.held.get(tenant).copied().unwrap_or(0);
        let at = (self.turns.iter()).position(|tenant| holds(tenant) < self.each)?;
        let tenant = self.turns.remove(at)?;
        let own = self.waiting.get_mut(&tenant)?;
        let ticket = own.pop_front()?;
        if own.is_empty() {
            self.waiting.remove(&tenant);
        } else {
            self.turns.push_back(tenant.clone());
        }
        self.free -= 1;
        *self.held.entry(tenant.clone()).or_default() += 1;
        Some((ticket, tenant))
    }

    /// One of `tenant`'s places is free again.
    pub(super) fn leave(&mut self, tenant: &str) {
        let Some(held) = self.held.get_mut(tenant) else {
            return;
        };
        *held -= 1;
        if *held == 0 {
            self.held.remove(tenant);
        }
        self.free += 1;
    }

    /// One that waits does so no more.
    pub(super) fn forget(&mut self, tenant: &str, ticket: u64) {
        let Some(own) = self.waiting.get_mut(tenant) else {
            return;
        };
        own.retain(|waits| *waits != ticket);
        if own.is_empty() {
            self.waiting.remove(tenant);
            self.turns.retain(|turn| turn != tenant);
        }
    }

    /// Whether nobody holds a place or waits for one.
    #[cfg(test)]
    pub(super) fn is_empty(&self) -> bool {
        self.held.is_empty() && self.waiting.is_empty() && self.turns.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tickets(line: &mut Line) -> Vec<u64> {
        std::iter::from_fn(|| line.next().map(|(ticket, _)| ticket)).collect()
    }

    #[test]
    fn tenants_take_turns() {
        let mut line = Line::new(10, 10);
        for (tenant, ticket) in [("a", 1), ("a", 2), ("a", 3), ("b", 4), ("c", 5)] {
            line.join(tenant, ticket);
        }
        assert_eq!(tickets(&mut line), [1, 4, 5, 2, 3]);
    }

    #[test]
    fn a_tenant_never_holds_all() {
        let mut line = Line::new(3, 99);
        for ticket in 1..=5 {
            line.join("a", ticket);
        }
        assert_eq!(tickets(&mut line), [1, 2]);
        line.join("b", 6);
        assert_eq!(tickets(&mut line), [6]);
        line.leave("b");
        assert_eq!(tickets(&mut line), [0; 0]);
        line.leave("a");
        assert_eq!(tickets(&mut line), [3]);
    }

    #[test]
    fn one_place_goes_to_anybody() {
        let mut line = Line::new(0, 0);
        line.join("a", 1);
        line.join("a", 2);
        assert_eq!(tickets(&mut line), [1]);
    }

    #[test]
    fn who_leaves_the_line_is_passed_over() {
        let mut line = Line::new(1, 1);
        line.join("a", 1);
        line.join("b", 2);
        line.forget("a", 1);
        line.forget("nobody", 9);
        assert_eq!(tickets(&mut line), [2]);
        line.leave("b");
        assert!(line.is_empty());
    }
}
