//! Policies made of what the fuzzer invents, and questions to those that are shipped.
//!
//! Whatever it is, it is refused or it answers, and an answer takes its two seconds at most: what takes ten ends the run.

use std::collections::BTreeMap;
use std::panic;
use std::sync::{Once, OnceLock};
use std::time::{Duration, Instant};

use reeve_core::admit::schema;
use reeve_core::library::LIBRARY;
use reeve_core::rego::{Input, Policy, check};
use serde_json::{Value, json};

/// Looks at everything it is given.
const RULES: &str = "# METADATA
# title: t
# description: d
package fuzz

deny contains {\"message\": sprintf(\"%v\", [value])} if {
\twalk(data.limits, [_, value])
\tis_string(value)
}

warn contains {\"message\": \"too many\"} if count(data.limits) > input.most
";
/// In front of a module that brings no METADATA itself.
const HEAD: &str = "# METADATA\n# title: t\n# description: d\n";
/// Two seconds, and what one function may take beyond them.
const LONGEST: Duration = Duration::from_secs(5);

/// Loads a policy of which one file is invented, asks it, runs its tests and explains it.
pub fn judges(file: &str, bytes: &[u8]) {
    quiet();
    let mut files = BTreeMap::from([("fixed.rego".to_owned(), RULES.as_bytes().to_vec())]);
    let mut invented = bytes.to_vec();
    if file.ends_with(".rego") {
        files.clear();
        if !bytes.starts_with(b"# METADATA") {
            invented.splice(0..0, HEAD.bytes());
        }
    }
    files.insert(file.to_owned(), invented);
    static SCHEMA: OnceLock<Value> = OnceLock::new();
    let schema = SCHEMA.get_or_init(|| schema().as_value().clone());
    for fault in check("fuzz", &files, &json!({}), schema) {
        assert!(!fault.why.is_empty(), "a fault says something");
    }
    let policy = match Policy::load("fuzz", &files, &json!({})) {
        Ok(policy) => policy,
        Err(errors) => {
            assert!(
                !errors.is_empty(),
                "what is refused is refused for something"
            );
            return;
        }
    };
    let input = Input::new(&json!({"phase": "plan", "objects": [{"kind": "A"}], "most": 3}))
        .expect("because it is small");
    let mut answered = false;
    in_time(|| answered = policy.judge(&input).is_ok());
    if answered {
        drop(policy.tests());
        drop(policy.explain(&input));
    }
}

/// Puts the document to every shipped policy.
pub fn asks(document: &Value) {
    quiet();
    static SHIPPED: OnceLock<Vec<Policy>> = OnceLock::new();
    let shipped = SHIPPED.get_or_init(|| {
        let compiled = LIBRARY
            .iter()
            .map(|one| Policy::compile(one.name, one.source));
        compiled
            .collect::<Result<_, _>>()
            .expect("because a test compiles every one of them")
    });
    let Ok(input) = Input::new(document) else {
        return;
    };
    for policy in shipped {
        in_time(|| drop(policy.judge(&input)));
    }
}

/// A panic of regorus that we catch is an answer: the fuzzer's hook would end the run at it. One that nobody catches ends
/// it all the same.
fn quiet() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| panic::set_hook(Box::new(|_| {})));
}

fn in_time(ask: impl FnOnce()) {
    let begun = Instant::now();
    ask();
    assert!(
        begun.elapsed() < LONGEST,
        "an answer took {:?}",
        begun.elapsed()
    );
}
