//! What `with` replaces, by its full name.
//!
//! regorus replaces a function in calls that are written as it is behind `with`: `with data.a.f as g` leaves `f(x)` what it
//! was, and `with f as g` replaces another package's `f` too. A rule it takes by its full name only. So where one of the
//! policy's functions is replaced, it is written out in full there and in each call of it, and so is a rule; all on the same
//! lines. It deliberately leaves the functions alone that are no rules: these have one name.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value};

use super::edits::Edit;
use super::lint::{self, Functions, Module};
use super::names;

/// What is written otherwise in each of these modules, which are all: what is replaced, by its full name.
pub(super) fn written_out(modules: &[Module]) -> Vec<Vec<Edit>> {
    let functions = Functions::of(modules);
    let roots = lint::roots(modules);
    let pens = modules.iter().map(|module| Pen {
        module,
        functions: &functions,
        imported: names::aliases(module),
        own: roots.get(module.package.as_str()),
    });
    let pens: Vec<_> = pens.collect();
    let mut replaced = BTreeSet::new();
    for pen in &pens {
        pen.replaced(&pen.module.tree, &mut replaced);
    }
    let written = pens.iter().map(|pen| {
        let mut edits = Vec::new();
        if !replaced.is_empty() {
            pen.write(&pen.module.tree, &replaced, &mut edits);
        }
        edits
    });
    written.collect()
}

struct Pen<'a> {
    module: &'a Module,
    functions: &'a Functions,
    imported: BTreeMap<String, String>,
    /// The first parts of the names of its package's rules.
    own: Option<&'a BTreeSet<String>>,
}

impl Pen<'_> {
    /// The full names of functions and rules that `with` replaces below a node.
    fn replaced(&self, node: &Value, found: &mut BTreeSet<String>) {
        match node {
            Value::Array(items) => items.iter().for_each(|item| self.replaced(item, found)),
            Value::Object(fields) => {
                found.extend(target(fields).and_then(|target| self.full(target)));
                fields
                    .values()
                    .for_each(|value| self.replaced(value, found));
            }
            _ => {}
        }
    }

    /// Writes out all of them below a node.
    fn write(&self, node: &Value, replaced: &BTreeSet<String>, edits: &mut Vec<Edit>) {
        match node {
            Value::Array(items) => items
                .iter()
                .for_each(|item| self.write(item, replaced, edits)),
            Value::Object(fields) => {
                let named = target(fields).or_else(|| fields.get("Call")?.get("fcn"));
                let full = named.and_then(|named| Some((named, self.full(named)?)));
                let edit =
                    full.filter(|(_, full)| replaced.contains(full))
                        .and_then(|(named, text)| {
                            let (start, end) = extent(named)?;
                            Some(Edit { start, end, text })
                        });
                edits.extend(edit);
                fields
                    .values()
                    .for_each(|value| self.write(value, replaced, edits));
            }
            _ => {}
        }
    }

    /// The full name of a function of the policy's, or of a rule of the package.
    fn full(&self, node: &Value) -> Option<String> {
        let name = lint::dotted(node)?;
        let package = &self.module.package;
        let function = self.functions.full(&name, package, &self.imported);
        let full = function.or_else(|| {
            let root = lint::root(&name);
            let is_own = self.own.is_some_and(|own| own.contains(root));
            let is_rule = is_own && !self.imported.contains_key(root);
            is_rule.then(|| format!("{package}.{name}"))
        })?;
        let is_plain = |part: &str| {
            let mut letters = part.chars();
            let first = letters.next();
            first.is_some_and(|c| c.is_ascii_alphabetic() || c == '_')
                && letters.all(|c| c.is_ascii_alphanumeric() || c == '_')
        };
        full.split('.').all(is_plain).then_some(full)
    }
}

/// What is replaced, if this is a `with`. An import has a place where that has an expression.
fn target(fields: &Map<String, Value>) -> Option<&Value> {
    let by = fields.get("as")?.as_object()?;
    fields.get("refr").filter(|_| !by.contains_key("line"))
}

