//! The policies that are shipped: every folder of `policies/`, by name.
//!
//! It holds their sources and says which are always in force; whether another one is, is the platform's choice. It
//! deliberately compiles nothing: that is `rego`, and what is in force `admit`.

pub mod vap;

use std::collections::BTreeMap;

/// What the one module of a policy that is shipped is called.
pub const MODULE: &str = "policy.rego";

/// A policy as it is shipped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shipped {
    /// Its folder's name.
    pub name: &'static str,
    /// Its one module.
    pub source: &'static str,
    /// Whether it is in force without being asked for.
    pub always: bool,
}

/// All of them: first those that are always in force, each half by name.
pub const LIBRARY: [Shipped; 11] = [
    always(
        "service-account",
        include_str!("../../../policies/service-account/policy.rego"),
    ),
    always(
        "source-ownership",
        include_str!("../../../policies/source-ownership/policy.rego"),
    ),
    always(
        "target-namespace",
        include_str!("../../../policies/target-namespace/policy.rego"),
    ),
    on_demand(
        "allowed-kinds",
        include_str!("../../../policies/allowed-kinds/policy.rego"),
    ),
    on_demand(
        "allowed-registries",
        include_str!("../../../policies/allowed-registries/policy.rego"),
    ),
    on_demand(
        "ingress-hosts",
        include_str!("../../../policies/ingress-hosts/policy.rego"),
    ),
    on_demand(
        "no-cluster-scope",
        include_str!("../../../policies/no-cluster-scope/policy.rego"),
    ),
    on_demand(
        "no-privilege-escalation",
        include_str!("../../../policies/no-privilege-escalation/policy.rego"),
    ),
    on_demand(
        "pod-security",
        include_str!("../../../policies/pod-security/policy.rego"),
    ),
    on_demand(
        "protected-objects",
        include_str!("../../../policies/protected-objects/policy.rego"),
    ),
    on_demand(
        "required-labels",
        include_str!("../../../policies/required-labels/policy.rego"),
    ),
];

/// The policy of that name.
pub fn named(name: &str) -> Option<&'static Shipped> {
    LIBRARY.iter().find(|shipped| shipped.name == name)
}

/// Whether these files are one of the modules that are built in, to the byte, and nothing beside it: what came with the
/// program need not be tried in a process of its own.
pub fn is_built_in(files: &BTreeMap<String, Vec<u8>>) -> bool {
    let is = |content: &[u8]| {
        let mut all = LIBRARY.iter();
        all.any(|shipped| shipped.source.as_bytes() == content)
    };
    match files.iter().next() {
        Some((path, content)) if files.len() == 1 => path.as_str() == MODULE && is(content),
        _ => false,
    }
}

const fn always(name: &'static str, source: &'static str) -> Shipped {
    Shipped {
        name,
        source,
        always: true,
    }
}

const fn on_demand(name: &'static str, source: &'static str) -> Shipped {
    Shipped {
        name,
        source,
        always: false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_module_that_is_shipped_to_the_byte_and_alone_is_built_in() {
        let source = named("pod-security").unwrap().source;
        let files = |files: &[(&str, String)]| {
            let files = files.iter();
            let files = files.map(|(path, text)| ((*path).to_owned(), text.clone().into_bytes()));
            is_built_in(&files.collect())
        };
        let source = source.to_owned();
        assert!(files(&[(MODULE, source.clone())]));
        assert!(!files(&[(MODULE, format!("{source} "))]));
        assert!(!files(&[("other.rego", source.clone())]));
        assert!(!files(&[(MODULE, source), ("data.json", "{}".to_owned())]));
        assert!(!files(&[]));
    }
}
