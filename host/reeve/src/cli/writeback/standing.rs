//! What a write-back that stands alone is to policy and to the cluster: a Kustomization that nobody has written.
//!
//! Policy judges a Kustomization and its plan, and only what it has admitted is applied: so what is kept as git says goes the
//! road of every apply, with its types. It is done as an account that may be named, or as whoever runs the command. It
//! deliberately deletes nothing: it remembers nothing that it has applied.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use jiff::Timestamp;
use reeve_api::kustomization::Kustomization;
use reeve_api::name::{NamespaceName, ServiceAccountName};
use reeve_core::admit::{
    self, AdmittedSpec, Altered, Circumstances, Denied, Rules, Sent, SourceFacts,
};
use reeve_core::failure::Explained;
use reeve_core::inventory::{Inventory, ObjectId};
use reeve_core::plan::{Admitted, Plan, Proposed};
use reeve_core::spec::Spec;
use reeve_core::tenancy::{Grounds, Tenant};
use reeve_core::veil::Veil;
use reeve_core::writeback::Yielding;
use serde_json::{Value, json};

use crate::cli::policy::place::{self, Parameters};
use crate::cli::policy::subject::{told as explained, unfit};
use crate::cli::ui::CommandError;
use crate::cluster::{Applied, Cluster, Progress, Until, Witness};

/// What it is called, to policy and in the labels of what is applied.
const NAME: &str = "reeve-writeback";
/// What policy is told as the account where whoever runs the command applies.
const USER: &str = "kubeconfig-user";

/// The account as which it is done, and where that is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Account {
    pub(super) namespace: NamespaceName,
    pub(super) name: ServiceAccountName,
}

/// The Kustomization that nobody has written.
pub(super) struct Standing {
    object: Value,
    spec: Spec,
    tenant: Tenant,
    grounds: Grounds,
    rules: Rules,
    is_user: bool,
}

/// Nobody has to know what is done before it is. What is sent otherwise than git has it, policy is asked about.
struct Alone<'a> {
    rules: &'a Rules,
    around: &'a Circumstances<'a>,
    spec: &'a AdmittedSpec,
    plan: &'a Plan<Admitted>,
}

impl Account {
    /// `NAMESPACE/NAME`.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let (namespace, name) = text.split_once('/').ok_or("write NAMESPACE/NAME")?;
        Ok(Self {
            namespace: namespace.parse().map_err(|why| format!("{why}"))?,
            name: name.parse().map_err(|why| format!("{why}"))?,
        })
    }

    /// As the API server calls it.
    pub(super) fn user(&self) -> String {
        format!("system:serviceaccount:{}:{}", self.namespace, self.name)
    }
}

impl Standing {
    /// For what lies at a path of the repository. Without an account it is whoever is connected, in this namespace.
    pub(super) fn new(
        namespace: &str,
        path: &str,
        account: Option<&Account>,
    ) -> Result<Self, CommandError> {
        let named = |why: reeve_api::name::NotAName| CommandError::of(namespace, &why);
        let namespace: NamespaceName = match account {
            Some(account) => account.namespace.clone(),
            None => namespace.parse().map_err(named)?,
        };
        let name = account.map_or(USER, |account| account.name.as_str());
        let object = json!({
            "apiVersion": "kustomize.toolkit.fluxcd.io/v1", "kind": "Kustomization",
            "metadata": {"name": NAME, "namespace": namespace.as_str()},
            "spec": {
                "interval": "10m", "prune": false, "path": path, "serviceAccountName": name,
                "sourceRef": {"kind": "GitRepository", "name": NAME},
            },
        });
        let read = |why: serde_json::Error| CommandError::of("the path of the configuration", &why);
        let kustomization: Kustomization = serde_json::from_value(object.clone()).map_err(read)?;
        let spec = Spec::parse(&kustomization).map_err(|why| explained(Explained::of(&why)))?;
        Ok(Self {
            tenant: Tenant::of_namespace(&namespace),
            grounds: grounds(&spec)?,
            rules: Rules::new(Vec::new()),
            is_user: account.is_none(),
            object,
            spec,
        })
    }

