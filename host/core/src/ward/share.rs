//! Whose watches there are, where there cannot be as many as are wanted.
//!
//! Each tenant has as many as it wants, as long as there are enough for all; else nobody has more than who has least, but for
//! what others don't want. So whoever comes later has the same as who was there before. Of one tenant's those come first that a
//! rule names, then those that show something. It deliberately begins and ends none: who has no watch is listed now and then,
//! which is the shell's to do.

use std::collections::{BTreeMap, BTreeSet};

/// What is known of something that somebody wants watched.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Wish {
    /// Whether it may not be: then a watch of it shows nothing.
    pub refused: bool,
    /// Whether a rule names it.
    pub named: bool,
    /// Whether there is anything to see.
    pub holds: bool,
    /// Whether it is watched already.
    pub watched: bool,
}

/// How many each may have who wants so many: all together `most` at most, and each of them `most_of_one`.
pub fn shares<K: Ord + Clone>(
    wanted: &BTreeMap<K, usize>,
    most: usize,
    most_of_one: usize,
) -> BTreeMap<K, usize> {
    let mut by_size: Vec<(usize, &K)> = wanted
        .iter()
        .map(|(who, number)| ((*number).min(most_of_one), who))
        .collect();
    // Who wants least is served first: what it leaves is the others'.
    by_size.sort();
    let (mut left, mut waiting) = (most, by_size.len());
    let mut shares = BTreeMap::new();
    for (number, who) in by_size {
        let share = number.min(left.checked_div(waiting).unwrap_or_default());
        left -= share;
        waiting -= 1;
        shares.insert(who.clone(), share);
    }
    shares
}

/// Which of these are watched, where so many may be. What is watched stays so, if nothing is more urgent.
pub fn chosen<P: Ord + Clone>(wishes: &BTreeMap<P, Wish>, share: usize) -> BTreeSet<P> {
    let mut all: Vec<(&P, &Wish)> = wishes.iter().collect();
    all.sort_by_key(|(what, wish)| {
        let Wish {
            refused,
            named,
            holds,
            watched,
        } = **wish;
        (refused, !named, !holds, !watched, *what)
    });
    let all = all.into_iter().take(share);
    all.map(|(what, _)| what.clone()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Who wants how many, of how many there are in all and for one, and who has how many.
    #[test]
    fn nobody_takes_from_others_what_these_could_use() {
        for (wanted, most, of_one, want) in [
            (vec![], 10, 10, vec![]),
            (vec![("a", 4)], 10, 10, vec![4]),
            (vec![("a", 40)], 10, 10, vec![10]),
            (vec![("a", 40)], 10, 6, vec![6]),
            (vec![("a", 40), ("b", 40)], 10, 10, vec![5, 5]),
            (vec![("a", 40), ("b", 2)], 10, 10, vec![8, 2]),
            (vec![("a", 40), ("b", 2), ("c", 40)], 10, 10, vec![4, 2, 4]),
            (vec![("a", 40), ("b", 2), ("c", 40)], 10, 3, vec![3, 2, 3]),
            (vec![("a", 1), ("b", 1), ("c", 1)], 2, 2, vec![0, 1, 1]),
            (vec![("a", 0), ("b", 9)], 5, 5, vec![0, 5]),
        ] {
            let wanted: BTreeMap<&str, usize> = wanted.into_iter().collect();
            let got: Vec<usize> = shares(&wanted, most, of_one).into_values().collect();
            assert_eq!(got, want, "{wanted:?} of {most}, {of_one} of one");
        }
    }

    #[test]
    fn with_many_tenants_all_together_have_no_more_than_there_is() {
        let wanted: BTreeMap<usize, usize> = (0..700).map(|who| (who, who)).collect();
        let shares = shares(&wanted, 512, 256);
        assert!(shares.values().sum::<usize>() <= 512);
        assert!(shares.values().all(|share| *share <= 1), "{shares:?}");
    }

    #[test]
    fn what_a_rule_names_is_watched_first_then_what_shows_something_and_last_what_may_not_be() {
        let wish = Wish::default();
        let refused = Wish {
            refused: true,
            named: true,
            holds: true,
            watched: true,
        };
        let named = Wish {
            named: true,
            ..wish
        };
        let holds = Wish {
            holds: true,
            ..wish
        };
        let watched = Wish {
            watched: true,
            ..wish
        };
        let all = BTreeMap::from([
            ("a", refused),
            ("b", wish),
            ("c", watched),
            ("d", holds),
            ("e", named),
        ]);
        let order = ["e", "d", "c", "b", "a"];
        for share in 0..=order.len() {
            let want: BTreeSet<&str> = order.iter().copied().take(share).collect();
            assert_eq!(chosen(&all, share), want, "{share}");
        }
    }
}
