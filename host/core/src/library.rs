//! The policies that are shipped: every folder of `policies/`, by name.
//!
//! It holds their sources and says which are always in force; whether another one is, is the platform's choice. It
//! deliberately compiles nothing: that is `rego`, and what is in force `admit`.

pub mod vap;

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
