//! Which remote resources a build may ask for.
//!
//! None, unless the platform says so: for its own namespaces by its flags, for a tenant in its Tenant object. It
//! deliberately looks at the address only; whether the host may be connected to is decided where its name is resolved.
//! The next stage is the shell's `bases`, which fetches.

use reeve_api::name::{NamespaceName, NotAUrl, RemotePattern, RemoteUrl, Scheme};
use reeve_api::reason::Reason;
use reeve_kustomize::{Source, Wanted};

use crate::failure::{Explained, Failure, Turn};
use crate::tenancy::{Grounds, Tenant};

/// The patterns that a Kustomization in `namespace`, which is `tenant`'s, is held to.
pub fn patterns<'a>(
    grounds: &'a Grounds,
    tenant: &'a Tenant,
    namespace: &NamespaceName,
) -> &'a [RemotePattern] {
    match &tenant.declared {
        _ if grounds.is_platform(namespace) => &grounds.remote_bases,
        Some(declared) => &declared.remote_bases,
        None => &[],
    }
}

/// Lets a Kustomization in `namespace`, which is `tenant`'s, ask for what `wanted` names, or says where and why not.
pub fn may_fetch(
    grounds: &Grounds,
    tenant: &Tenant,
    namespace: &NamespaceName,
    wanted: &Wanted,
) -> Result<(), Failure> {
    let source = &wanted.reference.source;
    let refused = |why: &str| {
        let (place, shown) = (&wanted.place, source.shown());
        let message =
            format!("kustomize build failed: {place}remote resource {shown} is refused: {why}");
        Explained::new(Reason::AccessDenied, Turn::NextRevision, message)
    };
    let url = address(source).map_err(|why| refused(&why.to_string()))?;
    let patterns = patterns(grounds, tenant, namespace);
    if !patterns.iter().any(|pattern| pattern.covers(&url)) {
        let host = url.host();
        let (why, hint) = if grounds.is_platform(namespace) {
            let hint = format!("add {host} to the controller's --remote-bases");
            ("--remote-bases does not name it".to_owned(), hint)
        } else {
            let name = &tenant.name;
            let hint = format!(
                "commit a copy of it, use a source of its own for it, or ask the platform to add {host} to spec.remoteBases of Tenant {name}"
            );
            (format!("tenant {name} may not name it"), hint)
        };
        return Err(refused(&why).with_hint(hint));
    }
    if url.scheme() == Scheme::Ssh || url.user().is_some() || url.password().is_some() {
        let why = "remote resources are fetched without credentials";
        let hint = format!("write the address as https://{}{}", url.host(), url.path());
        return Err(refused(why).with_hint(hint));
    }
    Ok(())
}

/// Where it is, in the one form that all who judge and connect agree on; what asks a web server for a file is no part of
/// that.
pub fn address(source: &Source) -> Result<RemoteUrl, NotAUrl> {
    match source {
        Source::Repository { url, .. } => RemoteUrl::parse(url),
        Source::File { url } => RemoteUrl::parse(url.split(['?', '#']).next().unwrap_or_default()),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use reeve_api::name::{ServiceAccountName, TenantName};
    use reeve_kustomize::parse_reference;

    use super::*;
    use crate::tenancy::Declared;

    fn asked(namespace: &str, patterns: Option<&[&str]>, text: &str) -> Result<(), String> {
        let read = |all: &[&str]| all.iter().map(|one| one.parse().unwrap()).collect();
        let account = || ServiceAccountName::new("flux").unwrap();
        let grounds = Grounds {
            platform_namespaces: BTreeSet::from([NamespaceName::new("flux-system").unwrap()]),
            config_namespaces: BTreeSet::new(),
            platform_service_account: account(),
            tenant_service_account: account(),
            remote_bases: read(&["platform.example"]),
            remote_clusters: Vec::new(),
        };
        let namespace = NamespaceName::new(namespace).unwrap();
        let tenant = Tenant {
            name: TenantName::new("acme").unwrap(),
            namespaces: BTreeSet::from([namespace.clone()]),
            source_taken: false,
            declared: patterns.map(|patterns| Declared {
                sources: BTreeSet::new(),
                plugin_hosts: BTreeSet::new(),
                plugin_digests: None,
                domains: BTreeSet::new(),
                registries: BTreeSet::new(),
                project: None,
                remote_bases: read(patterns),
                remote_clusters: Vec::new(),
                service_account: account(),
                weight: Default::default(),
                limits: Default::default(),
            }),
        };
        let wanted = Wanted {
            reference: parse_reference(text).unwrap().unwrap(),
            place: Default::default(),
        };
        let told = may_fetch(&grounds, &tenant, &namespace, &wanted);
        told.map_err(|why| format!("{} ({})", why.message, why.hint.unwrap_or_default()))
    }

    #[test]
    fn nobody_may_name_anything_unless_the_platform_says_so() {
        let github = "github.com/org/repo//a?ref=v1";
        for (namespace, patterns, address, want) in [
            ("acme", None, github, Err("tenant acme may not name it")),
            (
                "acme",
                Some(&[][..]),
                github,
                Err("spec.remoteBases of Tenant acme"),
            ),
            ("acme", Some(&["github.com"][..]), github, Ok(())),
            (
                "acme",
                Some(&["https://github.com/org/*"][..]),
                github,
                Ok(()),
            ),
            (
                "acme",
                Some(&["https://github.com/other/*"][..]),
                github,
                Err("add github.com to"),
            ),
            // What the platform may name is not the tenants' for that.
            (
                "acme",
                Some(&[][..]),
                "https://platform.example/x.yaml",
                Err("tenant acme"),
            ),
            (
                "flux-system",
                None,
                "https://platform.example/x.yaml",
                Ok(()),
            ),
            (
                "flux-system",
                Some(&["github.com"][..]),
                github,
                Err("--remote-bases"),
            ),
        ] {
            match (asked(namespace, patterns, address), want) {
                (Ok(()), Ok(())) => {}
                (Err(told), Err(words)) => assert!(told.contains(words), "{told}"),
                (told, _) => panic!("{namespace} {patterns:?} {address}: {told:?}"),
            }
        }
    }

    #[test]
    fn no_credential_is_used_and_none_is_told() {
        for text in [
            "git@github.com:org/repo",
            "ssh://git@github.com/org/repo",
            "https://user:hunter2@github.com/org/repo.git",
            "https://hunter2@github.com/org/x.yaml",
        ] {
            let told = asked("acme", Some(&["github.com"]), text).unwrap_err();
            assert!(
                told.contains("without credentials") && !told.contains("hunter2"),
                "{told}"
            );
        }
    }

    #[test]
    fn an_address_that_can_be_read_in_two_ways_is_refused() {
        for text in [
            "https://evil.example\\@github.com/x.yaml",
            "https://github.com\\@evil.example/x.yaml",
            "https://git%68ub.com/x.yaml",
            "https://github.com/a/%2e%2e/x.yaml",
            "https://github.com/\u{9}x.yaml",
        ] {
            let told = asked("acme", Some(&["github.com"]), text).unwrap_err();
            assert!(told.contains("is refused"), "{told}");
        }
    }
}
