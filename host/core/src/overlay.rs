//! One value laid over another: what the upper one says counts, and what it does not speak of is as the lower one has it.
//!
//! Items of lists are told apart as everywhere in write-back, by the keys that Kubernetes merges by. It deliberately knows nothing
//! of schemas: where a kind merges in another way, the API server says so, and this is for when it does not.

use reeve_writeback::key_of;
use serde_json::{Map, Value};

/// `under` with all that `over` says.
pub fn laid_over(under: &Value, over: &Value) -> Value {
    laid(under, over, "")
}

/// What `value` has of what stands in `shape`.
pub fn shaped(value: &Value, shape: &Value) -> Value {
    part(value, shape, "")
}

fn laid(under: &Value, over: &Value, field: &str) -> Value {
    match (under, over) {
        (Value::Object(under), Value::Object(over)) => {
            let mut out = under.clone();
            for (key, over) in over {
                let new = match under.get(key) {
                    Some(under) => laid(under, over, key),
                    None => over.clone(),
                };
                out.insert(key.clone(), new);
            }
            Value::Object(out)
        }
        (Value::Array(under), Value::Array(over)) => Value::Array(laid_lists(under, over, field)),
        _ => over.clone(),
    }
}

/// Items that only one of both has stay; without keys the number of an item is its key, where there are as many.
fn laid_lists(under: &[Value], over: &[Value], field: &str) -> Vec<Value> {
    let Some(key) = key_of(field, &[under, over]) else {
        return match under.len() == over.len() {
            true => {
                let both = under.iter().zip(over);
                both.map(|(under, over)| laid(under, over, "")).collect()
            }
            false => over.to_vec(),
        };
    };
    let here = under.iter().map(|item| match same(over, item, key) {
        Some(over) => laid(item, over, ""),
        None => item.clone(),
    });
    let new = over.iter().filter(|item| same(under, item, key).is_none());
    here.chain(new.cloned()).collect()
}

fn part(value: &Value, shape: &Value, field: &str) -> Value {
    match (value, shape) {
        (Value::Object(value), Value::Object(shape)) => {
            let parts = shape.iter().filter_map(|(key, shape)| {
                let value = value.get(key)?;
                Some((key.clone(), part(value, shape, key)))
            });
            Value::Object(parts.collect::<Map<_, _>>())
        }
        (Value::Array(value), Value::Array(shape)) => Value::Array(part_lists(value, shape, field)),
        _ => value.clone(),
    }
}

fn part_lists(value: &[Value], shape: &[Value], field: &str) -> Vec<Value> {
    let Some(key) = key_of(field, &[value, shape]) else {
        return match value.len() == shape.len() {
            true => {
                let both = value.iter().zip(shape);
                both.map(|(value, shape)| part(value, shape, "")).collect()
            }
            false => value.to_vec(),
        };
    };
    let parts = shape.iter().filter_map(|shape| {
        let value = same(value, shape, key)?;
        Some(part(value, shape, ""))
    });
    parts.collect()
}

fn same<'v>(list: &'v [Value], item: &Value, key: &str) -> Option<&'v Value> {
    list.iter().find(|one| one.get(key) == item.get(key))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_is_laid_over_counts_and_the_rest_is_as_it_was() {
        for (under, over, want) in [
            (
                json!({"a": 1, "b": {"c": 1}}),
                json!({"b": {"d": 2}}),
                json!({"a": 1, "b": {"c": 1, "d": 2}}),
            ),
            (
                json!({"containers": [{"name": "a", "image": "1", "pull": "Always"}, {"name": "side"}]}),
                json!({"containers": [{"name": "b"}, {"name": "a", "image": "2"}]}),
                json!({"containers": [{"name": "a", "image": "2", "pull": "Always"}, {"name": "side"}, {"name": "b"}]}),
            ),
            (
                json!({"rules": [{"to": 1, "filled": true}]}),
                json!({"rules": [{"to": 2}]}),
                json!({"rules": [{"to": 2, "filled": true}]}),
            ),
            (
                json!({"args": ["a"]}),
                json!({"args": ["b", "c"]}),
                json!({"args": ["b", "c"]}),
            ),
        ] {
            assert_eq!(laid_over(&under, &over), want);
        }
    }

    #[test]
    fn a_part_has_what_its_shape_has_with_other_values() {
        let value = json!({
            "name": "generated", "filled": 1, "cpu": "1",
            "ports": [{"port": 80, "targetPort": 80, "nodePort": 30000}, {"port": 81}],
        });
        let shape = json!({"name": "web", "cpu": "1000m", "dropped": null, "ports": [{"port": 80, "targetPort": 8080}]});
        let want =
            json!({"name": "generated", "cpu": "1", "ports": [{"port": 80, "targetPort": 80}]});
        assert_eq!(shaped(&value, &shape), want);
    }
}
