//! OPA's `object.subset`: whether all of one value is in another.
//!
//! regorus panics where a list is looked for that is empty. As in OPA, what is looked for in a set or a list must be there
//! as it is, and only the fields of objects are looked into. It deliberately finds nothing in a text or a number.

use regorus::Value;

use super::Refusal;

const KINDS: Refusal = Refusal::Argument(1, "a collection in which 2 could be");

/// Whether all of the second is in the first.
pub(super) fn is_subset(arguments: &[Value]) -> Result<Value, Refusal> {
    let [all, part] = arguments else {
        return Err(KINDS);
    };
    let is_subset = match (all, part) {
        (Value::Array(all), Value::Set(part)) => {
            super::spend(product(all.len(), part.len()))?;
            part.iter().all(|one| all.contains(one))
        }
        (Value::Array(_), Value::Array(_))
        | (Value::Object(_), Value::Object(_))
        | (Value::Set(_), Value::Set(_)) => is_in(part, all)?,
        _ => return Err(KINDS),
    };
    Ok(Value::Bool(is_subset))
}

fn is_in(part: &Value, all: &Value) -> Result<bool, Refusal> {
    match (all, part) {
        (Value::Object(all), Value::Object(part)) => {
            for (key, one) in part.iter() {
                let is_there = match all.get(key) {
                    Some(other) => is_in(one, other)?,
                    None => false,
                };
                if !is_there {
                    return Ok(false);
                }
            }
            Ok(true)
        }
        (Value::Set(all), Value::Set(part)) => Ok(part.iter().all(|one| all.contains(one))),
        (Value::Array(all), Value::Array(part)) => {
            super::spend(product(all.len(), part.len()))?;
            let all: Vec<&Value> = all.iter().collect();
            let part: Vec<&Value> = part.iter().collect();
            // There is no window of no length.
            Ok(part.is_empty() || all.windows(part.len()).any(|window| window == part))
        }
        (all, part) => Ok(all == part),
    }
}

/// What it takes to look for so many among so many.
fn product(all: usize, part: usize) -> u64 {
    u64::try_from(all.saturating_mul(part)).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn told(all: &Value, part: &Value) -> String {
        super::super::begin();
        match is_subset(&[all.clone(), part.clone()]) {
            Ok(value) => value.to_string(),
            Err(_) => "none".to_owned(),
        }
    }

    #[test]
    fn all_of_a_part_is_there_or_it_is_none() {
        for (all, part, want) in [
            (r#"{"a": 1, "b": 2}"#, r#"{"a": 1}"#, "true"),
            (r#"{"a": 1}"#, r#"{"a": 2}"#, "false"),
            (r#"{"a": 1}"#, r#"{"b": 1}"#, "false"),
            (r#"{"a": {"b": 1, "c": 2}}"#, r#"{"a": {"c": 2}}"#, "true"),
            (r#"{"a": [1, 2, 3]}"#, r#"{"a": [2, 3]}"#, "true"),
            (r#"{"a": [1, 2, 3]}"#, r#"{"a": [1, 3]}"#, "false"),
            (r#"{"a": [1]}"#, r#"{"a": []}"#, "true"),
            ("[1]", "[]", "true"),
            ("[]", "[]", "true"),
            ("[1, 1, 2]", "[1, 2]", "true"),
            ("[[1, 2]]", "[[1]]", "false"),
            ("[1]", "[1, 2]", "false"),
            ("{}", "[]", "none"),
            ("1", "1", "none"),
        ] {
            let (one, two) = (
                Value::from_json_str(all).unwrap(),
                Value::from_json_str(part).unwrap(),
            );
            assert_eq!(told(&one, &two), want, "{all} {part}");
        }
    }

    #[test]
    fn sets_are_looked_for_in_sets_and_arrays() {
        let set = |items: &[u64]| {
            let items: BTreeSet<Value> = items.iter().copied().map(Value::from).collect();
            Value::from(items)
        };
        let array = Value::from_json_str("[1, 2]").unwrap();
        assert_eq!(told(&set(&[1, 2]), &set(&[2])), "true");
        assert_eq!(told(&set(&[1]), &set(&[2])), "false");
        assert_eq!(told(&array, &set(&[2, 1])), "true");
        assert_eq!(told(&array, &set(&[3])), "false");
        assert_eq!(told(&set(&[1, 2]), &array), "none");
    }
}
