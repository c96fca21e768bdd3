//! Which of the hosts that a plugin is granted are effective: the platform's grants as they are, a tenant's as far as its
//! Tenant allows them. What the component itself asks for is looked at where requests are made.

use reeve_api::plugin::Grants;

use super::PluginId;
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