/// From where to where a path is written.
fn extent(node: &Value) -> Option<(usize, usize)> {
    let number = |span: &Value, key: &str| usize::try_from(span.get(key)?.as_u64()?).ok();
    let inner = node.as_object()?.values().find(|value| value.is_object())?;
    let start = number(lint::span_of(node)?, "start")?;
    Some((start, number(inner.get("span")?, "end")?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rego::Policy;
    use crate::rego::draft::Draft;
    use serde_json::json;

    fn written(modules: &[(&str, &str)]) -> Option<Vec<String>> {
        let modules: Vec<(String, String)> = modules
            .iter()
            .map(|(file, source)| ((*file).to_owned(), (*source).to_owned()))
            .collect();
        let mut draft = Draft::read(Vec::new(), &modules).unwrap();
        let is_changed = draft.rewrite(|all, _| Ok(written_out(all))).unwrap();
        let written = draft.modules().iter();
        is_changed.then(|| written.map(|module| module.source.clone()).collect())
    }

    #[test]
    fn a_function_that_is_replaced_is_written_out_in_each_call() {
        let policy = "package a\nf(x) := x\ng(x) := f(f(x))\nr := 1\nq := r\n";
        for (test, want) in [
            ("t if data.a.q == 2 with data.a.r as 2", None),
            ("t if count([]) == 1 with count as f\nf(_) := 1", None),
            (
                "t if data.a.g(1) == 9 with data.a.f as 9",
                Some([
                    "package a\nf(x) := x\ng(x) := data.a.f(data.a.f(x))\nr := 1\nq := r\n",
                    "package b\nt if data.a.g(1) == 9 with data.a.f as 9",
                ]),
            ),
            (
                "import data.a as c\nt if c.f(1) == 9 with c.f as h\nh(_) := 9",
                Some([
                    "package a\nf(x) := x\ng(x) := data.a.f(data.a.f(x))\nr := 1\nq := r\n",
                    "package b\nimport data.a as c\nt if data.a.f(1) == 9 with data.a.f as h\nh(_) := 9",
                ]),
            ),
            // Another function of that name stays what it is, and so does a rule that nothing replaces.
            (
                "f(x) := x\nr := 1\nt if f(1) == 9 with f as 9 with r as 3",
                Some([
                    "package a\nf(x) := x\ng(x) := f(f(x))\nr := 1\nq := r\n",
                    "package b\nf(x) := x\nr := 1\nt if data.b.f(1) == 9 with data.b.f as 9 with data.b.r as 3",
                ]),
            ),
        ] {
            let test = format!("package b\n{test}");
            let told = written(&[("a.rego", policy), ("b.rego", &test)]);
            let want = want.map(|want| want.map(str::to_owned).to_vec());
            assert_eq!(told, want, "{test}");
        }
    }

    #[test]
    fn a_test_may_replace_a_function_of_the_policy() {
        let policy = "# METADATA\n# title: t\n# description: d\npackage a\n\
            is_known(image) if startswith(image, \"registry.example/\")\n\
            limit := 1\n\
            deny contains {\"message\": \"no\"} if not is_known(input.image)\n\
            deny contains {\"message\": \"many\"} if input.n > limit\n\
            warn contains {\"message\": \"odd\"} if is_known(\"x\") with is_known as odd\n\
            odd(_) if input.odd\n";
        let tests = "package a_test\nno(_) := false\nyes(_) := true\n\
            test_none if count(data.a.deny) == 1 with data.a.is_known as no with input as {\"image\": \"registry.example/x\"}\n\
            test_all if count(data.a.deny) == 0 with data.a.is_known as yes with input as {\"image\": \"x\"}\n\
            test_value if count(data.a.deny) == 0 with data.a.is_known as true with input as {\"image\": \"x\"}\n\
            test_as_it_is if count(data.a.deny) == 1 with input as {\"image\": \"x\"}\n\
            test_own if { count(data.a.warn) == 1 with input as {\"odd\": true} }\n";
        let inside = "package a\n\
            test_rule if count(deny) == 0 with limit as 7 with input as {\"image\": \"registry.example/x\", \"n\": 6}\n\
            test_more if count(deny) == 1 with input as {\"image\": \"registry.example/x\", \"n\": 6}\n";
        let files = [
            ("policy.rego", policy),
            ("a_test.rego", tests),
            ("b_test.rego", inside),
        ];
        let files = files.map(|(file, source)| (file.to_owned(), source.as_bytes().to_vec()));
        let policy = Policy::load("a", &BTreeMap::from(files), &json!({})).unwrap();
        let ended = policy.tests().unwrap().ended;
        let failed: Vec<_> = ended.iter().filter(|test| test.failure.is_some()).collect();
        assert_eq!((ended.len(), failed), (7, Vec::new()));
    }
}
