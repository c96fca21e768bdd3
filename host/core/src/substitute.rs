//! Variables in manifests: `${var}`, with the bash-like functions that Flux has.
//!
//! Between the build and everything else: each object is written as YAML, its expressions are replaced, and it is read
//! again, so that a number that stands in a variable is a number. Reading the variables is the shell's; so is the next
//! stage, `transform`. Errors name the object and the variable, and never a value.

mod evaluate;
mod field;
mod glob;
mod template;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use reeve_api::KUSTOMIZE_GROUP;
use reeve_api::reason::Reason;
use reeve_kustomize::{Object, read_yaml, to_yaml};
use serde_json::{Map, Value};

use crate::bundle::{self, Bundle, Rendered};
use crate::failure::{Explain, Turn};
use crate::inventory::ObjectId;
use crate::veil::Veil;
use evaluate::{Evaluation, Why};
use template::Template;

/// The most of everything that one bundle's substitution may take: bytes written, and steps of looking for patterns.
const EFFORT: usize = 64 << 20;

/// What variables stand for. Prints their names only.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Variables {
    values: BTreeMap<String, String>,
    /// Those whose value must not be told.
    secret: BTreeSet<String>,
}

/// A bundle with its variables put in.
#[derive(Debug)]
pub struct Substituted {
    /// The bundle.
    pub bundle: Bundle<Rendered>,
    /// What expressions with secret variables came to, whatever functions made of the values.
    pub secret: Veil,
    /// The objects that have such expressions.
    pub touched: Touched,
}

/// Objects that a secret variable is put into, whatever of it that is. In which namespaces they lie it does not know.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Touched(BTreeSet<[String; 3]>);

impl Touched {
    fn add(&mut self, object: &Object) {
        let parts = [object.group(), object.kind(), object.name()];
        self.0.insert(parts.map(str::to_owned));
    }

    /// Whether this may be one of them.
    pub fn has(&self, id: &ObjectId) -> bool {
        self.0
            .contains(&[id.group.clone(), id.kind.clone(), id.name.clone()])
    }
}

/// A name that no variable can have.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no name of a variable: letters, digits and _, and no digit first")]
pub struct BadName(String);

/// Variables that could not be put in. Never holds a value.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// It names a variable that nobody sets.
    #[error("variable {variable} of {object} is not set")]
    NotSet {
        /// Which object.
        object: String,
        /// The variable's name.
        variable: String,
    },
    /// An expression cannot be read.
    #[error("the expression in line {line} of {object}, written as YAML, cannot be read: {why}")]
    Malformed {
        /// Which object.
        object: String,
        /// Where in its YAML.
        line: usize,
        /// What is wrong.
        why: &'static str,
    },
    /// A function cut a character in two.
    #[error("variable {variable} of {object} is cut within a character")]
    Cut {
        /// Which object.
        object: String,
        /// The variable's name.
        variable: String,
    },
    /// What came out is no object.
    #[error("{object} is no object any more with its variables put in{}", at(.line))]
    Broken {
        /// Which object.
        object: String,
        /// Where in its YAML, where that is known.
        line: Option<u32>,
    },
    /// It takes too much.
    #[error(
        "the variables of {object} take more than the {EFFORT} bytes and steps allowed for all"
    )]
    Limit {
        /// Which object it was when nothing was left.
        object: String,
    },
    /// What came out cannot be applied.
    #[error("the manifests are not usable with their variables put in")]
    Bundle(#[from] bundle::Error),
}

fn at(line: &Option<u32>) -> String {
    line.map(|line| format!(" (line {line})"))
        .unwrap_or_default()
}

impl Explain for Error {
    fn reason(&self) -> Reason {
        Reason::BuildFailed
    }

    fn turn(&self) -> Turn {
        match self {
            Self::Malformed { .. } => Turn::NextRevision,
            // The value may lie in an object that is not watched.
            _ => Turn::Retry,
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::NotSet { variable, .. } => Some(format!(
                "set it in spec.postBuild, give it a default with ${{{variable}:=…}}, or keep the text with $${{{variable}}}"
            )),
            Self::Malformed { .. } => Some(format!(
                "write $$ for a $ that begins no variable, or annotate the object with {KUSTOMIZE_GROUP}/substitute: disabled"
            )),
            Self::Broken { .. } => Some("put quotes around the variable".to_owned()),
            Self::Cut { .. } | Self::Limit { .. } | Self::Bundle(_) => None,
        }
    }
}

impl Variables {
    /// Adds some; a later one of the same name counts. As Flux, lines of a value are joined.
    pub fn add(&mut self, more: impl IntoIterator<Item = (String, String)>) -> Result<(), BadName> {
        for (name, value) in more {
            named(&name)?;
            self.secret.remove(&name);
            self.values.insert(name, value.replace('\n', ""));
        }
        Ok(())
    }

