//! What GitHub publishes of its API, as `tests/forges/describe.mjs` takes it out: which requests there are, what they hold and
//! what they are answered.
//!
//! Statuses that any request may be answered with (no such token, no right, nothing there) are not described for each.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::Context as _;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{Asked, Told};

/// The description.
#[derive(Deserialize)]
pub(super) struct Description {
    components: Value,
    operations: Vec<Operation>,
}

#[derive(Deserialize)]
struct Operation {
    method: String,
    path: String,
    query: Vec<String>,
    body: Option<Value>,
    responses: BTreeMap<String, Response>,
}

#[derive(Deserialize)]
struct Response {
    schema: Option<Value>,
    example: Value,
}

const ANYWHERE: [u16; 4] = [401, 403, 404, 422];

impl Description {
    pub(super) fn read(file: &Path) -> anyhow::Result<Self> {
        let text = std::fs::read(file).with_context(|| file.display().to_string())?;
        Ok(serde_json::from_slice(&text)?)
    }

    /// What GitHub shows as an answer to this.
    pub(super) fn example(&self, method: &str, path: &str, status: &str) -> Value {
        let mut all = self.operations.iter();
        let found = all.find(|one| one.method == method && one.path == path);
        let answer = found.and_then(|one| one.responses.get(status));
        answer
            .map(|answer| answer.example.clone())
            .unwrap_or_default()
    }

    /// What is not as it is described.
    pub(super) fn check(&self, asked: &Asked, told: &Told) -> Vec<String> {
        let shown = format!("{} {}", asked.method, asked.shown());
        let Some(operation) = self.operations.iter().find(|one| one.is(asked)) else {
            return vec![format!("{shown}: GitHub describes no such request")];
        };
        let mut faults = Vec::new();
        for name in asked.query.keys() {
            if !operation.query.contains(name) {
                faults.push(format!("{shown}: GitHub knows no parameter {name}"));
            }
        }
        match (&operation.body, &asked.body) {
            (None, Value::Null) => {}
            (None, _) => faults.push(format!("{shown}: it has a body, and should have none")),
            (Some(schema), body) => {
                let wrong = self.wrong(schema, body);
                faults.extend(wrong.map(|why| format!("{shown}: the request: {why}")));
            }
        }
        let status = told.status.to_string();
        match operation.responses.get(&status) {
            Some(described) => {
                let null = Value::Null;
                let body = told.body.as_ref().unwrap_or(&null);
                let wrong = match &described.schema {
                    Some(schema) => self.wrong(schema, body),
                    None => (!body.is_null()).then(|| "there is a body".to_owned()),
                };
                faults.extend(wrong.map(|why| format!("{shown}: the answer {status}: {why}")));
            }
            None if ANYWHERE.contains(&told.status) => {}
            None => faults.push(format!("{shown}: GitHub never answers {status}")),
        }
        faults
    }

    fn wrong(&self, schema: &Value, value: &Value) -> Option<String> {
        let document = json!({"components": self.components, "allOf": [schema]});
        let validator = jsonschema::options()
            .with_draft(jsonschema::Draft::Draft202012)
            .should_validate_formats(false)
            .build(&document);
        match validator {
            Ok(validator) => {
                let mut errors = validator.iter_errors(value);
                errors
                    .next()
                    .map(|why| format!("{} at {}", why, why.instance_path()))
            }
            Err(why) => Some(format!("its schema cannot be used: {why}")),
        }
    }
}

impl Operation {
    fn is(&self, asked: &Asked) -> bool {
        let mut pieces = self.path.trim_start_matches('/').split('/');
        let same = asked.path.iter().all(|piece| {
            pieces
                .next()
                .is_some_and(|named| named.starts_with('{') || named == piece)
        });
        self.method == asked.method && same && pieces.next().is_none()
    }
}
