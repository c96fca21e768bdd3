//! The functions that modules declare, and which of them a name stands for.
//!
//! It deliberately knows nothing of regorus' functions and of ours: these are `builtins`'.

use std::collections::BTreeMap;

use serde_json::Value;

use super::{Module, dotted, head_of, rules};

/// How many arguments each function takes, by its full name.
pub(in crate::rego) struct Functions(BTreeMap<String, usize>);

impl Functions {
    pub(in crate::rego) fn of(modules: &[Module]) -> Self {
        Self(modules.iter().flat_map(declared).collect())
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
        names.find(|full| self.0.contains_key(full))
    }

    /// How many arguments it takes, by its full name.
    pub(super) fn arity(&self, full: &str) -> Option<usize> {
        self.0.get(full).copied()
    }
}

fn declared(module: &Module) -> Vec<(String, usize)> {
    let named = rules(module).iter().filter_map(|rule| {
        if let Some(default) = rule.get("Default") {
            let given = default.get("args")?.as_array()?.len();
            let name = dotted(default.get("refr")?)?;
            return (given > 0).then_some((name, given));
        }
        let head = rule.pointer("/Spec/head")?;
        let (name, shape, _) = head_of(head)?;
        let given = head.pointer("/Func/args").and_then(Value::as_array);
        (shape == "Func").then_some((name, given.map_or(0, Vec::len)))
    });
    named
        .map(|(name, given)| (format!("{}.{name}", module.package), given))
        .collect()
}
