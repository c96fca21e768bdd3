//! What is kept of so many issuers.
//!
//! Tenants name issuers, and what is known of one is everybody's. Where there is no more room, one goes of the namespace that
//! brought most of them, and of those the one that was not used for longest: who names many loses what is his own. What it
//! deliberately doesn't: know what is kept.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex as Lock, PoisonError};
use std::time::Instant;

use reeve_api::name::NamespaceName;
use tokio::sync::Mutex;

/// How many issuers are kept.
const MOST: usize = 1024;
/// How many of them one namespace may have brought: four Receivers' full lists.
const EACH: usize = 128;

/// What is kept of each issuer, by its URL.
#[derive(Default)]
pub(super) struct Shelf<T>(Lock<HashMap<String, Entry<T>>>);

struct Entry<T> {
    what: Arc<Mutex<T>>,
    by: NamespaceName,
    used: Instant,
}

impl<T: Default> Shelf<T> {
    /// What is kept of an issuer that a Receiver in `namespace` names.
    pub(super) fn kept(
        &self,
        namespace: &NamespaceName,
        issuer: &str,
        now: Instant,
    ) -> Arc<Mutex<T>> {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(entry) = known.get_mut(issuer) {
            entry.used = now;
            return Arc::clone(&entry.what);
        }
        make_room(&mut known, namespace);
        let what = Arc::<Mutex<T>>::default();
        let entry = Entry {
            what: Arc::clone(&what),
            by: namespace.clone(),
            used: now,
        };
        known.insert(issuer.to_owned(), entry);
        what
    }
}

fn make_room<T>(known: &mut HashMap<String, Entry<T>>, namespace: &NamespaceName) {
    let mut brought = BTreeMap::<NamespaceName, usize>::new();
    for entry in known.values() {
        *brought.entry(entry.by.clone()).or_default() += 1;
    }
    let most = brought.iter().max_by_key(|(_, number)| **number);
    let greedy = match brought.get(namespace).is_some_and(|own| *own >= EACH) {
        true => Some(namespace.clone()),
        false if known.len() >= MOST => most.map(|(namespace, _)| namespace.clone()),
        false => None,
    };
    let Some(greedy) = greedy else { return };
    let of_it = known.iter().filter(|(_, entry)| entry.by == greedy);
    // What a call holds just now is fetched once more at worst, if all of them are held.
    let oldest = of_it.min_by_key(|(_, entry)| (Arc::strong_count(&entry.what) > 1, entry.used));
    if let Some(oldest) = oldest.map(|(issuer, _)| issuer.clone()) {
        known.remove(&oldest);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn namespace(name: &str) -> NamespaceName {
        NamespaceName::new(name).unwrap()
    }

    #[test]
    fn who_names_many_issuers_has_nobody_elses_forgotten() {
        let (shelf, start) = (Shelf::<usize>::default(), Instant::now());
        let quiet = namespace("quiet");
        *shelf
            .kept(&quiet, "https://quiet.example", start)
            .try_lock()
            .unwrap() = 7;
        for number in 0..2 * MOST {
            let (many, at) = (number / 8, start + Duration::from_secs(1));
            // One that brings many, and many that bring some each.
            for by in [namespace("greedy"), namespace(&format!("some-{many}"))] {
                shelf.kept(&by, &format!("https://{by}.example/{number}"), at);
            }
        }
        assert_eq!(shelf.0.lock().unwrap().len(), MOST);
        let kept = shelf.kept(&quiet, "https://quiet.example", start);
        assert_eq!(*kept.try_lock().unwrap(), 7);
    }

    #[test]
    fn what_was_not_used_for_longest_goes_first_and_what_is_in_use_last() {
        let (shelf, start) = (Shelf::<usize>::default(), Instant::now());
        let acme = namespace("acme");
        let at = |second| start + Duration::from_secs(second);
        let held = shelf.kept(&acme, "held", at(0));
        for (second, number) in (1..).zip(1..EACH) {
            shelf.kept(&acme, &number.to_string(), at(second));
        }
        shelf.kept(&acme, "1", at(900));
        shelf.kept(&acme, "new", at(901));
        let known = shelf.0.lock().unwrap();
        assert_eq!(known.len(), EACH);
        assert!(known.contains_key("held") && known.contains_key("1") && !known.contains_key("2"));
        drop(held);
    }
}
