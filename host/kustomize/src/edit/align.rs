//! Which items of a changed list are which of the old one.

use serde_json::Value;

/// One step from the old list to the new one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// The same item, perhaps changed.
    Both(usize, usize),
    /// An item that is gone.
    Old(usize),
    /// An item that is new.
    New(usize),
}

/// Above this, lists are not compared item by item but taken as replaced between what is equal at both ends.
const LARGEST: usize = 4_000_000;

/// The steps that keep the most items. Items are the same when they are equal or bear the same name.
pub(super) fn align(old: &[Value], new: &[Value]) -> Vec<Step> {
    let head = old
        .iter()
        .zip(new)
        .take_while(|(a, b)| is_same(a, b))
        .count();
    let (old_rest, new_rest) = (rest(old, head), rest(new, head));
    let tail = old_rest
        .iter()
        .rev()
        .zip(new_rest.iter().rev())
        .take_while(|(a, b)| is_same(a, b))
        .count();
    let (old_end, new_end) = (old.len() - tail, new.len() - tail);
    let mut steps: Vec<Step> = (0..head).map(|at| Step::Both(at, at)).collect();
    if old_end == new_end {
        // As many as before: each in its place.
        steps.extend((head..old_end).map(|at| Step::Both(at, at)));
    } else {
        let middle = between(
            old.get(head..old_end).unwrap_or_default(),
            new.get(head..new_end).unwrap_or_default(),
        );
        steps.extend(middle.into_iter().map(|step| match step {
            Step::Both(a, b) => Step::Both(a + head, b + head),
            Step::Old(a) => Step::Old(a + head),
            Step::New(b) => Step::New(b + head),
        }));
    }
    steps.extend((0..tail).map(|at| Step::Both(old_end + at, new_end + at)));
    steps
}

fn rest(list: &[Value], from: usize) -> &[Value] {
    list.get(from..).unwrap_or_default()
}

fn is_same(a: &Value, b: &Value) -> bool {
    let name = |value: &Value| value.get("name").and_then(Value::as_str).map(str::to_owned);
    let space = |value: &Value| value.get("namespace").cloned();
    a == b || (name(a).is_some() && name(a) == name(b) && space(a) == space(b))
}

/// The longest common subsequence.
fn between(old: &[Value], new: &[Value]) -> Vec<Step> {
    let width = new.len() + 1;
    if old.len().saturating_mul(new.len()) > LARGEST {
        let gone = (0..old.len()).map(Step::Old);
        return gone.chain((0..new.len()).map(Step::New)).collect();
    }
    // kept[a * width + b]: how many stay of old[a..] and new[b..].
    let mut kept = vec![0usize; (old.len() + 1) * width];
    let at = |kept: &[usize], a: usize, b: usize| kept.get(a * width + b).copied().unwrap_or(0);
    for (a, left) in old.iter().enumerate().rev() {
        for (b, right) in new.iter().enumerate().rev() {
            let best = if is_same(left, right) {
                at(&kept, a + 1, b + 1) + 1
            } else {
                at(&kept, a + 1, b).max(at(&kept, a, b + 1))
            };
            if let Some(cell) = kept.get_mut(a * width + b) {
                *cell = best;
            }
        }
    }
    let (mut a, mut b) = (0, 0);
    let mut steps = Vec::new();
    while let (Some(left), Some(right)) = (old.get(a), new.get(b)) {
        if is_same(left, right) && at(&kept, a, b) == at(&kept, a + 1, b + 1) + 1 {
            steps.push(Step::Both(a, b));
            (a, b) = (a + 1, b + 1);
        } else if at(&kept, a + 1, b) >= at(&kept, a, b + 1) {
            steps.push(Step::Old(a));
            a += 1;
        } else {
            steps.push(Step::New(b));
            b += 1;
        }
    }
    steps.extend((a..old.len()).map(Step::Old));
    steps.extend((b..new.len()).map(Step::New));
    steps
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_item_is_known_by_its_name_when_another_joins() {
        let old = [json!({"name": "a", "x": 1}), json!({"name": "c"})];
        let new = [
            json!({"name": "a", "x": 2}),
            json!({"name": "b"}),
            json!({"name": "c"}),
        ];
        let steps = align(&old, &new);
        assert_eq!(steps, [Step::Both(0, 0), Step::New(1), Step::Both(1, 2)]);
    }

    #[test]
    fn several_go_and_the_rest_stays() {
        let old = [json!("a"), json!("b"), json!("c"), json!("d")];
        let steps = align(&old, &[json!("b"), json!("d")]);
        let want = [
            Step::Old(0),
            Step::Both(1, 0),
            Step::Old(2),
            Step::Both(3, 1),
        ];
        assert_eq!(steps, want);
    }
}
