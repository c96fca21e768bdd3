//! The functions that modules declare, and which of them a name stands for.
//!
//! It deliberately knows nothing of regorus' functions and of ours: these are `builtins`'.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::{Module, dotted, head_of, rules};

/// The functions of all modules.
pub(in crate::rego) struct Functions {
    /// How many arguments each takes, by its full name.
    arities: BTreeMap<String, usize>,
    /// Those that have a rule besides a default.
    with_rules: BTreeSet<String>,
}

impl Functions {
    pub(in crate::rego) fn of(modules: &[Module]) -> Self {
        let declared = || modules.iter().flat_map(declared);
        let with_rules = declared().filter(|one| !one.is_default);
        Self {
            arities: declared().map(|one| (one.name, one.arity)).collect(),
            with_rules: with_rules.map(|one| one.name).collect(),
        }
    }

    /// The full name of the function that `name` is in a module of `package` that imports these.
    pub(in crate::rego) fn full(
        &self,
        name: &str,
        package: &str,
        imported: &BTreeMap<String, String>,
    ) -> Option<String> {
        // `service_account.f` after `import data.reeve.service_account`, written out.
        let by_import = name
            .split_once('.')
            .and_then(|(alias, rest)| Some(format!("{}.{rest}", imported.get(alias)?)));
        let own = format!("{package}.{name}");
        let mut names = [Some(name.to_owned()), by_import, Some(own)]
            .into_iter()
            .flatten();
        names.find(|full| self.arities.contains_key(full))
    }

    /// How many arguments it takes, by its full name.
    pub(super) fn arity(&self, full: &str) -> Option<usize> {
        self.arities.get(full).copied()
    }

    /// Whether all there is of it is a default.
    pub(super) fn is_only_default(&self, full: &str) -> bool {
        self.arities.contains_key(full) && !self.with_rules.contains(full)
    }
}

struct Declared {
    name: String,
    arity: usize,
    is_default: bool,
}

fn declared(module: &Module) -> Vec<Declared> {
    let declared = |name: String, arity, is_default| Declared {
        name: format!("{}.{name}", module.package),
        arity,
        is_default,
    };
    let named = rules(module).iter().filter_map(|rule| {
        if let Some(default) = rule.get("Default") {
            let given = default.get("args")?.as_array()?.len();
            let name = dotted(default.get("refr")?)?;
            return (given > 0).then(|| declared(name, given, true));
        }
        let head = rule.pointer("/Spec/head")?;
        let (name, shape, _) = head_of(head)?;
        let given = head.pointer("/Func/args").and_then(Value::as_array);
        (shape == "Func").then(|| declared(name, given.map_or(0, Vec::len), false))
    });
    named.collect()
}
