//! Tenants of what somebody had before: another landlord's values (`values`), a repository of Flux's tenants (`flux`).
//!
//! What is taken over is what means the same here; whatever else there was is told, and nothing is guessed. What could give
//! somebody a right or a namespace by mistake refuses the whole tenant. It deliberately reads no file and knows no cluster: who does is
//! `reeve tenant import`.

pub mod flux;
pub mod values;

use std::collections::{BTreeMap, BTreeSet};

use reeve_api::name::{NamespaceName, TenantName};
use reeve_api::tenant::TenantSpec;
use serde_json::{Map, Value};

use crate::tenancy::Grounds;

/// What became of all that was found.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Import {
    /// The Tenants, by their names.
    pub tenants: Vec<Imported>,
    /// Those that nothing is made of, and why.
    pub refused: Vec<String>,
    /// What was found beside tenants and is not taken over.
    pub notes: Vec<String>,
}

/// A Tenant that is to be.
#[derive(Debug, Clone, PartialEq)]
pub struct Imported {
    /// Its name.
    pub name: TenantName,
    /// Its spec, as it was put together.
    pub fields: Map<String, Value>,
    /// The same as it will be read.
    pub spec: TenantSpec,
    /// What of the tenant is not taken over.
    pub notes: Vec<String>,
}

impl Imported {
    /// A Tenant with these fields in its spec, if they are ones.
    fn read(
        name: TenantName,
        fields: Map<String, Value>,
        notes: Vec<String>,
    ) -> Result<Self, String> {
        let spec = serde_json::from_value(Value::Object(fields.clone()));
        let spec = spec.map_err(|why| format!("tenant {name} is not taken over: {why}"))?;
        Ok(Self {
            name,
            fields,
            spec,
            notes,
        })
    }
}

impl Import {
    fn put(&mut self, read: Result<Imported, String>) {
        match read {
            Ok(tenant) => self.tenants.push(tenant),
            Err(why) => self.refused.push(why),
        }
    }

    /// Without the tenants that name a namespace of the platform or of Kubernetes, or one that another names too.
    #[must_use]
    pub fn on(self, grounds: &Grounds) -> Self {
        let mut naming: BTreeMap<&NamespaceName, BTreeSet<&TenantName>> = BTreeMap::new();
        for tenant in &self.tenants {
            for namespace in &tenant.spec.namespaces {
                naming.entry(namespace).or_default().insert(&tenant.name);
            }
        }
        let wrong = |tenant: &Imported| {
            tenant.spec.namespaces.iter().find_map(|namespace| {
                let platforms = grounds.is_platform(namespace) || grounds.is_config(namespace);
                if platforms || super::claim(&tenant.name, namespace, None).is_err() {
                    return Some(format!("namespace {namespace} is the platform's"));
                }
                let mut others = naming.get(namespace)?.iter();
                let other = others.find(|other| ***other != tenant.name)?;
                Some(format!("namespace {namespace} is tenant {other}'s too"))
            })
        };
        let refused: Vec<Option<String>> = self.tenants.iter().map(wrong).collect();
        let mut kept = Self {
            tenants: Vec::new(),
            ..self.clone()
        };
        for (tenant, why) in self.tenants.into_iter().zip(refused) {
            match why {
                None => kept.tenants.push(tenant),
                Some(why) => {
                    let name = &tenant.name;
                    kept.refused
                        .push(format!("tenant {name} is not taken over: {why}"));
                }
            }
        }
        kept.tenants.sort_by(|one, other| one.name.cmp(&other.name));
        kept
    }
}

/// What the API server takes as the name of a group of people, and the landlord binds.
fn is_group(name: &str) -> bool {
    !name.is_empty() && name.len() <= 253 && !name.starts_with("system:")
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn imported(name: &str, namespaces: &[&str]) -> Imported {
        let fields = json!({ "namespaces": namespaces });
        let fields = fields.as_object().unwrap().clone();
        Imported::read(name.parse().unwrap(), fields, Vec::new()).unwrap()
    }

    fn grounds() -> Grounds {
        Grounds {
            platform_namespaces: ["flux-system".parse().unwrap()].into(),
            config_namespaces: ["config".parse().unwrap()].into(),
            platform_service_account: "platform".parse().unwrap(),
            tenant_service_account: "flux".parse().unwrap(),
            remote_bases: Vec::new(),
            remote_clusters: Vec::new(),
        }
    }

    #[test]
    fn nobody_is_given_a_namespace_of_the_platform_or_of_two() {
        let import = Import {
            tenants: vec![
                imported("z", &["z"]),
                imported("a", &["shared", "a"]),
                imported("b", &["shared"]),
                imported("c", &["flux-system"]),
                imported("d", &["config"]),
                imported("e", &["kube-system"]),
                imported("f", &["f"]),
            ],
            ..Import::default()
        };
        let import = import.on(&grounds());
        let kept: Vec<&str> = import.tenants.iter().map(|one| one.name.as_str()).collect();
        assert_eq!(kept, ["f", "z"]);
        assert_eq!(import.refused.len(), 5);
        assert!(import.refused[0].contains("namespace shared is tenant b's too"));
        assert!(import.refused[2].contains("namespace flux-system is the platform's"));
    }

    #[test]
    fn what_is_no_tenant_is_refused_with_what_is_wrong() {
        let fields = json!({"namespaces": ["a"], "role": "A B"});
        let fields = fields.as_object().unwrap().clone();
        let why = Imported::read("a".parse().unwrap(), fields, Vec::new()).unwrap_err();
        assert!(why.starts_with("tenant a is not taken over"), "{why}");
    }
}
