//! What is known of policies, by the digest of all that it depends on.
//!
//! So that nothing is read twice: by the webhook and by the run after it, by a run for each change of a scope, or anew when
//! another replica has led for a while. It is bounded; what was said first goes first.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Mutex, PoisonError};

/// How much is remembered: a few times as many as a platform has policies.
const MOST: usize = 512;

/// What a policy is known by.
pub(super) type Key = [u8; 32];

#[derive(Debug)]
pub(super) struct Memo<T>(Mutex<Known<T>>);

#[derive(Debug)]
struct Known<T> {
    said: BTreeMap<Key, T>,
    /// As they came.
    order: VecDeque<Key>,
}

impl<T> Default for Memo<T> {
    fn default() -> Self {
        Self(Mutex::new(Known {
            said: BTreeMap::new(),
            order: VecDeque::new(),
        }))
    }
}

impl<T: Clone> Memo<T> {
    pub(super) fn get(&self, key: &Key) -> Option<T> {
        self.lock().said.get(key).cloned()
    }

    pub(super) fn put(&self, key: Key, said: T) {
        let mut known = self.lock();
        if known.said.insert(key, said).is_none() {
            known.order.push_back(key);
        }
        if known.order.len() > MOST
            && let Some(first) = known.order.pop_front()
        {
            known.said.remove(&first);
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Known<T>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reading::wire::Said;

    #[test]
    fn what_was_said_is_known_until_much_else_was_said() {
        let memo = Memo::default();
        let key = |n: usize| {
            let mut key = [0; 32];
            key[..8].copy_from_slice(&n.to_le_bytes());
            key
        };
        memo.put(key(0), Said::Fit(None));
        memo.put(key(0), Said::Unfit("no".to_owned()));
        assert_eq!(memo.get(&key(0)), Some(Said::Unfit("no".to_owned())));
        for n in 1..MOST {
            memo.put(key(n), Said::Fit(None));
        }
        assert!(memo.get(&key(0)).is_some());
        memo.put(key(MOST), Said::Fit(None));
        assert_eq!(memo.get(&key(0)), None);
        assert!(memo.get(&key(1)).is_some());
        assert_eq!(memo.lock().said.len(), MOST);
    }
}
