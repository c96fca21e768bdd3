//! A case of a policy: an input, and what the policy must say to it.
//!
//! A document with `input`, with `want` (what is denied; nothing without it) and, where they count, `warn` and
//! `parameters`, as in the folders `case/` of the policies that are shipped.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value};

use super::{Error, Input, Policy, Violation};

/// One case.
#[derive(Debug, Clone, PartialEq)]
pub struct Case {
    input: Value,
    parameters: Option<Value>,
    want: BTreeSet<Said>,
    warn: Option<BTreeSet<Said>>,
}

/// What a case is not.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NoCase {
    /// It has a field that no case has.
    #[error("it has a field {0}; a case has input, parameters, want, warn")]
    Field(String),
    /// It lacks the input.
    #[error("it has no input")]
    Input,
    /// What it wants is no list of objections.
    #[error("{0} is not a list of objects with message, object, path, hint")]
    List(&'static str),
}

/// One objection, field by field.
type Said = BTreeMap<String, String>;

impl Case {
    /// Reads the document of a case.
    pub fn parse(document: &Value) -> Result<Self, NoCase> {
        let nothing = Map::new();
        let fields = document.as_object().unwrap_or(&nothing);
        let known = ["input", "parameters", "want", "warn"];
        if let Some(field) = fields.keys().find(|field| !known.contains(&field.as_str())) {
            return Err(NoCase::Field(field.clone()));
        }
        let want = fields.get("want").map(|list| said(list, "want"));
        Ok(Self {
            input: fields.get("input").cloned().ok_or(NoCase::Input)?,
            parameters: fields.get("parameters").cloned(),
            want: want.transpose()?.unwrap_or_default(),
            warn: fields
                .get("warn")
                .map(|list| said(list, "warn"))
                .transpose()?,
        })
    }

    /// The parameters that it brings.
    pub fn parameters(&self) -> Option<&Value> {
        self.parameters.as_ref()
    }

    /// How what the packages in and below `directory` say differs from what is wanted; None when it does not.
    pub fn differs(&self, policy: &Policy, directory: &str) -> Result<Option<String>, Error> {
        let verdict = policy.judge_part(&Input::new(&self.input)?, directory)?;
        let mut told = compare("denies", &self.want, &verdict.violations);
        if let Some(warn) = &self.warn {
            told.push_str(&compare("warns", warn, &verdict.warnings));
        }
        Ok((!told.is_empty()).then_some(told))
    }
}

fn said(list: &Value, field: &'static str) -> Result<BTreeSet<Said>, NoCase> {
    let one = |said: &Value| {
        let text =
            |(key, value): (&String, &Value)| Some((key.clone(), value.as_str()?.to_owned()));
        let said: Option<Said> = said.as_object()?.iter().map(text).collect();
        said
    };
    let all = list
        .as_array()
        .and_then(|list| list.iter().map(one).collect());
    all.ok_or(NoCase::List(field))
}

fn compare(verb: &str, want: &BTreeSet<Said>, told: &[Violation]) -> String {
    // A package's own hint is added to what it says: it counts where a case names it.
    let seen = |violation: &Violation| {
        let said = fields(violation);
        let mut bare = said.clone();
        bare.remove("hint");
        match !want.contains(&said) && want.contains(&bare) {
            true => bare,
            false => said,
        }
    };
    let told: BTreeSet<Said> = told.iter().map(seen).collect();
    let line = |sign: char, said: &Said| format!("{sign} {verb} {}\n", serde_json::json!(said));
    let missing = want.difference(&told).map(|said| line('-', said));
    let other = told.difference(want).map(|said| line('+', said));
    missing.chain(other).collect()
}

fn fields(violation: &Violation) -> Said {
    let fields = [
        ("message", Some(&violation.message)),
        ("object", violation.object.as_ref()),
        ("path", violation.path.as_ref()),
        ("hint", violation.hint.as_ref()),
    ];
    let said = fields
        .into_iter()
        .filter_map(|(key, text)| Some((key.to_owned(), text?.clone())));
    said.collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    const RULES: &str = "# METADATA\n# title: t\n# description: d\npackage a\ndeny contains {\"message\": \"no\", \"path\": \"x\"} if \
        input.bad\nwarn contains {\"message\": \"hm\"} if input.odd\n";

    fn differs(document: &Value) -> Option<String> {
        let policy = Policy::compile("a", RULES).unwrap();
        Case::parse(document).unwrap().differs(&policy, "").unwrap()
    }

    #[test]
    fn a_case_tells_how_what_is_said_differs_from_what_is_wanted() {
        let no = json!({"message": "no", "path": "x"});
        assert_eq!(differs(&json!({"input": {}})), None);
        assert_eq!(
            differs(&json!({"input": {"bad": true}, "want": [no]})),
            None
        );
        assert_eq!(differs(&json!({"input": {"odd": true}})), None);
        let told =
            differs(&json!({"input": {"bad": true}, "want": [{"message": "other"}]})).unwrap();
        let want =
            "- denies {\"message\":\"other\"}\n+ denies {\"message\":\"no\",\"path\":\"x\"}\n";
        assert_eq!(told, want);
        let told = differs(&json!({"input": {"odd": true}, "warn": []})).unwrap();
        assert_eq!(told, "+ warns {\"message\":\"hm\"}\n");
    }

    #[test]
    fn a_case_is_for_the_packages_beside_it_and_their_hints_count_where_it_names_them() {
        let other = RULES
            .replace("package a", "# custom: {hint: do}\npackage b")
            .replace("\"no\"", "\"b\"");
        let files = BTreeMap::from([
            ("a/policy.rego".to_owned(), RULES.as_bytes().to_vec()),
            ("b/policy.rego".to_owned(), other.into_bytes()),
        ]);
        let policy = Policy::load("both", &files, &json!({})).unwrap();
        let said = |directory: &str, want: Value| {
            let case = Case::parse(&json!({"input": {"bad": true}, "want": [want]})).unwrap();
            case.differs(&policy, directory).unwrap()
        };
        assert_eq!(said("a", json!({"message": "no", "path": "x"})), None);
        assert_eq!(said("b", json!({"message": "b", "path": "x"})), None);
        let hint = json!({"message": "b", "path": "x", "hint": "do"});
        assert_eq!(said("b", hint), None);
        let other = json!({"message": "b", "path": "x", "hint": "don't"});
        assert!(said("b", other).is_some());
        assert!(said("", json!({"message": "no", "path": "x"})).is_some());
    }

    #[test]
    fn what_is_no_case_is_refused() {
        for (document, why) in [
            (json!([]), "it has no input"),
            (json!({"want": []}), "it has no input"),
            (
                json!({"input": {}, "wants": []}),
                "it has a field wants; a case has input, parameters, want, warn",
            ),
            (
                json!({"input": {}, "want": ["no"]}),
                "want is not a list of objects with message, object, path, hint",
            ),
        ] {
            assert_eq!(Case::parse(&document).unwrap_err().to_string(), why);
        }
    }
}
