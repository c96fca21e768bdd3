//! Whether a Kustomization may be carried out on another cluster than its own, and on which.
//!
//! On none, unless the platform says so: for everybody by its flag, for one tenant in its Tenant object. It deliberately
//! looks at the address only; whether the host may be connected to is decided where its name is resolved, and what is in
//! the kubeconfig is `kubeconfig`'s to read.

use reeve_api::name::{RemotePattern, TenantName};
use reeve_api::reason::Reason;

use crate::failure::{Explained, Failure, Turn};
use crate::kubeconfig::Server;
use crate::spec::Spec;
use crate::tenancy::{Grounds, Tenant};

/// The other clusters that a Kustomization may be carried out on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Abroad {
    tenant: TenantName,
    patterns: Vec<RemotePattern>,
}

impl Abroad {
    /// Those of `tenant`.
    pub fn of(grounds: &Grounds, tenant: &Tenant) -> Self {
        Self {
            tenant: tenant.name.clone(),
            patterns: patterns(grounds, tenant).cloned().collect(),
        }
    }

    /// Whose it is: nobody shares a connection with another.
    pub fn tenant(&self) -> &TenantName {
        &self.tenant
    }

    /// Lets it be carried out there, or says whose it is to allow that.
    pub fn admits(&self, server: &Server) -> Result<(), Failure> {
        let covers = |pattern: &RemotePattern| pattern.covers(server.url());
        match self.patterns.iter().any(covers) {
            true => Ok(()),
            // Another address may be in the Secret at any time.
            false => Err(refused(&self.tenant, server.host(), Turn::Retry)),
        }
    }
}

/// Whether a Kustomization of `tenant` may be carried out on another cluster at all, asked before anything is read for it.
pub fn may_leave(grounds: &Grounds, tenant: &Tenant, spec: &Spec) -> Result<(), Failure> {
    let stays = spec.kube_config.is_none();
    match stays || patterns(grounds, tenant).next().is_some() {
        true => Ok(()),
        false => Err(refused(&tenant.name, "its host", Turn::OwnerOrPolicy)),
    }
}

fn patterns<'a>(
    grounds: &'a Grounds,
    tenant: &'a Tenant,
) -> impl Iterator<Item = &'a RemotePattern> {
    let own = tenant.declared.iter();
    let own = own.flat_map(|declared| &declared.remote_clusters);
    grounds.remote_clusters.iter().chain(own)
}

fn refused(tenant: &TenantName, host: &str, turn: Turn) -> Failure {
    let what = match host {
        "its host" => "another cluster".to_owned(),
        host => format!("the cluster at {host}"),
    };
    let message = format!("spec.kubeConfig: tenant {tenant} may not apply to {what}");
    Explained::new(Reason::AccessDenied, turn, message).with_hint(format!(
        "the platform's to allow: add {host} to the controller's --allow-remote-clusters, or to spec.remoteClusters of Tenant {tenant}"
    ))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use serde_json::{Value, json};

    use super::*;
    use crate::kubeconfig;
    use crate::tenancy::Declared;

    fn read(all: &[&str]) -> Vec<RemotePattern> {
        all.iter().map(|one| one.parse().unwrap()).collect()
    }

    fn grounds(clusters: &[&str]) -> Grounds {
        Grounds {
            platform_namespaces: BTreeSet::from(["flux-system".parse().unwrap()]),
            config_namespaces: BTreeSet::new(),
            platform_service_account: "platform".parse().unwrap(),
            tenant_service_account: "flux".parse().unwrap(),
            remote_bases: read(&["*"]),
            remote_clusters: read(clusters),
        }
    }

    fn tenant(clusters: Option<&[&str]>) -> Tenant {
        let declared = clusters.map(|clusters| Declared {
            sources: BTreeSet::new(),
            remote_bases: read(&["*"]),
            remote_clusters: read(clusters),
            plugin_hosts: BTreeSet::new(),
            plugin_digests: None,
            domains: BTreeSet::new(),
            registries: BTreeSet::new(),
            project: None,
            service_account: "flux".parse().unwrap(),
            weight: Default::default(),
            limits: Default::default(),
        });
        Tenant {
            declared,
            ..Tenant::of_namespace(&"acme".parse().unwrap())
        }
    }

    fn spec(kube_config: Value) -> Spec {
        let object = json!({
            "apiVersion": "kustomize.toolkit.fluxcd.io/v1", "kind": "Kustomization",
            "metadata": {"namespace": "acme", "name": "web"},
            "spec": {"interval": "10m", "prune": true, "kubeConfig": kube_config,
                "sourceRef": {"kind": "GitRepository", "name": "web"}},
        });
        Spec::parse(&serde_json::from_value(object).unwrap()).unwrap()
    }

    fn server(address: &str) -> Server {
        let config = json!({
            "current-context": "a",
            "clusters": [{"name": "a", "cluster": {"server": address}}],
            "users": [{"name": "a", "user": {"token": "t"}}],
            "contexts": [{"name": "a", "context": {"cluster": "a", "user": "a"}}],
        });
        kubeconfig::parse(config.to_string().as_bytes())
            .unwrap()
            .server
    }

    #[test]
    fn nobody_leaves_unless_the_platform_says_so() {
        let away = spec(json!({"secretRef": {"name": "edge"}}));
        for (all, own, may) in [
            (&[][..], None, false),
            (&[], Some(&[][..]), false),
            (&["api.example"], None, true),
            (&[], Some(&["api.example"]), true),
        ] {
            let (grounds, tenant) = (grounds(all), tenant(own));
            let told = may_leave(&grounds, &tenant, &away);
            assert_eq!(told.is_ok(), may, "{all:?} {own:?}");
            assert_eq!(may_leave(&grounds, &tenant, &spec(Value::Null)), Ok(()));
            let Err(why) = told else { continue };
            assert_eq!(
                (why.reason, why.turn),
                (Reason::AccessDenied, Turn::OwnerOrPolicy)
            );
            assert!(why.hint.unwrap().contains("--allow-remote-clusters"));
        }
    }

    #[test]
    fn an_address_is_reached_where_a_pattern_covers_it() {
        for (pattern, address, may) in [
            ("api.example", "https://api.example:6443", true),
            ("api.example", "https://other.example", false),
            ("*.example", "https://a.example", true),
            (
                "https://api.example:6443/*",
                "https://api.example:6443",
                true,
            ),
            (
                "https://api.example:6443/*",
                "https://api.example:6444",
                false,
            ),
            (
                "https://api.example/k8s/a/*",
                "https://api.example/k8s/a",
                true,
            ),
            (
                "https://api.example/k8s/a/*",
                "https://api.example/k8s/b",
                false,
            ),
        ] {
            let told = Abroad::of(&grounds(&[pattern]), &tenant(None)).admits(&server(address));
            assert_eq!(told.is_ok(), may, "{pattern} {address}");
            let Err(why) = told else { continue };
            assert_eq!((why.reason, why.turn), (Reason::AccessDenied, Turn::Retry));
        }
    }
}
