//! What a policy answers, as it is carried on: on one line, and fit to be shown to anybody.

use regorus::Value;

use crate::text;

/// The longest text of a violation that is carried on, in characters.
pub(super) const TEXT_LIMIT: usize = 2_000;

/// One thing a policy objects to.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Violation {
    /// What is wrong and what to do about it, in words a tenant understands.
    pub message: String,
    /// Which object, as `Kind/namespace/name`.
    pub object: Option<String>,
    /// Which field of it.
    pub path: Option<String>,
    /// What to do about it.
    pub hint: Option<String>,
    /// The package that says so: `data.reeve.service_account`.
    pub package: String,
}

/// What a policy answered.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Verdict {
    /// What it objects to; empty when it lets the question pass.
    pub violations: Vec<Violation>,
    /// How many violations there were beyond those.
    pub more: usize,
    /// What it says without objecting.
    pub warnings: Vec<Violation>,
    /// How many warnings there were beyond those.
    pub more_warnings: usize,
}

/// Reads one element of a set.
pub(super) fn violation(element: &Value) -> Result<Violation, &'static str> {
    let object = element
        .as_object()
        .map_err(|_| "an element of deny is not an object")?;
    let mut fields: [Option<String>; 4] = Default::default();
    for (key, value) in object.iter() {
        let (Value::String(key), Value::String(text)) = (key, value) else {
            return Err("a field of an element of deny is not a text");
        };
        let [message, object, path, hint] = &mut fields;
        let field = match key.as_ref() {
            "message" => message,
            "object" => object,
            "path" => path,
            "hint" => hint,
            _ => {
                return Err(
                    "an element of deny has a field other than message, object, path, hint",
                );
            }
        };
        let text: String = text.chars().take(TEXT_LIMIT).collect();
        *field = Some(text::line(&text));
    }
    let [message, object, path, hint] = fields;
    let message = message.filter(|text| !text.trim().is_empty());
    let message = message.ok_or("an element of deny has no message")?;
    Ok(Violation {
        message,
        object,
        path,
        hint,
        package: String::new(),
    })
}