    /// Adds some whose values must not be told.
    pub fn add_secret(
        &mut self,
        more: impl IntoIterator<Item = (String, String)>,
    ) -> Result<(), BadName> {
        for (name, value) in more {
            self.add([(name.clone(), value)])?;
            self.secret.insert(name);
        }
        Ok(())
    }

    /// Adds all of these, over what is there.
    pub fn put_over(&mut self, more: &Self) {
        self.secret.retain(|name| !more.values.contains_key(name));
        self.values.extend(more.values.clone());
        self.secret.extend(more.secret.clone());
    }

    fn get(&self, name: &str) -> Option<&str> {
        self.values.get(name).map(String::as_str)
    }

    fn is_secret(&self, name: &str) -> bool {
        self.secret.contains(name)
    }
}

impl fmt::Debug for Variables {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map()
            .entries(self.values.keys().map(|name| (name, "***")))
            .finish()
    }
}

/// Whether a variable may be called so.
fn named(name: &str) -> Result<(), BadName> {
    let letter = |c: char| c.is_ascii_alphabetic() || c == '_';
    let fits = name.starts_with(letter) && name.chars().all(|c| letter(c) || c.is_ascii_digit());
    match fits {
        true => Ok(()),
        false => Err(BadName(name.chars().take(64).collect())),
    }
}

/// The bundle with its variables put in. Without any, nothing is done unless it is `always` to be.
pub fn substitute(
    bundle: Bundle<Rendered>,
    variables: &Variables,
    always: bool,
) -> Result<Substituted, Error> {
    if variables.values.is_empty() && !always {
        return Ok(Substituted {
            bundle,
            secret: Veil::default(),
            touched: Touched::default(),
        });
    }
    let mut evaluation = Evaluation::new(variables, EFFORT);
    let (shown, mut touched) = (bundle.secret().clone(), Touched::default());
    let objects = bundle.into_objects().into_iter();
    let objects: Result<Vec<Object>, Error> = objects
        .map(|object| match keeps_its_text(&object) {
            true => Ok(object),
            false => put_in(object, &mut evaluation, &mut touched),
        })
        .collect();
    Ok(Substituted {
        bundle: Bundle::built(objects?)?.under(&shown),
        secret: Veil::of(evaluation.secret).with_fields(evaluation.fields),
        touched,
    })
}

/// Whether putting variables in would make something else of this value, in the manifest of that object.
pub fn takes(object: &Object, value: &Value) -> bool {
    let is_taken = |text: &str| text.contains("${") || text.contains("$$");
    match value {
        _ if keeps_its_text(object) => false,
        Value::String(text) => is_taken(text),
        Value::Array(items) => items.iter().any(|item| takes(object, item)),
        Value::Object(fields) => fields
            .iter()
            .any(|(key, value)| is_taken(key) || takes(object, value)),
        Value::Null | Value::Bool(_) | Value::Number(_) => false,
    }
}

/// Whether nothing is ever put into an object. Definitions have patterns and descriptions full of `$`; whoever annotates an
/// object asks for it.
fn keeps_its_text(object: &Object) -> bool {
    let key = format!("{KUSTOMIZE_GROUP}/substitute");
    let says = |all: Option<&Map<String, Value>>| {
        all.and_then(|all| all.get(&key)).and_then(Value::as_str) == Some("disabled")
    };
    (object.group() == "apiextensions.k8s.io" && object.kind() == "CustomResourceDefinition")
        || says(object.labels())
        || says(object.annotations())
}

fn put_in(
    object: Object,
    evaluation: &mut Evaluation<'_>,
    touched: &mut Touched,
) -> Result<Object, Error> {
    let text = to_yaml(std::slice::from_ref(&object));
    if !text.contains('$') {
        return Ok(object);
    }
    let id = object.id().to_string();
    let template = Template::parse(&text).map_err(|bad| Error::Malformed {
        object: id.clone(),
        line: bad.line,
        why: bad.why,
    })?;
    let text = evaluation.run(&template).map_err(|why| match why {
        Why::NotSet(variable) => Error::NotSet {
            object: id.clone(),
            variable,
        },
        Why::Cut(variable) => Error::Cut {
            object: id.clone(),
            variable,
        },
        Why::Limit => Error::Limit { object: id.clone() },
    })?;
    let broken = |line| Error::Broken {
        object: id.clone(),
        line,
    };
    // What is wrong is not said: the words of the reader may be those of a value.
    let read = read_yaml(text.as_bytes(), "").map_err(|why| broken(why.place().line))?;
    match read {
        Value::Object(fields) => {
            let made = Object::from(fields);
            if evaluation.names_a_secret(&template.0) {
                touched.add(&made);
            }
            field::veil(&object, &made, &template, evaluation);
            Ok(made)
        }
        _ => Err(broken(None)),
    }
}

#[cfg(test)]
mod tests;