    /// The same, with these policies asked about what is applied.
    pub(super) fn judged_by(
        mut self,
        policies: &[PathBuf],
        parameters: &Parameters,
    ) -> Result<Self, CommandError> {
        let sources = place::open(policies, parameters)?;
        let compiled = sources.iter().map(|source| {
            let policy = source.compile();
            policy.map_err(|errors| unfit(source, &errors))
        });
        self.rules = Rules::new(compiled.collect::<Result<_, _>>()?);
        Ok(self)
    }

    pub(super) fn spec(&self) -> &Spec {
        &self.spec
    }

    /// Makes the cluster what the plan says, but for what is left alone, if policy lets it: as the account or as whoever is
    /// connected.
    pub(super) async fn keep(
        &self,
        cluster: &Cluster,
        (plan, left): (Plan<Proposed>, Yielding),
        source: &SourceFacts,
        until: &Until,
        now: Timestamp,
    ) -> Result<Applied, CommandError> {
        let veil = Veil::default();
        let around = Circumstances {
            tenant: &self.tenant,
            grounds: &self.grounds,
            source: Some(source),
            now,
            veil: &veil,
        };
        let denied = |why: Denied| explained(Explained::of(&why));
        let spec = admit::spec(&self.rules, &around, &self.object, self.spec.clone(), None);
        let (spec, _) = spec.map_err(denied)?;
        let plan = admit::plan(&self.rules, &around, &spec, plan, None, None);
        let (plan, _) = plan.map_err(denied)?;
        let client = match self.is_user {
            true => cluster.as_connected(&spec),
            false => {
                let opened = cluster.as_tenant(&spec).await;
                opened.map_err(|why| explained(Explained::of(&why)))?
            }
        };
        let alone = Alone {
            rules: &self.rules,
            around: &around,
            spec: &spec,
            plan: &plan,
        };
        let client = client.yielding_to(left);
        let applied = client.apply(&plan, until.clone(), &alone).await;
        applied.map_err(|why| explained(Explained::of(&why)))
    }
}

impl Witness for Alone<'_> {
    async fn before_first_write(&self, _: &Inventory) -> Result<(), Explained> {
        Ok(())
    }

    async fn judge_kept(&self, kept: BTreeMap<ObjectId, Sent>) -> Result<Altered, Explained> {
        let (rules, around) = (self.rules, self.around);
        let judged = admit::altered(rules, around, self.spec, self.plan, kept, None);
        let (altered, _) = judged.map_err(|why| Explained::of(&why))?;
        Ok(altered)
    }

    fn progress(&self, _: Progress) {}
}

/// No ground is the platform's: policy is asked about all of it.
fn grounds(spec: &Spec) -> Result<Grounds, CommandError> {
    let account = spec.service_account.clone().ok_or_else(|| {
        CommandError::new("there is no account as which anything could be applied")
    })?;
    Ok(Grounds {
        platform_namespaces: BTreeSet::new(),
        config_namespaces: BTreeSet::new(),
        platform_service_account: account.clone(),
        tenant_service_account: account,
        remote_bases: Vec::new(),
        remote_clusters: Vec::new(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_account_is_a_namespace_and_a_name() {
        let account = Account::parse("acme/flux").unwrap();
        assert_eq!(account.user(), "system:serviceaccount:acme:flux");
        for wrong in ["flux", "acme/", "/flux", "Acme/flux", "a/b/c"] {
            assert!(Account::parse(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn policy_is_asked_about_what_stands_alone_as_about_any_kustomization() {
        let account = Account::parse("acme/flux").unwrap();
        for (account, name) in [(Some(&account), "flux"), (None, USER)] {
            let standing = Standing::new("acme", "deploy", account).unwrap();
            let (veil, now) = (Veil::default(), Timestamp::UNIX_EPOCH);
            let around = Circumstances {
                tenant: &standing.tenant,
                grounds: &standing.grounds,
                source: None,
                now,
                veil: &veil,
            };
            let spec = standing.spec.clone();
            let admitted = admit::spec(&standing.rules, &around, &standing.object, spec, None);
            let (admitted, _) = admitted.unwrap();
            assert!(admitted.is_judged());
            assert_eq!(admitted.account().to_string(), format!("acme/{name}"));
            assert_eq!(admitted.path, "deploy");
        }
        assert!(Standing::new("acme", "../x", None).is_err());
    }
}
