//! Calls that wait, a line for each Receiver.
//!
//! The lines are served in turn, so that nobody waits for all the calls of another, and none is longer than its share. What it
//! deliberately doesn't: know what is waited for, or lose anything: what has no place is given back.

use std::collections::{BTreeMap, VecDeque};

use reeve_api::name::NamespacedName;

/// How many calls of one Receiver wait.
const EACH: usize = 16;
/// How many wait in all.
const ALL: usize = 1024;

/// What waits for each Receiver.
#[derive(Debug)]
pub struct Lines<T> {
    each: BTreeMap<NamespacedName, VecDeque<T>>,
    /// Whose turn is next: every Receiver that has a line, once.
    turns: VecDeque<NamespacedName>,
    waiting: usize,
}

impl<T> Default for Lines<T> {
    fn default() -> Self {
        Self {
            each: BTreeMap::new(),
            turns: VecDeque::new(),
            waiting: 0,
        }
    }
}

impl<T> Lines<T> {
    /// Puts something at the end of its Receiver's line, or gives it back where there is no place.
    pub fn push(&mut self, receiver: &NamespacedName, what: T) -> Result<(), T> {
        let length = self.each.get(receiver).map_or(0, VecDeque::len);
        if length >= EACH || self.waiting >= ALL {
            return Err(what);
        }
        if length == 0 {
            self.turns.push_back(receiver.clone());
        }
        let line = self.each.entry(receiver.clone()).or_default();
        line.push_back(what);
        self.waiting += 1;
        Ok(())
    }

    /// What is next.
    pub fn pop(&mut self) -> Option<T> {
        let receiver = self.turns.pop_front()?;
        let line = self.each.get_mut(&receiver)?;
        let next = line.pop_front()?;
        self.waiting -= 1;
        if line.is_empty() {
            self.each.remove(&receiver);
        } else {
            self.turns.push_back(receiver);
        }
        Some(next)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(name: &str) -> NamespacedName {
        NamespacedName::new("acme", name).unwrap()
    }

    #[test]
    fn a_receiver_that_is_called_much_holds_nobody_else_up() {
        let mut lines = Lines::default();
        for number in 0..EACH {
            assert_eq!(lines.push(&id("busy"), number), Ok(()));
        }
        assert_eq!(lines.push(&id("busy"), 99), Err(99), "its line is full");
        assert_eq!(lines.push(&id("quiet"), 77), Ok(()), "and no other");
        let first: Vec<_> = std::iter::from_fn(|| lines.pop()).take(3).collect();
        assert_eq!(first, [0, 77, 1]);
        assert_eq!(lines.push(&id("quiet"), 78), Ok(()));
        assert_eq!((lines.pop(), lines.pop()), (Some(2), Some(78)));
    }

    #[test]
    fn what_waits_is_bounded_and_forgotten_when_it_is_served() {
        let mut lines = Lines::default();
        let receivers: Vec<_> = (0..=ALL).map(|number| id(&format!("r-{number}"))).collect();
        let taken = receivers.iter().filter(|id| lines.push(id, ()).is_ok());
        assert_eq!(taken.count(), ALL);
        assert_eq!(std::iter::from_fn(|| lines.pop()).count(), ALL);
        assert!(lines.each.is_empty() && lines.turns.is_empty());
        assert_eq!(lines.push(&id("r-0"), ()), Ok(()));
    }
}
