//! Whose share a name is, as one member knows it, and how far the others are known to have followed.
//!
//! A Tenant that is written moves namespaces from one share to another, and members hear of it one after the other. Each
//! member's map goes through the same states, which a digest names. A name that has moved is begun with only when every other
//! member has published a state that is no older than the move: until then one of them may still work for the share
//! it was in. What was never moved waits for nobody but at the start.

use std::collections::{BTreeMap, VecDeque};

use super::{fnv, mix};

/// How many states are remembered: who is further behind than that is waited for until he has come up.
const STATES: usize = 4096;

/// Whose share each name is.
#[derive(Debug, Clone, Default)]
pub struct Map {
    /// Those that are in another share than the one of their own name.
    shares: BTreeMap<String, String>,
    digest: u64,
    /// How many states there were since all was known.
    state: u64,
    listed: bool,
    /// In which state each name was last moved.
    moved: BTreeMap<String, u64>,
    /// The digests of the last states.
    states: VecDeque<(u64, u64)>,
    /// The state that every other member has come to; None: one of them is somewhere that is not known here.
    followed: Option<u64>,
}

impl Map {
    /// The share of a name, if it is not its own.
    pub fn share_of(&self, name: &str) -> Option<&str> {
        self.shares.get(name).map(String::as_str)
    }

    /// The name is in this share; None: in its own. Whether it was in another.
    pub fn put(&mut self, name: &str, share: Option<String>) -> bool {
        if self.shares.get(name) == share.as_ref() {
            return false;
        }
        let before = match share {
            Some(share) => {
                self.digest = self.digest.wrapping_add(entry(name, &share));
                self.shares.insert(name.to_owned(), share)
            }
            None => self.shares.remove(name),
        };
        if let Some(before) = before {
            self.digest = self.digest.wrapping_sub(entry(name, &before));
        }
        if self.listed {
            self.state += 1;
            self.moved.insert(name.to_owned(), self.state);
            self.remember();
        }
        true
    }

    /// All names are known that are in another share than their own.
    pub fn listed(&mut self) {
        if !std::mem::replace(&mut self.listed, true) {
            self.remember();
        }
    }

    /// Whether they are.
    pub fn is_listed(&self) -> bool {
        self.listed
    }

    /// What the state is called.
    pub fn digest(&self) -> u64 {
        self.digest
    }

    /// These states the others have published.
    pub fn others_are_at(&mut self, digests: impl IntoIterator<Item = u64>) {
        let mut behind = Some(u64::MAX);
        for digest in digests {
            let at = self.states.iter().rev().find(|(known, _)| *known == digest);
            behind = match (behind, at) {
                (Some(behind), Some((_, state))) => Some(behind.min(*state)),
                _ => None,
            };
        }
        self.followed = behind;
    }

    /// Whether nobody works for these names any more as if they were in another share.
    pub fn is_settled(&self, names: &[&str]) -> bool {
        let Some(followed) = self.followed.filter(|_| self.listed) else {
            return false;
        };
        let moved = names.iter().filter_map(|name| self.moved.get(*name));
        moved.into_iter().all(|state| *state <= followed)
    }

    fn remember(&mut self) {
        self.states.push_back((self.digest, self.state));
        if self.states.len() > STATES {
            self.states.pop_front();
        }
    }
}

/// What an entry adds to the digest, in whichever order they come.
fn entry(name: &str, share: &str) -> u64 {
    mix(fnv(name.as_bytes()) ^ mix(fnv(share.as_bytes())))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn some(share: &str) -> Option<String> {
        Some(share.to_owned())
    }

    #[test]
    fn a_state_is_called_the_same_however_it_was_come_to() {
        let (mut one, mut other) = (Map::default(), Map::default());
        one.put("a", some("acme"));
        one.put("b", some("acme"));
        other.put("b", some("beta"));
        other.put("a", some("acme"));
        assert_ne!(one.digest(), other.digest());
        other.put("b", some("acme"));
        assert_eq!(one.digest(), other.digest());
        assert!(one.put("b", None) && !one.put("b", None));
        assert_ne!(one.digest(), other.digest());
        one.put("a", None);
        assert_eq!(one.digest(), Map::default().digest());
    }

    #[test]
    fn a_name_that_was_moved_waits_until_all_others_know_and_no_other_name_does() {
        let mut map = Map::default();
        map.put("a", some("acme"));
        assert!(!map.is_settled(&["a"]), "not all is known");
        map.listed();
        let first = map.digest();
        map.others_are_at([first, first]);
        assert!(map.is_settled(&["a", "b"]));
        map.put("a", some("beta"));
        assert!(!map.is_settled(&["a"]) && map.is_settled(&["b"]));
        let second = map.digest();
        map.others_are_at([first, second]);
        assert!(!map.is_settled(&["a"]) && map.is_settled(&["b"]));
        map.others_are_at([second, second]);
        assert!(map.is_settled(&["a"]));
        // Somebody is ahead of us, or far behind.
        map.others_are_at([second, 77]);
        assert!(!map.is_settled(&["a"]) && !map.is_settled(&["b"]));
        map.others_are_at([]);
        assert!(map.is_settled(&["a"]), "nobody else is there");
    }

    #[test]
    fn who_has_come_back_to_a_state_is_known_to_be_there() {
        let mut map = Map::default();
        map.listed();
        let empty = map.digest();
        map.put("a", some("acme"));
        map.put("a", None);
        map.others_are_at([empty]);
        assert!(map.is_settled(&["a"]), "nothing is another's in either");
    }
}
