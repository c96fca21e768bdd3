//! What a plugin may be and reach: the platform's whatever its object says, a tenant's as far as its Tenant allows it. What the
//! component itself asks for is looked at where requests are made.

use reeve_api::plugin::Grants;

use reeve_api::reason::Reason;

use super::PluginId;
use crate::failure::{Explained, Failure, Turn};
use crate::tenancy::Tenant;

/// The hosts of `grants` that are effective, and those that are not.
pub fn hosts<'g>(
    id: &PluginId,
    grants: &'g Grants,
    tenant: &Tenant,
) -> (Vec<&'g str>, Vec<&'g str>) {
    let allowed = |host: &&str| match (id, &tenant.declared) {
        (PluginId::Platform(_), _) => true,
        (PluginId::Tenant(_), None) => false,
        (PluginId::Tenant(_), Some(declared)) => declared
            .plugin_hosts
            .iter()
            .any(|allowed| covers(allowed, host)),
    };
    grants.hosts.iter().map(String::as_str).partition(allowed)
}

/// Whether the plugin may be the component of this digest, in hexadecimal: one of a tenant where its Tenant names the digest,
/// or names none at all.
pub fn component(id: &PluginId, sha256: &str, tenant: &Tenant) -> Result<(), Failure> {
    let named = match (id, &tenant.declared) {
        (PluginId::Platform(_), _) | (PluginId::Tenant(_), None) => None,
        (PluginId::Tenant(_), Some(declared)) => declared.plugin_digests.as_ref(),
    };
    if named.is_none_or(|named| named.contains(sha256)) {
        return Ok(());
    }
    let message = format!(
        "Tenant {} does not allow component sha256:{sha256}",
        tenant.name
    );
    let hint = "take one of spec.pluginDigests of the Tenant, or ask the platform to add this one";
    Err(Explained::new(Reason::AccessDenied, Turn::OwnerOrPolicy, message).with_hint(hint))
}

/// Whether every host that `asked` means is meant by `allowed`.
fn covers(allowed: &str, asked: &str) -> bool {
    let (allowed, allowed_port) = split(allowed);
    let (asked, asked_port) = split(asked);
    if allowed_port != asked_port {
        return false;
    }
    if allowed.eq_ignore_ascii_case(asked) {
        return true;
    }
    let Some(suffix) = allowed.strip_prefix('*') else {
        return false;
    };
    let asked = asked
        .strip_prefix('*')
        .unwrap_or(asked)
        .to_ascii_lowercase();
    suffix.len() > 1 && asked.len() > suffix.len() && asked.ends_with(&suffix.to_ascii_lowercase())
}

/// A host and its port.
fn split(host: &str) -> (&str, Option<&str>) {
    match host.rsplit_once(':') {
        Some((name, port)) if !port.is_empty() && port.bytes().all(|b| b.is_ascii_digit()) => {
            (name, Some(port))
        }
        _ => (host, None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tenant_is_granted_what_its_tenant_allows_and_nothing_beside_it() {
        for (allowed, asked, want) in [
            ("git.example", "git.example", true),
            ("git.example", "GIT.example", true),
            ("git.example", "evil.git.example", false),
            ("git.example", "git.example:3000", false),
            ("git.example:3000", "git.example:3000", true),
            ("*.example", "git.example", true),
            ("*.example", "*.git.example", true),
            ("*.example", "*.example", true),
            ("*.example", "example", false),
            ("*.example", "notexample", false),
            ("*.git.example", "*.example", false),
            ("git.example", "*.git.example", false),
            ("*", "git.example", false),
            ("[::1]:3000", "[::1]:3000", true),
        ] {
            assert_eq!(covers(allowed, asked), want, "{allowed} {asked}");
        }
    }

    #[test]
    fn a_tenants_plugin_is_a_component_that_its_tenant_names_if_it_names_any() {
        let mut tenants = crate::tenancy::Tenants::default();
        let mut declare = |digests: serde_json::Value| {
            let object = serde_json::json!({
                "apiVersion": "reeve.dev/v1alpha1", "kind": "Tenant", "metadata": {"name": "acme"},
                "spec": {"namespaces": ["acme"], "pluginDigests": digests},
            });
            tenants.apply(&serde_json::from_value(object).unwrap());
            let grounds = crate::tenancy::Grounds {
                platform_namespaces: [].into(),
                config_namespaces: [].into(),
                platform_service_account: "platform".parse().unwrap(),
                tenant_service_account: "flux".parse().unwrap(),
                remote_bases: Vec::new(),
                remote_clusters: Vec::new(),
            };
            tenants
                .owner_of(&grounds, &"acme".parse().unwrap())
                .unwrap()
        };
        let own = PluginId::Tenant("acme/stamp".parse().unwrap());
        let platforms = PluginId::Platform("stamp".parse().unwrap());
        let (digest, other) = ("ab".repeat(32), "cd".repeat(32));
        let any = declare(serde_json::Value::Null);
        assert_eq!(component(&own, &digest, &any), Ok(()));
        let named = declare(serde_json::json!([digest]));
        assert_eq!(component(&own, &digest, &named), Ok(()));
        let why = component(&own, &other, &named).unwrap_err();
        assert_eq!(why.reason, Reason::AccessDenied);
        assert!(why.message.contains(&other), "{why}");
        assert_eq!(component(&platforms, &other, &named), Ok(()));
        let none = declare(serde_json::json!([]));
        assert!(component(&own, &digest, &none).is_err());
    }

    #[test]
    fn without_a_tenant_a_plugin_of_a_namespace_is_granted_nothing() {
        let grants = Grants {
            hosts: vec!["git.example".to_owned()],
            ..Grants::default()
        };
        let tenant = Tenant::of_namespace(&"acme".parse().unwrap());
        let own = PluginId::Tenant("acme/forge".parse().unwrap());
        assert_eq!(hosts(&own, &grants, &tenant), (vec![], vec!["git.example"]));
        let platforms = PluginId::Platform("forge".parse().unwrap());
        assert_eq!(
            hosts(&platforms, &grants, &tenant),
            (vec!["git.example"], vec![])
        );
    }
}
