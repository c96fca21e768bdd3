//! The fields in which a secret value was taken apart: none of its pieces is long enough to be known again.
//!
//! So the whole text of such a field is covered. What was written is compared with what came of it, place by place; where
//! a value brought more than a text, all that it brought counts. It deliberately covers too much where a field cannot be read
//! by itself: then it counts as one that takes a value apart.

use reeve_kustomize::Object;
use serde_json::{Map, Value};

use super::evaluate::Evaluation;
use super::template::Template;

/// Notes them.
pub(super) fn veil(
    written: &Object,
    made: &Object,
    template: &Template,
    evaluation: &mut Evaluation<'_>,
) {
    if evaluation.takes_apart(&template.0) {
        fields(written.fields(), made.fields(), evaluation);
    }
}

fn compare(written: &Value, made: &Value, evaluation: &mut Evaluation<'_>) {
    match (written, made) {
        (Value::Object(before), Value::Object(after)) => fields(before, after, evaluation),
        (Value::Array(before), Value::Array(after)) if before.len() == after.len() => {
            for (before, after) in before.iter().zip(after) {
                compare(before, after, evaluation);
            }
        }
        _ if is_touched(written, evaluation) => note(made, evaluation),
        _ => {}
    }
}

fn fields(
    before: &Map<String, Value>,
    after: &Map<String, Value>,
    evaluation: &mut Evaluation<'_>,
) {
    let is_new = after.keys().any(|key| !before.contains_key(key));
    // What stands under a key that wasn't there cannot be compared: it may be a value's.
    let is_any_touched = is_new && are_touched(before, evaluation);
    for (key, made) in after {
        match before.get(key) {
            Some(written) => compare(written, made, evaluation),
            None if is_any_touched => {
                evaluation.fields.insert(key.clone());
                note(made, evaluation);
            }
            None => {}
        }
    }
}

fn is_touched(written: &Value, evaluation: &Evaluation<'_>) -> bool {
    match written {
        Value::String(text) => is_apart(text, evaluation),
        Value::Array(items) => items.iter().any(|item| is_touched(item, evaluation)),
        Value::Object(fields) => are_touched(fields, evaluation),
        Value::Null | Value::Bool(_) | Value::Number(_) => false,
    }
}

fn are_touched(fields: &Map<String, Value>, evaluation: &Evaluation<'_>) -> bool {
    let mut fields = fields.iter();
    fields.any(|(key, value)| is_apart(key, evaluation) || is_touched(value, evaluation))
}

fn is_apart(text: &str, evaluation: &Evaluation<'_>) -> bool {
    if !text.contains('$') {
        return false;
    }
    Template::parse(text).map_or(true, |template| evaluation.takes_apart(&template.0))
}

/// All texts and numbers in it.
fn note(made: &Value, evaluation: &mut Evaluation<'_>) {
    match made {
        Value::String(text) => {
            evaluation.fields.insert(text.clone());
        }
        Value::Number(number) => {
            evaluation.fields.insert(number.to_string());
        }
        Value::Array(items) => items.iter().for_each(|item| note(item, evaluation)),
        Value::Object(fields) => {
            for (key, value) in fields {
                evaluation.fields.insert(key.clone());
                note(value, evaluation);
            }
        }
        Value::Null | Value::Bool(_) => {}
    }
}
