//! The order in which go-yaml writes the keys of a mapping.
//!
//! It compares keys so that `10` comes after `9`, and not all of its comparisons agree: three keys may each come before the
//! next, in a circle. Rust's own sorting panics over that, so this sorts by hand, and few keys as Go does it.

use std::cmp::Ordering;

/// Up to how many keys Go sorts by insertion. Of more, in a circle, kustomize may print another order.
const FEW: usize = 12;

/// The keys in go-yaml's order.
pub(super) fn in_order(mut keys: Vec<&String>) -> Vec<&String> {
    if keys.len() <= FEW {
        insert(&mut keys);
        return keys;
    }
    let right = in_order(keys.split_off(keys.len() / 2));
    merged(in_order(keys), right)
}

fn insert(keys: &mut [&String]) {
    for end in 1..keys.len() {
        for at in (1..=end).rev() {
            match keys.get(at - 1..=at) {
                Some([before, after]) if natural(after, before) == Ordering::Less => {
                    keys.swap(at - 1, at);
                }
                _ => break,
            }
        }
    }
}

fn merged<'a>(left: Vec<&'a String>, right: Vec<&'a String>) -> Vec<&'a String> {
    let mut all = Vec::with_capacity(left.len() + right.len());
    let (mut left, mut right) = (left.into_iter().peekable(), right.into_iter().peekable());
    loop {
        let next = match (left.peek(), right.peek()) {
            (Some(a), Some(b)) if natural(b, a) == Ordering::Less => right.next(),
            (Some(_), _) => left.next(),
            (None, _) => right.next(),
        };
        match next {
            Some(key) => all.push(key),
            None => return all,
        }
    }
}

/// Letters come after other characters, runs of digits by their number.
fn natural(a: &str, b: &str) -> Ordering {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    let differ = a.iter().zip(&b).position(|(x, y)| x != y);
    let Some(at) = differ else {
        return a.len().cmp(&b.len());
    };
    let (Some(&x), Some(&y)) = (a.get(at), b.get(at)) else {
        return Ordering::Equal;
    };
    match (x.is_alphabetic(), y.is_alphabetic()) {
        (true, true) => return x.cmp(&y),
        (true, false) => return Ordering::Greater,
        (false, true) => return Ordering::Less,
        (false, false) => {}
    }
    let mut lead = 0i64;
    if x == '0' || y == '0' {
        let before = a.get(..at).unwrap_or_default();
        let digits = before.iter().rev().take_while(|c| c.is_numeric());
        if digits.into_iter().any(|c| *c != '0') {
            lead = 1;
        }
    }
    let run = |chars: &[char]| {
        let digits = chars
            .get(at..)
            .unwrap_or_default()
            .iter()
            .take_while(|c| c.is_numeric());
        digits.fold((lead, 0usize), |(n, count), c| {
            let digit = i64::from(u32::from(*c)) - i64::from(u32::from('0'));
            (n.wrapping_mul(10).wrapping_add(digit), count + 1)
        })
    };
    run(&a).cmp(&run(&b)).then(x.cmp(&y))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Out of what a fuzzer found.
    const CIRCLE: &str = "-.99999 2020-01-01 2020-01-01T00:00:00Z 12:30645 1e401 ._5 +12 1234567.5 1e21 0b11 \
                          123456789012 .10 1. .5 -TC.5 1e-7 99999999999999999999 12:30:45 1e400 0617283.5 123456789 \
                          2020-01-0 07 7 0x7 7a a7 a07 -7";

    #[test]
    fn keys_that_go_in_a_circle_are_put_in_some_order() {
        let keys: Vec<String> = CIRCLE.split_whitespace().map(str::to_owned).collect();
        for start in 0..keys.len() {
            let (a, b) = keys.split_at(start);
            let mut ordered = in_order(b.iter().chain(a).collect());
            assert_eq!(ordered.len(), keys.len());
            ordered.sort();
            ordered.dedup();
            assert_eq!(ordered.len(), keys.len());
        }
    }

    #[test]
    fn many_keys_are_sorted_as_few_are() {
        let mut keys: Vec<String> = (0..100).map(|n| format!("key{n}")).collect();
        let want = keys.clone();
        keys.reverse();
        assert_eq!(
            in_order(keys.iter().collect()),
            want.iter().collect::<Vec<_>>()
        );
    }
}
