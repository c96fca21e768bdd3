//! No rule leads back to itself, and none leads to too long a chain of others.
//!
//! regorus notices that a rule asks for itself, and not that a function does; and each rule of a chain takes some of its
//! stack. What a rule leads to is what is written in it: a path that ends in a variable leads to all that begins so. It
//! deliberately does not look at whether a way can be gone: neither does OPA.

use std::collections::{BTreeMap, BTreeSet};

use super::lint::{self, Module};
use super::names::Rules;
use super::{ANSWERS, Error};

/// The most rules of which each asks for the next.
const CHAIN_LIMIT: usize = 100;

/// What is wrong with the chains in them: the first thing that is.
pub(super) fn refusal(modules: &[Module]) -> Option<Error> {
    let rules = Rules::of(modules, &BTreeSet::new());
    let mut ways = Ways {
        rules: &rules,
        lengths: BTreeMap::new(),
        of_paths: BTreeMap::new(),
        way: Vec::new(),
    };
    // Ours asks for all of them, and nobody asks for it.
    let theirs = |name: &&String| !name.starts_with(&format!("data.{ANSWERS}."));
    let mut names = rules.by_name.keys().filter(theirs);
    names.find_map(|name| ways.length(name).err())
}

struct Ways<'a> {
    rules: &'a Rules<'a>,
    /// How many rules follow each other from a rule on.
    lengths: BTreeMap<&'a str, usize>,
    /// The same for all that a path names.
    of_paths: BTreeMap<&'a str, usize>,
    /// The rules that lead to where we are.
    way: Vec<&'a str>,
}

impl<'a> Ways<'a> {
    /// Calls itself no deeper than the longest chain.
    fn length(&mut self, name: &'a str) -> Result<usize, Error> {
        if let Some(known) = self.lengths.get(name) {
            return self.bounded(name, *known);
        }
        if let Some(at) = self.way.iter().position(|one| *one == name) {
            let mut circle = self.way.split_off(at);
            circle.push(name);
            let why = format!("rule {name} is recursive: {}", circle.join(" -> "));
            return Err(self.refused(name, why));
        }
        self.bounded(name, 1)?;
        self.way.push(name);
        let rules = self.rules;
        let paths = rules.by_name.get(name).map(|one| &one.names);
        let mut longest = 0;
        for path in paths.into_iter().flatten() {
            longest = longest.max(self.of_path(path)?);
        }
        self.way.pop();
        self.lengths.insert(name, longest + 1);
        Ok(longest + 1)
    }

    fn of_path(&mut self, path: &'a str) -> Result<usize, Error> {
        if let Some(known) = self.of_paths.get(path).copied() {
            return self.bounded(path, known);
        }
        let rules = self.rules;
        let mut longest = 0;
        for name in rules.named_by(path) {
            longest = longest.max(self.length(name)?);
        }
        self.of_paths.insert(path, longest);
        Ok(longest)
    }

    fn bounded(&self, name: &str, more: usize) -> Result<usize, Error> {
        if self.way.len() + more <= CHAIN_LIMIT {
            return Ok(more);
        }
        let first = self.way.first().copied().unwrap_or(name);
        let why = format!(
            "rule {first} leads to a chain of more than {CHAIN_LIMIT} rules, each of which asks for the next"
        );
        Err(self.refused(first, why))
    }

    fn refused(&self, name: &str, why: String) -> Error {
        let rule = self.rules.by_name.get(name);
        let file = rule.map_or("the policy", |rule| &rule.module.file);
        Error::at(lint::place(file, rule.and_then(|rule| rule.span)), why)
    }
}

#[cfg(test)]
mod tests {
    use crate::rego::Policy;

    const HEAD: &str = "# METADATA\n# title: t\n# description: d\npackage a\n";

    fn refusal(rules: &str) -> Option<String> {
        let source = format!("{HEAD}deny contains {{\"message\": \"m\"}} if r\n{rules}\n");
        let loaded = Policy::compile("p", &source);
        loaded.err().map(|error| error.to_string())
    }

    /// Rules from line 6 on, and the circle that they have.
    const CIRCLES: &[(&str, &str)] = &[
        (
            "r := f(1)\nf(x) := f(x + 1)",
            "7:1: rule data.a.f is recursive: data.a.f -> data.a.f",
        ),
        (
            "r := f(1)\nf(x) := g(x)\ng(x) := data.a.f(x)",
            "7:1: rule data.a.f is recursive: data.a.f -> data.a.g -> data.a.f",
        ),
        (
            "r := f(1)\nf(x) := y if { y := data.a[x] }",
            "5:1: rule data.a.deny is recursive: data.a.deny -> data.a.r -> data.a.f -> data.a.deny",
        ),
        (
            "r := f(1)\nf(x) := y if { y := count(x) with count as g }\ng(x) := f(x)",
            "7:1: rule data.a.f is recursive: data.a.f -> data.a.g -> data.a.f",
        ),
        (
            "r := f(1)\nf(f) := f(2)",
            "7:1: rule data.a.f is recursive: data.a.f -> data.a.f",
        ),
        (
            "r := f(1)\nf(x) := 1 if x == 1\nelse := f(x - 1)",
            "7:1: rule data.a.f is recursive: data.a.f -> data.a.f",
        ),
        (
            "r := data[input.x].y",
            "5:1: rule data.a.deny is recursive: data.a.deny -> data.a.r -> data.a.deny",
        ),
    ];

    #[test]
    fn a_rule_that_leads_back_to_itself_is_refused_with_its_circle() {
        for (rules, want) in CIRCLES {
            let told = refusal(rules).unwrap_or_default();
            assert_eq!(told, format!("p/policy.rego:{want}"), "{rules}");
        }
    }

    #[test]
    fn a_name_of_its_own_leads_a_rule_nowhere() {
        for rules in [
            "r := f(1)\nf(r) := r",
            "r := f(1)\nf(x) := y if { r := x; y := r }",
            "r := f(1)\nf(x) := r if { r := x }",
            "r := m.b\nm[k] := 1 if some k in [\"b\"]",
            "r := data.b.c[input.x]",
        ] {
            assert_eq!(refusal(rules), None, "{rules}");
        }
    }

    fn chain(length: usize, rule: impl Fn(usize) -> String) -> String {
        // deny and r are two.
        let last = length - 2;
        let rules: Vec<String> = (1..last).map(rule).collect();
        format!("{}\n", rules.join("\n"))
    }

    #[test]
    fn a_chain_of_rules_has_a_bound_and_at_the_bound_it_is_evaluated() {
        for (first, link) in [
            ("a0 := 1", "a{n} := a{m} + 1"),
            ("a0 := 1", "a{n} := [a{m}]"),
            ("a0(x) := x", "a{n}(x) := a{m}(x)"),
            (
                "a0(x) := x",
                "a{n}(x) := [1, [1, [1, [1, [1, {\"a\": 1, \"b\": a{m}(abs(abs(abs(x))))}]]]]]",
            ),
        ] {
            let ask = if first.contains('(') { "(1)" } else { "" };
            let rules = |length: usize| {
                let rule = |n: usize| {
                    link.replace("{n}", &n.to_string())
                        .replace("{m}", &(n - 1).to_string())
                };
                format!(
                    "r := a{}{ask}\n{first}\n{}",
                    length - 3,
                    chain(length, rule)
                )
            };
            assert_eq!(refusal(&rules(100)), None, "{link}");
            for length in [101, 1000] {
                let told = refusal(&rules(length)).unwrap_or_default();
                assert!(
                    told.contains("chain of more than 100 rules"),
                    "{link}: {told}"
                );
            }
        }
    }
}
