//! Why a call or an operation failed, in words that hold nothing of a value.
//!
//! regorus' own words quote what it was given. Told are only those that stand before any quotation and are known to be its
//! own, and of what types the arguments were. It deliberately tells less where it does not know regorus' words.

use std::cell::RefCell;

use regorus::Value;

use super::{Refusal, arity};

/// What a call said that failed, and what of that may be told.
struct Failed {
    said: String,
    told: String,
    undone: Option<&'static str>,
}

thread_local! {
    /// The last call of the question that is being asked on this thread.
    static LAST: RefCell<Option<Failed>> = const { RefCell::new(None) };
}

/// What regorus says of a rule or an operator, by how it begins, and what is told of it.
const SAID: [(&str, &str); 15] = [
    ("divide by zero", "it divides by zero"),
    ("division by zero", "it divides by zero"),
    ("modulo by zero", "it divides by zero"),
    (
        "modulo on floating-point number",
        "`%` expects whole numbers",
    ),
    ("complete rules should not produce", "a rule has two values"),
    ("rules must not produce", "a rule has two values"),
    ("rules should not produce", "a rule has two values"),
    ("rule conflicts with rule", "a rule has two values"),
    (
        "functions must not produce",
        "a function has two values for the same arguments",
    ),
    (
        "function produced multiple",
        "a function has two values for the same arguments",
    ),
    (
        "value for key `",
        "an object is given two values for one key",
    ),
    (
        "previous value is not",
        "rules of one name give an object and something else",
    ),
    (
        "`some .. in collection` expects",
        "`some … in` expects a collection",
    ),
    ("item cannot be indexed", "a value has no such parts"),
    (
        "it failed inside of a function",
        "a function of the engine failed",
    ),
];

/// Operators by regorus' names for them.
const OPERATORS: [(&str, &str); 6] = [
    ("add", "+"),
    ("sub", "-"),
    ("mul", "*"),
    ("div", "/"),
    ("mod", "%"),
    ("difference", "-"),
];

/// Forgets what an earlier question failed of.
pub(super) fn begin() {
    LAST.set(None);
}

/// Keeps why a call of ours failed.
pub(super) fn refused(function: &str, refusal: Refusal, arguments: &[Value]) {
    let undone = match refusal {
        Refusal::Undone(what) => Some(what),
        _ => None,
    };
    let words = format!("`{function}`: {refusal}");
    keep(refusal.to_string(), undone, &words, arguments);
}

/// Keeps why a call of regorus' own failed, by what it says.
pub(super) fn failed(function: &str, said: String, arguments: &[Value]) {
    let words = said.rsplit("error: ").next().and_then(bare);
    let words = words.unwrap_or_else(|| "failed".to_owned());
    keep(said, None, &format!("`{function}` {words}"), arguments);
}

fn keep(said: String, undone: Option<&'static str>, words: &str, arguments: &[Value]) {
    let types: Vec<&str> = arguments.iter().map(type_of).collect();
    let told = format!("{words}; it was given {}", types.join(", "));
    LAST.set(Some(Failed { said, told, undone }));
}

/// What is not done and made the question of this thread fail, if `said`, regorus' words, are of that.
pub(in crate::rego) fn asked_in_vain(said: &str) -> Option<&'static str> {
    LAST.with_borrow(|last| {
        let last = last.as_ref()?;
        last.undone.filter(|_| said.contains(&last.said))
    })
}

/// Why the question of this thread failed, where regorus says that, and `why` is the last of its words.
pub(in crate::rego) fn told(said: &str, why: &str) -> Option<String> {
    let call = LAST.with_borrow(|last| {
        let last = last.as_ref()?;
        said.contains(&last.said).then(|| last.told.clone())
    });
    call.or_else(|| words(why))
}

fn words(why: &str) -> Option<String> {
    let known = SAID.iter().find(|(begins, _)| why.starts_with(begins));
    let words = match known {
        Some((_, told)) => (*told).to_owned(),
        None => {
            let (name, _) = why.strip_prefix('`')?.split_once('`')?;
            let operator = OPERATORS.iter().find(|(called, _)| *called == name);
            let name = match operator {
                Some((_, sign)) => *sign,
                None if arity(name).is_some() => name,
                None => return None,
            };
            format!("`{name}` {}", bare(why)?)
        }
    };
    match given(why) {
        Some(given) => Some(format!("{words}; it was given {given}")),
        None => Some(words),
    }
}

/// `expects string argument`, of ``​`lower` expects string argument. Got `7` instead``.
fn bare(why: &str) -> Option<String> {
    let (_, rest) = why.strip_prefix('`')?.split_once("` ")?;
    let words = rest.split(['.', '`']).next()?.trim_end();
    let words = words.strip_suffix(" Got").unwrap_or(words);
    let is_plain = |c: char| c.is_ascii_lowercase() || " /-,".contains(c);
    let begins = words.starts_with("expects ") || words.starts_with("requires ");
    (begins && words.chars().all(is_plain)).then(|| words.to_owned())
}

/// Of what type that is which regorus quotes, by its first letter.
fn given(why: &str) -> Option<&'static str> {
    let (_, quoted) = why.split_once("Got `")?;
    Some(match quoted.chars().next()? {
        '"' => "string",
        '[' => "array",
        '{' => "object or set",
        'n' => "null",
        't' | 'f' => "boolean",
        _ => "number",
    })
}

fn type_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Set(_) => "set",
        Value::Object(_) => "object",
        Value::Undefined => "nothing",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_regorus_quotes_is_not_told() {
        for (why, want) in [
            (
                "`startswith` expects string argument. Got `\"secret\"` instead",
                Some("`startswith` expects string argument; it was given string"),
            ),
            (
                "`add` expects numeric argument. Got `{\"a\": 1}` instead",
                Some("`+` expects numeric argument; it was given object or set"),
            ),
            (
                "`some .. in collection` expects array/set/object. Got `7`",
                Some("`some … in` expects a collection; it was given number"),
            ),
            ("divide by zero", Some("it divides by zero")),
            (
                "value for key `\"secret\"` generated multiple times: `1` and `2`",
                Some("an object is given two values for one key"),
            ),
            ("`secret` expects string argument", None),
            ("`count` expects `secret`", None),
            ("`count` expects Secret argument", None),
            ("`count` secret", None),
            ("path secret does not exist in object", None),
            ("", None),
        ] {
            assert_eq!(words(why).as_deref(), want, "{why}");
        }
    }

    #[test]
    fn a_call_that_failed_is_told_with_the_types_it_was_given() {
        begin();
        let arguments = [Value::from(7_u64), Value::new_array()];
        refused("lower", Refusal::Argument(1, "a string"), &arguments);
        let said = "--> a.rego:1:1\n|\nerror: argument 1 is not a string";
        let want = "`lower`: argument 1 is not a string; it was given number, array";
        assert_eq!(told(said, "").as_deref(), Some(want));
        assert_eq!(told("error: something else", "something else"), None);
        assert_eq!(asked_in_vain(said), None);
        failed("trim", "quotes a secret".to_owned(), &arguments);
        let want = "`trim` failed; it was given number, array";
        assert_eq!(told("error: quotes a secret", "").as_deref(), Some(want));
        refused("sprintf", Refusal::Undone("that"), &[]);
        assert_eq!(asked_in_vain("not done here: that"), Some("that"));
        begin();
        assert_eq!(asked_in_vain("not done here: that"), None);
    }
}
